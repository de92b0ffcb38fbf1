//! The simulator on the command line: `cargo simulator` serves the cloud on fixed ports, `cargo host` runs the function
//! app.

#![forbid(unsafe_code)]

mod host_command;
mod serve_command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "simulator", about = "The services mdatp-forward talks to, simulated on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the simulated cloud on fixed ports until Ctrl+C.
    Serve(serve_command::Options),
    /// Start the function app of a folder as the Functions host does, and fire its timer until Ctrl+C.
    Host(host_command::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(options) => serve_command::run(options).await,
        Command::Host(options) => host_command::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
