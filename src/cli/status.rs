//! `mdatp-forward status`: the status of the forwarder, for a terminal, as JSON, and as a page.

mod all;

use std::{fmt::Display, fs, path::PathBuf, process::ExitCode};

use azure_core::time::OffsetDateTime;
use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use tracing::{error, info};

use super::{failure::Failure, home::TenantOption, print_line, set_aside};
use crate::{
    clock::Clock,
    state::{StateError, StateStore},
    status::{SetAsideSummary, Status, page::StatusPage},
};
pub use all::{all, of_tenants};

/// The number of documents that are set aside and read, the newest ones. `set-aside list` reads all.
const MAX_DOCUMENTS: usize = 100;

/// The options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print the status as JSON.
    #[arg(long)]
    pub json: bool,
    /// Also write the status as a self-contained HTML page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Show all tenants of an app that forwards the alerts of many, those that fail or lag most first.
    ///
    /// The exit code is 1 if a tenant needs attention, or if there are messages in the poison queue.
    #[arg(long, conflicts_with = "tenant")]
    pub all: bool,
    #[command(flatten)]
    pub tenant: TenantOption,
}

/// Prints the status.
pub async fn status(args: &StatusArgs, store: &StateStore, clock: Clock) -> Result<ExitCode, Failure> {
    let documents = if args.json || args.html.is_some() { MAX_DOCUMENTS } else { 0 };
    let status = of(store, clock.now(), documents).await?;
    let is_well = status.problems.is_empty();
    Ok(print(args, is_well, &status, &StatusPage(&status)))
}

/// Reads the status from a store, with at most so many of the documents that are set aside.
async fn of(store: &StateStore, now: OffsetDateTime, documents: usize) -> Result<Status, StateError> {
    let loaded = store.load().await?;
    let set_aside = set_aside_summary(store, documents).await?;
    Ok(Status::new(store.checkpoint_place(), loaded.as_ref().map(|(text, _)| &text[..]), set_aside, now))
}

async fn set_aside_summary(store: &StateStore, documents: usize) -> Result<SetAsideSummary, StateError> {
    let mut entries = store.list_set_aside().await?;
    let count = entries.len();
    entries.reverse();
    entries.truncate(documents);
    let rows = set_aside::read(store, entries);
    let newest = rows.map_ok(|(entry, text)| set_aside::row(&entry, &text)).try_collect().await?;
    Ok(SetAsideSummary { count, newest })
}

/// Prints a status, and writes its page.
fn print(
    args: &StatusArgs,
    is_well: bool,
    status: &(impl Serialize + Display),
    page: &impl Display,
) -> ExitCode {
    match args.json {
        true => print_line(&serde_json::to_vec(status).expect("numbers and texts can be written as JSON")),
        false => print_line(status.to_string().as_bytes()),
    }
    if let Some(file) = &args.html {
        if let Err(problem) = fs::write(file, page.to_string()) {
            error!("cannot write the page {}: {problem}", file.display());
            return ExitCode::FAILURE;
        }
        info!("wrote the page {}", file.display());
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
