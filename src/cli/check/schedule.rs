//! Whether `MDATP_SCHEDULE` is what a timer takes: NCRONTAB, the six fields second, minute, hour, day, month
//! and day of the week. Read as the host's library reads it (NCrontab): lists, ranges in either direction,
//! steps, and the beginnings of English names. Pure.

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
        [other] if other.contains('%') => {
            let message = format!("MDATP_SCHEDULE is {other}: the host puts no setting into another one");
            return Finding::failure(CHECK, message, MEND);
        }
        [span] => return judge_interval(span),
        _ => {
            let message = format!("MDATP_SCHEDULE {text} has {} fields, not six", fields.len());
            return Finding::failure(CHECK, message, MEND);
        }
    };
    let mut values = [0; 6];
    for ((field, text), bits) in FIELDS.iter().zip(fields).zip(&mut values) {
        match field.values(text) {
            Ok(values) => *bits = values,
            Err(what) => return Finding::failure(CHECK, format!("MDATP_SCHEDULE: {text} {what}"), MEND),
        }
    }
    let [seconds, minutes, _, days, months, _] = values;
    if !has_day(days, months) {
        let message = format!(
            "MDATP_SCHEDULE {text} never fires: no month that it names has a day of the month that it names"
        );
        return Finding::warning(CHECK, message, MEND);
    }
    // Only in an hour, day and month that it names; that is what the quota counts.
    let times = seconds.count_ones() * minutes.count_ones();
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

/// Whether there is a day of the calendar among these days of the month and these months, a bit each.
fn has_day(days: u64, months: u64) -> bool {
    const LENGTHS: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    (1..).zip(LENGTHS).any(|(month, length)| months >> month & 1 == 1 && days & ((2 << length) - 1) != 0)
}

/// What one field is worth: a `TimeSpan` of .NET, the time between two runs, if anything.
fn judge_interval(text: &str) -> Finding {
    match interval(text) {
        None => {
            let message = format!("MDATP_SCHEDULE {text} has 1 field, not six");
            Finding::failure(CHECK, message, MEND)
        }
        Some(0) => {
            Finding::failure(CHECK, format!("MDATP_SCHEDULE {text} is an interval of no length"), MEND)
        }
        Some(seconds) => {
            let length = humantime::format_duration(std::time::Duration::from_secs(seconds));
            let message = format!(
                "MDATP_SCHEDULE {text} is an interval of {length}, which App Service plans take only"
            );
            Finding::warning(CHECK, message, MEND)
        }
    }
}

