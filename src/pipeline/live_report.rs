//! The report of a run that is under way.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::report::RunReport;

/// The report while the stages write it, each the counts of its own.
#[derive(Debug, Default)]
pub(super) struct LiveReport(Mutex<RunReport>);

impl LiveReport {
    /// Changes the report, which no other stage reads meanwhile.
    pub(super) fn update(&self, change: impl FnOnce(&mut RunReport)) {
        change(&mut self.lock());
    }

    /// The report as it is now.
    pub(super) fn now(&self) -> RunReport {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, RunReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
