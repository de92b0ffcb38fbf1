//! How far a backfill has come, and when to say so. Pure.

use std::{fmt, time::Duration};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use humantime::format_duration;

use crate::record::window::Window;

/// Lines of progress are so far apart.
const APART: Duration = Duration::from_secs(10);

/// While nothing moves, so far.
const FAR_APART: Duration = Duration::from_secs(60);

/// A backfill under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What it is to send.
    pub range: Window,
    /// Everything before this is sent.
    pub position: OffsetDateTime,
    /// Where that was when this process began.
    pub resumed_at: OffsetDateTime,
    /// Alerts that this process has sent.
    pub sent: u64,
    /// How long it has been at it.
    pub elapsed: Duration,
    /// Calls that Defender's quota leaves it in this hour.
    pub calls_left: u64,
}

impl Progress {
    /// The part of the range that is done, from 0 to 1.
    pub fn part(&self) -> f64 {
        let Window { from, to } = self.range;
        let whole = (to - from).as_seconds_f64();
        if whole > 0.0 { ((self.position - from).as_seconds_f64() / whole).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// How long the rest will take if it is like what has been done; none while nothing has.
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
        #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
        let rate = *sent as f64 / elapsed.as_secs_f64().max(0.001);
        write!(f, "{sent} alerts sent, {rate:.0}/s, ")?;
        match self.remaining() {
            Some(remaining) => write!(f, "about {} to go by time", format_duration(remaining))?,
            None => f.write_str("no estimate yet")?,
        }
        write!(f, ", at {}, {calls_left} calls left this hour", to_rfc3339(position))
    }
}

/// Decides when to say how far it has come.
#[derive(Debug, Default)]
pub struct Pace {
    told: Option<(Duration, u64)>,
}

impl Pace {
    /// True when a line is due after `elapsed` with `sent` alerts sent.
    pub fn is_due(&mut self, elapsed: Duration, sent: u64) -> bool {
        let is_due = self.told.is_none_or(|(when, before)| {
            elapsed.saturating_sub(when) >= if before == sent { FAR_APART } else { APART }
        });
        if is_due {
            self.told = Some((elapsed, sent));
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
    fn the_rest_is_estimated_by_what_this_process_has_done() {
        let resumed = progress("2026-11-03T00:00:00Z", 0, 0);
        assert_eq!(
            resumed.to_string(),
            "0 alerts sent, 0/s, no estimate yet, at 2026-11-03T00:00:00Z, 299 calls left this hour"
        );
        let middle = progress("2026-11-05T00:00:00Z", 1_000, 50);
        assert!((middle.part() - 0.4).abs() < 1e-9);
        assert_eq!(
            middle.to_string(),
            "1000 alerts sent, 20/s, about 2m 30s to go by time, at 2026-11-05T00:00:00Z, 299 calls left this hour"
        );
        assert_eq!(progress("2026-11-11T00:00:00Z", 1_000, 50).remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn lines_are_ten_seconds_apart_and_a_minute_while_nothing_moves() {
        let mut pace = Pace::default();
        let told: Vec<u64> = (0..100)
            .filter(|second| {
                // One alert a second, and none from the 25th to the 95th.
                let sent = if (25..95).contains(second) { 25 } else { *second };
                pace.is_due(Duration::from_secs(*second), sent)
            })
            .collect();
        assert_eq!(told, [0, 10, 20, 30, 90]);
    }
}
