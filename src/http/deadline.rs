//! The time limit of a run, set by `MDATP_RUN_BUDGET`, or the shutdown of the process if that is earlier. The Functions
//! host kills a function at its `functionTimeout` without notice, so a run ends before that by itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::shutdown::Shutdown;

/// The part of the budget that is reserved to finish the current batch and to save the checkpoint is a quarter, and at
/// most this.
const MAX_RESERVE: Duration = Duration::from_secs(60);

/// How often a wait looks whether a shutdown is requested.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The time from which on a run starts nothing new, and the time at which it must be over.
#[derive(Debug, Clone)]
pub struct Deadline {
    nothing_new_after: Instant,
    end: Instant,
    shutdown: Shutdown,
}

impl Deadline {
    /// Returns the deadline `budget` from now. A request of `shutdown` brings it forward to that moment.
    pub fn after(budget: Duration, shutdown: Shutdown) -> Self {
        let end = Instant::now() + budget;
        Self { nothing_new_after: end - (budget / 4).min(MAX_RESERVE), end, shutdown }
    }

    /// Returns the deadline for a part of the same work: `budget` from now, and never later than this one.
    pub fn within(&self, budget: Duration) -> Self {
        Self::after(budget.min(self.remaining()), self.shutdown.clone())
    }

    /// Returns true when only the current work may still be finished.
    pub fn is_near(&self) -> bool {
        self.shutdown.is_requested() || Instant::now() >= self.nothing_new_after
    }

    /// Waits until only the current work may still be finished.
    pub async fn near(&self) {
        while !self.is_near() {
            let wait = self.nothing_new_after.saturating_duration_since(Instant::now());
            tokio::time::sleep(wait.min(POLL_INTERVAL)).await;
        }
    }

    /// Waits for `wait`. Returns false when a shutdown is requested before that is over.
    pub async fn sleep(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while !self.shutdown.is_requested() {
            let remaining = until.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return true;
            }
            tokio::time::sleep(remaining.min(POLL_INTERVAL)).await;
        }
        false
    }

    /// Waits until an immediate shutdown is requested.
    pub async fn immediate_shutdown(&self) {
        while !self.shutdown.is_immediate() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the time until the run must be over; zero once an immediate shutdown is requested.
    pub fn remaining(&self) -> Duration {
        match self.shutdown.is_immediate() {
            true => Duration::ZERO,
            false => self.end.saturating_duration_since(Instant::now()),
        }
    }
}
