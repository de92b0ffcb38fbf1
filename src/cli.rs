//! The command line: every command but the server that the Functions host starts.

mod backfill;
mod check;
mod completions;
mod document;
mod manual;
mod migrate;
mod run;
mod schema;
mod set_aside;
mod state;
mod status;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing::{error, warn};

use crate::{
    clock::Clock,
    config::{Config, SinkConfig, settings::Settings},
    pipeline::RunError,
    services::Services,
    sink::data_collector::END_OF_SUPPORT,
    telemetry::{self, Audience},
};

pub use backfill::BackfillArgs;
pub use check::CheckArgs;
pub use completions::CompletionsArgs;
pub use migrate::MigrateArgs;
pub use run::RunArgs;
pub use schema::SchemaArgs;
pub use set_aside::SetAsideCommand;
pub use state::StateCommand;
pub use status::StatusArgs;

/// The exit code for invalid settings and an invalid command line: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// Forwards Microsoft Defender for Endpoint alerts, merged with their machines, to Azure Log Analytics.
///
/// Without a command it serves the Azure Functions host, which starts it and sets `FUNCTIONS_CUSTOMHANDLER_PORT`. All
/// settings are environment variables; docs/settings.md lists them.
///
/// The exit code of every command except `check` is 0 for success, 1 for a failure, and 64 for invalid settings or an
/// invalid command line.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// The command to run instead of serving the Functions host.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A command that needs all settings.
    #[command(flatten)]
    Service(ServiceCommand),
    /// Check settings, credentials and services, and print what to fix.
    ///
    /// Prints one line for each check, with `ok`, `warning` or `failure`: the tokens, one alert, one machine, a request
    /// without records, a document in the state store, the clocks, the schedule. The exit code is 0 if all is well, 1 if
    /// there are warnings, and 2 if something does not work.
    Check(CheckArgs),
    /// Print the table, the data collection rule or the functions for the records, or check existing ones.
    Schema(SchemaArgs),
    /// Plan the migration of a table from the Data Collector API to the Logs Ingestion API.
    Migrate(MigrateArgs),
    /// Print the completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page of all commands as roff, for man -l or a man directory.
    Man,
}

/// A command that uses the services.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Forward new alerts once, without a Functions host.
    Run(RunArgs),
    /// Show how far delivery has come, how the last runs ended, and what is set aside.
    ///
    /// Reads only the state store. The exit code is 1 if the checkpoint is damaged, if the last run failed, or if no run has
    /// succeeded within the last 2 hours; a line says which. While there are no new alerts the store is written about once
    /// an hour, so a lag of up to an hour is normal then.
    Status(StatusArgs),
    /// Send older alerts: everything from a given time up to where the timer began.
    ///
    /// Runs beside the timer, with a checkpoint of its own: if it is stopped or killed, the same command continues. The exit
    /// code is 0 if everything is sent, and 1 if not yet.
    Backfill(BackfillArgs),
    /// Begin again at another time.
    #[command(subcommand)]
    State(StateCommand),
    /// List, show and replay what could not be delivered.
    #[command(subcommand)]
    SetAside(SetAsideCommand),
}

/// Runs the command.
pub async fn execute(command: &Command, settings: &Settings, clock: Clock) -> ExitCode {
    telemetry::init(Audience::Person, settings, clock);
    match command {
        // Reports problems with the settings itself.
        Command::Check(args) => check::check(args, settings, clock).await,
        // These call no service, and so need no settings.
        Command::Schema(args) => schema::schema(args, settings),
        Command::Migrate(args) => migrate::migrate(args),
        Command::Completions(args) => completions::completions(args),
        Command::Man => manual::manual(),
        Command::Service(command) => service_command(command, settings, clock).await,
    }
}

/// Runs a command that needs all settings.
async fn service_command(command: &ServiceCommand, settings: &Settings, clock: Clock) -> ExitCode {
    let config = match Config::parse(settings) {
        Ok(config) => config,
        Err(error) => {
            error!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let open = || Services::build(&config, clock);
    let result: Result<ExitCode, RunError> = async {
        match command {
            ServiceCommand::Run(args) => Ok(run::run(args, config.clone(), clock).await),
            ServiceCommand::Status(args) => status::status(args, &open()?).await,
            ServiceCommand::Backfill(args) => backfill::backfill(args, &config, clock).await,
            ServiceCommand::State(StateCommand::Reset(args)) => state::reset(args, &open()?).await,
            ServiceCommand::State(StateCommand::Release) => state::release(&open()?).await,
            ServiceCommand::SetAside(SetAsideCommand::List(args)) => set_aside::list(args, &open()?).await,
            ServiceCommand::SetAside(SetAsideCommand::Show(args)) => set_aside::show(args, &open()?).await,
            ServiceCommand::SetAside(SetAsideCommand::Replay(args)) => {
                warn_of_sink(&config);
                set_aside::replay(args, &open()?, &config).await
            }
        }
    }
    .await;
    result.unwrap_or_else(|error| {
        error!("{}", error.describe());
        ExitCode::FAILURE
    })
}

/// Warns once if support for the sink has ended.
pub fn warn_of_sink(config: &Config) {
    if let SinkConfig::DataCollector { .. } = config.sink {
        warn!("{END_OF_SUPPORT}");
    }
}

/// Prints a line on stdout.
fn print_line(line: &[u8]) {
    let mut out = std::io::stdout().lock();
    // A reader that closes the pipe (`| head`) is no failure.
    let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
}
