//! The simulator by hand: `cargo demo` shows the forwarder at work, `cargo simulator` lets others find the
//! cloud on fixed ports.

#![forbid(unsafe_code)]

mod app_root;
mod bench;
mod binary;
mod demo;
mod digits;
mod faults;
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
    /// Build mdatp-forward, run it for two ticks against the simulated cloud, and check what arrived.
    Demo(demo::Options),
    /// Build mdatp-forward, put it through everything that goes wrong, and tell in a table what came of it.
    Faults(faults::Options),
    /// Build mdatp-forward and measure whole runs of it, beside programs in other languages that do the same.
    Bench(bench::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(options) => serve_command::run(options).await.map(|()| true),
        Command::Demo(options) => demo::run(options).await,
        Command::Faults(options) => faults::run(options).await,
        Command::Bench(options) => bench::run(options).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
