//! Where records go: one of two services of Azure Monitor. Used by `pipeline`, by `set-aside replay` and by `check`.

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
        Response,
        call::{CallError, Caller, ErrorResponse},
        credential::Credential,
        error_detail::TIME_RANGE_TOO_LONG,
    },
    record::{alert::Mode, json::Object, truncate::Limits},
};
use data_collector::DataCollector;
use logs_ingestion::LogsIngestion;
use request_id::RequestId;

/// The most characters of an error that is reported with a status of success.
const MAX_ERROR: usize = 200;

/// Checks that a response with a status of success accepts the post. Both services accept with an empty body; a gateway
/// in place of one may answer some JSON, of whatever content type. Any other text comes from something in between, such
/// as a proxy that shows a page, and an object that reports an error accepts nothing: neither counts as a delivery.
fn check_accepted(response: &Response) -> Result<(), serde_json::Error> {
    let body = response.body.trim_ascii();
    if body.is_empty() {
        return Ok(());
    }
    let IgnoredAny = serde_json::from_slice(body)?;
    let object = Object::parse(body).ok();
    let error = object.iter().flat_map(|object| &object.members).find(|member| {
        ["error", "errors"].iter().any(|name| member.name.eq_ignore_ascii_case(name))
            && !matches!(member.value, "null" | "false" | "\"\"" | "[]" | "{}")
    });
    match error {
        Some(error) => {
            let error = one_line(error.value, MAX_ERROR);
            Err(serde_json::Error::custom(format!("with a status of success it reports an error, {error}")))
        }
        None => Ok(()),
    }
}

/// What in a rejected post can be the cause of the rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionCause {
    /// The post is too large.
    TooLarge,
    /// A record, or else the settings: half of the post may be accepted.
    Records,
    /// The time that the records span.
    TimeSpan,
    /// Nothing in the post: any other post would be rejected too.
    NotTheRecords,
}

/// A post that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The bytes that were sent, after compression.
    pub bytes: usize,
    /// The id under which the service logs it; `None` for a service without such ids.
    pub request_id: Option<RequestId>,
}

impl Sent {
    /// Returns the id for the end of a log line; empty where there is none.
    pub fn log_id(&self) -> String {
        self.request_id.map_or_else(String::new, |id| format!(", request {id}"))
    }
}

/// A sink. It takes JSON arrays of records, and accepts each as a whole or not at all.
#[derive(Debug)]
pub enum Sink {
    /// The HTTP Data Collector API.
    DataCollector(DataCollector),
    /// The Logs Ingestion API.
    LogsIngestion(LogsIngestion),
}

impl Sink {
    /// Makes the sink that is configured, for the records of `mode`.
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

    /// Returns the most bytes that a post may have, before compression.
    pub fn limit(&self) -> usize {
        match self {
            Self::DataCollector(_) => data_collector::LIMIT,
            Self::LogsIngestion(_) => logs_ingestion::LIMIT,
        }
    }

    /// Returns the bytes that a post should have: they are sent again when a response is lost, and held in memory
    /// several times.
    pub fn target(&self) -> usize {
        match self {
            Self::DataCollector(_) => data_collector::TARGET,
            Self::LogsIngestion(_) => logs_ingestion::LIMIT,
        }
    }

    /// Returns the most bytes that a record and each of its fields may have.
    pub fn limits(&self) -> Limits {
        let field = match self {
            Self::DataCollector(_) => data_collector::FIELD_LIMIT,
            Self::LogsIngestion(_) => logs_ingestion::FIELD_LIMIT,
        };
        // Alone in a post, a record has two brackets around it.
        Limits { record: self.limit() - 2, field }
    }

    /// Returns what in a post of `length` bytes can be the cause of its rejection.
    pub fn rejection_cause(&self, response: &ErrorResponse, length: usize) -> RejectionCause {
        match (self, response.status.as_u16()) {
            (Self::LogsIngestion(_), 400 | 413) if response.detail.code() == Some(TIME_RANGE_TOO_LONG) => {
                RejectionCause::TimeSpan
            }
            (_, 413) => RejectionCause::TooLarge,
            (Self::DataCollector(_), 404) if length > data_collector::LARGE => RejectionCause::TooLarge,
            // No record may be set aside for what a setting or something in between causes.
            _ if response.is_about_settings() => RejectionCause::NotTheRecords,
            (_, 400) => RejectionCause::Records,
            _ => RejectionCause::NotTheRecords,
        }
    }

    /// Returns true when each record must have its own `TimeGenerated`.
    pub fn wants_time_generated(&self) -> bool {
        matches!(self, Self::LogsIngestion(_))
    }

    /// Sends `body`, a JSON array. It is compressed at once, and posted when the future is awaited, which resolves once
    /// the service has accepted it.
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
            check_accepted(&Response { status: StatusCode::OK, headers: HeaderMap::new(), body }).is_ok()
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
