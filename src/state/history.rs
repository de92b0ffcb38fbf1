//! What the last runs came to, kept with the checkpoint, so that somebody who looks from outside sees whether
//! there are runs at all and how they end. Pure.
//!
//! Ack does not hang on it: what cannot be read of it is left out.

use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    error_chain::one_line,
    report::{RunReport, RunResult, rfc3339},
};

/// At a tick every five minutes that is two thirds of a day if no two entries fold, and some 25 kB of a
/// document that every batch saves anew.
const CAPACITY: usize = 200;

/// The longest error that is kept, in characters: what failed and on what, without all its causes.
const LONGEST_ERROR: usize = 300;

/// One run, or several in a row that found nothing new and went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When the first of the runs began, to the millisecond.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub start: OffsetDateTime,
    /// When the last of several began. What follows is of that one.
    #[serde(
        default,
        serialize_with = "rfc3339",
        deserialize_with = "read_last",
        skip_serializing_if = "Option::is_none"
    )]
    pub last: Option<OffsetDateTime>,
    /// How many runs these are.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub runs: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// How it ended.
    pub result: RunResult,
    /// Alerts that were listed.
    pub read: u64,
    /// Alerts that the sink accepted.
    pub sent: u64,
    /// What was set aside.
    pub set_aside: u64,
    /// Machines that were read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machines: u64,
    /// See [`RunReport::lag_seconds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Why it failed, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl HistoryEntry {
    /// The entry of a run that began at `start`.
    pub fn of(start: OffsetDateTime, report: &RunReport) -> Self {
        Self {
            start: start.replace_millisecond(start.millisecond()).unwrap_or(start),
            last: None,
            runs: 1,
            ms: report.duration_ms,
            result: report.result(),
            read: report.alerts_read,
            sent: report.alerts_sent,
            set_aside: report.alerts_set_aside,
            machines: report.machines_read,
            lag_seconds: report.lag_seconds,
            error: report.error.as_deref().map(|error| one_line(error, LONGEST_ERROR)),
        }
    }

    /// When the run began; of several, the last.
    pub fn last_start(&self) -> OffsetDateTime {
        self.last.unwrap_or(self.start)
    }

    /// True when nothing new was found, and nothing went wrong.
    pub fn is_quiet(&self) -> bool {
        self.result == RunResult::Ok && self.sent == 0 && self.set_aside == 0
    }

    /// True for a run that ended without an error, be it that time was up before everything was done.
    pub fn is_success(&self) -> bool {
        matches!(self.result, RunResult::Ok | RunResult::Incomplete)
    }

    fn covers(&self, other: &Self) -> bool {
        match self.is_quiet() && other.is_quiet() {
            true => self.start <= other.start && other.last_start() <= self.last_start(),
            false => self.start == other.start && self.result == other.result,
        }
    }

    /// One entry out of two quiet ones, of which `next` began later.
    fn fold(&mut self, next: Self) {
        let last = self.last_start().max(next.last_start());
        *self =
            Self { start: self.start, last: Some(last), runs: self.runs.saturating_add(next.runs), ..next };
    }
}

/// The last runs, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(Vec<HistoryEntry>);

impl History {
    /// The entries, the oldest first.
    pub fn entries(&self) -> &[HistoryEntry] {
        &self.0
    }

    /// Adds a run at its place. The oldest gives way when there are too many.
    pub fn add(&mut self, entry: HistoryEntry) {
        let place = self.0.partition_point(|known| known.start <= entry.start);
        match self.0[..place].last_mut() {
            Some(before) if before.is_quiet() && entry.is_quiet() => before.fold(entry),
            _ => self.0.insert(place, entry),
        }
        self.cap();
    }

    /// Adds the runs of `other` that are not here yet.
    pub fn merge(&mut self, other: &Self) {
        for entry in &other.0 {
            if !self.covers(entry) {
                self.add(entry.clone());
            }
        }
    }

    /// Leaves out the runs that `saved` has, and those that it would have no room for.
    pub fn forget(&mut self, saved: &Self) {
        let oldest = saved.0.first().filter(|_| saved.0.len() == CAPACITY).map(|oldest| oldest.start);
        self.0.retain(|entry| !saved.covers(entry) && oldest.is_none_or(|oldest| oldest < entry.start));
    }

    fn covers(&self, entry: &HistoryEntry) -> bool {
        self.0.iter().any(|known| known.covers(entry))
    }

    fn cap(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(CAPACITY));
    }
}

/// A line an entry, however the document around it is laid out.
impl Serialize for History {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = |entry| to_raw_value(entry).expect("numbers and texts can be written as JSON");
        serializer.collect_seq(self.0.iter().map(line))
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lines = Vec::<Box<RawValue>>::deserialize(deserializer)?;
        let mut history =
            Self(lines.iter().filter_map(|line| serde_json::from_str(line.get()).ok()).collect());
        for entry in &mut history.0 {
            entry.error = entry.error.take().map(|error| one_line(&error, LONGEST_ERROR));
        }
        history.0.sort_by_key(|entry| entry.start);
        history.cap();
        Ok(history)
    }
}

fn write_time<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    to_rfc3339(time).serialize(serializer)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn read_last<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    read_time(deserializer).map(Some)
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over like this")]
fn is_one(number: &u64) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over like this")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
