//! `mdatp-forward migrate`: the way from the Data Collector API's table to the Logs Ingestion API.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use tracing::error;

use super::{EXIT_USAGE, document, print_line};
use crate::schema::{migration, table::Table};

/// The options of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Print the steps. Nothing is changed: the steps are yours to take.
    #[arg(long, required = true)]
    pub plan: bool,
    /// The old table, as `az monitor log-analytics workspace table show` prints it, in UTF-8 or UTF-16; `-` reads
    /// stdin.
    #[arg(value_name = "FILE")]
    pub table: PathBuf,
}

/// Prints the plan.
pub fn migrate(args: &MigrateArgs) -> ExitCode {
    let table = document::read(&args.table).and_then(|document| {
        Table::from_json(document).map_err(|error| {
            format!("it is no table as `az monitor log-analytics workspace table show` prints it: {error}")
        })
    });
    let log_name = |table: &Table| match table.schema.name.strip_suffix("_CL") {
        Some(name) => Ok(name.to_owned()),
        None => Err("schema.name is not that of a custom log, which ends in _CL".to_owned()),
    };
    match table.and_then(|table| Ok((log_name(&table)?, table))) {
        Ok((name, table)) => {
            print_line(migration::plan(&name, &table).trim_end().as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            error!("{}: {problem}", args.table.display());
            ExitCode::from(EXIT_USAGE)
        }
    }
}
