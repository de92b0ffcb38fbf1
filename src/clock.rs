//! The clock handed to everything that needs the time of day.

use azure_core::time::OffsetDateTime;

/// Where the time of day comes from. Waiting is tokio's business, whose time a test can pause.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// This machine's clock.
    System,
    /// A clock that follows tokio's, from a given time on: a paused runtime then moves both.
    Virtual {
        /// The time of day when `since` was.
        epoch: OffsetDateTime,
        /// The tokio instant at which this clock started.
        since: tokio::time::Instant,
    },
}

impl Clock {
    /// The time of day in UTC, cut to the 100 nanoseconds that Defender's timestamps have.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> OffsetDateTime {
        let now = match self {
            Clock::System => OffsetDateTime::now_utc(),
            Clock::Virtual { epoch, since } => *epoch + since.elapsed(),
        };
        now.replace_nanosecond(now.nanosecond() / 100 * 100).unwrap_or(now)
    }
}
