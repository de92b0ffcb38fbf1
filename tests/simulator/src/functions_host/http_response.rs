//! What the caller of a function with an HTTP trigger gets: the output `res` of the handler's reply.

use serde_json::{Map, Value};

use super::invocation::Invocation;

/// The response to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The content type; empty without a body.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl HttpResponse {
    /// The response that the host makes of the handler's reply. A failed invocation is an empty 500, whatever the handler
    /// said.
    pub(super) fn of(invocation: &Invocation) -> Self {
        let of =
            |status, content_type: &str, body| Self { status, content_type: content_type.to_owned(), body };
        if !invocation.succeeded() {
            return of(500, "", String::new());
        }
        let response = match (&invocation.outputs["res"], &invocation.report["res"]) {
            (Value::Object(response), _) | (Value::Null, Value::Object(response)) => response,
            (Value::Null, Value::Null) => return of(200, "application/json", "{}".to_owned()),
            _ => return of(500, "", String::new()),
        };
        let status = member(response, "statusCode");
        let status = status.as_u64().or_else(|| status.as_str()?.parse().ok()).unwrap_or(200);
        let headers = member(response, "headers").as_object().cloned().unwrap_or_default();
        let content_type = member(&headers, "Content-Type").as_str().unwrap_or("text/plain; charset=utf-8");
        let body = match member(response, "body") {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // The real host rewrites dates in it as well.
            other => serde_json::to_string_pretty(other).expect("a value can be written"),
        };
        of(u16::try_from(status).unwrap_or(500), content_type, body)
    }
}

/// A member by its name, whatever the case; null if it is missing.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> &'a Value {
    let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or(&Value::Null, |(_, value)| value)
}
