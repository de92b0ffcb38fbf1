//! One call of the handler, and how the host reads its reply.
//!
//! The host is strict: anything but 2xx fails and loses its body, a reply that is not JSON fails, a
//! wrong type in `Outputs` or `Logs` fails, and an empty body or `null` is waited for until functionTimeout.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::connection::Reply;
use crate::members::{Member, members};

/// One invocation, as the host would record it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The GUID given in `X-Azure-Functions-InvocationId`.
    pub id: String,
    /// How it ended for the host.
    pub outcome: Outcome,
    /// The HTTP status; 0 when there was no reply.
    pub status: u16,
    /// The reason phrase of the status line: all that a host shows of a 500.
    pub reason: String,
    /// The lines under `Logs`.
    pub logs: Vec<String>,
    /// `ReturnValue`.
    pub report: Value,
    /// `Outputs`.
    pub outputs: Value,
    /// The reply as text, that of a failure too, although a host throws it away.
    pub body: String,
    /// From sending the request to the end of the reply.
    pub took: Duration,
}

/// How an invocation ended for the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply was a result.
    Succeeded,
    /// The exception text the host logs.
    Failed(String),
}

impl Invocation {
    /// Whether the host would count it as a success.
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Succeeded
    }

    /// The value of an output in the text of the reply, where its members still have their order.
    pub(super) fn output(&self, name: &str) -> Option<String> {
        let is_outputs = |member: &&Member| member.name.eq_ignore_ascii_case("Outputs");
        let reply = members(&self.body).ok()?;
        let outputs = members(reply.iter().find(is_outputs)?.value.get()).ok()?;
        let output = outputs.iter().find(|member| member.name.eq_ignore_ascii_case(name))?;
        Some(output.value.get().to_owned())
    }

    pub(super) fn of(id: String, reply: Result<Reply, String>, took: Duration) -> Self {
        let reply = match reply {
            Ok(reply) => reply,
            Err(problem) => {
                let (outcome, report, outputs) = (Outcome::Failed(problem), Value::Null, Value::Null);
                let (reason, logs, body) = Default::default();
                return Self { id, outcome, status: 0, reason, logs, report, outputs, body, took };
            }
        };
        let (outcome, logs, report, outputs) = match read(&reply) {
            Ok(Reading { logs, report, outputs }) => (Outcome::Succeeded, logs, report, outputs),
            Err(exception) => (Outcome::Failed(exception), Vec::new(), Value::Null, Value::Null),
        };
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        Self { id, outcome, status: reply.status, reason: reply.reason, logs, report, outputs, body, took }
    }
}

struct Reading {
    logs: Vec<String>,
    report: Value,
    outputs: Value,
}

/// Whether the host waits for ever on this reply: a success with an empty body, or `null`.
pub(super) fn is_never_taken(reply: &Reply) -> bool {
    let is_success = (200..300).contains(&reply.status);
    let is_null = || is_json(&reply.headers).is_ok() && reply.body.trim_ascii() == b"null";
    is_success && (reply.body.is_empty() || is_null())
}

fn read(reply: &Reply) -> Result<Reading, String> {
    if !(200..300).contains(&reply.status) {
        let reason = match reply.reason.trim() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        return Err(format!("Response status code does not indicate success: {}{reason}.", reply.status));
    }
    let invalid = |why: &str| {
        let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, text)| format!("{name}: {}", value(text))).collect();
        let headers = headers.join("\n");
        let body = String::from_utf8_lossy(&reply.body);
        format!(
            "Invalid HttpResponseMessage:\nHTTP/1.1 {} {}\n{headers}\n\n{body}\n({why})",
            reply.status, reply.reason
        )
    };
    is_json(&reply.headers).map_err(|why| invalid(&why))?;
    match serde_json::from_slice(&reply.body) {
        Ok(Value::Object(result)) => result_of(result).map_err(|why| invalid(&why)),
        Ok(_) => Err(invalid("the result is not an object")),
        Err(problem) => Err(invalid(&problem.to_string())),
    }
}

fn is_json(headers: &HeaderMap) -> Result<(), String> {
    let content_type = headers.get(http::header::CONTENT_TYPE).map_or("application/octet-stream", |value| {
        value.to_str().unwrap_or("a content type that is not ASCII")
    });
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).unwrap_or("utf-8");
    let json = media_type == "application/json" || media_type == "text/json";
    if json && charset.trim_matches('"').eq_ignore_ascii_case("utf-8") {
        Ok(())
    } else {
        Err(format!("no MediaTypeFormatter reads {content_type}"))
    }
}

fn result_of(mut result: Map<String, Value>) -> Result<Reading, String> {
    let outputs = member(&mut result, "Outputs");
    if !matches!(outputs, Value::Null | Value::Object(_)) {
        return Err("Outputs is not an object".into());
    }
    let logs = match member(&mut result, "Logs") {
        Value::Null => Vec::new(),
        Value::Array(lines) => lines.into_iter().map(line).collect::<Result<_, _>>()?,
        _ => return Err("Logs is not an array".into()),
    };
    Ok(Reading { logs, report: member(&mut result, "ReturnValue"), outputs })
}

/// Names match exactly, or else whatever their case.
fn member(result: &mut Map<String, Value>, name: &str) -> Value {
    let found = result.contains_key(name).then(|| name.to_owned());
    let found = found.or_else(|| result.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned());
    found.and_then(|key| result.remove(&key)).unwrap_or_default()
}

fn line(item: Value) -> Result<String, String> {
    match item {
        Value::String(text) => Ok(text),
        Value::Null => Ok("[null]".to_owned()),
        Value::Bool(_) | Value::Number(_) => Ok(item.to_string()),
        Value::Array(_) | Value::Object(_) => Err("a line of Logs is not a string".into()),
    }
}

#[cfg(test)]
mod tests;
