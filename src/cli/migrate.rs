//! `mdatp-forward migrate`: the plan to move a table from the Data Collector API to the Logs Ingestion API.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use tracing::error;

use super::{EXIT_USAGE, document, print_line};
use crate::schema::migration;

/// The options of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Print the steps, without changing anything.
    #[arg(long, required = true)]
    pub plan: bool,
    /// The old table, as `az monitor log-analytics workspace table show` prints it, in UTF-8 or UTF-16; `-` reads
    /// stdin.
    #[arg(value_name = "FILE")]
    pub table: PathBuf,
}

/// Prints the plan.
pub fn migrate(args: &MigrateArgs) -> ExitCode {
    let table = match document::read_table(&args.table) {
        Ok(table) => table,
        Err(problem) => {
            error!("{problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match table.log_name().map(|name| migration::plan(name, &table)) {
        Ok(Ok(plan)) => {
            print_line(plan.trim_end().as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Err(problems)) => {
            for problem in problems {
                error!("{} cannot take records in the classic shape: {problem}", table.schema.name);
            }
            error!("there is no plan for this table. Fix: send to a new table (MDATP_LOG_NAME)");
            ExitCode::FAILURE
        }
        Err(problem) => {
            error!("{}: {problem}", args.table.display());
            ExitCode::from(EXIT_USAGE)
        }
    }
}
