//! `mdatp-forward status`: the status of the forwarder, for a terminal, as JSON, and as a page.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Args;
use futures::TryStreamExt;
use tracing::{error, info};

use super::{print_line, set_aside};
use crate::{
    pipeline::RunError,
    services::Services,
    state::{StateError, StateStore},
    status::{SetAsideSummary, Status, page::StatusPage},
};

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
}

/// Prints the status.
pub async fn status(args: &StatusArgs, services: &Services) -> Result<ExitCode, RunError> {
    let store = &services.store;
    let loaded = store.load().await?;
    let set_aside = set_aside_summary(store, args.json || args.html.is_some()).await?;
    let text = loaded.as_ref().map(|(text, _)| &text[..]);
    let status = Status::new(store.checkpoint_place(), text, set_aside, services.clock.now());
    match args.json {
        true => print_line(&serde_json::to_vec(&status).expect("numbers and texts can be written as JSON")),
        false => print_line(status.to_string().as_bytes()),
    }
    if let Some(file) = &args.html {
        if let Err(problem) = fs::write(file, StatusPage(&status).to_string()) {
            error!("cannot write the page {}: {problem}", file.display());
            return Ok(ExitCode::FAILURE);
        }
        info!("wrote the page {}", file.display());
    }
    Ok(if status.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn set_aside_summary(store: &StateStore, with_documents: bool) -> Result<SetAsideSummary, StateError> {
    let mut entries = store.list_set_aside().await?;
    let count = entries.len();
    entries.reverse();
    entries.truncate(if with_documents { MAX_DOCUMENTS } else { 0 });
    let rows = set_aside::read(store, entries);
    let newest = rows.map_ok(|(entry, text)| set_aside::row(&entry, &text)).try_collect().await?;
    Ok(SetAsideSummary { count, newest })
}
