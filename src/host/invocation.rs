//! The Functions host's custom-handler protocol as plain values: what a timer's invocation says, and what a reply must
//! look like. Pure.
//!
//! Two properties of the host shape the replies. It waits forever on an empty 2xx reply, and it discards the body of any
//! other status, so a failure's reason also goes into the reason phrase. Lines under `Logs` appear under their invocation
//! in Application Insights; console lines do not.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::RunReport;

/// The most bytes of an invocation. A timer's has a few hundred, and one of the HTTP trigger a few thousand beside the
/// request's body.
pub const LIMIT: usize = 1024 * 1024;

/// The longest reason phrase, in bytes, that still reads well in the host's exception text.
const LONGEST_PHRASE: usize = 240;

/// A timer's invocation. Its dates are not read: they come with and without offset, on the first run as year 1, and a run
/// does not depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    /// True for the run that the host starts at once because an occurrence was missed.
    pub is_past_due: bool,
}

impl Invocation {
    /// Reads the body of `POST /MdatpForward`.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(rename = "Data")]
            data: Option<Value>,
        }
        let body: Body =
            serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
        let Some(Value::Object(bindings)) = body.data else {
            return Err("the body has no Data: this is not an invocation of the Functions host".to_owned());
        };
        // Some versions of the host send a trigger as a string that holds JSON.
        let is_past_due =
            |trigger: &Value| trigger.get("IsPastDue").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { is_past_due: bindings.values().any(is_past_due) })
    }
}

/// A reply to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status: only 200 counts as a success.
    pub status: StatusCode,
    /// The reason phrase of a failure, plain ASCII.
    pub phrase: Option<String>,
    /// A JSON object, never empty.
    pub body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    outputs: Value,
    logs: Vec<String>,
    return_value: &'a RunReport,
}

impl Reply {
    /// The reply about a run, with the run's log line. A failure's line belongs on stderr instead: the host discards the
    /// body of that reply.
    pub fn of(report: &RunReport, log_line: String) -> Self {
        let logs = Some(log_line).filter(|_| report.error.is_none()).into_iter().collect();
        let body = Body { outputs: Value::Object(serde_json::Map::new()), logs, return_value: report };
        let body = serde_json::to_string(&body).expect("numbers and texts can be written as JSON");
        match &report.error {
            None => Self { status: StatusCode::OK, phrase: None, body },
            Some(error) => {
                Self { status: StatusCode::INTERNAL_SERVER_ERROR, phrase: Some(phrase(error)), body }
            }
        }
    }

    /// The reply to the host's question whether the handler is ready.
    pub fn ready() -> Self {
        Self { status: StatusCode::OK, phrase: None, body: r#"{"ready":true}"#.to_owned() }
    }

    /// The reply to a request that is not an invocation.
    pub fn rejection(status: StatusCode, reason: &str) -> Self {
        let body = serde_json::json!({ "error": reason }).to_string();
        Self { status, phrase: Some(phrase(reason)), body }
    }
}

/// Returns `text` as a reason phrase: printable ASCII of bounded length.
fn phrase(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(LONGEST_PHRASE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_needs_data_and_nothing_else_is_looked_at() {
        for (body, is_past_due) in [
            (r#"{"Data":{"mdatpTimer":{"IsPastDue":true}},"Metadata":{}}"#, true),
            (
                r#"{"Data":{"mdatpTimer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"0001-01-01T00:00:00"},"IsPastDue":false}}}"#,
                false,
            ),
            (r#"{"Data":{"mdatpTimer":"text"},"Unknown":[1]}"#, false),
            (r#"{"Data":{}}"#, false),
        ] {
            assert_eq!(Invocation::parse(body.as_bytes()), Ok(Invocation { is_past_due }), "{body}");
        }
        for body in
            ["", "{", "[]", "{}", r#"{"Data":null}"#, r#"{"Data":"x"}"#, r#"{"data":{}}"#, "\u{feff}{}"]
        {
            assert!(Invocation::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_failure_says_why_in_ascii_in_the_reason_phrase() {
        let report = RunReport { error: Some("naïve\r\nX-Evil: 1 …".to_owned()), ..RunReport::default() };
        let reply = Reply::of(&report, report.to_string());
        assert_eq!((reply.status.as_u16(), reply.phrase.as_deref()), (500, Some("na?ve??X-Evil: 1 ?")));
        assert_eq!(phrase(&"x".repeat(999)).len(), LONGEST_PHRASE);
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(body["Logs"], serde_json::json!([]), "it is on stderr");
    }

    #[test]
    fn a_success_has_outputs_logs_and_the_report() {
        let report = RunReport { complete: true, ..RunReport::default() };
        let reply = Reply::of(&report, report.to_string());
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(body["Outputs"], serde_json::json!({}));
        assert!(body["Logs"][0].as_str().is_some_and(|line| line.starts_with("run result=ok read=0 ")));
        assert_eq!(body["ReturnValue"]["complete"], true);
    }
}
