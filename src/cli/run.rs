//! `mdatp-forward run`: one run without a Functions host.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tracing::{error, info};

use super::{home::TenantOption, print_line, warn_of_sink};
use crate::{
    app::App,
    clock::Clock,
    config::Config,
    count::Count,
    pipeline::{Purpose, RunError},
    report::RunReport,
    telemetry,
};

/// The options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Exit after one run, which is the default.
    #[arg(long)]
    pub once: bool,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    pub json: bool,
    /// Print the records as JSON lines, and neither send nor save anything.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub tenant: TenantOption,
}

/// Runs once; for a tenant, even if it is not due.
pub async fn run(args: &RunArgs, config: Config, clock: Clock) -> ExitCode {
    warn_of_sink(&config);
    let app = App::new(Ok(config), clock).of_tenant(args.tenant.tenant.clone());
    let bar = progress_bar(args);
    let (report, result) = match args.dry_run {
        true => app.run_once(Purpose::DryRun(&print_line)).await,
        false => app.run_once(Purpose::Send(&|report, _| show_progress(&bar, report))).await,
    };
    bar.finish_and_clear();
    let members = report.log_members(result.as_ref().err().map(RunError::kind));
    match &result {
        Ok(()) => info!(%members, "{report}"),
        Err(_) => error!(%members, "{report}"),
    }
    if args.json {
        print_line(
            serde_json::to_string(&report).expect("numbers and texts can be written as JSON").as_bytes(),
        );
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn progress_bar(args: &RunArgs) -> ProgressBar {
    if args.dry_run || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message("reading alerts");
    telemetry::keep_above(&bar);
    bar
}

fn show_progress(bar: &ProgressBar, report: &RunReport) {
    bar.set_message(format!("{} read, {} sent", Count(report.alerts_read, "alert"), report.alerts_sent));
}
