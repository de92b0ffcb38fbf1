//! The simulator by hand: `cargo demo` shows the forwarder at work, `cargo simulator` lets others find the
//! cloud on fixed ports, `cargo host` runs the function app.

#![forbid(unsafe_code)]

mod app_root;
mod bench;
mod binary;
mod demo;
mod digits;
mod faults;
mod host_command;
mod screenshot;
mod serve_command;
mod surroundings;

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
    /// Build mdatp-forward, run it for two ticks against the simulated cloud, and check what arrived.
    Demo(demo::Options),
    /// Build mdatp-forward, put it through everything that goes wrong, and tell in a table what came of it.
    Faults(faults::Options),
    /// Build mdatp-forward and measure whole runs of it, beside programs in other languages that do the same.
    Bench(bench::Options),
    /// Build mdatp-forward, lead it through a life with troubles, and photograph its status page.
    Screenshot(screenshot::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(options) => serve_command::run(options).await.map(|()| true),
        Command::Host(options) => host_command::run(options).await.map(|()| true),
        Command::Demo(options) => demo::run(options).await,
        Command::Faults(options) => faults::run(options).await,
        Command::Bench(options) => bench::run(options).await,
        Command::Screenshot(options) => screenshot::run(options).await.map(|()| true),
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
