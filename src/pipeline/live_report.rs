//! The report of a run in progress.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::report::RunReport;

/// The report while the stages write it, each its own counts.
#[derive(Debug, Default)]
pub(super) struct LiveReport(Mutex<RunReport>);

impl LiveReport {
    /// Changes the report under its lock.
    pub(super) fn update(&self, change: impl FnOnce(&mut RunReport)) {
        change(&mut self.lock());
    }

    /// Returns a copy of the report as it is now.
    pub(super) fn now(&self) -> RunReport {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, RunReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
