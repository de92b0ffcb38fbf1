//! When the timer fires: NCRONTAB, the six fields second, minute, hour, day, month and day of the week, all of
//! which have to match. Numbers, `*`, lists, ranges and steps; names of months and days are not read here.

use azure_core::time::{Duration, OffsetDateTime};

/// The least and the most of each field.
const FIELDS: [(u8, u8); 6] = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

/// 29 February can be eight years away.
const DAYS_AHEAD: i64 = 8 * 366;

/// The times that a timer fires at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The values of each field, a bit each.
    fields: [u64; 6],
}

impl Schedule {
    /// Reads the six fields.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        if parts.len() != FIELDS.len() {
            return Err(format!("the schedule {text:?} has not six fields"));
        }
        let mut fields = [0; 6];
        for ((bits, part), (least, most)) in fields.iter_mut().zip(parts).zip(FIELDS) {
            *bits = field(part, least, most).ok_or_else(|| {
                format!("the schedule {text:?}: {part} is not read, from {least} to {most}")
            })?;
        }
        Ok(Self { fields })
    }

    /// Whether the host keeps a status of the timer: not when it fires more than once in the coming minute.
    pub fn is_monitored(&self, at: OffsetDateTime) -> bool {
        let second = self.after(at).and_then(|first| self.after(first));
        second.is_none_or(|second| second - at > Duration::minutes(1))
    }

    /// The first time after `at`; `None` for a day that no calendar has.
    pub fn after(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let [seconds, minutes, hours, days, months, weekdays] = self.fields;
        let has = |bits: u64, value: u8| bits >> value & 1 == 1;
        let midnight = at.replace_time(OffsetDateTime::UNIX_EPOCH.time());
        (0..DAYS_AHEAD)
            .map(|day| midnight + Duration::days(day))
            .filter(|day| {
                let weekday = day.weekday().number_days_from_sunday();
                has(days, day.day()) && has(months, day.month().into()) && has(weekdays, weekday)
            })
            .find_map(|day| {
                let times = (0..86_400).map(|second| day + Duration::seconds(second));
                times.filter(|time| *time > at).find(|time| {
                    has(hours, time.hour()) && has(minutes, time.minute()) && has(seconds, time.second())
                })
            })
    }
}

/// A field's values, a bit each.
fn field(text: &str, least: u8, most: u8) -> Option<u64> {
    text.split(',').try_fold(0, |bits, piece| {
        let (span, step) = match piece.split_once('/') {
            Some((span, step)) => (span, Some(step.parse::<u8>().ok().filter(|step| *step > 0)?)),
            None => (piece, None),
        };
        let (from, to) = match span.split_once('-') {
            _ if span == "*" => (least, most),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let from = span.parse().ok()?;
                (from, if step.is_some() { most } else { from })
            }
        };
        let fits = least <= from && from <= to && to <= most;
        let values = (from..=to).step_by(step.unwrap_or(1).into());
        fits.then(|| values.fold(bits, |bits, value| bits | 1_u64 << value))
    })
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn the_next_time_lies_ahead_and_fits_all_six_fields() {
        for (schedule, at, next) in [
            ("0 * * * * *", "2026-11-24T05:52:10.5Z", "2026-11-24T05:53:00Z"),
            ("0 */5 * * * *", "2026-11-24T05:55:00Z", "2026-11-24T06:00:00Z"),
            ("*/2 * * * * *", "2026-11-24T05:55:00.25Z", "2026-11-24T05:55:02Z"),
            ("30 15,45 8-18/5 * * *", "2026-11-24T18:45:30Z", "2026-11-25T08:15:30Z"),
            ("0 0 0 29 2 *", "2026-11-24T05:55:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 12 * * 1", "2026-11-24T05:55:00Z", "2026-11-30T12:00:00Z"),
            ("59 59 23 31 12 *", "2026-11-24T05:55:00Z", "2026-12-31T23:59:59Z"),
            ("0 50/4 * * * *", "2026-11-24T05:55:00Z", "2026-11-24T05:58:00Z"),
        ] {
            let time = |text| parse_rfc3339(text).expect("written by hand");
            let read = Schedule::parse(schedule).expect(schedule);
            assert_eq!(read.after(time(at)), Some(time(next)), "{schedule}");
        }
        let never = Schedule::parse("0 0 0 30 2 *").expect("each field can be");
        assert_eq!(never.after(OffsetDateTime::UNIX_EPOCH), None);
    }

    #[test]
    fn more_than_once_a_minute_there_is_no_status() {
        let at = parse_rfc3339("2026-11-24T05:52:10.5Z").expect("written by hand");
        for (schedule, is_monitored) in
            [("0 * * * * *", true), ("*/15 * * * * *", false), ("* * * * * *", false), ("0 0 0 29 2 *", true)]
        {
            assert_eq!(
                Schedule::parse(schedule).expect(schedule).is_monitored(at),
                is_monitored,
                "{schedule}"
            );
        }
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for text in [
            "",
            "*/5 * * * *",
            "0 60 * * * *",
            "0 0 0 0 * *",
            "0 0 0 * * mon",
            "0 */0 * * * *",
            "0 5-1 * * * *",
            "0 , * * * *",
            "0 -1 * * * *",
        ] {
            let problem = Schedule::parse(text).expect_err(text);
            assert!(problem.contains(&format!("{text:?}")), "{problem}");
        }
    }
}
