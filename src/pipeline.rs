//! The story of one run: fetch alerts, enrich them with their machines, merge, sign, send, and only
//! then remember them as delivered. This is the file to read first.
//!
//! Three stages work side by side, joined by bounded channels:
//!
//! ```text
//! fetch  pages of the list, and the machines of what is new   -> one page waits while the next is fetched
//! merge  one record an alert, shaped, shortened, packed       -> one or two batches wait while one travels
//! send   batch after batch, in order                          -> what the sink accepted, to the ledger
//! ```
//!
//! The [`Ledger`] alone changes the checkpoint, and moves it only over what the sink has accepted or what has
//! been set aside whole. A run that ends anywhere, in whatever way, leaves the next one to go on from there; at
//! worst the batch in flight is sent again. Before the first batch of a run the checkpoint is saved once as it
//! is: a store that cannot be written, or another process that is at work on it, is noticed before anything is
//! sent.
//!
//! A backfill is the same run with another [`Plan`]; a dry run has another last stage.

mod dry_run;
mod error;
mod fetch;
mod health;
mod ledger;
mod live_report;
mod merge;
mod plan;
mod send;

use std::pin::pin;

use futures::future::{Either, join, select};
use tokio::{sync::mpsc, time::Instant};

pub use error::RunError;
pub use plan::Plan;

use crate::{
    error_chain::chain,
    http::{
        call::{CallError, Caller},
        deadline::Deadline,
    },
    report::RunReport,
    services::Services,
    state::{checkpoint::Checkpoint, history::Entry},
};
use fetch::FetchStage;
use ledger::Ledger;
use live_report::LiveReport;
use merge::MergeStage;
use send::SendStage;

/// How many pieces of work may wait for the last stage. Batches have a limit of their own, in bytes.
const WORK_WAITING: usize = 8;

/// What becomes of the records of a run.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// They are sent. The function hears of the report as it grows, and of the checkpoint as it is saved.
    Send(&'a (dyn Fn(&RunReport, &Checkpoint) + Send + Sync)),
    /// A dry run: each is handed to this function; nothing is sent or saved.
    DryRun(&'a (dyn Fn(&[u8]) + Send + Sync)),
}

/// Runs once, until everything new is delivered or `deadline` is near. The report tells how far it
/// came, whether or not there is an error.
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
    // Boxed: it is large, and callers should not have to know.
    let forwarding = Box::pin(forward(services, plan, &caller, purpose, &live, &mut ledger));
    let result = match forwarding.await {
        // Time is up. What was sent is saved, and the report says that there is more. What was packed stays
        // behind: if it overtook a batch that could not be sent, the watermark would pass that too.
        Err(RunError::Call(CallError::OutOfTime)) => match purpose {
            Purpose::Send(_) => ledger.finish(None).await,
            Purpose::DryRun(_) => Ok(()),
        },
        result => result,
    };
    let mut report = live.now();
    report.requests = caller.requests();
    report.duration_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    report.lag_seconds = ledger.lag_seconds(&report);
    report.error = result.as_ref().err().map(|error| chain(error));
    if let Purpose::Send(_) = purpose {
        ledger.record_run(Entry::of(start, &report)).await;
        health::send_row(services, plan, &caller, &report).await;
    }
    (report, result)
}

/// Opens the ledger, joins the stages, and sees how they ended.
async fn forward<'a>(
    services: &'a Services,
    plan: &'a Plan,
    caller: &'a Caller,
    purpose: Purpose<'_>,
    live: &LiveReport,
    ledger: &mut Ledger<'a>,
) -> Result<(), RunError> {
    ledger.load().await?;
    let sends = matches!(purpose, Purpose::Send(_));
    if sends {
        ledger.pin_start().await?;
    }
    let window = ledger.begin_window();
    live.update(|report| (report.from, report.to) = (Some(window.from), Some(window.to)));

    let (page_sender, pages) = mpsc::channel(1);
    let (work_sender, work) = mpsc::channel(WORK_WAITING);
    let fetch = FetchStage::new(services, plan, caller, ledger.checkpoint(), window);
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
        // The last stage ends last, unless it fails: then nothing more is fetched.
        match select(pin!(last), feeding).await {
            Either::Left((ended, _)) => ended,
            Either::Right((_, last)) => last.await,
        }
    };
    merge.report_type_mismatches();
    let is_read_to_its_end = match ended?.read {
        Err(CallError::OutOfTime) => false,
        // What was read before is delivered all the same.
        read => read?,
    };
    match ledger.alerts_held() {
        0 => {
            live.update(|report| report.complete = is_read_to_its_end);
            Ok(())
        }
        alerts => Err(RunError::Waiting { alerts, error: merge.machine_failure() }),
    }
}
