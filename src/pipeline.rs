//! One run, from top to bottom: fetch alerts, enrich them with their machines, merge, send, and only then record them as
//! delivered. This is the file to read first.
//!
//! Three stages work at the same time, joined by bounded channels:
//!
//! ```text
//! fetch, enrich   pages of the list, with the machines of what is new   -> one page waits while the next is fetched
//! merge           one record per alert, shaped, truncated, packed       -> up to 2 MB of batches wait
//! send            batch after batch, in order                           -> what the sink accepted, to the ledger
//! ```
//!
//! The [`Ledger`] alone changes the checkpoint, and moves it only over what the sink has accepted or what has been set
//! aside. A run may end anywhere, in whatever way: the next one goes on from the checkpoint, and at worst the batch in
//! flight is sent again. The checkpoint is saved once before a run's first batch: a store that cannot be written, or
//! another process at work on it, is noticed before anything is sent.
//!
//! A backfill is the same run with another [`Plan`]; a dry run has another last stage.

mod dry_run;
mod due;
mod enrich;
mod error;
mod fetch;
mod health;
mod ledger;
mod live_report;
mod merge;
mod plan;
mod send;
mod watch;
mod work;

use std::pin::pin;

use futures::future::{Either, join, select};
use tokio::{sync::mpsc, time::Instant};

pub use error::RunError;
pub use plan::Plan;
pub use watch::Watch;

use crate::{
    http::{
        call::{CallError, Caller},
        deadline::Deadline,
    },
    report::{RunReport, Skip},
    services::Services,
    state::{checkpoint::Checkpoint, history::HistoryEntry},
};
use fetch::FetchStage;
use ledger::Ledger;
use live_report::LiveReport;
use merge::MergeStage;
use send::SendStage;

/// The number of pieces of work that may wait for the last stage. Batches have a limit of their own, in bytes.
const MAX_WORK_WAITING: usize = 8;

/// What a run does with its records.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// Sends them. The function is called after each acknowledgement, with the report and the checkpoint so far.
    Send(&'a (dyn Fn(&RunReport, &Checkpoint) + Send + Sync)),
    /// Passes each to this function, and sends and saves nothing: a dry run.
    DryRun(&'a (dyn Fn(&[u8]) + Send + Sync)),
}

/// Runs once, until everything new is delivered or `deadline` is near. The report says how far the run came, whether or
/// not there is an error.
pub async fn run(
    services: &Services,
    plan: &Plan,
    deadline: Deadline,
    purpose: Purpose<'_>,
) -> (RunReport, Result<(), RunError>) {
    let (begun, start) = (Instant::now(), services.clock.now());
    let caller = Caller::new(services.http.clone(), services.clock, deadline, plan.quota_share);
    let live = LiveReport::default();
    let mut ledger = Ledger::new(services, plan, &caller);
    // Boxed, since it would make the futures of all callers large.
    let forwarding = Box::pin(forward(services, plan, &caller, purpose, &live, &mut ledger));
    let result = match forwarding.await {
        // Time is up. What was sent is saved, and the report says that there is more. What was packed is left to the next
        // run: sent before a batch that could not be sent, it would move the watermark past that batch.
        Err(RunError::Call(CallError::OutOfTime)) => match purpose {
            Purpose::Send(_) => ledger.finish(None).await,
            Purpose::DryRun(_) => Ok(()),
        },
        Err(RunError::BusyElsewhere) => {
            // Of a run that has sent something, the report says that there is more.
            live.update(|report| report.skipped = (report.alerts_sent == 0).then_some(Skip::BusyElsewhere));
            Ok(())
        }
        result => result,
    };
    let mut report = live.now();
    report.tenant = plan.tenant.as_ref().map(ToString::to_string);
    report.requests = caller.requests();
    report.duration_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    report.lag_seconds = ledger.lag_seconds(&report);
    report.error = result.as_ref().err().map(RunError::describe);
    report.is_error_transient = result.as_ref().is_err_and(|error| !error.is_lasting());
    if let Purpose::Send(_) = purpose {
        if report.skipped.is_none_or(Skip::is_recorded) {
            ledger.record_run(HistoryEntry::of(start, &report)).await;
        }
        if report.skipped.is_none() {
            health::send_row(services, plan, &caller, &report).await;
        }
    }
    (report, result)
}

/// Opens the ledger, joins the stages, and returns how they ended.
async fn forward<'a>(
    services: &'a Services,
    plan: &'a Plan,
    caller: &'a Caller,
    purpose: Purpose<'_>,
    live: &LiveReport,
    ledger: &mut Ledger<'a>,
) -> Result<(), RunError> {
    ledger.load().await?;
    if let Some(reason) = ledger.reason_to_skip() {
        live.update(|report| report.skipped = Some(reason));
        return Ok(());
    }
    if let Some(watch) = &plan.watch {
        watch.begin(services.mode, ledger.checkpoint().delivered());
    }
    let sends = matches!(purpose, Purpose::Send(_));
    if sends {
        ledger.open().await?;
    }
    let window = ledger.begin_window();
    live.update(|report| (report.from, report.to) = (Some(window.from), Some(window.to)));

    let (page_sender, pages) = mpsc::channel(1);
    let (work_sender, work) = mpsc::channel(MAX_WORK_WAITING);
    let before = ledger.checkpoint().clone();
    // Kept to the end of the run: batches wait after the last page.
    let mut permit = None;
    let fetch = FetchStage::new(services, plan, caller, &before, window, &mut permit).await;
    let mut merge = MergeStage::new(services, plan, caller, window, sends, live);
    let ended = {
        let feeding = pin!(join(fetch.run(page_sender), merge.run(pages, work_sender)));
        let last = async {
            match purpose {
                Purpose::Send(progress) => {
                    SendStage::new(services, caller, ledger, live, progress).run(work).await
                }
                Purpose::DryRun(print) => Ok(dry_run::run(work, ledger, live, print).await),
            }
        };
        // The last stage ends last, unless it fails, and then nothing more is fetched.
        match select(pin!(last), feeding).await {
            Either::Left((ended, _)) => ended,
            Either::Right((_, last)) => last.await,
        }
    };
    merge.report_type_mismatches();
    let is_complete = match ended?.is_complete {
        Err(CallError::OutOfTime) => false,
        // What was read before the error is delivered.
        result => result?,
    };
    match ledger.alerts_held() {
        0 => {
            live.update(|report| report.complete = is_complete);
            Ok(())
        }
        alerts => Err(RunError::Waiting { alerts, error: merge.lookup_failure() }),
    }
}
