//! The reaction to a request: a response, or one of the ways in which a connection fails.

use azure_core::time::Duration;

use crate::response::Response;

/// An outcome and how long it takes.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// The time that passes between request and outcome.
    pub delay: Duration,
    /// What the caller sees.
    pub outcome: Outcome,
}

/// What the caller sees.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A response.
    Response(Response),
    /// The service did the work, but the connection is reset before its reply is sent.
    AcceptThenReset,
    /// The connection is reset and no work was done.
    Reset,
    /// The head of this response and this many bytes of its body, then a closed connection.
    CutBody(Response, usize),
    /// Silence.
    Hang,
}

impl Reaction {
    /// This outcome at once.
    pub fn now(outcome: Outcome) -> Self {
        Self { delay: Duration::ZERO, outcome }
    }

    /// The status that the caller receives, if any.
    pub fn status(&self) -> Option<u16> {
        match &self.outcome {
            Outcome::Response(response) | Outcome::CutBody(response, _) => Some(response.status),
            Outcome::AcceptThenReset | Outcome::Reset | Outcome::Hang => None,
        }
    }
}
