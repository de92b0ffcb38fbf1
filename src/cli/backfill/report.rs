//! What a backfill did: the sum of its runs. Pure.

use std::{fmt, time::Duration};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde::Serialize;

use crate::{record::window::Window, report::RunReport};

/// The report of a backfill. The names are part of the contract with whoever reads it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackfillReport {
    /// Alerts listed.
    pub alerts_read: u64,
    /// Alerts accepted by the sink.
    pub alerts_sent: u64,
    /// Alerts that had been sent before this process began.
    pub alerts_already_sent: u64,
    /// Alerts, or elements that are none, that are set aside.
    pub alerts_set_aside: u64,
    /// Requests sent, repeats included.
    pub requests: u64,
    /// Bytes that the sink accepted, as they went over the wire.
    pub bytes_sent: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where the range begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Everything before this is sent.
    pub position: String,
    /// True when that is the end.
    pub complete: bool,
    /// Why it is not.
    pub error: Option<String>,
}

impl BackfillReport {
    /// Adds what a run did.
    pub fn add(&mut self, run: &RunReport) {
        self.alerts_read += run.alerts_read;
        self.alerts_sent += run.alerts_sent;
        self.alerts_already_sent += run.alerts_already_sent;
        self.alerts_set_aside += run.alerts_set_aside;
        self.requests += run.requests;
        self.bytes_sent += run.bytes_sent;
    }

    /// The last word on it.
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
}

/// One line of names and values, like that of a run.
impl fmt::Display for BackfillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match (&self.error, self.complete) {
            (Some(_), _) => "failed",
            (None, true) => "ok",
            (None, false) => "incomplete",
        };
        let Self { alerts_read, alerts_sent, alerts_already_sent, alerts_set_aside, requests, .. } = self;
        write!(
            f,
            "backfill result={result} read={alerts_read} sent={alerts_sent} before={alerts_already_sent} \
             set_aside={alerts_set_aside} requests={requests} bytes={} ms={} from={} to={} position={}",
            self.bytes_sent, self.duration_ms, self.from, self.to, self.position
        )?;
        match &self.error {
            Some(error) => write!(f, " error={}", serde_json::Value::from(error.as_str())),
            None => Ok(()),
        }
    }
}
