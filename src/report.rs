//! The report of a run: the `ReturnValue` of an invocation, and the run's log line. Pure.

use std::fmt;

use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// The report of one run. The names of its members are part of the contract with its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The tenant whose alerts these are; `None` where the process forwards for one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Alerts listed in the window, each once.
    pub alerts_read: u64,
    /// Alerts accepted by the sink.
    pub alerts_sent: u64,
    /// Alerts of the look-back that earlier runs had delivered.
    pub alerts_already_sent: u64,
    /// Alerts, or elements of the list that are not alerts, set aside because they cannot be delivered.
    pub alerts_set_aside: u64,
    /// Type mismatches: values that did not fit their column and went to the column for everything else.
    pub values_misfit: u64,
    /// Machines read.
    pub machines_read: u64,
    /// Machines that Defender does not know.
    pub machines_not_found: u64,
    /// Requests sent to Defender and the sink, retries included.
    pub requests: u64,
    /// Bytes of the request bodies that the sink accepted, as sent over the network.
    pub bytes_sent: u64,
    /// The duration of the run, in milliseconds.
    pub duration_ms: u64,
    /// At the end of the run, the age in seconds of the time before which everything is delivered; `None` if unknown.
    pub lag_seconds: Option<u64>,
    /// The start of the window.
    #[serde(serialize_with = "rfc3339")]
    pub from: Option<OffsetDateTime>,
    /// The end of the window, exclusive.
    #[serde(serialize_with = "rfc3339")]
    pub to: Option<OffsetDateTime>,
    /// True if everything in the window is delivered or set aside, and the checkpoint is saved.
    pub complete: bool,
    /// Why there was no run.
    pub skipped: Option<Skip>,
    /// Why the run failed.
    pub error: Option<String>,
    /// True when the error may go away by itself, so that trying again soon makes sense.
    #[serde(skip)]
    pub is_error_transient: bool,
}

/// Serializes a time in the form that all documents use (RFC 3339).
#[expect(clippy::ref_option, reason = "serde passes a field like this")]
pub(crate) fn rfc3339<S: Serializer>(
    time: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.as_ref().map(to_rfc3339).serialize(serializer)
}

impl RunReport {
    /// Returns how the run ended.
    pub fn result(&self) -> RunResult {
        match (self.skipped, &self.error, self.complete) {
            (Some(_), ..) => RunResult::Skipped,
            (_, Some(_), _) => RunResult::Failed,
            (.., true) => RunResult::Ok,
            (.., false) => RunResult::Incomplete,
        }
    }

    /// Returns the members of the run's log line in JSON form: those of the report, how the run ended (`result`), and
    /// the name of its error's kind (`errorKind`). The names are part of the contract with those who query the log.
    pub fn log_members(&self, error_kind: Option<&str>) -> Value {
        let mut members = serde_json::to_value(self).expect("numbers and texts can be written as JSON");
        members["result"] = self.result().to_string().into();
        members["errorKind"] = error_kind.into();
        members
    }
}

/// Why there was no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Skip {
    /// Another run was in progress in this process.
    AlreadyRunning,
    /// Another process was at work on the checkpoint.
    BusyElsewhere,
    /// The list of tenants has no such tenant.
    UnknownTenant,
    /// The tenant is disabled in the list.
    DisabledTenant,
    /// The tenant's last runs failed, and it is too early for the next try.
    BackingOff,
    /// A run of the tenant has begun since the message was written.
    StaleMessage,
}

impl Skip {
    /// True when the history notes it: something was at work.
    pub fn is_recorded(self) -> bool {
        matches!(self, Self::AlreadyRunning | Self::BusyElsewhere)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResult {
    /// Everything in the window is done.
    Ok,
    /// Time was up before everything was done.
    Incomplete,
    /// The run failed with an error.
    Failed,
    /// There was no run, because another was in progress.
    Skipped,
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// The run's log line in text form. Queries parse it (`parse-kv`), so its names are part of the contract.
impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run result={}", self.result())?;
        self.tenant.iter().try_for_each(|tenant| write!(f, " tenant={tenant}"))?;
        for (name, count) in [
            ("read", self.alerts_read),
            ("sent", self.alerts_sent),
            ("before", self.alerts_already_sent),
            ("set_aside", self.alerts_set_aside),
            ("misfit", self.values_misfit),
            ("machines", self.machines_read),
            ("machines_missing", self.machines_not_found),
            ("requests", self.requests),
            ("bytes", self.bytes_sent),
            ("ms", self.duration_ms),
        ] {
            write!(f, " {name}={count}")?;
        }
        if let Some(lag) = self.lag_seconds {
            write!(f, " lag_s={lag}")?;
        }
        if let (Some(from), Some(to)) = (self.from, self.to) {
            write!(f, " from={} to={}", to_rfc3339(&from), to_rfc3339(&to))?;
        }
        match &self.error {
            // As a JSON string, so that a quote in the error cannot end it.
            Some(error) => write!(f, " error={}", serde_json::Value::from(error.as_str())),
            None => Ok(()),
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
            skipped: Some(Skip::AlreadyRunning),
            ..RunReport::default()
        };
        assert_eq!(
            serde_json::to_string(&report).expect("JSON"),
            r#"{"alertsRead":0,"alertsSent":0,"alertsAlreadySent":0,"alertsSetAside":0,"valuesMisfit":0,"machinesRead":0,"machinesNotFound":0,"requests":0,"bytesSent":0,"durationMs":0,"lagSeconds":null,"from":"1970-01-01T00:00:00Z","to":null,"complete":false,"skipped":"alreadyRunning","error":null}"#
        );
    }

    #[test]
    fn the_line_is_made_of_names_and_values() {
        let ok = RunReport {
            alerts_read: 7,
            duration_ms: 12,
            lag_seconds: Some(3),
            complete: true,
            ..RunReport::default()
        };
        assert_eq!(
            ok.to_string(),
            "run result=ok read=7 sent=0 before=0 set_aside=0 misfit=0 machines=0 machines_missing=0 requests=0 \
             bytes=0 ms=12 lag_s=3"
        );
        let failed = RunReport { error: Some("no \"token\"".to_owned()), ..RunReport::default() };
        let line = failed.to_string();
        assert!(
            line.starts_with("run result=failed ") && line.ends_with(r#" error="no \"token\"""#),
            "{line}"
        );
        let skipped = RunReport { skipped: Some(Skip::AlreadyRunning), ..RunReport::default() };
        assert!(skipped.to_string().starts_with("run result=skipped "));
        let of_tenant = RunReport { tenant: Some("t".to_owned()), ..RunReport::default() };
        assert!(of_tenant.to_string().starts_with("run result=incomplete tenant=t read=0 "));
        assert_eq!(of_tenant.log_members(None)["tenant"], "t");
        assert!(RunReport::default().to_string().starts_with("run result=incomplete "));
    }
}
