//! Builds mdatp-forward and runs the real program against the simulated services: to show it (`cargo demo`), to put it
//! through faults, to measure it, and to take a screenshot of its status page.

#![forbid(unsafe_code)]

mod app_root;
mod bench;
mod binary;
mod demo;
mod environment;
mod faults;
mod figure;
mod screenshot;
mod svg;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "workbench", about = "Runs the real mdatp-forward against the simulated services")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build mdatp-forward, run it for two ticks against the simulated cloud, and check what arrived.
    Demo(demo::Options),
    /// Build mdatp-forward, run it through every fault on both sinks, and print a table of the results.
    Faults(faults::Options),
    /// Build mdatp-forward and measure whole runs of it, beside equivalent programs in Python and JavaScript.
    Bench(bench::Options),
    /// Build mdatp-forward, run it for some minutes with failures, and take a screenshot of its status page.
    Screenshot(screenshot::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
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
