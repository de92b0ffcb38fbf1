//! Nudges: requests for a run now, which wait for what becomes of the alerts that they name.
//!
//! A nudge gets the same run as the timer. While one is in progress, all nudges that arrive wait for one run that follows
//! it: the run in progress may have read the list before their alerts were on it. So any number of nudges at once makes at
//! most two runs. A run goes on when nobody waits for it any more.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{sync::oneshot, time::timeout};
use tracing::{Instrument, error, info, warn};

use super::App;
use crate::{
    error_chain::chain,
    http::deadline::Deadline,
    pipeline::{Purpose, Watch},
    report::RunReport,
};

/// The time within which a nudge is answered. The HTTP action of Logic Apps waits 120 s for a response ("Limits and
/// configuration reference for Azure Logic Apps"), and other callers' clients often no more than 60 s.
const TIMEOUT: Duration = Duration::from_secs(55);

/// The time from a run that has not delivered everything to the other one: Defender may announce an alert seconds before
/// its list has it.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// What became of a nudge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nudged {
    /// Those of its alerts that the sink has accepted.
    pub delivered: Vec<String>,
    /// All others. A later run delivers them or sets them aside.
    pub pending: Vec<String>,
    /// True when no alert is pending; of a nudge without alerts, when a run has succeeded.
    pub is_done: bool,
    /// The reports of the runs that it has started and that did not fail.
    pub reports: Vec<RunReport>,
}

/// The run that nudges wait for and that has not begun.
#[derive(Debug, Clone)]
pub(super) struct NextRun {
    watch: Arc<Watch>,
    /// Resolves at its end, to true if it succeeded.
    ended: Shared<BoxFuture<'static, bool>>,
}

impl App {
    /// Runs once, now or after the run in progress, and once more when one of the alerts `ids` is not delivered then or
    /// the run did not succeed. Returns after 55 s at the latest, and at a shutdown.
    pub async fn nudge(self: &Arc<Self>, ids: Vec<String>) -> Nudged {
        let _in_progress = self.requests.read().await;
        let deadline = Deadline::after(TIMEOUT, self.shutdown.clone());
        let mut nudged = Nudged { delivered: Vec::new(), pending: ids, is_done: false, reports: Vec::new() };
        for is_retry in [false, true] {
            if is_retry && (deadline.remaining() <= RETRY_DELAY || !deadline.sleep(RETRY_DELAY).await) {
                break;
            }
            let (run, report) = self.join_next_run(&nudged.pending);
            let has_succeeded = timeout(deadline.remaining(), run.ended).await == Ok(true);
            if let Some(mut report) = report {
                // Closed first, so that a run that is still in progress logs its report itself.
                report.close();
                nudged.reports.extend(report.try_recv());
            }
            let (delivered, pending) = nudged.pending.into_iter().partition(|id| run.watch.is_delivered(id));
            nudged.delivered.extend::<Vec<_>>(delivered);
            nudged.pending = pending;
            nudged.is_done = nudged.pending.is_empty() && (has_succeeded || !nudged.delivered.is_empty());
            if nudged.is_done {
                break;
            }
        }
        nudged
    }

    /// Adds alerts to those of the run that begins next. The caller that causes that run also gets its report, if it does
    /// not fail.
    fn join_next_run(self: &Arc<Self>, ids: &[String]) -> (NextRun, Option<oneshot::Receiver<RunReport>>) {
        let (mut next, mut report) = (self.next_run(), None);
        let run = next.get_or_insert_with(|| {
            let (sender, receiver) = oneshot::channel();
            report = Some(receiver);
            let watch = Arc::<Watch>::default();
            let task = tokio::spawn(self.clone().run_nudged(watch.clone(), sender).in_current_span());
            NextRun { watch, ended: task.map(|ended| ended.unwrap_or(false)).boxed().shared() }
        });
        run.watch.add(ids);
        (run.clone(), report)
    }

    /// Runs for the nudges that wait, once no other run is in progress. Returns true if it succeeded.
    async fn run_nudged(self: Arc<Self>, watch: Arc<Watch>, receiver: oneshot::Sender<RunReport>) -> bool {
        let running = self.running.lock().await;
        *self.next_run() = None;
        if self.shutdown.is_requested() {
            return false;
        }
        let (report, result) =
            self.catching_panics(self.run(Purpose::Send(&|_, _| {}), Some(watch.clone()))).await;
        drop(running);
        match &result {
            Ok(()) => {
                if let Err(report) = receiver.send(report.clone()) {
                    info!(members = %report.log_members(None), "{report}");
                }
            }
            Err(error) => error!(members = %report.log_members(Some(error.kind())), "{report}"),
        }
        self.resolve_known(&watch).await;
        result.is_ok() && report.skipped.is_none()
    }

    /// Finds out which alerts an earlier run delivered, and which it set aside.
    async fn resolve_known(&self, watch: &Watch) {
        let known = watch.known();
        let Some((services, _)) = self.services.get().filter(|_| !known.is_empty()) else { return };
        match services.store.set_aside_of(&known).await {
            Ok(set_aside) => watch.resolve_known(&set_aside),
            Err(error) => warn!(
                "it is unknown whether an alert was set aside, so it is reported as pending: {}",
                chain(&error)
            ),
        }
    }

    fn next_run(&self) -> MutexGuard<'_, Option<NextRun>> {
        self.next_run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        clock::Clock,
        config::{SettingProblem, SettingsError},
        shutdown::ShutdownMode,
    };

    /// A program whose runs fail at once.
    fn app() -> Arc<App> {
        let problem = SettingProblem::with("MDATP_SINK", "is not set");
        Arc::new(App::new(Err(SettingsError(vec![problem])), Clock::System))
    }

    fn pending(ids: &[&str]) -> Nudged {
        let pending = ids.iter().map(|id| (*id).to_owned()).collect();
        Nudged { delivered: Vec::new(), pending, is_done: false, reports: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_whose_run_fails_is_tried_once_more_ten_seconds_later() {
        let (app, begun) = (app(), Instant::now());
        assert_eq!(app.nudge(vec!["a".to_owned()]).await, pending(&["a"]));
        assert_eq!(begun.elapsed(), RETRY_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_is_answered_in_time_while_a_run_goes_on_and_leaves_one_run_behind() {
        let (app, begun) = (app(), Instant::now());
        let running = app.running.lock().await;
        let waiting = (0..9).map(|_| app.nudge(vec!["a".to_owned()]));
        assert_eq!(futures::future::join_all(waiting).await, vec![pending(&["a"]); 9]);
        assert_eq!(begun.elapsed(), TIMEOUT);
        let next = app.next_run().clone().expect("the run that they wait for");
        drop(running);
        assert!(!next.ended.await, "it fails");
        assert!(app.next_run().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_ends_the_wait_for_the_second_run() {
        let (app, begun) = (app(), Instant::now());
        let stop = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            app.shutdown().request(ShutdownMode::Graceful);
            app.ended(TIMEOUT).await;
        };
        let (nudged, ()) = tokio::join!(app.nudge(Vec::new()), stop);
        assert_eq!(nudged, pending(&[]));
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}
