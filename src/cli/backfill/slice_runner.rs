//! The runs of a backfill, one after the other, each over the next slice of its range.

use std::{
    pin::pin,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    display::Display,
    progress::Progress,
    range::{self, BackfillPlan},
    report::BackfillReport,
    slices::{Slices, lookback},
};
use crate::{
    cli::print_line,
    config::{Config, Start},
    http::deadline::Deadline,
    pipeline::{Plan, Purpose, RunError, run},
    record::window::Window,
    report::RunReport,
    services::Services,
    shutdown::{Shutdown, ShutdownMode, ShutdownSignal},
    state::{StateStore, checkpoint::Checkpoint},
};

/// The time that a run may take. No host ends a backfill, so it is as long as Defender's quota may require.
const RUN_BUDGET: Duration = Duration::from_secs(24 * 3_600);

/// The time that the current batch has to be sent and saved after a signal.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// The number of failures in a row, with nothing sent in between, after which the backfill gives up.
const MAX_FAILURES: u32 = 5;

/// The pause after the first failure. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// The time between two updates of the display while a run makes no progress.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Runs slice after slice of a backfill.
pub(super) struct SliceRunner<'a> {
    services: &'a Services,
    /// The store with the checkpoint of the backfill.
    store: StateStore,
    range: Window,
    /// The part of Defender's quotas that may be used.
    share: f64,
    lookback: Duration,
    enrichment_timeout: Duration,
    begun: Instant,
    /// The position when this process began.
    resumed_at: OffsetDateTime,
    shutdown: Shutdown,
    display: Display,
    totals: Mutex<Totals>,
}

/// What has been done so far.
struct Totals {
    /// The sum of the runs that have ended.
    report: BackfillReport,
    /// The time before which everything is sent.
    position: OffsetDateTime,
}

impl<'a> SliceRunner<'a> {
    /// Creates a runner for `plan` that uses `share` of Defender's quotas.
    pub(super) fn new(services: &'a Services, config: &Config, plan: &BackfillPlan, share: f64) -> Self {
        let position = plan.checkpoint.watermark;
        Self {
            services,
            store: services.store.clone().with_checkpoint(&range::name(plan.range.from)),
            range: plan.range,
            share,
            lookback: config.lookback,
            enrichment_timeout: config.enrichment_timeout,
            begun: Instant::now(),
            resumed_at: position,
            shutdown: Shutdown::default(),
            display: Display::new(),
            totals: Mutex::new(Totals { report: BackfillReport::default(), position }),
        }
    }

    /// Runs until the range is done, until the operator stops the process, or until an error that does not go away.
    pub(super) async fn run(&self) -> Result<(), RunError> {
        // Without signals the process can only be killed, which does no harm either.
        let Ok(mut signal) = ShutdownSignal::listen() else { return self.run_slices().await };
        let mut work = pin!(self.run_slices());
        tokio::select! {
            result = &mut work => return result,
            () = signal.received() => {}
        }
        self.shutdown.request(ShutdownMode::Graceful);
        info!("stopping after the current batch; a second signal stops at once");
        tokio::select! {
            result = work => result,
            () = signal.received() => Ok(()),
            () = tokio::time::sleep(SHUTDOWN_TIMEOUT) => Ok(()),
        }
    }

