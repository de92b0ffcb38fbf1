//! After a run, a row about it in the workspace (`MDATP_HEALTH`). Nothing depends on it: a row that cannot be sent is a
//! warning, and does not change the run's result.

use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, warn};

use super::plan::Plan;
use crate::{
    error_chain::{chain, with_fix},
    http::call::Caller,
    report::RunReport,
    schema::health,
    services::Services,
};

/// The time for sending the row, retries included: the run is over, and its reply waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends the row about a run of the timer, if time is left for it.
pub(super) async fn send_row(services: &Services, plan: &Plan, caller: &Caller, report: &RunReport) {
    let Some(sink) = services.health.as_ref().filter(|_| plan.is_timer()) else { return };
    // A deadline of its own: a sink that asks for a long wait must not delay the reply for as long as a run may last.
    let deadline = caller.deadline.within(TIMEOUT);
    if deadline.remaining().is_zero() {
        return;
    }
    let (http, clock) = (services.http.clone(), services.clock);
    let caller = Caller::new(http, clock, deadline, plan.quota_share);
    let ended = sink.wants_time_generated().then(|| clock.now());
    let rows = Bytes::from(health::rows(report, ended));
    match sink.send(rows, &caller).await {
        Ok(sent) => debug!("sent the row about this run{}", sent.log_id()),
        Err(error) => warn!(
            "the row about this run is not sent (MDATP_HEALTH needs what mdatp-forward schema --health prints): {}",
            with_fix(&chain(&error), error.fix().as_deref())
        ),
    }
}
