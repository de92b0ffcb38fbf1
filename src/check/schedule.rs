//! Whether `MDATP_SCHEDULE` is what a timer takes: NCRONTAB, the six fields second, minute, hour, day, month
//! and day of the week. Read as the host's library reads it (NCrontab): lists, ranges in either direction,
//! steps, and the beginnings of English names.

use super::finding::Finding;

/// The name of the check.
pub const CHECK: &str = "schedule";

const MEND: &str = "set MDATP_SCHEDULE to six fields, such as 0 */5 * * * * for every five minutes";

/// Once a minute is often enough: of the 1,500 calls that Defender answers in an hour, each run makes some.
const OFTEN: u32 = 60;

/// What the schedule `text` is worth. `host` is true where a Functions host reads it, which leaves the timer
/// dead without it.
pub fn judge(text: Option<&str>, host: bool) -> Finding {
    let Some(text) = text else {
        return match host {
            true => {
                Finding::failure(CHECK, "MDATP_SCHEDULE is not set: the host does not start the timer", MEND)
            }
            false => {
                Finding::ok(CHECK, "MDATP_SCHEDULE is not set, and no Functions host is here to need it")
            }
        };
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let (fields, has_seconds) = match fields[..] {
        [minute, hour, day, month, weekday] => (["0", minute, hour, day, month, weekday], false),
        [second, minute, hour, day, month, weekday] => ([second, minute, hour, day, month, weekday], true),
        [span] if is_time_span(span) => {
            let message = format!("MDATP_SCHEDULE {text} is an interval, which App Service plans take only");
            return Finding::warning(CHECK, message, MEND);
        }
        _ => {
            let message = format!("MDATP_SCHEDULE {text} has {} fields, not six", fields.len());
            return Finding::failure(CHECK, message, MEND);
        }
    };
    let mut counts = [0; 6];
    for ((field, text), count) in FIELDS.iter().zip(fields).zip(&mut counts) {
        match field.count(text) {
            Some(values) => *count = values,
            None => {
                let Field { name, least, most, .. } = field;
                let message = format!("MDATP_SCHEDULE: {text} is no {name}, which is from {least} to {most}");
                return Finding::failure(CHECK, message, MEND);
            }
        }
    }
    // Only in an hour, day and month that it names; that is what the quota counts.
    let times = counts[0] * counts[1];
    let message = format!("MDATP_SCHEDULE {text} fires {times} times an hour");
    if !has_seconds {
        let message = format!("{message}, but has five fields, which not every plan takes");
        Finding::warning(CHECK, message, format!("set MDATP_SCHEDULE to 0 {text}"))
    } else if times > OFTEN {
        let message = format!("{message}: Defender answers 1,500 calls an hour, and a run makes some");
        Finding::warning(CHECK, message, MEND)
    } else {
        Finding::ok(CHECK, message)
    }
}

/// `hh:mm:ss`
fn is_time_span(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// One of the six.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// The name of each value, from the least on; none where only numbers are understood.
    names: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field { name: "second", least: 0, most: 59, names: &[] },
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
    },
    Field {
        name: "day of the week",
        least: 0,
        most: 6,
        names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    },
];

impl Field {
    /// How many values `text` names; none when it cannot be read.
    fn count(&self, text: &str) -> Option<u32> {
        // All values are below 64, so each is a bit.
        let bits = text.split(',').try_fold(0_u64, |bits, part| Some(bits | self.part(part)?))?;
        Some(bits.count_ones())
    }

    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.most } else { value })
            }
        };
        // A step of nothing counts as one.
        let step = step.unwrap_or(1).max(1);
        let values = (first.min(last)..=first.max(last)).step_by(step as usize);
        Some(values.fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let value = if text.starts_with(|first: char| first.is_ascii_digit()) {
            text.parse().ok()?
        } else {
            let text = Some(text.to_ascii_lowercase()).filter(|text| !text.is_empty())?;
            let place = self.names.iter().position(|name| name.starts_with(&text))?;
            self.least + u32::try_from(place).ok()?
        };
        (self.least..=self.most).contains(&value).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Outcome;

    #[test]
    fn every_form_the_host_takes_is_understood_and_counted() {
        for (text, times) in [
            ("0 */5 * * * *", 12),
            ("0 * * * * *", 60),
            ("30 2 * * * *", 1),
            ("0 0,15,30-40 * * * *", 13),
            ("0 40-30 8-18 1 jan-jun Mon-fri", 11),
            ("0 10/20 * 31 12 6", 3),
            ("15,45 0-59/2 0 * DECEMBER s", 60),
            ("0 */0 * * * *", 60),
        ] {
            let finding = judge(Some(text), true);
            assert_eq!(finding.result, Outcome::Ok, "{finding}");
            assert!(finding.message.ends_with(&format!("fires {times} times an hour")), "{finding}");
        }
    }

    #[test]
    fn what_the_host_would_not_take_is_told_by_its_field() {
        for (text, part) in [
            ("0 60 * * * *", "60 is no minute"),
            ("0 * 24 * * *", "24 is no hour"),
            ("0 * * 0 * *", "0 is no day of the month"),
            ("0 * * * 13 *", "13 is no month"),
            ("0 * * * * 7", "7 is no day of the week"),
            ("0 1,,2 * * * *", "1,,2 is no minute"),
            ("0 */x * * * *", "*/x is no minute"),
            ("0 /5 * * * *", "/5 is no minute"),
            ("0 ? * * * *", "? is no minute"),
            ("0 mon * * * *", "mon is no minute"),
            ("0 5- * * * *", "5- is no minute"),
            ("0 99999999999 * * * *", "is no minute"),
            ("0 0 * * * * *", "has 7 fields"),
            ("hourly", "has 1 fields"),
            ("@daily", "has 1 fields"),
        ] {
            let finding = judge(Some(text), true);
            assert_eq!(finding.result, Outcome::Failure, "{finding}");
            assert!(finding.message.contains(part) && finding.mend.is_some(), "{finding}");
        }
    }

    #[test]
    fn what_works_here_but_not_everywhere_is_a_warning() {
        for (text, part) in [
            ("*/5 * * * *", "five fields"),
            ("00:05:00", "interval"),
            ("*/10 * * * * *", "360 times an hour"),
        ] {
            let finding = judge(Some(text), true);
            assert!(finding.result == Outcome::Warning && finding.message.contains(part), "{finding}");
        }
        let five = judge(Some("*/5 * * * *"), true);
        assert_eq!(five.mend.as_deref(), Some("set MDATP_SCHEDULE to 0 */5 * * * *"));
    }

    #[test]
    fn only_a_host_needs_one() {
        assert_eq!(judge(None, true).result, Outcome::Failure);
        assert_eq!(judge(None, false).result, Outcome::Ok);
    }
}