    async fn run_slices(&self) -> Result<(), RunError> {
        self.record_end().await?;
        let (mut slices, mut failures, mut is_first) = (Slices::default(), 0, true);
        while !self.shutdown.is_requested() {
            let position = self.totals().position;
            let end = match slices.end(position, self.range.to) {
                Some(end) => end,
                // Everything was sent before: the last slice lists again what may have appeared late.
                None if is_first => self.range.to,
                None => return Ok(()),
            };
            let lookback = lookback(end, self.lookback, self.services.clock.now());
            if position >= end && lookback.is_zero() {
                return Ok(());
            }
            let (report, result) = self.run_slice(&self.slice(end, lookback)).await;
            self.add(&report).await?;
            is_first = false;
            if report.alerts_sent > 0 {
                failures = 0;
            }
            match result {
                Ok(()) if report.complete => slices.adapt(report.alerts_read, self.services.page_size),
                Ok(()) if report.skipped.is_some() => {
                    self.pause(&mut failures, "another process is at work on this backfill").await;
                }
                Ok(()) => self.pause(&mut failures, "the slice was not read to its end").await,
                Err(error) if error.is_transient() && failures < MAX_FAILURES => {
                    self.pause(&mut failures, &error.describe()).await;
                }
                Err(error) => return Err(error),
            }
            if failures > MAX_FAILURES {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Records the end of the range in the checkpoint, which may be later than before.
    async fn record_end(&self) -> Result<(), RunError> {
        let (store, now) = (&self.store, self.services.clock.now());
        let damaged = |damage| RunError::Damaged { place: store.checkpoint_place(), damage };
        let loaded = store.load().await?;
        let mut checkpoint = match &loaded {
            Some((text, _)) => Checkpoint::from_json(text, now).map_err(damaged)?,
            None => Checkpoint::starting_at(self.range.from),
        };
        if checkpoint.until != Some(self.range.to) {
            checkpoint.until = Some(self.range.to);
            store.save(checkpoint.to_json(), loaded.as_ref().map(|(_, version)| version)).await?;
        }
        Ok(())
    }

    /// Returns the plan of the run up to `end`.
    fn slice(&self, end: OffsetDateTime, lookback: Duration) -> Plan {
        // Backfilled alerts are always old, so the timeout counts from the start of the process.
        let may_wait = self.begun.elapsed() < self.enrichment_timeout;
        Plan {
            store: self.store.clone(),
            start: Start::At(self.range.from),
            until: Some(end),
            lookback,
            quota_share: self.share,
            enrichment_timeout: if may_wait { Duration::MAX } else { Duration::ZERO },
            watch: None,
            tenant: None,
            tick: None,
        }
    }

    async fn run_slice(&self, plan: &Plan) -> (RunReport, Result<(), RunError>) {
        let show = |report: &RunReport, checkpoint: &Checkpoint| {
            let mut totals = self.totals();
            totals.position = checkpoint.watermark;
            self.display.show(self.progress(totals.report.alerts_sent + report.alerts_sent, checkpoint));
        };
        let deadline = Deadline::after(RUN_BUDGET, self.shutdown.clone());
        let mut running = pin!(run(self.services, plan, deadline, Purpose::Send(&show)));
        loop {
            tokio::select! {
                outcome = &mut running => return outcome,
                () = tokio::time::sleep(REFRESH_INTERVAL) => self.display.refresh(self.begun.elapsed()),
            }
        }
    }

    /// Adds the report of a run, and reads the position that it reached.
    async fn add(&self, report: &RunReport) -> Result<(), RunError> {
        let loaded = self.store.load().await?;
        let checkpoint =
            loaded.and_then(|(text, _)| Checkpoint::from_json(&text, self.services.clock.now()).ok());
        let mut totals = self.totals();
        totals.report.add(report);
        if let Some(checkpoint) = checkpoint {
            totals.position = checkpoint.watermark;
            self.display.show(self.progress(totals.report.alerts_sent, &checkpoint));
        }
        Ok(())
    }

    async fn pause(&self, failures: &mut u32, why: &str) {
        let pause = FIRST_PAUSE * 2_u32.pow((*failures).min(MAX_FAILURES));
        *failures += 1;
        warn!("{why}; continuing in {} s", pause.as_secs());
        Deadline::after(RUN_BUDGET, self.shutdown.clone()).sleep(pause).await;
    }

    fn progress(&self, sent: u64, checkpoint: &Checkpoint) -> Progress {
        Progress {
            range: self.range,
            position: checkpoint.watermark,
            resumed_at: self.resumed_at,
            sent,
            elapsed: self.begun.elapsed(),
            calls_left: checkpoint.quota.remaining(self.share, self.services.clock.now()),
        }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the report and how to continue, and returns the exit code.
    pub(super) fn conclude(self, is_json: bool, error: Option<&RunError>) -> ExitCode {
        self.display.end();
        let Totals { mut report, position } =
            self.totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.finish(self.range, position, self.begun.elapsed(), error.map(RunError::describe));
        let members = report.log_members(error.map(RunError::kind));
        match &report.error {
            Some(_) => error!(%members, "{report}"),
            None => info!(%members, "{report}"),
        }
        if !report.complete {
            info!("the same command continues at {}", report.position);
        } else if self.range.to + self.lookback > self.services.clock.now() {
            let late = to_rfc3339(&(self.range.to + self.lookback));
            info!("alerts may still appear late: run the same command again after {late} to send them");
        }
        if is_json {
            print_line(&serde_json::to_vec(&report).expect("numbers and texts can be written as JSON"));
        }
        if report.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
