//! What Microsoft has announced the end of. Pure.

use super::finding::Finding;
use crate::{config::SinkConfig, sink::data_collector::END_OF_SUPPORT};

/// The name of the check.
pub const CHECK: &str = "support";

/// What is known of the sink's future.
pub fn judge(sink: &SinkConfig) -> Finding {
    match sink {
        SinkConfig::LogsIngestion { .. } => Finding::ok(
            CHECK,
            "no end is announced for what is used: alerts, machines, the Logs Ingestion API",
        ),
        SinkConfig::DataCollector { .. } => Finding::warning(
            CHECK,
            END_OF_SUPPORT,
            "az monitor log-analytics workspace table show --resource-group GROUP --workspace-name WORKSPACE --name \
             TABLE > old.json && mdatp-forward migrate --plan old.json",
        ),
    }
}
