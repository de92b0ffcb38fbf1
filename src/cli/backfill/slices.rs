//! The windows of the runs that a backfill is made of. Pure.
//!
//! A run remembers what it delivered from its watermark on. With a window of its own each, a server that
//! keeps no order or a machine that cannot be read holds up one slice, not months.

use std::time::Duration;

use azure_core::time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// No slice is shorter, however many alerts there are.
const SHORTEST: Duration = Duration::from_secs(3_600);

/// So many pages are enough for a slice.
const PAGES: u64 = 20;

/// How long the next slice is to be.
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
    /// Where the slice ends that begins at `position`; none when everything until `until` is done.
    pub fn end(&self, position: OffsetDateTime, until: OffsetDateTime) -> Option<OffsetDateTime> {
        (position < until)
            .then(|| position.checked_add(self.length.try_into().ok()?))?
            .map(|end| end.min(until))
    }

    /// Takes in that a slice had `alerts`, read in pages of `page_size`: where there are few, each slice is
    /// twice as long as the one before, so that an empty year takes nine calls.
    pub fn learn(&mut self, alerts: u64, page_size: u32) {
        let page = u64::from(page_size);
        if alerts < page {
            self.length *= 2;
        } else if alerts > PAGES * page {
            self.length = (self.length / 2).max(SHORTEST);
        }
    }
}

/// How far the last slice looks back for alerts that appeared late. Of what is older than `lookback` none
/// is awaited any more.
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
    fn slices_grow_where_there_is_little_and_shrink_where_there_is_much() {
        let (from, until) = (at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
        let mut slices = Slices::default();
        let mut ends = Vec::new();
        let mut position = from;
        for alerts in [999, 0, 1_000, 20_000, 20_001, 20_001, 0, 0, 0] {
            position = slices.end(position, until).expect("there is more");
            ends.push(position);
            slices.learn(alerts, 1_000);
        }
        let days = ["02", "04", "08", "12", "16", "18", "19", "21", "25"];
        assert_eq!(ends, days.map(|day| at(&format!("2026-01-{day}T00:00:00Z"))));
        assert_eq!(slices.end(at("2026-02-28T00:00:00Z"), until), Some(until));
        assert_eq!(slices.end(until, until), None);
        for _ in 0..30 {
            slices.learn(1_000_000, 1);
        }
        assert_eq!(slices.end(from, until), Some(at("2026-01-01T01:00:00Z")));
    }

    #[test]
    fn an_empty_decade_takes_a_dozen_calls() {
        let (mut position, until) = (at("2016-01-01T00:00:00Z"), at("2026-11-24T00:00:00Z"));
        let (mut slices, mut calls) = (Slices::default(), 0);
        while let Some(end) = slices.end(position, until) {
            (position, calls) = (end, calls + 1);
            slices.learn(0, 1_000);
        }
        assert_eq!((position, calls), (until, 12));
    }

    #[test]
    fn only_what_is_young_is_looked_at_twice() {
        let (hour, now) = (Duration::from_secs(3_600), at("2026-11-24T06:00:00Z"));
        assert_eq!(lookback(at("2026-11-24T05:00:00.0000001Z"), hour, now), hour);
        assert_eq!(lookback(at("2026-11-24T05:00:00Z"), hour, now), Duration::ZERO);
    }
}
