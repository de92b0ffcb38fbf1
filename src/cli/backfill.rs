//! `mdatp-forward backfill`: the past, run after run, each over the next slice of it.

mod display;
mod notice;
mod progress;
mod range;
mod report;
mod slices;

use std::{
    pin::pin,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::Args;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{EXIT_USAGE, print_line, warn_of_sink};
use crate::{
    cli::backfill::{
        notice::notices,
        progress::Progress,
        range::{BackfillPlan, BackfillRequest, EarlierBackfill, InvalidRange},
        report::BackfillReport,
        slices::{Slices, lookback},
    },
    clock::Clock,
    config::{Config, SinkConfig, Start},
    error_chain::chain,
    http::deadline::{Deadline, StopFlag},
    pipeline::{Plan, Purpose, RunError, run},
    record::window::Window,
    report::RunReport,
    services::Services,
    shutdown::Stop,
    state::{StateStore, checkpoint::Checkpoint},
};
use display::Display;

/// No host ends a backfill, so a run may take as long as Defender's quota makes it.
const BUDGET: Duration = Duration::from_secs(24 * 3_600);

/// How long what is in hand may take when the process is to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so many failures in a row, between which nothing was sent, it gives up.
const MOST_FAILURES: u32 = 5;

/// The pause after the first of them; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// How often the display is looked after while a run has nothing to tell.
const LOOK: Duration = Duration::from_secs(1);

/// The options of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Where to begin: a time (2026-11-01T00:00:00Z, or 11/01/2026 00:00:00 in UTC), or a day (2026-11-01).
    #[arg(long, value_name = "TIME", value_parser = range::time)]
    pub from: OffsetDateTime,
    /// Where to end, which is not included; where the timer began, if not given.
    #[arg(long, value_name = "TIME", value_parser = range::time)]
    pub to: Option<OffsetDateTime>,
    /// How much of Defender's quotas to use; what `MDATP_QUOTA_SHARE` leaves, if not given.
    #[arg(long, value_name = "PART", value_parser = range::share)]
    pub share: Option<f64>,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Sends the past.
pub async fn backfill(args: &BackfillArgs, config: &Config, clock: Clock) -> Result<ExitCode, RunError> {
    let services = Services::build(config, clock)?;
    let plan = match plan(args, &services).await? {
        Ok(plan) => plan,
        Err(problem) => {
            error!("{problem}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    warn_of_sink(config);
    announce(&plan, config, clock.now());
    let work = Backfill {
        services: &services,
        store: services.store.clone().with_checkpoint(&range::name(plan.range.from)),
        range: plan.range,
        share: share(args, config.quota_share),
        lookback: config.lookback,
        patience: config.enrich_patience,
        clock,
        begun: Instant::now(),
        resumed_at: plan.checkpoint.watermark,
        stop: StopFlag::default(),
        display: Display::new(),
        tally: Mutex::new(BackfillTotals {
            report: BackfillReport::default(),
            position: plan.checkpoint.watermark,
        }),
    };
    let result = work.until_done_or_stopped().await;
    Ok(work.conclude(args.json, result.err().map(|error| chain(&error))))
}

/// Reads what the state store says, and decides by it.
async fn plan(args: &BackfillArgs, services: &Services) -> Result<Result<BackfillPlan, String>, RunError> {
    let (store, now) = (&services.store, services.clock.now());
    let read = |name: &str, text: &[u8]| {
        Checkpoint::from_json(text, now).map_err(|damage| {
            format!("nothing is sent: {name}.json in the state store cannot be used, {}", chain(&damage))
        })
    };
    let timer = store.load().await?.map(|(text, _)| read("checkpoint", &text)).transpose();
    let mut backfills = Vec::new();
    for (name, text) in store.list_backfills().await? {
        backfills.push(read(&name, &text).map(|checkpoint| EarlierBackfill { name, checkpoint }));
    }
    let decide = || {
        let backfills = backfills.into_iter().collect::<Result<Vec<_>, _>>()?;
        let wish = BackfillRequest { from: args.from, to: args.to };
        range::plan(wish, timer?.as_ref(), &backfills).map_err(|refusal: InvalidRange| refusal.to_string())
    };
    Ok(decide())
}

/// Says what is going to be done, and what the sink makes of it.
fn announce(plan: &BackfillPlan, config: &Config, now: OffsetDateTime) {
    let (from, to) = (to_rfc3339(&plan.range.from), to_rfc3339(&plan.range.to));
    match plan.checkpoint.watermark {
        position if position > plan.range.from => {
            info!("sending {from} to {to}, from {} on", to_rfc3339(&position));
        }
        _ => info!("sending {from} to {to}"),
    }
    if plan.is_cut {
        info!("not to the end given: from {to} on everything is the timer's");
    }
    let is_logs_ingestion = matches!(config.sink, SinkConfig::LogsIngestion { .. });
    for notice in notices(plan.range, now, config.mode, is_logs_ingestion) {
        info!("{notice}");
    }
}

fn share(args: &BackfillArgs, timer: f64) -> f64 {
    let share = args.share.unwrap_or_else(|| range::share_beside(timer));
    // Not quite 1: shares are decimal fractions, and their sums are not exact.
    if share + timer > 1.000_001 {
        warn!(
            "{share} of Defender's quotas beside the timer's {timer} (MDATP_QUOTA_SHARE) is more than there is: \
             either may be told to wait"
        );
    }
    share
}

/// A backfill under way.
struct Backfill<'a> {
    services: &'a Services,
    /// Where its own checkpoint is.
    store: StateStore,
    range: Window,
    share: f64,
    lookback: Duration,
    patience: Duration,
    clock: Clock,
    begun: Instant,
    resumed_at: OffsetDateTime,
    stop: StopFlag,
    display: Display,
    tally: Mutex<BackfillTotals>,
}

/// What has been done so far.
struct BackfillTotals {
    /// The sum of the runs that have ended.
    report: BackfillReport,
    /// Everything before this is sent.
    position: OffsetDateTime,
}

impl Backfill<'_> {
    async fn until_done_or_stopped(&self) -> Result<(), RunError> {
        // Without ears for signals, being stopped is being killed, which does no harm either.
        let Ok(mut stop) = Stop::listen() else { return self.do_all().await };
        let mut work = pin!(self.do_all());
        tokio::select! {
            result = &mut work => return result,
            () = stop.asked() => {}
        }
        self.stop.finish();
        info!("stopping when what is in hand is sent; asked once more, it stops at once");
        tokio::select! {
            result = work => result,
            () = stop.asked() => Ok(()),
            () = tokio::time::sleep(PATIENCE) => Ok(()),
        }
    }

    /// Run after run, until the range is done or nothing helps.
    async fn do_all(&self) -> Result<(), RunError> {
        self.settle_end().await?;
        let (mut slices, mut failures, mut is_first) = (Slices::default(), 0, true);
        while !self.stop.is_set() {
            let position = self.tally().position;
            let end = match slices.end(position, self.range.to) {
                Some(end) => end,
                // It was done before: a last look for what has appeared late.
                None if is_first => self.range.to,
                None => return Ok(()),
            };
            let lookback = lookback(end, self.lookback, self.clock.now());
            if position >= end && lookback.is_zero() {
                return Ok(());
            }
            let (report, result) = self.run(&self.slice(end, lookback)).await;
            self.take_in(&report).await?;
            is_first = false;
            if report.alerts_sent > 0 {
                failures = 0;
            }
            match result {
                Ok(()) if report.complete => slices.learn(report.alerts_read, self.services.page_size),
                Ok(()) => self.pause(&mut failures, "the slice is not read to its end").await,
                Err(error) if error.is_transient() && failures < MOST_FAILURES => {
                    self.pause(&mut failures, &chain(&error)).await;
                }
                Err(error) => return Err(error),
            }
            if failures > MOST_FAILURES {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Notes in the checkpoint's document where the range ends, which may be later than before.
    async fn settle_end(&self) -> Result<(), RunError> {
        let (store, now) = (&self.store, self.clock.now());
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

    /// The plan of the run up to `end`.
    fn slice(&self, end: OffsetDateTime, lookback: Duration) -> Plan {
        // Alerts of the past are always old, so it is from the beginning of this process on that they wait for their
        // machines.
        let is_patient = self.begun.elapsed() < self.patience;
        Plan {
            store: self.store.clone(),
            start: Start::At(self.range.from),
            until: Some(end),
            lookback,
            quota_share: self.share,
            enrichment_timeout: if is_patient { Duration::MAX } else { Duration::ZERO },
        }
    }

    async fn run(&self, plan: &Plan) -> (RunReport, Result<(), RunError>) {
        let show = |report: &RunReport, checkpoint: &Checkpoint| {
            let mut tally = self.tally();
            tally.position = checkpoint.watermark;
            self.display.show(self.progress(tally.report.alerts_sent + report.alerts_sent, checkpoint));
        };
        let deadline = Deadline::after(BUDGET, self.stop.clone());
        let mut running = pin!(run(self.services, plan, deadline, Purpose::Send(&show)));
        loop {
            tokio::select! {
                outcome = &mut running => return outcome,
                () = tokio::time::sleep(LOOK) => self.display.look(self.begun.elapsed()),
            }
        }
    }

    /// Adds what a run did, and sees how far that has brought it.
    async fn take_in(&self, report: &RunReport) -> Result<(), RunError> {
        let loaded = self.store.load().await?;
        let checkpoint = loaded.and_then(|(text, _)| Checkpoint::from_json(&text, self.clock.now()).ok());
        let mut tally = self.tally();
        tally.report.add(report);
        if let Some(checkpoint) = checkpoint {
            tally.position = checkpoint.watermark;
            self.display.show(self.progress(tally.report.alerts_sent, &checkpoint));
        }
        Ok(())
    }

    async fn pause(&self, failures: &mut u32, why: &str) {
        let pause = FIRST_PAUSE * 2_u32.pow((*failures).min(MOST_FAILURES));
        *failures += 1;
        warn!("{why}; going on in {} s", pause.as_secs());
        Deadline::after(BUDGET, self.stop.clone()).sleep(pause).await;
    }

    fn progress(&self, sent: u64, checkpoint: &Checkpoint) -> Progress {
        Progress {
            range: self.range,
            position: checkpoint.watermark,
            resumed_at: self.resumed_at,
            sent,
            elapsed: self.begun.elapsed(),
            calls_left: checkpoint.quota.left(self.share, self.clock.now()),
        }
    }

    fn tally(&self) -> MutexGuard<'_, BackfillTotals> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last lines, and the exit code.
    fn conclude(self, is_json: bool, error: Option<String>) -> ExitCode {
        self.display.end();
        let BackfillTotals { mut report, position } =
            self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.finish(self.range, position, self.begun.elapsed(), error);
        match &report.error {
            Some(_) => error!("{report}"),
            None => info!("{report}"),
        }
        if !report.complete {
            info!("the same command goes on from {}", report.position);
        } else if self.range.to + self.lookback > self.clock.now() {
            let late = to_rfc3339(&(self.range.to + self.lookback));
            info!(
                "alerts may still appear late: the same command looks for them once more, best after {late}"
            );
        }
        if is_json {
            print_line(&serde_json::to_vec(&report).expect("numbers and texts can be written as JSON"));
        }
        if report.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
