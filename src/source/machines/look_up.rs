//! What looking up machines returns. Pure.

use std::sync::Arc;

use crate::{http::call::CallError, record::machine::Machine};

/// The result of looking up machines.
#[derive(Debug, Default)]
pub struct LookupSummary {
    /// The number of machines that were read.
    pub found: u64,
    /// The number of machines that the service does not have.
    pub missing: u64,
    /// Why a machine could not be read: the last such error.
    pub failure: Option<CallError>,
}

/// The machine of an alert.
#[derive(Debug, Clone)]
pub enum MachineLookup {
    /// The machine.
    Found(Arc<Machine>),
    /// The alert has no machine, or the service does not have it.
    None,
    /// The service could not return it.
    Failed,
}

impl MachineLookup {
    /// Adds what came with the alert: all of it if nothing was found, and otherwise the members that what was found
    /// lacks. A look-up that failed is to be repeated.
    #[must_use]
    pub fn with(self, evidence: Option<&Arc<Machine>>) -> Self {
        match (self, evidence) {
            (Self::Found(machine), Some(evidence)) => Self::Found(Arc::new(machine.with(evidence))),
            (Self::None, Some(evidence)) => Self::Found(evidence.clone()),
            (looked_up, _) => looked_up,
        }
    }
}
