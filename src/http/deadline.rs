//! The end of a run, set by `MDATP_RUN_BUDGET`. The host kills a function at its `functionTimeout`
//! without a word, so a run ends itself before.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What is kept back of the budget to finish the batch in hand and save the checkpoint: a quarter, and
/// no more than this.
const LONGEST_RESERVE: Duration = Duration::from_secs(60);

/// How often a sleeper looks whether the process is to end.
const LOOK: Duration = Duration::from_millis(200);

/// Whether the process is being ended, for all that is under way in it.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicU8>);

impl StopFlag {
    const FINISH: u8 = 1;
    const CUT_OFF: u8 = 2;

    /// Nothing new is begun; what is in hand is still sent.
    pub fn finish(&self) {
        self.0.fetch_max(Self::FINISH, Ordering::Relaxed);
    }

    /// No request begins any more; what is on its way is waited for.
    pub fn cut_off(&self) {
        self.0.fetch_max(Self::CUT_OFF, Ordering::Relaxed);
    }

    /// True when the process is being ended in either way.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::FINISH
    }

    fn is_cut_off(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::CUT_OFF
    }
}

/// When a run begins nothing new, and when it is over.
#[derive(Debug, Clone)]
pub struct Deadline {
    nothing_new_after: Instant,
    end: Instant,
    stop: StopFlag,
}

impl Deadline {
    /// A deadline `budget` from now. Setting `stop` makes it near at once.
    pub fn after(budget: Duration, stop: StopFlag) -> Self {
        let end = Instant::now() + budget;
        Self { nothing_new_after: end - (budget / 4).min(LONGEST_RESERVE), end, stop }
    }

    /// A nearer one for a part of the same work: `budget` from now, if this one is not nearer.
    pub fn within(&self, budget: Duration) -> Self {
        Self::after(budget.min(self.left()), self.stop.clone())
    }

    /// True when only what is in hand should still be finished.
    pub fn is_near(&self) -> bool {
        self.is_stopped() || Instant::now() >= self.nothing_new_after
    }

    /// True when the process is being ended.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_set()
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

    /// Done when no request may begin any more, because the process is being ended.
    pub async fn cut_off(&self) {
        while !self.stop.is_cut_off() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The time left until the run must be over, which is none when no request may begin any more.
    pub fn left(&self) -> Duration {
        match self.stop.is_cut_off() {
            true => Duration::ZERO,
            false => self.end.saturating_duration_since(Instant::now()),
        }
    }
}
