//! `mdatp-forward state`: begins again at another time, also if the checkpoint is damaged, and releases a lease.

use std::process::ExitCode;

use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::{Args, Subcommand};
use tracing::error;

use super::{EXIT_USAGE, home::TenantOption, print_line};
use crate::{
    clock::Clock,
    config::Start,
    pipeline::RunError,
    state::{StateErrorKind, StateStore, checkpoint::Checkpoint},
};

/// The commands of `state`, and whose state.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    pub tenant: TenantOption,
    /// The command.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// The commands of `state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Begin again at a given time, whatever was delivered before.
    ///
    /// The next run sends every alert from that time on, also those that were sent before, and no older ones. The old
    /// checkpoint is kept beside the new one. A run in progress stops.
    Reset(ResetArgs),
    /// Release the lease of a process that is at work on the checkpoint.
    ///
    /// A lease ends by itself 90 seconds after its last renewal, and at once when its process has ended on this machine.
    /// Without its lease, a run that is still in progress fails at its next save, and the batch it sent last may be sent
    /// again.
    Release,
}

/// The options of `state reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Where to begin: a time (2026-11-24T00:00:00Z, or 11/24/2026 00:00:00 in UTC), or a duration ago (24h).
    #[arg(long, value_name = "TIME|DURATION", value_parser = Start::parse)]
    pub to: Start,
}

/// Replaces the checkpoint by one that begins at another time.
pub async fn reset(args: &ResetArgs, store: &StateStore, clock: Clock) -> Result<ExitCode, RunError> {
    let now = clock.now();
    let mut fresh = match beginning(args.to, now) {
        Ok(fresh) => fresh,
        Err(problem) => {
            error!("the checkpoint is not reset, because the new one could not be used: {problem}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    let before = store.load().await?;
    // The calls still count against the quotas, and the runs stay in the history.
    if let Some(Ok(old)) = before.as_ref().map(|(text, _)| Checkpoint::from_json(text, now)) {
        (fresh.quota, fresh.history) = (old.quota, old.history);
    }
    let (place, begin) = (store.checkpoint_place(), to_rfc3339(&fresh.watermark));
    match store.reset(fresh.to_json(), before.as_ref(), now).await {
        Ok(kept) => {
            let kept = kept.map_or_else(
                || "there was none before".to_owned(),
                |name| format!("the old one is kept beside it as {name}"),
            );
            print_line(format!("the checkpoint {place} now begins at {begin}; {kept}").as_bytes());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if matches!(error.kind, StateErrorKind::Conflict) => {
            error!("the checkpoint {place} is not reset, because a run has just saved it: try again");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

/// Releases the lease on the checkpoint, if there is one.
pub async fn release(store: &StateStore, clock: Clock) -> Result<ExitCode, RunError> {
    let now = clock.now();
    let place = store.checkpoint_place();
    let Some((text, version)) = store.load().await? else {
        print_line(format!("there is no checkpoint {place} yet").as_bytes());
        return Ok(ExitCode::SUCCESS);
    };
    let damaged = |damage| RunError::Damaged { place: place.clone(), damage };
    let mut checkpoint = Checkpoint::from_json(&text, now).map_err(damaged)?;
    let Some(lease) = checkpoint.lease.take() else {
        print_line(format!("no process is at work on the checkpoint {place}").as_bytes());
        return Ok(ExitCode::SUCCESS);
    };
    match store.save(checkpoint.to_json(), Some(&version)).await {
        Ok(_) => {
            print_line(format!("the lease of {lease} on the checkpoint {place} is released").as_bytes());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if matches!(error.kind, StateErrorKind::Conflict) => {
            error!("the lease of {lease} is not released, because its run has just saved the checkpoint");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns a checkpoint that begins at `to`.
///
/// # Errors
/// Returns the problem if a run would reject it as damaged.
fn beginning(to: Start, now: OffsetDateTime) -> Result<Checkpoint, String> {
    let time = match to {
        Start::At(time) => Some(time.to_offset(now.offset())),
        Start::Ago(duration) => duration.try_into().ok().and_then(|duration| now.checked_sub(duration)),
    };
    let time = time.filter(|time| time.year() > 0).ok_or("it begins before the year 1")?;
    let fresh = Checkpoint::starting_at(time);
    Checkpoint::from_json(&fresh.to_json(), now).map_err(|damage| damage.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_begins_at_a_time_or_a_duration_ago_but_never_where_a_run_would_reject_it() {
        let now = azure_core::time::parse_rfc3339("2026-11-24T05:00:00Z").expect("a time");
        for (text, begins) in [
            ("2026-11-20T01:00:00+02:00", "2026-11-19T23:00:00Z"),
            ("11/20/2026 01:00:00", "2026-11-20T01:00:00Z"),
            ("24h", "2026-11-23T05:00:00Z"),
            ("1h 30m", "2026-11-24T03:30:00Z"),
            ("0s", "2026-11-24T05:00:00Z"),
        ] {
            let fresh = beginning(Start::parse(text).expect(text), now).expect(text);
            assert_eq!(
                (to_rfc3339(&fresh.watermark), to_rfc3339(&fresh.known_from)),
                (begins.to_owned(), begins.to_owned())
            );
        }
        assert!(beginning(Start::parse("2026-11-25T00:00:00Z").expect("a time"), now).is_err());
        for text in ["", "yesterday", "2026-11-24", "-1h", "0000-01-01T00:00:00Z", "20years"] {
            assert!(Start::parse(text).is_err(), "{text}");
        }
    }
}
