//! After a run, a row about it for those who watch the workspace (`MDATP_HEALTH`). Nothing depends on it: if it
//! cannot be sent, a warning says so, and the run is what it was.

use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::{Purpose, Run};
use crate::{call::Caller, cause::chain, schema::health};

/// How long the sink is asked at most, repeats included: the run is over, and its reply waits.
const PATIENCE: Duration = Duration::from_secs(15);

impl Run<'_> {
    /// Sends the row, as long as time is left for it.
    pub(super) async fn send_health(&mut self) {
        let (Some(sink), Purpose::Send(_)) = (&self.services.health, self.purpose) else { return };
        // Its own, so that a sink that asks for patience is not waited for as long as a run may last.
        let deadline = self.caller.deadline.within(PATIENCE);
        if deadline.left().is_zero() {
            return;
        }
        let (http, clock) = (self.services.http.clone(), self.services.clock);
        let caller = Caller::new(http, clock, deadline, self.services.quota_share);
        let ended = sink.wants_time_generated().then(|| clock.now());
        let rows = Bytes::from(health::rows(&self.report, ended));
        if let Err(error) = sink.send(rows, &caller).await {
            warn!(
                "the row about this run is not sent (MDATP_HEALTH needs what mdatp-forward schema --health prints): {}",
                chain(&error)
            );
        }
    }
}
