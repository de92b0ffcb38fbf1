//! What a run did: the `ReturnValue` of an invocation, and its one-line summary.

use std::fmt;

use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde::{Serialize, Serializer};

/// The report of one run. The names are part of the contract with whoever reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Alerts listed in the window, each once.
    pub alerts_read: u64,
    /// Alerts accepted by the sink.
    pub alerts_sent: u64,
    /// Alerts of the look-back that earlier runs had delivered.
    pub alerts_already_sent: u64,
    /// Alerts, or elements that are none, kept in the state store because they cannot be delivered.
    pub alerts_set_aside: u64,
    /// Values that did not fit their column and went to the one for all the rest.
    pub values_misfit: u64,
    /// Machines read.
    pub machines_read: u64,
    /// Machines that Defender does not know.
    pub machines_not_found: u64,
    /// Requests sent to Defender and the sink, repeats included.
    pub requests: u64,
    /// Bytes of the bodies that the sink accepted, as they went over the wire.
    pub bytes_sent: u64,
    /// Where the window began.
    #[serde(serialize_with = "rfc3339")]
    pub from: Option<OffsetDateTime>,
    /// Where the window ended.
    #[serde(serialize_with = "rfc3339")]
    pub to: Option<OffsetDateTime>,
    /// True when everything in the window is delivered or set aside, and saved.
    pub complete: bool,
    /// Why there was no run: `alreadyRunning`.
    pub skipped: Option<&'static str>,
    /// Why the run failed.
    pub error: Option<String>,
}

#[expect(clippy::ref_option, reason = "serde hands a field over like this")]
fn rfc3339<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_ref().map(to_rfc3339).serialize(serializer)
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.skipped.is_some() {
            return f.write_str("skipped: another run is under way");
        }
        write!(
            f,
            "read {} alerts, sent {}, sent before {}, set aside {}; read {} machines, {} not found; {} requests, {} \
             bytes sent",
            self.alerts_read,
            self.alerts_sent,
            self.alerts_already_sent,
            self.alerts_set_aside,
            self.machines_read,
            self.machines_not_found,
            self.requests,
            self.bytes_sent,
        )?;
        if let (Some(from), Some(to)) = (self.from, self.to) {
            write!(f, "; window {} to {}", to_rfc3339(&from), to_rfc3339(&to))?;
        }
        match (&self.error, self.complete) {
            (Some(error), _) => write!(f, "; failed: {error}"),
            (None, true) => Ok(()),
            (None, false) => f.write_str("; not complete, the next run goes on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_those_of_the_contract() {
        let report = RunReport {
            from: Some(OffsetDateTime::UNIX_EPOCH),
            skipped: Some("alreadyRunning"),
            ..RunReport::default()
        };
        assert_eq!(
            serde_json::to_string(&report).expect("JSON"),
            r#"{"alertsRead":0,"alertsSent":0,"alertsAlreadySent":0,"alertsSetAside":0,"valuesMisfit":0,"machinesRead":0,"machinesNotFound":0,"requests":0,"bytesSent":0,"from":"1970-01-01T00:00:00Z","to":null,"complete":false,"skipped":"alreadyRunning","error":null}"#
        );
    }
}
