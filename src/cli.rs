//! The command line, beside the server that the Functions host starts.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tracing::{error, info, warn};

use crate::{
    app::App,
    clock::Clock,
    config::{Config, SinkConfig, settings::Settings},
    report::RunReport,
    run::Purpose,
    sink::data_collector::END_OF_SUPPORT,
    telemetry::{self, Audience},
};

/// The exit code for settings that do not work, and for a start that is none (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;

/// Forwards Microsoft Defender for Endpoint alerts, joined with their machines, to Azure Log Analytics.
///
/// Without a command it serves the Azure Functions host, which starts it and sets
/// `FUNCTIONS_CUSTOMHANDLER_PORT`. All settings are environment variables; README lists them.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do instead of serving the Functions host.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Forward what is new, without a Functions host.
    Run(RunArgs),
}

/// The options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// One run, then exit: what `run` does anyway, for scripts that want to say it.
    #[arg(long)]
    pub once: bool,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    pub json: bool,
    /// Fetch, enrich and merge, and print the records as JSON lines; send and save nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Says once what the operator should know about the sink.
pub fn warn_of_sink(config: &Config) {
    if let SinkConfig::DataCollector { .. } = config.sink {
        warn!("{END_OF_SUPPORT}");
    }
}

/// `mdatp-forward run`.
pub async fn run(args: &RunArgs, settings: &Settings, clock: Clock) -> ExitCode {
    telemetry::init(Audience::Person, settings, clock);
    let config = match Config::parse(settings) {
        Ok(config) => config,
        Err(error) => {
            error!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    warn_of_sink(&config);
    let app = App::new(Ok(config), clock);
    let bar = progress_bar(args);
    let (report, result) = match args.dry_run {
        true => app.run_once(Purpose::Show(&print_line)).await,
        false => app.run_once(Purpose::Send(&|report| show_progress(&bar, report))).await,
    };
    bar.finish_and_clear();
    match &result {
        Ok(()) => info!("{report}"),
        Err(_) => error!("{report}"),
    }
    if args.json {
        print_line(
            serde_json::to_string(&report).expect("numbers and texts can be written as JSON").as_bytes(),
        );
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_line(line: &[u8]) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away (`| head`) is no fault.
    let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
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
    bar
}

fn show_progress(bar: &ProgressBar, report: &RunReport) {
    bar.set_message(format!("{} alerts read, {} sent", report.alerts_read, report.alerts_sent));
}
