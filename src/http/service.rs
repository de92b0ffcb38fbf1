//! The services that are called with records or for alerts. Pure.

/// A service, apart from those for tokens and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Defender for Endpoint.
    Defender,
    /// Microsoft Graph.
    Graph,
    /// The HTTP Data Collector API.
    DataCollector,
    /// The Logs Ingestion API.
    LogsIngestion,
}

impl Service {
    /// Returns the name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Defender => "Defender",
            Self::Graph => "Microsoft Graph",
            Self::DataCollector => "the Data Collector API",
            Self::LogsIngestion => "the Logs Ingestion API",
        }
    }

    /// Returns the name of the setting that holds the service's address.
    pub fn address_setting(self) -> &'static str {
        match self {
            Self::Defender => "MDATP_API_URL",
            Self::Graph => "MDATP_GRAPH_URL",
            Self::DataCollector => "MDATP_COLLECTOR_URL",
            Self::LogsIngestion => "MDATP_INGESTION_ENDPOINT",
        }
    }
}
