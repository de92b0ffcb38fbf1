//! Anybody on this machine may post to the port: no body does harm, and whatever is answered is a reply
//! that the Functions host can read.

use http::StatusCode;
use mdatp_forward::testing::{
    RunReport,
    invocation::{Invocation, Reply},
};
use serde_json::Value;

/// `input` is the body of an invocation, and then the reason of a failure.
pub fn holds(input: &[u8]) {
    match Invocation::parse(input) {
        Ok(invocation) => {
            // A number that no f64 holds may come beside the data.
            if let Ok(body) = serde_json::from_slice::<Value>(input) {
                let triggers = body["Data"].as_object().expect("the data of an invocation are an object");
                let is_past_due = triggers.values().any(|trigger| trigger["IsPastDue"] == true);
                assert_eq!(invocation.is_past_due, is_past_due);
            }
        }
        Err(reason) => is_readable(&Reply::rejection(StatusCode::BAD_REQUEST, &reason), "error", &reason),
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

/// A reason phrase is the end of a line that others read by machine.
fn is_phrase(reply: &Reply) {
    let phrase = reply.phrase.as_deref().expect("a failure has a phrase");
    assert!(phrase.len() <= 240 && phrase.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{phrase:?}");
}
