//! The report of a backfill: the sum of its runs. Pure.

use std::{fmt, time::Duration};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde::Serialize;
use serde_json::Value;

use crate::{
    record::window::Window,
    report::{RunReport, RunResult},
};

/// The report of a backfill. The names of its members are part of the contract with its readers.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackfillReport {
    /// Alerts listed.
    pub alerts_read: u64,
    /// Alerts accepted by the sink.
    pub alerts_sent: u64,
    /// Alerts that had been sent before this process began.
    pub alerts_already_sent: u64,
    /// Alerts, or elements of the list that are not alerts, that were set aside.
    pub alerts_set_aside: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Bytes of the request bodies that the sink accepted, as sent over the network.
    pub bytes_sent: u64,
    /// The duration of the backfill, in milliseconds.
    pub duration_ms: u64,
    /// The start of the range.
    pub from: String,
    /// The end of the range, exclusive.
    pub to: String,
    /// The time before which everything is sent.
    pub position: String,
    /// True if the position is the end of the range, and there was no error.
    pub complete: bool,
    /// Why the backfill failed.
    pub error: Option<String>,
}

impl BackfillReport {
    /// Adds the report of a run.
    pub fn add(&mut self, run: &RunReport) {
        self.alerts_read += run.alerts_read;
        self.alerts_sent += run.alerts_sent;
        self.alerts_already_sent += run.alerts_already_sent;
        self.alerts_set_aside += run.alerts_set_aside;
        self.requests += run.requests;
        self.bytes_sent += run.bytes_sent;
    }

    /// Adds how the backfill ended.
    pub fn finish(
        &mut self,
        range: Window,
        position: OffsetDateTime,
        elapsed: Duration,
        error: Option<String>,
    ) {
        self.duration_ms = elapsed.as_millis().try_into().unwrap_or(u64::MAX);
        [self.from, self.to, self.position] = [range.from, range.to, position].map(|time| to_rfc3339(&time));
        self.complete = position >= range.to && error.is_none();
        self.error = error;
    }

    /// Returns the members of the log line in JSON form: those of the report, how the backfill ended (`result`), and the
    /// name of its error's kind (`errorKind`).
    pub fn log_members(&self, error_kind: Option<&str>) -> Value {
        let mut members = serde_json::to_value(self).expect("numbers and texts can be written as JSON");
        members["result"] = self.result().to_string().into();
        members["errorKind"] = error_kind.into();
        members
    }

    fn result(&self) -> RunResult {
        match (&self.error, self.complete) {
            (Some(_), _) => RunResult::Failed,
            (None, true) => RunResult::Ok,
            (None, false) => RunResult::Incomplete,
        }
    }
}

/// The log line in text form, of names and values like that of a run.
impl fmt::Display for BackfillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = self.result();
        let Self { alerts_read, alerts_sent, alerts_already_sent, alerts_set_aside, requests, .. } = self;
        write!(
            f,
            "backfill result={result} read={alerts_read} sent={alerts_sent} before={alerts_already_sent} \
             set_aside={alerts_set_aside} requests={requests} bytes={} ms={} from={} to={} position={}",
            self.bytes_sent, self.duration_ms, self.from, self.to, self.position
        )?;
        match &self.error {
            Some(error) => write!(f, " error={}", Value::from(error.as_str())),
            None => Ok(()),
        }
    }
}
