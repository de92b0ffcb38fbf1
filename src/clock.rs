//! The clock that is handed to everything that needs the time of day.

use azure_core::time::OffsetDateTime;

/// The source of the time of day. Waits use tokio's own time, which a test can pause.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// This machine's clock.
    System,
    /// A clock that follows tokio's time from a given time on, so that a paused runtime advances both.
    Virtual {
        /// The time of day at `since`.
        epoch: OffsetDateTime,
        /// The tokio instant at which this clock started.
        since: tokio::time::Instant,
    },
}

impl Clock {
    /// Returns the time of day in UTC, truncated to the 100 nanoseconds of Defender's timestamps.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system's clock")]
    pub fn now(&self) -> OffsetDateTime {
        let now = match self {
            Clock::System => OffsetDateTime::now_utc(),
            Clock::Virtual { epoch, since } => *epoch + since.elapsed(),
        };
        now.replace_nanosecond(now.nanosecond() / 100 * 100).unwrap_or(now)
    }
}
