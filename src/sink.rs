//! Where records go: one of two services of Azure Monitor.

pub mod data_collector;
pub mod logs_ingestion;
pub mod signature;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use serde::de::Error;

use crate::{
    call::{CallError, Caller, Refusal},
    config::SinkConfig,
    credential::Credential,
    http::Reply,
    shrink::Limits,
};
use data_collector::DataCollector;
use logs_ingestion::LogsIngestion;

/// Both services accept with an empty body. A success that says something comes from somebody else, such
/// as a proxy that shows a page, and must not count as a delivery.
fn accepted(reply: &Reply) -> Result<(), serde_json::Error> {
    match reply.body.is_empty() {
        true => Ok(()),
        false => Err(serde_json::Error::custom("an acceptance has no body, and this reply has one")),
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

/// A sink. It takes JSON arrays of records, and has accepted all of one or none.
#[derive(Debug)]
pub enum Sink {
    /// The HTTP Data Collector API.
    DataCollector(DataCollector),
    /// The Logs Ingestion API.
    LogsIngestion(LogsIngestion),
}

impl Sink {
    /// The sink that is configured.
    pub fn new(config: &SinkConfig, credential: &Arc<Credential>) -> Self {
        match config {
            SinkConfig::DataCollector { workspace_id, key, url, log_name } => Self::DataCollector(
                DataCollector::new(workspace_id.clone(), key.clone(), url, log_name.clone()),
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
    /// result is awaited, which is the bytes sent once the service has accepted them.
    pub fn send<'a>(&'a self, body: Bytes, caller: &'a Caller) -> BoxFuture<'a, Result<usize, CallError>> {
        match self {
            Self::DataCollector(sink) => sink.send(body, caller).boxed(),
            Self::LogsIngestion(sink) => sink.send(body, caller).boxed(),
        }
    }
}