/// The seconds of `d`, `hh:mm`, `hh:mm:ss` or `d.hh:mm:ss`. Where the first of three numbers is no hour, it is a
/// number of days, so `24:00:00` is 24 days (documentation page "Timer trigger for Azure Functions").
fn interval(text: &str) -> Option<u64> {
    let number = |text: &str, most: u64| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number <= most)
    };
    // The most days of a TimeSpan.
    let days = |text| number(text, 10_675_199);
    let (day, rest) = match text.split_once('.') {
        Some((day, rest)) if rest.contains(':') => (days(day)?, rest),
        _ => (0, text),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let (day, hours, minutes, seconds) = match parts[..] {
        [only] if day == 0 => (days(only)?, 0, 0, 0),
        [hours, minutes] => (day, number(hours, 23)?, number(minutes, 59)?, 0),
        [first, second, third] => match number(first, 23) {
            Some(hours) => (day, hours, number(second, 59)?, number(third, 59)?),
            None if day == 0 => (days(first)?, number(second, 23)?, number(third, 59)?, 0),
            None => return None,
        },
        _ => return None,
    };
    Some(((day * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// One of the six.
struct CronField {
    name: &'static str,
    least: u32,
    most: u32,
    /// The name of each value, from the least on; none where only numbers are understood.
    names: &'static [&'static str],
}

const FIELDS: [CronField; 6] = [
    CronField { name: "second", least: 0, most: 59, names: &[] },
    CronField { name: "minute", least: 0, most: 59, names: &[] },
    CronField { name: "hour", least: 0, most: 23, names: &[] },
    CronField { name: "day of the month", least: 1, most: 31, names: &[] },
    CronField {
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
    CronField {
        name: "day of the week",
        least: 0,
        most: 6,
        names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    },
];

impl CronField {
    /// The values that `text` names, a bit each; or what it is not.
    fn values(&self, text: &str) -> Result<u64, String> {
        let Self { name, least, most, .. } = self;
        let is_step_of_nothing = |part: &str| {
            let step = part.split_once('/').and_then(|(_, step)| step.parse().ok());
            step.is_some_and(|step: u32| step == 0)
        };
        // The host takes it for a step of one, which is hardly what it is meant to say.
        if text.split(',').any(is_step_of_nothing) {
            return Err(format!("is no {name}: a step must be 1 or more"));
        }
        // All values are below 64, so each is a bit.
        let bits = text.split(',').try_fold(0_u64, |bits, part| Some(bits | self.part(part)?));
        bits.ok_or_else(|| format!("is no {name}, which is from {least} to {most}"))
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
        let values = (first.min(last)..=first.max(last)).step_by(step.unwrap_or(1) as usize);
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
    use crate::cli::check::finding::CheckResult;

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
        ] {
            let finding = judge(Some(text), true);
            assert_eq!(finding.result, CheckResult::Ok, "{finding}");
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
            ("0 */0 * * * *", "*/0 is no minute: a step"),
            ("*/0", "has 1 field, not six"),
            ("0 0 1,2/0 * * *", "1,2/0 is no hour: a step"),
            ("*/0 * * * *", "*/0 is no minute: a step"),
            ("0 0 0 * jum *", "jum is no month"),
            ("0 0 0 * * L", "L is no day of the week"),
            ("hourly", "has 1 field, not six"),
            ("@daily", "has 1 field, not six"),
            ("%OTHER%", "puts no setting into another"),
            ("00:00:00", "no length"),
            ("00:60:00", "has 1 field"),
            ("00:05:00Z", "has 1 field"),
            ("1.24:00:00", "has 1 field"),
        ] {
            let finding = judge(Some(text), true);
            assert_eq!(finding.result, CheckResult::Failure, "{finding}");
            assert!(finding.message.contains(part) && finding.mend.is_some(), "{finding}");
        }
    }

    #[test]
    fn what_works_here_but_not_everywhere_is_a_warning() {
        for (text, part) in [
            ("*/5 * * * *", "five fields"),
            ("00:05:00", "interval of 5m,"),
            ("00:05", "interval of 5m,"),
            ("5", "interval of 5days,"),
            ("1.00:00:30", "interval of 1day 30s,"),
            ("24:00:00", "interval of 24days,"),
            ("*/10 * * * * *", "360 times an hour"),
        ] {
            let finding = judge(Some(text), true);
            assert!(finding.result == CheckResult::Warning && finding.message.contains(part), "{finding}");
        }
        let five = judge(Some("*/5 * * * *"), true);
        assert_eq!(five.mend.as_deref(), Some("set MDATP_SCHEDULE to 0 */5 * * * *"));
    }

    #[test]
    fn a_day_that_no_calendar_has_never_comes() {
        for text in [
            "0 0 0 31 2 *",
            "0 0 0 30 2 *",
            "0 0 0 30,31 feb *",
            "0 0 0 31 4,6,9,11 *",
            "0 0 0 31 4-2/7 *",
            "0 0 31 sep *",
        ] {
            let finding = judge(Some(text), true);
            assert!(
                finding.result == CheckResult::Warning && finding.message.contains("never fires"),
                "{finding}"
            );
            assert!(finding.mend.is_some(), "{finding}");
        }
        for text in ["0 0 0 29 2 *", "0 0 0 28-31 2 *", "0 0 0 31 4,5 *", "0 0 0 30 11 *", "0 0 0 1 2 *"] {
            let finding = judge(Some(text), true);
            assert_eq!(finding.result, CheckResult::Ok, "{finding}");
        }
    }

    #[test]
    fn only_a_host_needs_one() {
        assert_eq!(judge(None, true).result, CheckResult::Failure);
        assert_eq!(judge(None, false).result, CheckResult::Ok);
    }
}
