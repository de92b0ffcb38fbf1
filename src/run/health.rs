//! After a run, a row about it for those who watch the workspace (`MDATP_HEALTH`). Nothing depends on it: if it
//! cannot be sent, a warning says so, and the run is what it was.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use tracing::warn;

use super::{Purpose, Run};
use crate::{call::Caller, cause::chain, deadline::Deadline, schema::health};

/// How long the sink is asked at most, repeats included: the run is over, and its reply waits.
const PATIENCE: Duration = Duration::from_secs(15);

impl Run<'_> {
    /// Sends the row, as long as time is left for it.
    pub(super) async fn send_health(&mut self) {
        let (Some(sink), Purpose::Send(_)) = (&self.services.health, self.purpose) else { return };
        let patience = PATIENCE.min(self.caller.deadline.left());
        if patience.is_zero() {
            return;
        }
        // Its own, so that a sink that asks for patience is not waited for as long as a run may last.
        let deadline = Deadline::after(patience, Arc::new(AtomicBool::new(false)));
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
