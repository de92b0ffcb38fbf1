//! `mdatp-forward backfill`: sends older alerts, run after run, each for the next slice of time.

mod display;
mod notice;
mod progress;
mod range;
mod report;
mod slice_runner;
mod slices;

use std::process::ExitCode;

use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::Args;
use tracing::{error, info, warn};

use super::{EXIT_USAGE, home::TenantOption, warn_of_sink};
use crate::{
    config::{Config, SinkConfig},
    error_chain::chain,
    pipeline::RunError,
    services::Services,
    state::checkpoint::Checkpoint,
};
use notice::notices;
use range::{BackfillPlan, BackfillRequest, EarlierBackfill, InvalidRange};
use slice_runner::SliceRunner;

/// The options of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Where to begin: a time (2026-11-01T00:00:00Z, or 11/01/2026 00:00:00 in UTC), or a day (2026-11-01).
    #[arg(long, value_name = "TIME", value_parser = range::time)]
    pub from: OffsetDateTime,
    /// Where to end, exclusive; where the timer began, if not given.
    #[arg(long, value_name = "TIME", value_parser = range::time)]
    pub to: Option<OffsetDateTime>,
    /// The part of Defender's quotas to use; what `MDATP_QUOTA_SHARE` leaves, if not given.
    #[arg(long, value_name = "PART", value_parser = range::share)]
    pub share: Option<f64>,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub tenant: TenantOption,
}

/// Sends older alerts.
pub async fn backfill(
    args: &BackfillArgs,
    config: &Config,
    services: &Services,
) -> Result<ExitCode, RunError> {
    let plan = match plan(args, services).await? {
        Ok(plan) => plan,
        Err(problem) => {
            error!("{problem}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    warn_of_sink(config);
    announce(&plan, config, services.clock.now());
    let runner = SliceRunner::new(services, config, &plan, share(args, config.quota_share));
    let result = runner.run().await;
    Ok(runner.conclude(args.json, result.err().as_ref()))
}

/// Reads the checkpoints of the timer and of earlier backfills, and plans the backfill.
async fn plan(args: &BackfillArgs, services: &Services) -> Result<Result<BackfillPlan, String>, RunError> {
    let (store, now) = (&services.store, services.clock.now());
    let read = |name: &str, text: &[u8]| {
        Checkpoint::from_json(text, now).map_err(|damage| {
            format!("nothing is sent: {name}.json in the state store cannot be used: {}", chain(&damage))
        })
    };
    let timer = store.load().await?.map(|(text, _)| read("checkpoint", &text)).transpose();
    let mut backfills = Vec::new();
    for (name, text) in store.list_backfills().await? {
        backfills.push(read(&name, &text).map(|checkpoint| EarlierBackfill { name, checkpoint }));
    }
    let decide = || {
        let backfills = backfills.into_iter().collect::<Result<Vec<_>, _>>()?;
        let request = BackfillRequest { from: args.from, to: args.to };
        range::plan(request, timer?.as_ref(), &backfills).map_err(|invalid: InvalidRange| invalid.to_string())
    };
    Ok(decide())
}

/// Prints what the backfill is going to send, and what the sink does with old records.
fn announce(plan: &BackfillPlan, config: &Config, now: OffsetDateTime) {
    let (from, to) = (to_rfc3339(&plan.range.from), to_rfc3339(&plan.range.to));
    match plan.checkpoint.watermark {
        position if position > plan.range.from => {
            info!("sending {from} to {to}, continuing at {}", to_rfc3339(&position));
        }
        _ => info!("sending {from} to {to}"),
    }
    if plan.is_cut {
        info!("the backfill ends before --to: the timer sends everything from {to} on");
    }
    let is_logs_ingestion = matches!(config.sink, SinkConfig::LogsIngestion { .. });
    for notice in notices(plan.range, now, config.mode, is_logs_ingestion) {
        info!("{notice}");
    }
}

fn share(args: &BackfillArgs, timer: f64) -> f64 {
    let share = args.share.unwrap_or_else(|| range::share_beside(timer));
    // A little more than 1: the sum of decimal fractions is not exact.
    if share + timer > 1.000_001 {
        warn!(
            "the backfill may use {share} of Defender's quotas and the timer {timer} (MDATP_QUOTA_SHARE), together more \
             than 1: Defender may make either wait"
        );
    }
    share
}
