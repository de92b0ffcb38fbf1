//! The marks of an axis, at round numbers, durations and times.

use azure_core::time::OffsetDateTime;

/// The steps between the marks of durations and times, in seconds.
const SPANS: [u64; 22] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800, 1_209_600, 2_592_000,
];

/// An axis of numbers, from zero up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The value at its end; at least one.
    pub end: u64,
    /// The values of its marks, including zero.
    pub marks: Vec<u64>,
}

impl Axis {
    /// Creates an axis for numbers up to `most`, with at most five marks above zero.
    pub fn of_counts(most: u64) -> Self {
        let powers = (0..19).map(|power| 10_u64.pow(power));
        let steps = powers.flat_map(|power| [1, 2, 5].map(|digit| power * digit));
        Self::with_step(most, steps)
    }

    /// Creates an axis for up to `most` seconds.
    pub fn of_seconds(most: u64) -> Self {
        let last = SPANS[SPANS.len() - 1];
        let beyond = (1..60).map(|doubled| last << doubled.min(40));
        Self::with_step(most, SPANS.into_iter().chain(beyond))
    }

    fn with_step(most: u64, mut steps: impl Iterator<Item = u64>) -> Self {
        let step = steps.find(|step| most.div_ceil(*step) <= 5).unwrap_or(most.div_ceil(5));
        let last = most.div_ceil(step).max(1);
        Self {
            end: step.saturating_mul(last),
            marks: (0..=last).map(|mark| step.saturating_mul(mark)).collect(),
        }
    }
}

/// Returns the marks of a time axis from `from` to `to`, at most five, each with its label.
pub fn times(from: OffsetDateTime, to: OffsetDateTime) -> Vec<(OffsetDateTime, String)> {
    let (begin, end) = (from.unix_timestamp(), to.unix_timestamp());
    let long = SPANS.into_iter().filter(|step| *step >= 60).map(u64::cast_signed);
    let marks = |step: i64| {
        let first = begin.div_euclid(step) + 1;
        (first..=end.div_euclid(step)).map(move |mark| mark * step)
    };
    let step = long.into_iter().find(|step| marks(*step).count() <= 5);
    let at = |mark| OffsetDateTime::from_unix_timestamp(mark).ok();
    step.into_iter().flat_map(marks).filter_map(at).map(|time| (time, label(time))).collect()
}

/// Returns the hour, or the day at its beginning.
fn label(time: OffsetDateTime) -> String {
    match (time.hour(), time.minute()) {
        (0, 0) => format!("{} {}", time.day(), month(time)),
        (hour, minute) => format!("{hour:02}:{minute:02}"),
    }
}

/// Returns the first three letters of the month's name.
pub fn month(time: OffsetDateTime) -> String {
    time.month().to_string().chars().take(3).collect()
}

/// Returns the label of a mark of seconds, in the largest unit of which it is a multiple.
pub fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let unit = units.into_iter().find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length));
    unit.map_or_else(|| "0".to_owned(), |(length, name)| format!("{} {name}", seconds / length))
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        for (most, marks) in [
            (0, &[0, 1][..]),
            (1, &[0, 1]),
            (5, &[0, 1, 2, 3, 4, 5]),
            (6, &[0, 2, 4, 6]),
            (1_234, &[0, 500, 1_000, 1_500]),
        ] {
            let axis = Axis::of_counts(most);
            assert_eq!((&axis.marks[..], axis.end), (marks, marks[marks.len() - 1]), "{most}");
        }
        assert_eq!(Axis::of_seconds(61).marks, [0, 15, 30, 45, 60, 75]);
        assert_eq!(Axis::of_seconds(86_400).marks, [0, 21_600, 43_200, 64_800, 86_400]);
        for most in [u64::MAX, u64::MAX / 3, 1 << 40] {
            assert!(
                Axis::of_counts(most).marks.len() <= 6 && Axis::of_seconds(most).marks.len() <= 6,
                "{most}"
            );
        }
    }

    #[test]
    fn spans_have_their_unit() {
        let shown = [0, 45, 60, 90, 7_200, 172_800].map(span);
        assert_eq!(shown, ["0", "45 s", "1 min", "90 s", "2 h", "2 d"]);
    }

    #[test]
    fn times_are_whole_and_a_day_is_named() {
        let marks = |from, to| {
            let time = |text| parse_rfc3339(text).expect("a time");
            times(time(from), time(to)).into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(
            marks("2026-11-23T19:10:00Z", "2026-11-24T07:00:00Z"),
            ["21:00", "24 Nov", "03:00", "06:00"]
        );
        assert_eq!(marks("2026-11-24T06:00:10Z", "2026-11-24T06:03:00Z"), ["06:01", "06:02", "06:03"]);
        assert_eq!(marks("2026-11-24T06:00:10Z", "2026-11-24T06:00:30Z"), [""; 0]);
        assert_eq!(marks("2026-11-17T06:00:00Z", "2026-11-24T06:00:00Z"), ["19 Nov", "21 Nov", "23 Nov"]);
    }
}
