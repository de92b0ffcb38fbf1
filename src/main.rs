//! The program: a custom handler for the Azure Functions host, and a command line.

#![forbid(unsafe_code)]

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use mdatp_forward::{
    app::App,
    cli::{self, Cli, Command, EXIT_USAGE},
    clock::Clock,
    config::{Config, settings::Settings},
    server,
    stop::Stop,
    telemetry::{self, Audience},
};
use tracing::{error, info};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match command() {
        // In a box, or serving would have the memory of all commands.
        Ok(Some(command)) => Box::pin(cli::execute(&command, &Settings::Process, Clock::System)).await,
        Ok(None) => serve(&Settings::Process, Clock::System).await,
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

/// What to do instead of serving the Functions host. The host gives no arguments, and waits: nothing is set up
/// to parse none.
fn command() -> Result<Option<Command>, clap::Error> {
    match std::env::args_os().len() {
        0 | 1 => Ok(None),
        _ => Cli::try_parse().map(|cli| cli.command),
    }
}

/// Serves the Functions host. The port is bound before anything else is done or checked, since the host
/// waits for that; bad settings are told at each invocation, for a process that exits is started again.
async fn serve(settings: &Settings, clock: Clock) -> ExitCode {
    telemetry::init(Audience::Host, settings, clock);
    let Some(port) = settings.get("FUNCTIONS_CUSTOMHANDLER_PORT") else {
        error!(
            "FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Azure Functions host starts this program and sets it \
             (func start); without a host, use mdatp-forward run, or see --help"
        );
        return ExitCode::from(EXIT_USAGE);
    };
    let Ok(port) = port.parse() else {
        error!("FUNCTIONS_CUSTOMHANDLER_PORT is not a port: {port:?}");
        return ExitCode::from(EXIT_USAGE);
    };
    let (listener, mut stop) = match server::bind(port).and_then(|listener| Ok((listener, Stop::listen()?))) {
        Ok(ready) => ready,
        Err(error) => {
            error!("cannot listen on 127.0.0.1:{port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    info!("mdatp-forward {} listens on 127.0.0.1:{port}", env!("CARGO_PKG_VERSION"));
    let config = Config::parse(settings);
    match &config {
        Ok(config) => cli::warn_of_sink(config),
        Err(problems) => error!("{problems}"),
    }
    server::serve(listener, Arc::new(App::new(config, clock)), async move { stop.asked().await }).await;
    info!("stopped");
    ExitCode::SUCCESS
}
