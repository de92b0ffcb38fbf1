//! What the demo observed and measured.

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
    pub(super) rejected: usize,
    /// Requests to Defender and the sink, answered or not.
    pub(super) requests: usize,
    pub(super) counts: Counts,
    /// The highest resident memory of the process.
    pub(super) peak_bytes: Option<u64>,
}

impl Measured {
    /// The sum over both ticks of a number of the report.
    pub(super) fn reported(&self, member: &str) -> u64 {
        self.ticks.iter().map(|tick| tick.reported(member)).sum()
    }
}
