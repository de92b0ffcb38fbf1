//! Any process on this machine can post to the port: no body causes a panic, and every reply is one that the Functions host can
//! read.

use http::StatusCode;
use mdatp_forward::testing::{
    RunReport, TenantMessage,
    invocation::{Invocation, Reply},
    nudge::{self, Nudge},
    queue::QueueInvocation,
};
use serde_json::Value;

/// `input` is the body of an invocation, and then the reason of a failure.
pub fn holds(input: &[u8]) {
    match Invocation::parse(input) {
        Ok(invocation) => {
            // A body with a number beyond an f64 is not a `Value`.
            if let Ok(body) = serde_json::from_slice::<Value>(input) {
                let triggers = body["Data"].as_object().expect("the data of an invocation are an object");
                let is_past_due = triggers.values().any(|trigger| trigger["IsPastDue"] == true);
                assert_eq!(invocation.is_past_due, is_past_due);
                assert_eq!(invocation.is_for_tenants, triggers.contains_key("mdatpTenantsTimer"));
            }
        }
        Err(reason) => is_readable(&Reply::rejection(StatusCode::BAD_REQUEST, &reason), "error", &reason),
    }
    match Nudge::parse(input) {
        Ok(Nudge { ids }) => {
            let is_id = |id: &String| (1..=128).contains(&id.len()) && id.bytes().all(is_of_id);
            assert!(ids.len() <= 100 && ids.iter().all(is_id), "{ids:?}");
        }
        Err(reason) => {
            // However long the input: nothing of it is repeated.
            assert!(reason.len() < 150, "{reason}");
            let reply = nudge::rejection(StatusCode::BAD_REQUEST, &reason);
            let body: Value = serde_json::from_str(&reply.body).expect("the reply is JSON");
            let response = &body["Outputs"]["res"];
            assert_eq!((reply.status, &response["statusCode"]), (StatusCode::OK, &Value::from(400)));
            let text = response["body"].as_str().expect("a string");
            let body: Value = serde_json::from_str(text).expect("the response is JSON");
            assert_eq!(body["error"], reason.as_str());
        }
    }
    match QueueInvocation::parse(input) {
        Ok(QueueInvocation::Run(message)) => {
            // What the timer would have written is the same message.
            let written = serde_json::from_str(&message.to_string()).expect("a message is JSON");
            assert_eq!(TenantMessage::of(&written).as_ref(), Some(&message));
            let id = message.tenant.as_str();
            assert!(id.len() == 36 && id.bytes().all(|byte| byte == b'-' || is_lower_hex(byte)), "{id}");
        }
        Ok(QueueInvocation::Foreign { length }) => assert!(length <= input.len(), "{length}"),
        Err(reason) => {
            assert!(reason.len() < 150, "{reason}");
            is_readable(&Reply::rejection(StatusCode::BAD_REQUEST, &reason), "error", &reason);
        }
    }
    let error = String::from_utf8_lossy(input).into_owned();
    is_readable(&Reply::rejection(StatusCode::BAD_REQUEST, &error), "error", &error);
    let report = RunReport { error: Some(error.clone()), ..RunReport::default() };
    let reply = Reply::of(&report, report.to_string());
    let body: Value = serde_json::from_str(&reply.body).expect("the reply is JSON");
    assert_eq!(body["ReturnValue"]["error"], error.as_str());
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    is_phrase(&reply);
}

fn is_readable(reply: &Reply, member: &str, text: &str) {
    let body: Value = serde_json::from_str(&reply.body).expect("the reply is JSON");
    assert_eq!(body[member], text);
    is_phrase(reply);
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'a'..=b'f' | b'0'..=b'9')
}

fn is_of_id(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-')
}

/// A reason phrase is part of the status line, which is parsed.
fn is_phrase(reply: &Reply) {
    let phrase = reply.phrase.as_deref().expect("a failure has a phrase");
    assert!(phrase.len() <= 240 && phrase.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{phrase:?}");
}
