//! The end of a run, set by `MDATP_RUN_BUDGET`. The host kills a function at its `functionTimeout`
//! without a word, so a run ends itself before.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What is kept back of the budget to finish the batch in hand and save the checkpoint: a quarter, and
/// no more than this.
const LONGEST_RESERVE: Duration = Duration::from_secs(60);

/// How often a sleeper looks whether the process is to end.
const LOOK: Duration = Duration::from_millis(200);

/// When a run begins nothing new, and when it is over.
#[derive(Debug, Clone)]
pub struct Deadline {
    nothing_new_after: Instant,
    end: Instant,
    stop: Arc<AtomicBool>,
}

impl Deadline {
    /// A deadline `budget` from now. Setting `stop` makes it near at once: the process is being ended.
    pub fn after(budget: Duration, stop: Arc<AtomicBool>) -> Self {
        let end = Instant::now() + budget;
        Self { nothing_new_after: end - (budget / 4).min(LONGEST_RESERVE), end, stop }
    }

    /// True when only what is in hand should still be finished.
    pub fn is_near(&self) -> bool {
        self.is_stopped() || Instant::now() >= self.nothing_new_after
    }

    /// True when the process is being ended.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps for `wait`. False when the process is to end before that is over.
    pub async fn sleep(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while !self.is_stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
        false
    }

    /// The time left until the run must be over.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}
