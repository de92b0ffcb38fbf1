//! Whether the store keeps what it is given, and what the checkpoint in it says. Pure.

use std::time::Duration;

use azure_core::time::{OffsetDateTime, to_rfc3339};
use bytes::Bytes;

use super::{finding::Finding, fix::Principal};
use crate::{
    config::StateConfig,
    error_chain::{behind, chain},
    http::{ExchangeError, advice::trust_advice},
    state::{Problem, StateError, Version, checkpoint::Checkpoint},
};

/// The name of the check of the store.
pub const CHECK: &str = "state";

/// The name of the check of the checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// What came of writing to `place`. `is_azure` is true in a Function App, whose disk is not kept.
pub fn judge_store(
    config: &StateConfig,
    place: &str,
    principal: &Principal,
    is_azure: bool,
    probed: &Result<(), StateError>,
) -> Finding {
    match (probed, config) {
        (Ok(()), StateConfig::Folder(_)) if is_azure => Finding::warning(
            CHECK,
            format!("{place} is on the disk of one instance of the Function App, and goes with it"),
            "set MDATP_STATE to blob:mdatp-forward",
        ),
        (Ok(()), _) => {
            Finding::ok(CHECK, format!("made, swapped, read back and removed a document in {place}"))
        }
        (Err(error), config) => failure(CHECK, error, config, principal),
    }
}

/// The finding of a store that failed: its advice is the fix, with the command that belongs to it.
fn failure(check: &'static str, error: &StateError, config: &StateConfig, principal: &Principal) -> Finding {
    let message = chain(error);
    if let Some(ExchangeError::Untrusted(problem)) = behind(error) {
        let fix = trust_advice(problem);
        return Finding::failure(check, message.replacen(&format!(" ({fix})"), "", 1), fix);
    }
    let Problem::Rejected(rejection) = &error.problem else {
        return Finding::failure(check, message, mend(error, config));
    };
    let reason = rejection.reason();
    let (advice, command) = (reason.advice(), principal.unlock(reason, config));
    let message = message.strip_suffix(&format!("; {advice}")).map_or(message.clone(), str::to_owned);
    let fix = [advice.to_owned(), command.unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
    match fix.collect::<Vec<_>>().join(": ") {
        fix if fix.is_empty() => Finding::failure(check, message, mend(error, config)),
        fix => Finding::failure(check, message, fix),
    }
}

fn mend(error: &StateError, config: &StateConfig) -> String {
    match (&error.problem, config) {
        (Problem::Unfit(_), _) => "set MDATP_STATE to another place".to_owned(),
        (_, StateConfig::Blob { account, .. }) => {
            format!("check AzureWebJobsStorage, and that the network lets {} through", account.endpoint)
        }
        (_, StateConfig::Folder(folder)) => {
            format!("check MDATP_STATE, and that {} is a folder we may write to", folder.display())
        }
    }
}

/// What came of loading the checkpoint's document; none is there before the first run.
pub fn judge_checkpoint(
    config: &StateConfig,
    principal: &Principal,
    now: OffsetDateTime,
    loaded: &Result<Option<(Bytes, Version)>, StateError>,
) -> Finding {
    match loaded {
        Ok(found) => judge_text(found.as_ref().map(|(text, _)| &text[..]), now),
        Err(error) => failure(CHECKPOINT, error, config, principal),
    }
}

fn judge_text(text: Option<&[u8]>, now: OffsetDateTime) -> Finding {
    match text.map(|text| Checkpoint::from_json(text, now)).transpose() {
        Ok(None) => Finding::ok(CHECKPOINT, "none yet: the first run begins at MDATP_START"),
        Ok(Some(checkpoint)) => {
            let lag = (now - checkpoint.watermark).whole_seconds().unsigned_abs();
            let (watermark, lag) = (to_rfc3339(&checkpoint.watermark), Duration::from_secs(lag));
            let lag = humantime::format_duration(lag);
            Finding::ok(CHECKPOINT, format!("everything before {watermark} is delivered, {lag} ago"))
        }
        Err(damage) => Finding::failure(
            CHECKPOINT,
            format!("the checkpoint cannot be used: {}", chain(&damage)),
            "mdatp-forward status, then mdatp-forward state reset --to TIME",
        ),
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn the_checkpoint_tells_how_far_delivery_has_come() {
        let now = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
        let before = parse_rfc3339("2026-11-24T05:58:30Z").expect("a time");
        let text = Checkpoint::starting_at(before).to_json();
        for (text, result, part) in [
            (None, CheckResult::Ok, "none yet"),
            (Some(&text[..]), CheckResult::Ok, "before 2026-11-24T05:58:30Z is delivered, 1m 30s ago"),
            (Some(&b"{"[..]), CheckResult::Failure, "cannot be used"),
        ] {
            let finding = judge_text(text, now);
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
        }
    }
}
