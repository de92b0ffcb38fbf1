//! The results of the last runs, kept with the checkpoint, so that an operator sees whether there are runs and how they
//! end. Pure.
//!
//! Delivery does not depend on it: entries that cannot be read are dropped.

mod entry;

use azure_core::time::OffsetDateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::report::RunResult;
pub use entry::HistoryEntry;

/// The most entries. With a run every five minutes they cover two thirds of a day if none are combined, in some 25 kB of
/// a document that each batch saves again.
const CAPACITY: usize = 200;

/// The last runs, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(Vec<HistoryEntry>);

impl History {
    /// Reads the entries of a document. What is not an entry is left out.
    pub fn of(lines: &[Box<RawValue>]) -> Self {
        let mut history =
            Self(lines.iter().filter_map(|line| serde_json::from_str(line.get()).ok()).collect());
        for entry in &mut history.0 {
            entry.limit_error();
        }
        history.0.sort_by_key(|entry| entry.start);
        history.cap();
        history
    }

    /// Returns the entries as a document has them, each on a line.
    pub fn lines(&self) -> impl Iterator<Item = Box<RawValue>> {
        self.0.iter().map(|entry| to_raw_value(entry).expect("numbers and strings can be written as JSON"))
    }

    /// Returns the entries, the oldest first.
    pub fn entries(&self) -> &[HistoryEntry] {
        &self.0
    }

    /// Adds a run in order of time. The oldest is dropped when there are too many.
    pub fn add(&mut self, entry: HistoryEntry) {
        let place = self.0.partition_point(|known| known.start <= entry.start);
        match self.0[..place].last_mut() {
            Some(before) if before.is_quiet() && entry.is_quiet() => before.combine(entry),
            _ => self.0.insert(place, entry),
        }
        self.cap();
    }

    /// Adds the runs of `other` that are not in it yet.
    pub fn merge(&mut self, other: &Self) {
        for entry in &other.0 {
            if !self.covers(entry) {
                self.add(entry.clone());
            }
        }
    }

    /// Drops the runs that `saved` contains, and those that are too old for it.
    pub fn forget(&mut self, saved: &Self) {
        let oldest = saved.0.first().filter(|_| saved.0.len() == CAPACITY).map(|oldest| oldest.start);
        self.0.retain(|entry| !saved.covers(entry) && oldest.is_none_or(|oldest| oldest < entry.start));
    }

    /// Returns when the newest run without an error started.
    pub fn last_success(&self) -> Option<OffsetDateTime> {
        self.0.iter().rfind(|entry| entry.is_success()).map(HistoryEntry::last_start)
    }

    /// Returns how many runs have failed since the newest one without an error, and when the last of them started; `None`
    /// when none has.
    pub fn failures(&self) -> Option<(u64, OffsetDateTime)> {
        self.failures_that(|_| true)
    }

    /// Returns the same of the runs whose errors do not go away by themselves.
    pub fn lasting_failures(&self) -> Option<(u64, OffsetDateTime)> {
        self.failures_that(|entry| !entry.transient)
    }

    fn failures_that(&self, count: impl Fn(&HistoryEntry) -> bool) -> Option<(u64, OffsetDateTime)> {
        let since_success = self.0.iter().rev().take_while(|entry| !entry.is_success());
        let failed = since_success.filter(|entry| entry.result == RunResult::Failed && count(entry));
        let mut failed = failed.peekable();
        let last = failed.peek()?.last_start();
        Some((failed.fold(0, |runs: u64, entry| runs.saturating_add(entry.runs)), last))
    }

    fn covers(&self, entry: &HistoryEntry) -> bool {
        self.0.iter().any(|known| known.covers(entry))
    }

    fn cap(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(CAPACITY));
    }
}

/// Writes one line per entry, whatever the layout of the document around it.
impl Serialize for History {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.lines())
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|lines: Vec<Box<RawValue>>| Self::of(&lines))
    }
}

#[cfg(test)]
mod tests;
