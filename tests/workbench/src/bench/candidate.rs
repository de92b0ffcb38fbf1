//! What is measured: the forwarder and its peers, each with both sinks.

use std::fmt;

use simulator::Sink;

use super::peer;

/// A program and the sink it sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) program: Program,
    pub(super) sink: Sink,
}

/// A program that forwards alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Forwarder,
    /// The forwarder with `MDATP_SOURCE=graph`.
    FromGraph,
    Python,
    JavaScript,
}

impl Candidate {
    /// All of them; the forwarder with the Data Collector API comes first.
    pub(super) fn all() -> Vec<Self> {
        [Program::Forwarder, Program::FromGraph, Program::Python, Program::JavaScript]
            .into_iter()
            .flat_map(|program| [Sink::DataCollector, Sink::LogsIngestion].map(|sink| Self { program, sink }))
            .collect()
    }

    /// Installs its dependencies if they are missing.
    pub(super) fn install(self) -> Result<(), String> {
        match self.program {
            Program::Forwarder | Program::FromGraph => Ok(()),
            Program::Python => peer::install_python(),
            Program::JavaScript => peer::install_javascript(),
        }
    }
}

impl Program {
    /// Whether it is somebody else's.
    pub(super) fn is_peer(self) -> bool {
        matches!(self, Self::Python | Self::JavaScript)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forwarder => "mdatp-forward",
            Self::FromGraph => "mdatp-forward, Graph",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }
}

/// How the posts to a sink are made: signed with the workspace's key, or compressed.
pub(super) fn way(sink: Sink) -> &'static str {
    match sink {
        Sink::DataCollector => "signed",
        Sink::LogsIngestion => "gzip",
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(&format!("{}, {}", self.program.name(), way(self.sink)))
    }
}
