//! The protocol of the HTTP trigger: what a nudge asks for, and what its caller is answered. Pure.
//!
//! The host sends the caller's whole request, in which the function's key is up to four times (headers, URL, and both again
//! in the metadata). So nothing of it is repeated in a message, and nothing is logged. Of a reply with an error status the
//! host would keep nothing, and its caller would see an empty 500: whatever the caller is to see goes into the output `res`
//! of a reply with status 200.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::invocation::Reply;
use crate::app::Nudged;

/// The most alerts of a nudge.
const MAX_IDS: usize = 100;

/// The longest id of an alert, in bytes. Defender's have some 30.
const MAX_ID: usize = 128;

/// The name of the trigger's binding in `MdatpNow/function.json`.
const TRIGGER: &str = "req";

/// A request to run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nudge {
    /// The ids of the alerts that the caller asks about, each once; none for a caller that only wants a run.
    pub ids: Vec<String>,
}

impl Nudge {
    /// Reads the body of `POST /MdatpNow`.
    ///
    /// # Errors
    ///
    /// The reason, for the caller. It holds nothing of the body.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Invocation {
            #[serde(rename = "Data")]
            data: Value,
        }
        let not_http = || "this is not an invocation of an HTTP trigger".to_owned();
        let Invocation { data } = serde_json::from_slice(body).map_err(|_| not_http())?;
        let trigger = data.get(TRIGGER).or_else(|| data.as_object()?.values().next());
        let trigger = trigger.and_then(Value::as_object).ok_or_else(not_http)?;
        match trigger.get("Body") {
            // The host leaves out a body that is empty or that came in chunks.
            None | Some(Value::Null) => Ok(Self { ids: Vec::new() }),
            Some(Value::String(text)) => Self::of(text),
            Some(_) => Err(not_http()),
        }
    }

    /// Reads what the caller sent: `{"id"}`, an array of such objects, or nothing. Other members, such as the trigger's
    /// `machineId`, are ignored: the alert itself says which machine it is of.
    fn of(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self { ids: Vec::new() });
        }
        let body: Value = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!(
                "the body is not JSON, from line {line}, column {column} on; its type is application/json"
            )
        })?;
        let items = match body {
            Value::Array(items) => items,
            body => vec![body],
        };
        if items.len() > MAX_IDS {
            return Err(format!("the body has {} alerts, and at most {MAX_IDS} are allowed", items.len()));
        }
        let mut ids = Vec::with_capacity(items.len());
        for item in &items {
            let Value::Object(item) = item else {
                return Err(
                    r#"the body is neither empty nor {"id": "…"} nor an array of such objects"#.to_owned()
                );
            };
            let Some(Value::String(id)) = item.get("id") else {
                return Err(r#"an object in the body has no "id" that is a string"#.to_owned());
            };
            if !is_id(id) {
                return Err(format!("an id in the body does not match ^[A-Za-z0-9_.-]{{1,{MAX_ID}}}$"));
            }
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        Ok(Self { ids })
    }
}

/// True for what may be an alert's id.
fn is_id(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(is_valid)
}

/// Returns the reply about a nudge: 200 with what is delivered, or 202 with what is pending. `lines` are the log lines
/// about the runs that it started.
pub fn reply(nudged: &Nudged, lines: &[String]) -> Reply {
    let Nudged { delivered, pending, is_done, reports: _ } = nudged;
    match is_done {
        true => to_caller(StatusCode::OK, &json!({ "delivered": delivered }), lines),
        false if delivered.is_empty() => {
            to_caller(StatusCode::ACCEPTED, &json!({ "pending": pending }), lines)
        }
        false => {
            to_caller(StatusCode::ACCEPTED, &json!({ "pending": pending, "delivered": delivered }), lines)
        }
    }
}

/// Returns the reply about a request that is not a nudge.
pub fn rejection(status: StatusCode, reason: &str) -> Reply {
    to_caller(status, &json!({ "error": reason }), &[])
}

