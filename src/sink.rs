//! Where records go: one of two services of Azure Monitor.

pub mod data_collector;
pub mod logs_ingestion;
pub mod request_id;
pub mod shared_key;
pub mod split;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use serde::de::{Error, IgnoredAny};

use crate::{
    config::SinkConfig,
    error_chain::one_line,
    http::{
        Reply,
        call::{CallError, Caller, Refusal},
        credential::Credential,
    },
    record::{alert::Mode, json::Object, truncate::Limits},
};
use data_collector::DataCollector;
use logs_ingestion::LogsIngestion;
use request_id::RequestId;

/// So much is told of an error that comes with a status of success, in characters.
const LONGEST_ERROR: usize = 200;

/// Both services accept with an empty body; what stands in for one of them may say some JSON, whatever content type
/// it gives that. Any other text comes from something in between, such as a proxy that shows a page, and an object
/// that tells of an error accepts nothing whatever its status: neither may count as a delivery.
fn accepted(reply: &Reply) -> Result<(), serde_json::Error> {
    let body = reply.body.trim_ascii();
    if body.is_empty() {
        return Ok(());
    }
    let IgnoredAny = serde_json::from_slice(body)?;
    let told = Object::parse(body).ok();
    let error = told.iter().flat_map(|told| &told.members).find(|member| {
        ["error", "errors"].iter().any(|name| member.name.eq_ignore_ascii_case(name))
            && !matches!(member.value, "null" | "false" | "\"\"" | "[]" | "{}")
    });
    match error {
        Some(error) => {
            let error = one_line(error.value, LONGEST_ERROR);
            Err(serde_json::Error::custom(format!("with a status of success it tells of an error, {error}")))
        }
        None => Ok(()),
    }
}

/// What a refused post is refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// It is too large.
    Size,
    /// Something in it, or the settings: half of it may be accepted.
    Records,
    /// The time that its records span.
    Span,
    /// Nothing that is in it.
    None,
}

/// A post that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The bytes that went over the wire.
    pub bytes: usize,
    /// The id under which the service knows it; none where the service knows no such id.
    pub request_id: Option<RequestId>,
}

impl Sent {
    /// How the id is told at the end of a line; empty where there is none.
    pub fn told_id(&self) -> String {
        self.request_id.map_or_else(String::new, |id| format!(", request {id}"))
    }
}

/// A sink. It takes JSON arrays of records, and has accepted all of one or none.
#[derive(Debug)]
pub enum Sink {
    /// The HTTP Data Collector API.
    DataCollector(DataCollector),
    /// The Logs Ingestion API.
    LogsIngestion(LogsIngestion),
}

impl Sink {
    /// The sink that is configured, for the records of `mode`.
    pub fn new(config: &SinkConfig, mode: Mode, credential: &Arc<Credential>) -> Self {
        match config {
            SinkConfig::DataCollector { workspace_id, key, url, log_name } => Self::DataCollector(
                DataCollector::new(workspace_id.clone(), key.clone(), url, log_name.clone(), mode),
            ),
            SinkConfig::LogsIngestion { endpoint, rule, stream, scope, log_name: _ } => Self::LogsIngestion(
                LogsIngestion::new(endpoint, rule, stream, scope.clone(), credential.clone()),
            ),
        }
    }

    /// The most bytes a post may have, before any compression.
    pub fn limit(&self) -> usize {
        match self {
            Self::DataCollector(_) => data_collector::LIMIT,
            Self::LogsIngestion(_) => logs_ingestion::LIMIT,
        }
    }

    /// How many bytes a post is to have where that is ours to say: what a lost reply repeats, and what memory
    /// holds twice.
    pub fn target(&self) -> usize {
        match self {
            Self::DataCollector(_) => data_collector::TARGET,
            Self::LogsIngestion(_) => logs_ingestion::LIMIT,
        }
    }

    /// The most bytes a record and each of its fields may have.
    pub fn limits(&self) -> Limits {
        let field = match self {
            Self::DataCollector(_) => data_collector::FIELD_LIMIT,
            Self::LogsIngestion(_) => logs_ingestion::FIELD_LIMIT,
        };
        // Alone in a post, a record has two brackets around it.
        Limits { record: self.limit() - 2, field }
    }

    /// What a refusal of a post of `length` bytes says about its records.
    pub fn blame(&self, refusal: &Refusal, length: usize) -> Blame {
        match (self, refusal.status.as_u16()) {
            (Self::LogsIngestion(_), 400 | 413)
                if refusal.message.contains(logs_ingestion::SPANS_TOO_MUCH) =>
            {
                Blame::Span
            }
            (_, 413) => Blame::Size,
            (Self::DataCollector(_), 404) if length > data_collector::LARGE => Blame::Size,
            // Nothing in a post may be set aside for what a setting or something in between is at fault for.
            _ if refusal.is_about_settings() => Blame::None,
            (_, 400) => Blame::Records,
            _ => Blame::None,
        }
    }

    /// True when each record must say its `TimeGenerated` itself.
    pub fn wants_time_generated(&self) -> bool {
        matches!(self, Self::LogsIngestion(_))
    }

    /// Sends `body`, a JSON array: what has to be done with it before begins at once, and the post when the
    /// result is awaited, once the service has accepted it.
    pub fn send<'a>(&'a self, body: Bytes, caller: &'a Caller) -> BoxFuture<'a, Result<Sent, CallError>> {
        match self {
            Self::DataCollector(sink) => sink.send(body, caller).boxed(),
            Self::LogsIngestion(sink) => sink.send(body, caller).boxed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn only_an_empty_body_or_json_without_an_error_is_an_acceptance() {
        let is_acceptance = |body: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            accepted(&Reply { status: StatusCode::OK, headers: HeaderMap::new(), body }).is_ok()
        };
        for body in [
            "",
            " \r\n",
            "{}",
            "[]",
            "null",
            "\"\"",
            "true",
            " {\"status\": \"accepted\"}\r\n",
            r#"{"error":null,"Errors":[]}"#,
            r#"[{"error":"in a list"}]"#,
        ] {
            assert!(is_acceptance(body), "{body:?}");
        }
        for body in [
            "<html></html>",
            "OK",
            "{",
            "{} {}",
            r#"{"error":{"code":"Throttled","message":"later"}}"#,
            r#"{"Error":"InactiveCustomer","Message":"closed"}"#,
            r#"{"a":1,"ERRORS":["x"]}"#,
        ] {
            assert!(!is_acceptance(body), "{body:?}");
        }
    }
}
