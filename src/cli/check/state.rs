//! The findings about the state store and the checkpoint in it. Pure.

use std::{borrow::Cow, time::Duration};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use bytes::Bytes;

use super::{finding::Finding, principal::Principal};
use crate::{
    config::StateConfig,
    error_chain::chain,
    state::{ETag, StateError, StateErrorKind, checkpoint::Checkpoint},
};

/// The name of the check of the store.
pub const CHECK: &str = "state";

/// The name of the check of the checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// Returns the finding about writing to `place`. `is_azure` is true in a Function App, whose local disk is not kept.
pub fn store_finding(
    config: &StateConfig,
    place: &str,
    principal: &Principal,
    is_azure: bool,
    probed: &Result<(), StateError>,
) -> Finding {
    match (probed, config) {
        (Ok(()), StateConfig::Folder(_)) if is_azure => Finding::warning(
            CHECK,
            format!("{place} is on the local disk of one instance of the Function App, and is lost with it"),
            "set MDATP_STATE to blob:mdatp-forward",
        ),
        (Ok(()), _) => {
            Finding::ok(CHECK, format!("created, replaced, read and removed a document in {place}"))
        }
        (Err(error), config) => failure(CHECK, error, config, principal),
    }
}

/// Returns the finding of a store that failed, with the fix of its cause if that has one, and the command for it.
fn failure(check: &'static str, error: &StateError, config: &StateConfig, principal: &Principal) -> Finding {
    let fix = match &error.kind {
        StateErrorKind::Rejected(blob_error) => blob_error.kind().fix().map(|fix| {
            let command = principal.blob_storage_command(blob_error.kind(), config);
            command.map_or_else(|| fix.to_owned(), |command| format!("{fix}: {command}"))
        }),
        _ => error.cause_fix().map(Cow::into_owned),
    };
    Finding::failure(check, chain(error), fix.unwrap_or_else(|| usual_fix(error, config)))
}

/// Returns the fix for an error without advice of its own.
fn usual_fix(error: &StateError, config: &StateConfig) -> String {
    match (&error.kind, config) {
        (StateErrorKind::Unsuitable(_), _) => "set MDATP_STATE to another place".to_owned(),
        (_, StateConfig::Blob { account, .. }) => {
            format!("check AzureWebJobsStorage, and that the network lets {} through", account.endpoint)
        }
        (_, StateConfig::Folder(folder)) => {
            format!("check MDATP_STATE, and that this program may write to the folder {}", folder.display())
        }
    }
}

/// Returns the finding about loading the checkpoint, which does not exist before the first run.
pub fn checkpoint_finding(
    config: &StateConfig,
    principal: &Principal,
    now: OffsetDateTime,
    loaded: &Result<Option<(Bytes, ETag)>, StateError>,
) -> Finding {
    match loaded {
        Ok(found) => text_finding(found.as_ref().map(|(text, _)| &text[..]), now),
        Err(error) => failure(CHECKPOINT, error, config, principal),
    }
}

fn text_finding(text: Option<&[u8]>, now: OffsetDateTime) -> Finding {
    match text.map(|text| Checkpoint::from_json(text, now)).transpose() {
        Ok(None) => Finding::ok(CHECKPOINT, "no checkpoint yet: the first run begins at MDATP_START"),
        Ok(Some(checkpoint)) => {
            let lag = (now - checkpoint.watermark).whole_seconds().unsigned_abs();
            let (watermark, lag) = (to_rfc3339(&checkpoint.watermark), Duration::from_secs(lag));
            let lag = humantime::format_duration(lag);
            let message = format!("everything before {watermark} ({lag} ago) is delivered");
            Finding::ok(
                CHECKPOINT,
                match checkpoint.lease.filter(|lease| lease.is_valid(now)) {
                    Some(lease) => format!("{message}; at work on it: {lease}"),
                    None => message,
                },
            )
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
    fn the_checkpoint_shows_how_far_delivery_has_come() {
        let now = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
        let before = parse_rfc3339("2026-11-24T05:58:30Z").expect("a time");
        let text = Checkpoint::starting_at(before).to_json();
        for (text, result, part) in [
            (None, CheckResult::Ok, "no checkpoint yet"),
            (Some(&text[..]), CheckResult::Ok, "before 2026-11-24T05:58:30Z (1m 30s ago) is delivered"),
            (Some(&b"{"[..]), CheckResult::Failure, "cannot be used"),
        ] {
            let finding = text_finding(text, now);
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
        }
    }
}
