//! The progress of a backfill, and when to print it. Pure.

use std::{fmt, time::Duration};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use humantime::format_duration;

use crate::{count::Count, record::window::Window};

/// The time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(10);

/// The time between two lines while nothing is sent.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);

/// The progress of a backfill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The range of the backfill.
    pub range: Window,
    /// The time before which everything is sent.
    pub position: OffsetDateTime,
    /// The position when this process began.
    pub resumed_at: OffsetDateTime,
    /// The number of alerts that this process has sent.
    pub sent: u64,
    /// The time since this process began.
    pub elapsed: Duration,
    /// The number of calls that Defender's quota leaves in this hour.
    pub calls_left: u64,
}

impl Progress {
    /// Returns the part of the range that is done, from 0 to 1.
    pub fn part(&self) -> f64 {
        let Window { from, to } = self.range;
        let whole = (to - from).as_seconds_f64();
        if whole > 0.0 { ((self.position - from).as_seconds_f64() / whole).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// Returns how long the rest takes at the speed so far, or `None` before any progress.
    pub fn remaining(&self) -> Option<Duration> {
        let done = (self.position - self.resumed_at).as_seconds_f64();
        let rest = (self.range.to - self.position).as_seconds_f64().max(0.0);
        let remaining = Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * rest / done).ok()?;
        (done > 0.0).then(|| Duration::from_secs(remaining.as_secs()))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, elapsed, position, calls_left, .. } = self;
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = *sent as f64 / elapsed.as_secs_f64().max(0.001);
        write!(f, "{} sent, {rate:.0}/s, ", Count(*sent, "alert"))?;
        match self.remaining() {
            Some(remaining) => write!(f, "about {} remaining", format_duration(remaining))?,
            None => f.write_str("no estimate yet")?,
        }
        write!(f, ", at {}, {} left this hour", to_rfc3339(position), Count(*calls_left, "call"))
    }
}

/// Decides when a line of progress is due.
#[derive(Debug, Default)]
pub struct Pace {
    /// The elapsed time and the number of alerts of the last line.
    last: Option<(Duration, u64)>,
}

impl Pace {
    /// Returns true if a line is due after `elapsed` with `sent` alerts sent.
    pub fn is_due(&mut self, elapsed: Duration, sent: u64) -> bool {
        let is_due = self.last.is_none_or(|(when, before)| {
            elapsed.saturating_sub(when) >= if before == sent { IDLE_INTERVAL } else { INTERVAL }
        });
        if is_due {
            self.last = Some((elapsed, sent));
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    fn progress(position: &str, sent: u64, seconds: u64) -> Progress {
        let at = |text: &str| parse_rfc3339(text).expect(text);
        Progress {
            range: Window { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-11T00:00:00Z") },
            position: at(position),
            resumed_at: at("2026-11-03T00:00:00Z"),
            sent,
            elapsed: Duration::from_secs(seconds),
            calls_left: 299,
        }
    }

    #[test]
    fn the_remaining_time_is_estimated_from_the_speed_of_this_process() {
        let resumed = progress("2026-11-03T00:00:00Z", 0, 0);
        assert_eq!(
            resumed.to_string(),
            "0 alerts sent, 0/s, no estimate yet, at 2026-11-03T00:00:00Z, 299 calls left this hour"
        );
        let middle = progress("2026-11-05T00:00:00Z", 1_000, 50);
        assert!((middle.part() - 0.4).abs() < 1e-9);
        assert_eq!(
            middle.to_string(),
            "1000 alerts sent, 20/s, about 2m 30s remaining, at 2026-11-05T00:00:00Z, 299 calls left this hour"
        );
        assert_eq!(progress("2026-11-11T00:00:00Z", 1_000, 50).remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn lines_are_ten_seconds_apart_and_a_minute_while_nothing_is_sent() {
        let mut pace = Pace::default();
        let due: Vec<u64> = (0..100)
            .filter(|second| {
                // One alert a second, and none from the 25th to the 95th.
                let sent = if (25..95).contains(second) { 25 } else { *second };
                pace.is_due(Duration::from_secs(*second), sent)
            })
            .collect();
        assert_eq!(due, [0, 10, 20, 30, 90]);
    }
}
