//! Where records go: one of two services of Azure Monitor.

pub mod data_collector;
pub mod logs_ingestion;
pub mod signature;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    call::{CallError, Caller},
    config::SinkConfig,
    credential::Credential,
};
use data_collector::DataCollector;
use logs_ingestion::LogsIngestion;

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
