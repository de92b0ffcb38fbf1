//! Whether Microsoft has announced the end of support for what is used. Pure.

use super::finding::Finding;
use crate::{config::SinkConfig, sink::data_collector::END_OF_SUPPORT};

/// The name of the check.
pub const CHECK: &str = "support";

/// Returns the finding about the support of `sink`.
pub fn finding(sink: &SinkConfig) -> Finding {
    match sink {
        SinkConfig::LogsIngestion { .. } => Finding::ok(
            CHECK,
            "no end of support is announced for the APIs in use: alerts, machines, Logs Ingestion",
        ),
        SinkConfig::DataCollector { .. } => Finding::warning(
            CHECK,
            END_OF_SUPPORT,
            "az monitor log-analytics workspace table show --resource-group GROUP --workspace-name WORKSPACE --name \
             TABLE > old.json && mdatp-forward migrate --plan old.json",
        ),
    }
}
