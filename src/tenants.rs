//! The tenants of a process that forwards for many: the list `tenants.json`, in which each has an entry, the messages that
//! ask for their runs, and when one that fails is tried again. Pure.
//!
//! The list holds no secrets: it names app settings. Who can write it decides where alerts go, and who can only write to
//! the queue cannot.

pub mod backoff;
mod document;
mod entry;
mod id;
mod message;

use serde_json::{Map, Value};

pub use document::ListDamage;
pub use entry::{TenantCredential, TenantEntry, TenantSink, TokenFrom};
pub use id::TenantId;
pub use message::TenantMessage;

/// The list of tenants. Members that this version does not know are kept when it is written again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantList {
    entries: Vec<TenantEntry>,
    other_members: Map<String, Value>,
}

impl TenantList {
    /// Returns the entries, in the order of the document.
    pub fn entries(&self) -> &[TenantEntry] {
        &self.entries
    }

    /// Returns the entry of a tenant.
    pub fn get(&self, id: &TenantId) -> Option<&TenantEntry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// Returns the entry of a tenant, to be changed. Its id must stay.
    pub fn get_mut(&mut self, id: &TenantId) -> Option<&mut TenantEntry> {
        self.entries.iter_mut().find(|entry| entry.id == *id)
    }

    /// Adds an entry at the end, or puts it in the place of the tenant's earlier one, which is returned.
    pub fn insert(&mut self, entry: TenantEntry) -> Option<TenantEntry> {
        match self.get_mut(&entry.id) {
            Some(earlier) => Some(std::mem::replace(earlier, entry)),
            None => {
                self.entries.push(entry);
                None
            }
        }
    }

    /// Removes and returns the entry of a tenant. Its state stays where it is.
    pub fn remove(&mut self, id: &TenantId) -> Option<TenantEntry> {
        let place = self.entries.iter().position(|entry| entry.id == *id)?;
        Some(self.entries.remove(place))
    }
}

#[cfg(test)]
mod tests;
