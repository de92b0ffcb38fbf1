//! The command line, beside the server that the Functions host starts.

mod run;
mod set_aside;
mod state;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing::{error, warn};

use crate::{
    cause::chain,
    clock::Clock,
    config::{Config, SinkConfig, settings::Settings},
    run::RunError,
    services::Services,
    sink::data_collector::END_OF_SUPPORT,
    telemetry::{self, Audience},
};

pub use run::RunArgs;
pub use set_aside::SetAsideCommand;
pub use state::StateCommand;

/// The exit code for settings that do not work, and for a start that is none (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;

/// Forwards Microsoft Defender for Endpoint alerts, joined with their machines, to Azure Log Analytics.
///
/// Without a command it serves the Azure Functions host, which starts it and sets
/// `FUNCTIONS_CUSTOMHANDLER_PORT`. All settings are environment variables; README lists them.
///
/// Every command ends with 0 when all went well, 1 when something did not, and 64 when the settings or the
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
    /// Forward what is new, without a Functions host.
    Run(RunArgs),
    /// Show how far delivery has come, or begin again at another time.
    #[command(subcommand)]
    State(StateCommand),
    /// List, show and send again what could not be delivered.
    #[command(subcommand)]
    SetAside(SetAsideCommand),
}

/// Does what the command says.
pub async fn execute(command: &Command, settings: &Settings, clock: Clock) -> ExitCode {
    telemetry::init(Audience::Person, settings, clock);
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
            Command::Run(args) => Ok(run::run(args, config.clone(), clock).await),
            Command::State(StateCommand::Show(args)) => state::show(args, &open()?).await,
            Command::State(StateCommand::Reset(args)) => state::reset(args, &open()?).await,
            Command::SetAside(SetAsideCommand::List(args)) => set_aside::list(args, &open()?).await,
            Command::SetAside(SetAsideCommand::Show(args)) => set_aside::show(args, &open()?).await,
            Command::SetAside(SetAsideCommand::Replay(args)) => {
                warn_of_sink(&config);
                set_aside::replay(args, &open()?, config.run_budget).await
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
