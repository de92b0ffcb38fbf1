//! What the services counted, to compare with a run report.

use serde::Serialize;

/// The counts. A call that a fault kept from its service counts under `requests` and `faults` only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Requests that arrived anywhere.
    pub requests: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Tokens issued by Entra.
    pub tokens: u64,
    /// Tokens issued to the managed identity.
    pub identity_tokens: u64,
    /// Calls of the alerts list.
    pub alert_lists: u64,
    /// Calls for one alert.
    pub alert_gets: u64,
    /// Calls of the machines list.
    pub machine_lists: u64,
    /// Calls for one machine.
    pub machine_gets: u64,
    /// Calls of Graph's alerts list.
    pub graph_lists: u64,
    /// Calls for one of Graph's alerts.
    pub graph_gets: u64,
    /// Hunting queries.
    pub hunting_queries: u64,
    /// Calls answered 429 because a quota was used up.
    pub throttled: u64,
    /// Posts accepted.
    pub posts: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes in them after decompression.
    pub bytes: u64,
    /// Bytes in them on the wire.
    pub wire_bytes: u64,
    /// Posts rejected.
    pub rejected: u64,
    /// Fields of accepted records that are longer than the sink keeps.
    pub truncated_fields: u64,
    /// Accepted records without a time the sink could take for `TimeGenerated`.
    pub without_time: u64,
    /// Values of accepted records that the deployed rule kept from the table, or cut.
    pub values_lost: u64,
}
