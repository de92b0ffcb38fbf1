//! Where records go: one of two services of Azure Monitor.

pub mod data_collector;
pub mod logs_ingestion;
pub mod signature;

use std::sync::Arc;

use bytes::Bytes;
use serde::de::Error;

use crate::{
    call::{CallError, Caller},
    config::SinkConfig,
    credential::Credential,
    http::Reply,
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
            SinkConfig::LogsIngestion { endpoint, rule, stream, scope } => Self::LogsIngestion(
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

    /// True when each record must say its `TimeGenerated` itself.
    pub fn wants_time_generated(&self) -> bool {
        matches!(self, Self::LogsIngestion(_))
    }

    /// Posts `body`, a JSON array. Returns the bytes sent once the service has accepted them.
    pub async fn send(&self, body: Bytes, caller: &Caller) -> Result<usize, CallError> {
        match self {
            Self::DataCollector(sink) => sink.send(body, caller).await,
            Self::LogsIngestion(sink) => sink.send(body, caller).await,
        }
    }
}
