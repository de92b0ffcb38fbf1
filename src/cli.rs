//! The command line: every command but the server that the Functions host starts.

mod backfill;
mod check;
mod completions;
mod document;
mod failure;
mod home;
mod manual;
mod migrate;
mod run;
mod schema;
mod set_aside;
mod state;
mod status;
mod tenants;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing::warn;

use crate::{
    clock::Clock,
    config::{Config, SinkConfig, settings::Settings},
    services::Services,
    sink::data_collector::END_OF_SUPPORT,
    state::StateStore,
    telemetry::{self, Audience},
    tenants::TenantId,
};
use failure::Failure;
use home::Home;

pub use backfill::BackfillArgs;
pub use check::CheckArgs;
pub use completions::CompletionsArgs;
pub use migrate::MigrateArgs;
pub use run::RunArgs;
pub use schema::SchemaArgs;
pub use set_aside::{SetAsideArgs, SetAsideCommand};
pub use state::{StateArgs, StateCommand};
pub use status::StatusArgs;
pub use tenants::TenantsCommand;

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
    /// List, add, remove and check the tenants of an app that forwards the alerts of many.
    ///
    /// They are in the document tenants.json beside the state, and need the state store alone. A change is made over the newest
    /// list, so nobody else's is lost.
    #[command(subcommand)]
    Tenants(TenantsCommand),
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
    State(StateArgs),
    /// List, show and replay what could not be delivered.
    SetAside(SetAsideArgs),
}

impl ServiceCommand {
    /// Returns the tenant that the command is about; `None` in an app for a single one.
    fn tenant(&self) -> Option<&TenantId> {
        let option = match self {
            Self::Run(args) => &args.tenant,
            Self::Status(args) => &args.tenant,
            Self::Backfill(args) => &args.tenant,
            Self::State(args) => &args.tenant,
            Self::SetAside(args) => &args.tenant,
        };
        option.tenant.as_ref()
    }
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
        Command::Tenants(command) => exit_code(tenants::tenants(command, settings, clock).await),
        Command::Service(command) => exit_code(Box::pin(service_command(command, settings, clock)).await),
    }
}

fn exit_code(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| failure.report())
}

/// Runs a command that uses the services, or the state store alone.
async fn service_command(
    command: &ServiceCommand,
    settings: &Settings,
    clock: Clock,
) -> Result<ExitCode, Failure> {
    let tenant = command.tenant();
    let store = || store(tenant, settings, clock);
    match command {
        ServiceCommand::Run(args) => Ok(run::run(args, config(tenant, settings, clock).await?, clock).await),
        ServiceCommand::Status(args) if args.all => status::all(args, &Home::open(settings, clock)?).await,
        ServiceCommand::Status(args) => status::status(args, &store().await?, clock).await,
        ServiceCommand::Backfill(args) => {
            let config = config(tenant, settings, clock).await?;
            Ok(backfill::backfill(args, &config, &services(tenant, &config, clock)?).await?)
        }
        ServiceCommand::State(StateArgs { command, .. }) => Ok(match command {
            StateCommand::Reset(args) => state::reset(args, &store().await?, clock).await?,
            StateCommand::Release => state::release(&store().await?, clock).await?,
        }),
        ServiceCommand::SetAside(SetAsideArgs { command, .. }) => Ok(match command {
            SetAsideCommand::List(args) => set_aside::list(args, &store().await?).await?,
            SetAsideCommand::Show(args) => set_aside::show(args, &store().await?).await?,
            SetAsideCommand::Replay(args) => {
                let config = config(tenant, settings, clock).await?;
                warn_of_sink(&config);
                set_aside::replay(args, &services(tenant, &config, clock)?, &config).await?
            }
        }),
    }
}

/// Reads and checks all settings; those of a tenant with what its entry in the list says.
async fn config(tenant: Option<&TenantId>, settings: &Settings, clock: Clock) -> Result<Config, Failure> {
    let Some(tenant) = tenant else { return Ok(Config::parse(settings)?) };
    let home = Home::open(settings, clock)?;
    home.config_of(&home.entry(tenant).await?)
}

/// Builds the services, with a tenant's part of the state store.
fn services(tenant: Option<&TenantId>, config: &Config, clock: Clock) -> Result<Services, Failure> {
    let mut services = Services::build(config, clock)?;
    if let Some(tenant) = tenant {
        services.store = services.store.of_tenant(tenant);
    }
    Ok(services)
}

/// Opens the state store, or a tenant's part of it. Whether a tenant's runs could work does not matter for its state.
async fn store(tenant: Option<&TenantId>, settings: &Settings, clock: Clock) -> Result<StateStore, Failure> {
    let Some(tenant) = tenant else { return Ok(services(None, &Config::parse(settings)?, clock)?.store) };
    let home = Home::open(settings, clock)?;
    Ok(home.store.of_tenant(&home.entry(tenant).await?.id))
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
