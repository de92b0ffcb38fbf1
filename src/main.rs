//! The program: a custom handler for the Azure Functions host, and a command line.

#![forbid(unsafe_code)]

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use mdatp_forward::{
    App, Audience, Cli, Clock, Command, Config, EXIT_USAGE, ParentProcess, Settings, ShutdownMode,
    ShutdownSignal, execute_command, init_telemetry, server, warn_of_sink,
};
use tokio::runtime::Builder;
use tracing::{error, info, warn};

fn main() -> ExitCode {
    let parent = ParentProcess::current();
    let runtime =
        Builder::new_current_thread().enable_all().build().expect("the system gives what a runtime needs");
    let code = runtime.block_on(execute(parent));
    // A name look-up for a call that was given up may still be in progress, and cannot be cancelled.
    runtime.shutdown_background();
    code
}

async fn execute(parent: ParentProcess) -> ExitCode {
    match command() {
        // Boxed, since serving would otherwise need the memory of all commands.
        Ok(Some(command)) => Box::pin(execute_command(&command, &Settings::Process, Clock::System)).await,
        Ok(None) => serve(&Settings::Process, Clock::System, parent).await,
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

/// Returns the command to execute instead of serving the Functions host. The host passes no arguments, and waits for the
/// port, so then no parser is built.
fn command() -> Result<Option<Command>, clap::Error> {
    match std::env::args_os().len() {
        0 | 1 => Ok(None),
        _ => Cli::try_parse().map(|cli| cli.command),
    }
}

/// Serves the Functions host. The port is bound before anything else, since the host waits for it. Invalid settings fail
/// each invocation instead of the process, which the host would start again. The exit code is success after a shutdown
/// signal, and also when the host is gone.
async fn serve(settings: &Settings, clock: Clock, parent: ParentProcess) -> ExitCode {
    let line_format = init_telemetry(Audience::Host, settings, clock);
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
    let bound = server::bind(port).and_then(|listener| Ok((listener, ShutdownSignal::listen()?)));
    let (listener, mut signal) = match bound {
        Ok(ready) => ready,
        Err(error) => {
            error!("cannot listen on 127.0.0.1:{port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    info!("mdatp-forward {} listens on 127.0.0.1:{port}", env!("CARGO_PKG_VERSION"));
    let config = Config::parse(settings);
    // Invalid settings are not logged here: whether they are those of one tenant or of many, which have their sinks on a
    // list, is known with the first invocation.
    if let Ok(config) = &config {
        warn_of_sink(config);
    }
    let shutdown = async move {
        tokio::select! {
            () = signal.received() => ShutdownMode::Graceful,
            () = parent.ended() => {
                warn!("the process that started this one has ended, so this one ends too");
                ShutdownMode::Immediate
            }
        }
    };
    let app = App::new(config, clock).with_tenants(settings.clone());
    server::serve(listener, Arc::new(app), line_format, shutdown).await;
    info!("stopped");
    ExitCode::SUCCESS
}
