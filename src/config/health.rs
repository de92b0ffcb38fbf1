//! Where the rows about runs go: where the records go, but to a log of their own.

use super::SinkConfig;
use crate::schema::health;

impl SinkConfig {
    /// The same sink for the log about the runs.
    pub fn for_health(&self) -> Self {
        let mut config = self.clone();
        match &mut config {
            Self::DataCollector { log_name, .. } => *log_name = health::log_name(log_name),
            Self::LogsIngestion { stream, log_name, .. } => *stream = health::stream(log_name),
        }
        config
    }
}