/// The reply that has the host answer its caller with this status and body.
fn to_caller(status: StatusCode, body: &Value, logs: &[String]) -> Reply {
    let response = json!({
        "statusCode": status.as_u16(),
        "headers": { "Content-Type": "application/json" },
        // As a string: the host would rewrite an object, and the dates in it.
        "body": body.to_string(),
    });
    let body = json!({ "Outputs": { "res": response }, "Logs": logs, "ReturnValue": null });
    Reply { status: StatusCode::OK, phrase: None, body: body.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the real host sent (tests/fixtures/README.md).
    macro_rules! recorded {
        ($name:literal) => {
            include_str!(concat!("../../tests/fixtures/host/http-", $name, ".json"))
        };
    }

    /// The recorded invocation with this as the request's body.
    fn invocation(body: &str) -> String {
        let recorded = recorded!("function-key-header");
        let changed = recorded.replace(r#""{\"a\":1}""#, &Value::from(body).to_string());
        assert_ne!(changed, recorded);
        changed
    }

    fn parse(body: &str) -> Result<Vec<String>, String> {
        Nudge::parse(invocation(body).as_bytes()).map(|nudge| nudge.ids)
    }

    #[test]
    fn a_recorded_request_without_a_body_is_a_nudge_without_ids() {
        for recorded in [recorded!("get"), recorded!("post-empty"), recorded!("post-json-chunked")] {
            assert_eq!(Nudge::parse(recorded.as_bytes()), Ok(Nudge { ids: Vec::new() }));
        }
    }

    #[test]
    fn a_recorded_request_that_names_no_alert_is_rejected() {
        for (recorded, reason) in [
            (recorded!("post-json"), "no \"id\" that is a string"),
            (recorded!("function-key-header"), "no \"id\" that is a string"),
            (recorded!("function-key-query"), "no \"id\" that is a string"),
            (recorded!("post-bad-json"), "not JSON, from line 1, column 5 on"),
            (recorded!("post-text"), "not JSON"),
            (recorded!("post-bytes"), "not JSON"),
        ] {
            let rejected = Nudge::parse(recorded.as_bytes()).expect_err(reason);
            assert!(rejected.contains(reason), "{rejected}");
        }
    }

    #[test]
    fn each_form_of_the_body_is_read() {
        let hundred = Value::from((0..100).map(|n| json!({ "id": format!("a{n}") })).collect::<Vec<_>>());
        let longest = "x".repeat(MAX_ID);
        for (body, ids) in [
            ("", vec![]),
            (" \r\n", vec![]),
            ("[]", vec![]),
            (r#"{"id":"da637_-1.2"}"#, vec!["da637_-1.2"]),
            (r#"{"id":"a","machineId":"m"}"#, vec!["a"]),
            (r#"{"id":"a","machineId":null,"later":{"id":7}}"#, vec!["a"]),
            (r#"[{"id":"b"},{"machineId":"m","id":"a"},{"id":"b"}]"#, vec!["b", "a"]),
            (&json!({ "id": longest }).to_string(), vec![&*longest]),
        ] {
            assert_eq!(parse(body), Ok(ids.into_iter().map(str::to_owned).collect()), "{body}");
        }
        assert_eq!(parse(&hundred.to_string()).map(|ids| ids.len()), Ok(100));
    }

    #[test]
    fn anything_else_is_rejected_without_a_word_of_it() {
        let too_many = Value::from(vec![json!({ "id": "secret" }); 101]).to_string();
        let too_long = json!({ "id": "secret".repeat(22) }).to_string();
        for body in [
            "secret",
            "7",
            "null",
            "true",
            r#""secret""#,
            "{}",
            r#"{"ID":"secret"}"#,
            r#"{"id":""}"#,
            r#"{"id":7}"#,
            r#"{"id":["secret"]}"#,
            r#"{"id":"secret secret"}"#,
            r#"{"id":"secret\n"}"#,
            r#"{"id":"../secret"}"#,
            r#"{"id":"sécret"}"#,
            r#"["secret"]"#,
            r#"[{"id":"secret"},"secret"]"#,
            r#"[{"id":"secret"},{}]"#,
            r#"[[{"id":"secret"}]]"#,
            r#"{"id":"secret"}{"id":"secret"}"#,
            &too_many,
            &too_long,
        ] {
            let reason = parse(body).expect_err(body);
            assert!(!reason.contains("secret") && reason.len() < 150, "{body}: {reason}");
        }
    }

    #[test]
    fn what_is_no_invocation_of_an_http_trigger_is_rejected_without_a_word_of_it() {
        for body in [
            "",
            "secret",
            r#""secret""#,
            r#"{"Data":"secret"}"#,
            r#"{"Data":{}}"#,
            r#"{"Data":{"req":"secret"}}"#,
            r#"{"Data":{"req":{"Body":{"id":"secret"}}}}"#,
            r#"{"data":{"req":{"Body":"secret"}}}"#,
        ] {
            let reason = Nudge::parse(body.as_bytes()).expect_err(body);
            assert_eq!(reason, "this is not an invocation of an HTTP trigger", "{body}");
        }
    }

    #[test]
    fn the_trigger_is_found_under_any_name() {
        let other = invocation(r#"{"id":"a"}"#).replace(r#""req":"#, r#""trigger":"#);
        assert_eq!(Nudge::parse(other.as_bytes()), Ok(Nudge { ids: vec!["a".to_owned()] }));
    }

    fn response(reply: &Reply) -> (u64, Value, Value) {
        assert_eq!((reply.status, &reply.phrase), (StatusCode::OK, &None));
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(body["ReturnValue"], Value::Null);
        let response = &body["Outputs"]["res"];
        assert_eq!(response["headers"], json!({ "Content-Type": "application/json" }));
        let text = response["body"].as_str().expect("a string");
        let status = response["statusCode"].as_u64().expect("a number");
        (status, serde_json::from_str(text).expect("JSON"), body["Logs"].clone())
    }

    #[test]
    fn every_answer_to_a_caller_is_the_output_of_a_success() {
        let some = |id: &str| vec![id.to_owned()];
        for (delivered, pending, is_done, status, body) in [
            (some("a"), vec![], true, 200, json!({ "delivered": ["a"] })),
            (vec![], vec![], true, 200, json!({ "delivered": [] })),
            (vec![], some("b"), false, 202, json!({ "pending": ["b"] })),
            (vec![], vec![], false, 202, json!({ "pending": [] })),
            (some("a"), some("b"), false, 202, json!({ "pending": ["b"], "delivered": ["a"] })),
        ] {
            let nudged = Nudged { delivered, pending, is_done, reports: Vec::new() };
            assert_eq!(
                response(&reply(&nudged, &some("run result=ok"))),
                (status, body, json!(["run result=ok"]))
            );
        }
        let rejected = rejection(StatusCode::PAYLOAD_TOO_LARGE, "too \"large\"");
        assert_eq!(response(&rejected), (413, json!({ "error": "too \"large\"" }), json!([])));
    }
}
