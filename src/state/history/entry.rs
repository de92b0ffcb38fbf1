//! One entry of the history. Pure.

use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    error_chain::one_line,
    report::{RunReport, RunResult, rfc3339},
};

/// The most characters of an error: what failed and on what, without all its causes.
const MAX_ERROR: usize = 300;

/// One run, or several successive ones that succeeded and found nothing new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When the first of the runs started, to the millisecond.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub start: OffsetDateTime,
    /// When the last of several runs started. The following members are of that one.
    #[serde(
        default,
        serialize_with = "rfc3339",
        deserialize_with = "read_last",
        skip_serializing_if = "Option::is_none"
    )]
    pub last: Option<OffsetDateTime>,
    /// The number of runs.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub runs: u64,
    /// The duration in milliseconds.
    pub ms: u64,
    /// How it ended.
    pub result: RunResult,
    /// The alerts that were listed.
    pub read: u64,
    /// The alerts that the sink accepted.
    pub sent: u64,
    /// The alerts that were set aside.
    pub set_aside: u64,
    /// The machines that were read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machines: u64,
    /// See [`RunReport::lag_seconds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Why it failed, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True when the error may go away by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transient: bool,
}

impl HistoryEntry {
    /// Makes the entry of a run that started at `start`.
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
            error: report.error.as_deref().map(|error| one_line(error, MAX_ERROR)),
            transient: report.is_error_transient,
        }
    }

    /// Returns when the run started; of several, the last.
    pub fn last_start(&self) -> OffsetDateTime {
        self.last.unwrap_or(self.start)
    }

    /// Returns true when the run succeeded and found nothing new.
    pub fn is_quiet(&self) -> bool {
        self.result == RunResult::Ok && self.sent == 0 && self.set_aside == 0
    }

    /// Returns true when the run ended without an error, even if its time was over before everything was done.
    pub fn is_success(&self) -> bool {
        matches!(self.result, RunResult::Ok | RunResult::Incomplete)
    }

    /// Limits the error to [`MAX_ERROR`], in an entry of another version.
    pub(super) fn limit_error(&mut self) {
        self.error = self.error.take().map(|error| one_line(&error, MAX_ERROR));
    }

    /// Returns true when the run of `other` is one of these.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match self.is_quiet() && other.is_quiet() {
            true => self.start <= other.start && other.last_start() <= self.last_start(),
            false => self.start == other.start && self.result == other.result,
        }
    }

    /// Combines two quiet entries into one, of which `next` started later.
    pub(super) fn combine(&mut self, next: Self) {
        let last = self.last_start().max(next.last_start());
        *self =
            Self { start: self.start, last: Some(last), runs: self.runs.saturating_add(next.runs), ..next };
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a field by reference")]
fn is_one(number: &u64) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a field by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a field by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
