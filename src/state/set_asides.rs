//! The documents that are set aside, in the store.

use std::collections::HashSet;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use object_store::ObjectMeta;

use super::{StateError, StateStore};
use crate::state::set_aside::{FOLDER, SetAside, SetAsideDocument, may_be_of};

/// A document that is set aside, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAsideEntry {
    /// The document's name, without folder and `.json`.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The time of its last change. The document itself contains no time, so that it is the same whenever its record is
    /// set aside again.
    pub modified: OffsetDateTime,
}

impl StateStore {
    /// Returns the folder of the documents in words, for messages.
    pub fn set_aside_place(&self) -> String {
        self.place_of(FOLDER)
    }

    /// Writes a record that cannot be delivered, whole and with the reason. A document that exists keeps its record and
    /// gets the new reason: what is rejected may be what truncation left of the record.
    pub async fn set_aside(&self, record: &SetAside<'_>) -> Result<(), StateError> {
        let (name, kept) = (record.name(), self.read(&record.name()).await?);
        let text = match kept.as_deref().map(SetAsideDocument::from_json) {
            Some(Ok(whole)) => {
                SetAsideDocument { kind: record.kind, reason: record.reason.into(), ..whole }.to_json()
            }
            _ => record.to_json(),
        };
        self.overwrite(&name, text).await
    }

    /// Lists the documents, the oldest first.
    pub async fn list_set_aside(&self) -> Result<Vec<SetAsideEntry>, StateError> {
        let mut entries: Vec<SetAsideEntry> =
            self.list(FOLDER).await?.iter().filter_map(SetAsideEntry::of).collect();
        entries.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        Ok(entries)
    }

    /// Reads a document's text; `None` when it is removed meanwhile.
    pub async fn read_set_aside(&self, name: &str) -> Result<Option<Bytes>, StateError> {
        self.read(&file_name(name)).await
    }

    /// Returns those of the alerts `ids` that are set aside instead of sent, in whatever state. A document that cannot be
    /// read counts for each alert that it may be of.
    pub async fn set_aside_of(&self, ids: &[String]) -> Result<HashSet<String>, StateError> {
        let mut set_aside = HashSet::new();
        for entry in self.list_set_aside().await? {
            let candidates: Vec<&String> = ids.iter().filter(|id| may_be_of(&entry.name, id)).collect();
            if candidates.is_empty() {
                continue;
            }
            let Some(text) = self.read_set_aside(&entry.name).await? else { continue };
            let document = SetAsideDocument::from_json(&text);
            let is_of = |id: &str| match &document {
                Ok(document) => !document.kind.is_sent() && document.id.as_deref() == Some(id),
                Err(_) => true,
            };
            set_aside.extend(candidates.into_iter().filter(|id| is_of(id)).cloned());
        }
        Ok(set_aside)
    }

    /// Overwrites a document.
    pub async fn rewrite_set_aside(&self, name: &str, text: Vec<u8>) -> Result<(), StateError> {
        self.overwrite(&file_name(name), text).await
    }

    /// Removes a document, if it is there.
    pub async fn remove_set_aside(&self, name: &str) -> Result<(), StateError> {
        self.remove(&file_name(name)).await
    }
}

fn file_name(name: &str) -> String {
    format!("{FOLDER}/{name}.json")
}

impl SetAsideEntry {
    /// Returns `None` for a file that this program has not written.
    fn of(found: &ObjectMeta) -> Option<Self> {
        let name = found.location.filename()?.strip_suffix(".json")?.to_owned();
        let modified = OffsetDateTime::from_unix_timestamp(found.last_modified.timestamp()).ok()?;
        Some(Self { name, size: found.size, modified })
    }
}
