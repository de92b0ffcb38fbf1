//! The command line, beside the server that the Functions host starts.

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
    error_chain::chain,
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

/// The exit code for settings that do not work, and for a start that is none (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;

/// Forwards Microsoft Defender for Endpoint alerts, joined with their machines, to Azure Log Analytics.
///
/// Without a command it serves the Azure Functions host, which starts it and sets
/// `FUNCTIONS_CUSTOMHANDLER_PORT`. All settings are environment variables; docs/settings.md lists them.
///
/// Every command but `check` ends with 0 when all went well, 1 when something did not, and 64 when the settings or the
/// command line need mending.
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
    /// What needs all settings.
    #[command(flatten)]
    ServiceCommand(ServiceCommand),
    /// Go through settings, credentials and services, and say what to mend.
    ///
    /// Tokens, one alert, one machine, a post without records, a document in the state store, the clocks, the
    /// schedule: a line for each with `ok`, `warning` or `failure`. The exit code is 0 when all is well, 1 when
    /// there are warnings, 2 when something does not work.
    Check(CheckArgs),
    /// Print the table, the data collection rule and the functions for what is sent, or check given ones.
    Schema(SchemaArgs),
    /// Plan the way from the Data Collector API's table to the Logs Ingestion API.
    Migrate(MigrateArgs),
    /// Print the completions for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page, with all commands on it, as roff: for man -l, or a folder of the manual's.
    Man,
}

/// A command that works on the services.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Forward what is new, without a Functions host.
    Run(RunArgs),
    /// Show how far delivery has come, what the last runs came to, and what is set aside.
    ///
    /// All of it is from the state store; nobody else is asked. The exit code is 1 when the checkpoint is damaged,
    /// when the last run failed, or when none has succeeded within the last 2 hours; a line says which. While there
    /// is nothing new the store is written once an hour or so, so a lag of an hour is nothing to worry about then.
    Status(StatusArgs),
    /// Send the past: everything from a time on that was there before the timer began.
    ///
    /// It runs beside the timer, with a checkpoint of its own: the same command goes on where it was stopped, in
    /// whatever way. The exit code is 0 when all of it is sent, 1 when not yet.
    Backfill(BackfillArgs),
    /// Begin again at another time.
    #[command(subcommand)]
    State(StateCommand),
    /// List, show and send again what could not be delivered.
    #[command(subcommand)]
    SetAside(SetAsideCommand),
}

/// Does what the command says.
pub async fn execute(command: &Command, settings: &Settings, clock: Clock) -> ExitCode {
    telemetry::init(Audience::Person, settings, clock);
    match command {
        // This one tells what is wrong with the settings itself.
        Command::Check(args) => check::check(args, settings, clock).await,
        // These ask nobody, and so need no settings.
        Command::Schema(args) => schema::schema(args, settings),
        Command::Migrate(args) => migrate::migrate(args),
        Command::Completions(args) => completions::completions(args),
        Command::Man => manual::manual(),
        Command::ServiceCommand(work) => self::work(work, settings, clock).await,
    }
}

/// Does what needs all settings.
async fn work(command: &ServiceCommand, settings: &Settings, clock: Clock) -> ExitCode {
    let config = match Config::parse(settings) {
        Ok(config) => config,
        Err(error) => {
            error!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let open = || Services::build(&config, clock);
    let done: Result<ExitCode, RunError> = async {
        match command {
            ServiceCommand::Run(args) => Ok(run::run(args, config.clone(), clock).await),
            ServiceCommand::Status(args) => status::status(args, &open()?).await,
            ServiceCommand::Backfill(args) => backfill::backfill(args, &config, clock).await,
            ServiceCommand::State(StateCommand::Reset(args)) => state::reset(args, &open()?).await,
            ServiceCommand::SetAside(SetAsideCommand::List(args)) => set_aside::list(args, &open()?).await,
            ServiceCommand::SetAside(SetAsideCommand::Show(args)) => set_aside::show(args, &open()?).await,
            ServiceCommand::SetAside(SetAsideCommand::Replay(args)) => {
                warn_of_sink(&config);
                set_aside::replay(args, &open()?, &config).await
            }
        }
    }
    .await;
    done.unwrap_or_else(|error| {
        error!("{}", chain(&error));
        ExitCode::FAILURE
    })
}

/// Says once what the operator should know about the sink.
pub fn warn_of_sink(config: &Config) {
    if let SinkConfig::DataCollector { .. } = config.sink {
        warn!("{END_OF_SUPPORT}");
    }
}

fn print_line(line: &[u8]) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away (`| head`) is no fault.
    let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
}
