//! The end of a run: it is written down in the history that is kept with the checkpoint.
//!
//! That is never worth an error, and a run that found nothing is worth no save of its own: it waits in memory
//! for the next one. But a store that nobody writes looks the same as one that nobody can write, so now and then
//! there is a sign of life.

use std::time::Duration;

use azure_core::time::OffsetDateTime;
use tracing::debug;

use super::{Purpose, Run};
use crate::{cause::chain, history::Entry};

/// The age of the newest run in the store from which on a run that found nothing is saved as well. Half of the time
/// without a success after which `status` takes a forwarder for dead (`status.rs`), at some 24 writes a day.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3_600);

/// Calls that an otherwise idle run may make without its count being saved: the next run may be another process.
const UNSAVED_CALLS: u64 = 10;

impl Run<'_> {
    /// Writes the run down, and saves if it did anything, failed, made many calls, or if it is time for a sign
    /// of life. The run has ended already, so a failure changes nothing.
    pub(super) async fn write_down(&mut self, start: OffsetDateTime) {
        let Purpose::Send(_) = self.purpose else { return };
        let mut has_news = self.caller.requests() - self.calls_saved > UNSAVED_CALLS;
        // A backfill's runs are slices, and somebody is looking at it.
        if self.services.until.is_none() {
            let entry = Entry::of(start, &self.report);
            has_news |= !entry.is_quiet();
            self.services.unsaved_runs().add(entry);
        }
        // Without a version the store was never reached, or is in an unknown state.
        if self.version.is_some()
            && (has_news || self.is_sign_of_life_due())
            && let Err(error) = self.save().await
        {
            debug!("{}", chain(&error));
        }
    }

    /// True when the store has no run of the last hour.
    pub(super) fn is_sign_of_life_due(&self) -> bool {
        let newest = self.checkpoint.history.entries().last();
        let is_old = |newest: &Entry| self.services.clock.now() - newest.last_start() > SIGN_OF_LIFE;
        self.services.until.is_none() && newest.is_none_or(is_old)
    }
}
