//! `mdatp-forward set-aside`: lists, shows and replays what could not be delivered.

mod attempt;
mod replay;

use std::{collections::HashSet, process::ExitCode};

use azure_core::time::to_rfc3339;
use bytes::Bytes;
use clap::{Args, Subcommand};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tracing::{error, info};

use super::{EXIT_USAGE, home::TenantOption, print_line};
use crate::{
    config::Config,
    error_chain::{chain, one_line},
    pipeline::RunError,
    services::Services,
    source::machines::CALLS_AT_ONCE,
    state::{
        StateError, StateStore,
        set_aside::{SetAsideDocument, may_be_of},
        set_asides::SetAsideEntry,
    },
    status::SetAsideRow,
};
use replay::Replay;

/// The commands of `set-aside`, and whose documents.
#[derive(Debug, Args)]
pub struct SetAsideArgs {
    #[command(flatten)]
    pub tenant: TenantOption,
    /// The command.
    #[command(subcommand)]
    pub command: SetAsideCommand,
}

/// The commands of `set-aside`.
#[derive(Debug, Subcommand)]
pub enum SetAsideCommand {
    /// List what is set aside, oldest first: name, time, size and reason.
    List(ListArgs),
    /// Print whole documents: the record, and the reason.
    Show(ShowArgs),
    /// Send records again, and remove what the sink accepts.
    ///
    /// A record that does not fit the sink is truncated, as in a run. Its document is kept, because only there the record is
    /// whole, and is not sent again unless the sink can take the whole record. A record that is rejected again is kept too.
    /// The exit code is 1 if something is still not delivered.
    Replay(ReplayArgs),
}

/// The options of `set-aside list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// The options of `set-aside show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The id of an alert, or the name of a document as `list` prints it.
    #[arg(value_name = "ID")]
    pub id: String,
}

/// The options of `set-aside replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Ids of alerts, or names of documents as `list` prints them; all documents if none is given.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
}

/// Lists what is set aside.
pub async fn list(args: &ListArgs, store: &StateStore) -> Result<ExitCode, RunError> {
    let entries = store.list_set_aside().await?;
    if entries.is_empty() {
        info!("nothing is set aside: {} is empty", store.set_aside_place());
    }
    let width = entries.iter().map(|entry| entry.name.len()).max();
    if let (Some(width), false) = (width, args.json) {
        print_line(format!("{:width$}  {:20}  {:>9}  reason", "name", "when", "bytes").as_bytes());
    }
    let mut read = read(store, entries);
    while let Some((entry, text)) = read.try_next().await? {
        let row = row(&entry, &text);
        match width {
            Some(width) if !args.json => print_line(
                format!(
                    "{:width$}  {:20}  {:>9}  {}",
                    row.name,
                    row.when,
                    row.bytes,
                    one_line(&row.reason, 300)
                )
                .as_bytes(),
            ),
            _ => print_line(&serde_json::to_vec(&row).expect("numbers and texts can be written as JSON")),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the documents with an id.
pub async fn show(args: &ShowArgs, store: &StateStore) -> Result<ExitCode, RunError> {
    let ids = std::slice::from_ref(&args.id);
    let entries = match choose(store, store.list_set_aside().await?, ids).await? {
        Ok(entries) => entries,
        Err(unknown) => return Ok(unknown.report(store)),
    };
    let mut read = read(store, entries);
    while let Some((_, text)) = read.try_next().await? {
        print_line(&text);
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends records again. Each batch may take as long as a whole run.
pub async fn replay(args: &ReplayArgs, services: &Services, config: &Config) -> Result<ExitCode, RunError> {
    let store = &services.store;
    let mut entries = store.list_set_aside().await?;
    if !args.ids.is_empty() {
        entries = match choose(store, entries, &args.ids).await? {
            Ok(entries) => entries,
            Err(unknown) => return Ok(unknown.report(store)),
        };
    }
    let mut replay = Replay::new(services, config);
    let result = replay.send_all(&entries).await;
    info!("{}", replay.counts);
    result?;
    Ok(if replay.counts.not_delivered == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the documents of `entries` that still exist, in order.
pub(super) fn read(
    store: &StateStore,
    entries: Vec<SetAsideEntry>,
) -> impl Stream<Item = Result<(SetAsideEntry, Bytes), StateError>> + Unpin + '_ {
    let reads = entries.into_iter().map(move |entry| async move {
        let text = store.read_set_aside(&entry.name).await?;
        Ok(text.map(|text| (entry, text)))
    });
    let reads = stream::iter(reads).buffered(CALLS_AT_ONCE);
    Box::pin(reads.try_filter_map(|found| std::future::ready(Ok(found))))
}

/// An id that no document has.
struct UnknownId(String);

impl UnknownId {
    fn report(&self, store: &StateStore) -> ExitCode {
        let place = store.set_aside_place();
        error!("no alert or document {} is set aside: see {place}", one_line(&self.0, 200));
        ExitCode::from(EXIT_USAGE)
    }
}

/// Returns the entries that have one of `ids` as their name or as their alert's id. Several can have the same alert's id.
async fn choose(
    store: &StateStore,
    entries: Vec<SetAsideEntry>,
    ids: &[String],
) -> Result<Result<Vec<SetAsideEntry>, UnknownId>, StateError> {
    let mut chosen = Vec::new();
    let mut known = HashSet::new();
    for entry in entries {
        let mut is_chosen = false;
        for id in ids {
            let has_id = *id == entry.name
                || may_be_of(&entry.name, id)
                    && store
                        .read_set_aside(&entry.name)
                        .await?
                        .is_some_and(|text| alert_id(&text).as_ref() == Some(id));
            if has_id {
                known.insert(id);
                is_chosen = true;
            }
        }
        if is_chosen {
            chosen.push(entry);
        }
    }
    let unknown = ids.iter().find(|id| !known.contains(id));
    Ok(unknown.map_or(Ok(chosen), |id| Err(UnknownId(id.clone()))))
}

/// Returns the alert's id in a document.
fn alert_id(text: &[u8]) -> Option<String> {
    SetAsideDocument::from_json(text).ok()?.id.map(String::from)
}

/// Returns the row of a document.
pub(super) fn row(entry: &SetAsideEntry, text: &[u8]) -> SetAsideRow {
    let (id, reason) = match SetAsideDocument::from_json(text) {
        Ok(document) => (document.id.map(String::from), document.reason.into_owned()),
        Err(error) => (None, format!("the document cannot be read: {}", chain(&error))),
    };
    SetAsideRow { name: entry.name.clone(), id, when: to_rfc3339(&entry.modified), bytes: entry.size, reason }
}
