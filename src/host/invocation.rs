//! The Functions host's custom-handler protocol as plain values: what a timer's invocation says, and what a reply must
//! look like. Pure.
//!
//! Two properties of the host shape the replies. It waits forever on an empty 2xx reply, and it discards the body of any
//! other status, so a failure's reason also goes into the reason phrase. Lines under `Logs` appear under their invocation
//! in Application Insights; console lines do not.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::report::RunReport;

/// The most bytes of an invocation. A timer's has a few hundred, and one of the HTTP trigger a few thousand beside the
/// request's body.
pub const LIMIT: usize = 1024 * 1024;

/// The name of the timer's binding in the package for many tenants. There the timer's function asks for a run of each.
const TENANTS_TIMER: &str = "mdatpTenantsTimer";

/// The name of its output binding, to the queue of the tenants.
const TENANTS_OUTPUT: &str = "tenants";

/// The longest reason phrase, in bytes, that still reads well in the host's exception text.
const LONGEST_PHRASE: usize = 240;

/// A timer's invocation. Its dates are not read: they come with and without offset, on the first run as year 1, and a run
/// does not depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    /// True for the run that the host starts at once because an occurrence was missed.
    pub is_past_due: bool,
    /// True in the package for many tenants.
    pub is_for_tenants: bool,
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
        Ok(Self {
            is_past_due: bindings.values().any(is_past_due),
            is_for_tenants: bindings.contains_key(TENANTS_TIMER),
        })
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
struct Body<'a, T> {
    outputs: &'a Map<String, Value>,
    logs: &'a [String],
    return_value: &'a T,
}

impl Reply {
    /// The reply about a run, with the run's log line. A failure's line belongs on stderr instead: the host discards the
    /// body of that reply.
    pub fn of(report: &RunReport, log_line: String) -> Self {
        match report.error {
            None => Self::success(&Map::new(), &[log_line], report),
            Some(_) => Self::failure(report),
        }
    }

    /// The reply of a success, with the values of its output bindings, log lines and what it returns.
    pub fn success(outputs: &Map<String, Value>, logs: &[String], return_value: &impl Serialize) -> Self {
        Self { status: StatusCode::OK, phrase: None, body: body(outputs, logs, return_value) }
    }

    /// The reply about a run that failed.
    pub fn failure(report: &RunReport) -> Self {
        let phrase = report.error.as_deref().map(phrase);
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, phrase, body: body(&Map::new(), &[], report) }
    }

    /// The reply to the timer that asks for the runs of tenants by `messages`. Only an array of strings reaches the queue
    /// exactly as it is.
    pub fn enqueue(messages: Vec<String>, log_line: String) -> Self {
        let number = messages.len();
        let outputs = Map::from_iter([(TENANTS_OUTPUT.to_owned(), messages.into())]);
        Self::success(&outputs, &[log_line], &json!({ "tenants": number }))
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

fn body(outputs: &Map<String, Value>, logs: &[String], return_value: &impl Serialize) -> String {
    let body = Body { outputs, logs, return_value };
    serde_json::to_string(&body).expect("numbers and texts can be written as JSON")
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
            (r#"{"Data":{"mdatpTimer":{"IsPastDue":true}},"Metadata":{"mdatpTenantsTimer":{}}}"#, true),
            (
                r#"{"Data":{"mdatpTimer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"0001-01-01T00:00:00"},"IsPastDue":false}}}"#,
                false,
            ),
            (r#"{"Data":{"mdatpTimer":"text"},"Unknown":[1]}"#, false),
            (r#"{"Data":{}}"#, false),
        ] {
            let expected = Invocation { is_past_due, is_for_tenants: false };
            assert_eq!(Invocation::parse(body.as_bytes()), Ok(expected), "{body}");
        }
        let of_tenants = r#"{"Data":{"mdatpTenantsTimer":{"IsPastDue":true}}}"#;
        let expected = Invocation { is_past_due: true, is_for_tenants: true };
        assert_eq!(Invocation::parse(of_tenants.as_bytes()), Ok(expected));
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
    fn the_messages_to_the_queue_are_an_array_of_strings() {
        let reply = Reply::enqueue(vec![r#"{"tenant":"a"}"#.to_owned()], "asked for 1 run".to_owned());
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(
            (reply.status.as_u16(), body),
            (
                200,
                json!({
                    "Outputs": { "tenants": [r#"{"tenant":"a"}"#] }, "Logs": ["asked for 1 run"],
                    "ReturnValue": { "tenants": 1 },
                })
            )
        );
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
