//! The windows of the runs of a backfill. Pure.
//!
//! A server that keeps no order, or a machine that cannot be read, holds back the watermark of a run. With slices, that delays
//! the alerts of one slice instead of months.

use std::time::Duration;

use azure_core::time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The shortest slice, however many alerts it has.
const SHORTEST: Duration = Duration::from_secs(3_600);

/// The number of full pages beyond which the next slice is shorter.
const MAX_PAGES: u64 = 20;

/// The length of the next slice.
#[derive(Debug)]
pub struct Slices {
    length: Duration,
}

impl Default for Slices {
    fn default() -> Self {
        Self { length: DAY }
    }
}

impl Slices {
    /// Returns the end of the slice that begins at `position`, or `None` if everything before `until` is done.
    pub fn end(&self, position: OffsetDateTime, until: OffsetDateTime) -> Option<OffsetDateTime> {
        (position < until)
            .then(|| position.checked_add(self.length.try_into().ok()?))?
            .map(|end| end.min(until))
    }

    /// Adapts the length to the number of `alerts` of a slice, in pages of `page_size`. While there are few, each slice is twice
    /// as long as the one before, so an empty year takes nine calls.
    pub fn adapt(&mut self, alerts: u64, page_size: u32) {
        let page = u64::from(page_size);
        if alerts < page {
            self.length *= 2;
        } else if alerts > MAX_PAGES * page {
            self.length = (self.length / 2).max(SHORTEST);
        }
    }
}

/// Returns the look-back of the slice that ends at `end`, for alerts that appeared late. Alerts older than `lookback` no longer
/// appear.
pub fn lookback(end: OffsetDateTime, lookback: Duration, now: OffsetDateTime) -> Duration {
    if end + lookback > now { lookback } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    fn at(text: &str) -> OffsetDateTime {
        parse_rfc3339(text).expect(text)
    }

    #[test]
    fn slices_are_longer_after_few_alerts_and_shorter_after_many() {
        let (from, until) = (at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
        let mut slices = Slices::default();
        let mut ends = Vec::new();
        let mut position = from;
        for alerts in [999, 0, 1_000, 20_000, 20_001, 20_001, 0, 0, 0] {
            position = slices.end(position, until).expect("there is more");
            ends.push(position);
            slices.adapt(alerts, 1_000);
        }
        let days = ["02", "04", "08", "12", "16", "18", "19", "21", "25"];
        assert_eq!(ends, days.map(|day| at(&format!("2026-01-{day}T00:00:00Z"))));
        assert_eq!(slices.end(at("2026-02-28T00:00:00Z"), until), Some(until));
        assert_eq!(slices.end(until, until), None);
        for _ in 0..30 {
            slices.adapt(1_000_000, 1);
        }
        assert_eq!(slices.end(from, until), Some(at("2026-01-01T01:00:00Z")));
    }

    #[test]
    fn an_empty_decade_takes_a_dozen_calls() {
        let (mut position, until) = (at("2016-01-01T00:00:00Z"), at("2026-11-24T00:00:00Z"));
        let (mut slices, mut calls) = (Slices::default(), 0);
        while let Some(end) = slices.end(position, until) {
            (position, calls) = (end, calls + 1);
            slices.adapt(0, 1_000);
        }
        assert_eq!((position, calls), (until, 12));
    }

    #[test]
    fn only_new_alerts_are_listed_twice() {
        let (hour, now) = (Duration::from_secs(3_600), at("2026-11-24T06:00:00Z"));
        assert_eq!(lookback(at("2026-11-24T05:00:00.0000001Z"), hour, now), hour);
        assert_eq!(lookback(at("2026-11-24T05:00:00Z"), hour, now), Duration::ZERO);
    }
}
