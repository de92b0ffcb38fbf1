//! What the demo saw and measured, before it is judged.

use serde_json::Value;
use simulator::Counts;

use super::tick::Tick;

#[derive(Debug)]
pub(super) struct Measured {
    pub(super) ticks: [Tick; 2],
    /// The ids of all alerts Defender holds.
    pub(super) expected: Vec<String>,
    /// The records the sink accepted.
    pub(super) records: Vec<Value>,
    pub(super) refused: usize,
    /// What came to Defender and the sink, whatever became of it.
    pub(super) requests: usize,
    pub(super) counts: Counts,
    /// The most memory that was resident.
    pub(super) peak_bytes: Option<u64>,
}

impl Measured {
    /// The sum over both ticks of a number of the report.
    pub(super) fn reported(&self, member: &str) -> u64 {
        self.ticks.iter().map(|tick| tick.reported(member)).sum()
    }
}

/// Bytes in megabytes with one decimal.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}
