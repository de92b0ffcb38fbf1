//! `mdatp-forward set-aside`: what could not be delivered, why, and another try.

mod replay;

use std::{collections::HashSet, process::ExitCode};

use azure_core::time::to_rfc3339;
use bytes::Bytes;
use clap::{Args, Subcommand};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tracing::{error, info};

use super::{EXIT_USAGE, print_line};
use crate::{
    config::Config,
    error_chain::{chain, one_line},
    pipeline::RunError,
    services::Services,
    source::machines::CALLS_AT_ONCE,
    state::{
        StateError, StateStore,
        set_aside::{SetAsideDocument, may_be_of},
        set_asides::Entry,
    },
    status::SetAsideRow,
};
use replay::Replay;

/// What to do with what is set aside.
#[derive(Debug, Subcommand)]
pub enum SetAsideCommand {
    /// List what is set aside, the oldest first: name, time, length, and why.
    List(ListArgs),
    /// Print whole documents: the record, and why it is set aside.
    Show(ShowArgs),
    /// Send records again, and remove what is accepted.
    ///
    /// What does not fit the sink is shortened as in a run; its document stays then, since only there the
    /// record is whole, and is not sent again unless the sink can take it whole. What is refused again stays.
    /// The exit code is 1 when something is still not delivered.
    Replay(ReplayArgs),
}

/// The options of `set-aside list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print a JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// The options of `set-aside show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The id of an alert, or the name of a document as `list` shows it.
    #[arg(value_name = "ID")]
    pub id: String,
}

/// The options of `set-aside replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Ids of alerts, or names of documents as `list` shows them; all when none is given.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
}

/// Lists what is set aside.
pub async fn list(args: &ListArgs, services: &Services) -> Result<ExitCode, RunError> {
    let entries = services.store.list_set_aside().await?;
    if entries.is_empty() {
        info!("nothing is set aside: {} is empty", services.store.set_aside_place());
    }
    let width = entries.iter().map(|entry| entry.name.len()).max();
    if let (Some(width), false) = (width, args.json) {
        print_line(format!("{:width$}  {:20}  {:>9}  reason", "name", "when", "bytes").as_bytes());
    }
    let mut read = read(&services.store, entries);
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

/// Prints the documents of an id.
pub async fn show(args: &ShowArgs, services: &Services) -> Result<ExitCode, RunError> {
    let store = &services.store;
    let ids = std::slice::from_ref(&args.id);
    let entries = match choose(store, store.list_set_aside().await?, ids).await? {
        Ok(entries) => entries,
        Err(unknown) => return Ok(unknown.tell(store)),
    };
    let mut read = read(store, entries);
    while let Some((_, text)) = read.try_next().await? {
        print_line(&text);
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends again, each batch for as long as a whole run may last.
pub async fn replay(args: &ReplayArgs, services: &Services, config: &Config) -> Result<ExitCode, RunError> {
    let store = &services.store;
    let mut entries = store.list_set_aside().await?;
    if !args.ids.is_empty() {
        entries = match choose(store, entries, &args.ids).await? {
            Ok(entries) => entries,
            Err(unknown) => return Ok(unknown.tell(store)),
        };
    }
    let mut replay = Replay::new(services, config);
    let result = replay.send_all(&entries).await;
    info!("{}", replay.tally);
    result?;
    Ok(if replay.tally.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The documents of `entries` that are still there, in order.
pub(super) fn read(
    store: &StateStore,
    entries: Vec<Entry>,
) -> impl Stream<Item = Result<(Entry, Bytes), StateError>> + Unpin + '_ {
    let reads = entries.into_iter().map(move |entry| async move {
        let text = store.read_set_aside(&entry.name).await?;
        Ok(text.map(|text| (entry, text)))
    });
    let reads = stream::iter(reads).buffered(CALLS_AT_ONCE);
    Box::pin(reads.try_filter_map(|found| std::future::ready(Ok(found))))
}

/// An id that nothing has.
struct Unknown(String);

impl Unknown {
    fn tell(&self, store: &StateStore) -> ExitCode {
        let place = store.set_aside_place();
        error!("no alert and no document called {} is set aside: see {place}", one_line(&self.0, 200));
        ExitCode::from(EXIT_USAGE)
    }
}

/// Those of `entries` that have one of `ids` as their name or as their alert's id; several can have the
/// same one.
async fn choose(
    store: &StateStore,
    entries: Vec<Entry>,
    ids: &[String],
) -> Result<Result<Vec<Entry>, Unknown>, StateError> {
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
                        .is_some_and(|text| id_in(&text).as_ref() == Some(id));
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
    Ok(unknown.map_or(Ok(chosen), |id| Err(Unknown(id.clone()))))
}

fn id_in(text: &[u8]) -> Option<String> {
    SetAsideDocument::from_json(text).ok()?.id.map(String::from)
}

/// A line of the list.
pub(super) fn row(entry: &Entry, text: &[u8]) -> SetAsideRow {
    let (id, reason) = match SetAsideDocument::from_json(text) {
        Ok(document) => (document.id.map(String::from), document.reason.into_owned()),
        Err(error) => (None, format!("the document cannot be read: {}", chain(&error))),
    };
    SetAsideRow { name: entry.name.clone(), id, when: to_rfc3339(&entry.modified), bytes: entry.size, reason }
}
