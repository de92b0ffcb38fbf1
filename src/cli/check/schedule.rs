//! Whether `MDATP_SCHEDULE` is a schedule that a timer of the Functions host accepts. Pure.

mod interval;
mod ncrontab;

use std::time::Duration;

use super::finding::Finding;
use crate::count::Count;
use ncrontab::Ncrontab;

/// The name of the check.
pub const CHECK: &str = "schedule";

const FIX: &str = "set MDATP_SCHEDULE to six fields, such as 0 */5 * * * * for every five minutes";

/// The most runs an hour without a warning: once a minute. Defender answers 1,500 calls an hour, and each run makes several.
const OFTEN: u32 = 60;

/// Returns the finding about the schedule `text`. `is_host` is true if a Functions host reads it, whose timer does not start
/// without a schedule.
pub fn finding(text: Option<&str>, is_host: bool) -> Finding {
    let Some(text) = text else {
        return match is_host {
            true => {
                Finding::failure(CHECK, "MDATP_SCHEDULE is not set: the host does not start the timer", FIX)
            }
            false => {
                Finding::ok(CHECK, "MDATP_SCHEDULE is not set, and without a Functions host it is not needed")
            }
        };
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let (fields, has_seconds) = match fields[..] {
        [minute, hour, day, month, weekday] => (["0", minute, hour, day, month, weekday], false),
        [second, minute, hour, day, month, weekday] => ([second, minute, hour, day, month, weekday], true),
        [other] if other.contains('%') => {
            let message =
                format!("MDATP_SCHEDULE is {other}: the host does not replace a setting within another");
            return Finding::failure(CHECK, message, FIX);
        }
        [span] => return interval_finding(span),
        _ => {
            let message = format!("MDATP_SCHEDULE {text} has {} fields, not six", fields.len());
            return Finding::failure(CHECK, message, FIX);
        }
    };
    let schedule = match Ncrontab::parse(fields) {
        Ok(schedule) => schedule,
        Err(what) => return Finding::failure(CHECK, format!("MDATP_SCHEDULE: {what}"), FIX),
    };
    if !schedule.has_day() {
        let message =
            format!("MDATP_SCHEDULE {text} never fires: none of its months has any of its days of the month");
        return Finding::warning(CHECK, message, FIX);
    }
    let times = schedule.times_an_hour();
    let message = format!("MDATP_SCHEDULE {text} fires {} an hour", Count(times.into(), "time"));
    if !has_seconds {
        let message = format!("{message}, but has five fields, which not every plan accepts");
        Finding::warning(CHECK, message, format!("set MDATP_SCHEDULE to 0 {text}"))
    } else if times > OFTEN {
        let message = format!("{message}: Defender answers 1,500 calls an hour, and a run makes several");
        Finding::warning(CHECK, message, FIX)
    } else {
        Finding::ok(CHECK, message)
    }
}

/// Returns the finding about a single field, which may be the interval between two runs.
fn interval_finding(text: &str) -> Finding {
    match interval::seconds(text) {
        None => {
            let message = format!("MDATP_SCHEDULE {text} has 1 field, not six");
            Finding::failure(CHECK, message, FIX)
        }
        Some(0) => Finding::failure(CHECK, format!("MDATP_SCHEDULE {text} is an interval of zero"), FIX),
        Some(seconds) => {
            let length = humantime::format_duration(Duration::from_secs(seconds));
            let message = format!(
                "MDATP_SCHEDULE {text} is an interval of {length}, which only App Service plans accept"
            );
            Finding::warning(CHECK, message, FIX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn every_form_that_the_host_accepts_is_parsed_and_counted() {
        for (text, times) in [
            ("0 */5 * * * *", "12 times"),
            ("0 * * * * *", "60 times"),
            ("30 2 * * * *", "1 time"),
            ("0 0,15,30-40 * * * *", "13 times"),
            ("0 40-30 8-18 1 jan-jun Mon-fri", "11 times"),
            ("0 10/20 * 31 12 6", "3 times"),
            ("15,45 0-59/2 0 * DECEMBER s", "60 times"),
        ] {
            let found = finding(Some(text), true);
            assert_eq!(found.result, CheckResult::Ok, "{found}");
            assert!(found.message.ends_with(&format!("fires {times} an hour")), "{found}");
        }
    }

    #[test]
    fn what_the_host_would_reject_is_reported_by_its_field() {
        for (text, part) in [
            ("0 60 * * * *", "60 is not a valid minute"),
            ("0 * 24 * * *", "24 is not a valid hour"),
            ("0 * * 0 * *", "0 is not a valid day of the month"),
            ("0 * * * 13 *", "13 is not a valid month"),
            ("0 * * * * 7", "7 is not a valid day of the week"),
            ("0 1,,2 * * * *", "1,,2 is not a valid minute"),
            ("0 */x * * * *", "*/x is not a valid minute"),
            ("0 /5 * * * *", "/5 is not a valid minute"),
            ("0 ? * * * *", "? is not a valid minute"),
            ("0 mon * * * *", "mon is not a valid minute"),
            ("0 5- * * * *", "5- is not a valid minute"),
            ("0 99999999999 * * * *", "is not a valid minute"),
            ("0 0 * * * * *", "has 7 fields"),
            ("0 */0 * * * *", "*/0 is not a valid minute: a step"),
            ("*/0", "has 1 field, not six"),
            ("0 0 1,2/0 * * *", "1,2/0 is not a valid hour: a step"),
            ("*/0 * * * *", "*/0 is not a valid minute: a step"),
            ("0 0 0 * jum *", "jum is not a valid month"),
            ("0 0 0 * * L", "L is not a valid day of the week"),
            ("hourly", "has 1 field, not six"),
            ("@daily", "has 1 field, not six"),
            ("%OTHER%", "does not replace a setting within another"),
            ("00:00:00", "interval of zero"),
            ("00:60:00", "has 1 field"),
            ("00:05:00Z", "has 1 field"),
            ("1.24:00:00", "has 1 field"),
        ] {
            let found = finding(Some(text), true);
            assert_eq!(found.result, CheckResult::Failure, "{found}");
            assert!(found.message.contains(part) && found.fix.is_some(), "{found}");
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
            let found = finding(Some(text), true);
            assert!(found.result == CheckResult::Warning && found.message.contains(part), "{found}");
        }
        let five = finding(Some("*/5 * * * *"), true);
        assert_eq!(five.fix.as_deref(), Some("set MDATP_SCHEDULE to 0 */5 * * * *"));
    }

    #[test]
    fn a_schedule_of_days_that_no_calendar_has_never_fires() {
        for text in [
            "0 0 0 31 2 *",
            "0 0 0 30 2 *",
            "0 0 0 30,31 feb *",
            "0 0 0 31 4,6,9,11 *",
            "0 0 0 31 4-2/7 *",
            "0 0 31 sep *",
        ] {
            let found = finding(Some(text), true);
            assert!(found.result == CheckResult::Warning && found.message.contains("never fires"), "{found}");
            assert!(found.fix.is_some(), "{found}");
        }
        for text in ["0 0 0 29 2 *", "0 0 0 28-31 2 *", "0 0 0 31 4,5 *", "0 0 0 30 11 *", "0 0 0 1 2 *"] {
            let found = finding(Some(text), true);
            assert_eq!(found.result, CheckResult::Ok, "{found}");
        }
    }

    #[test]
    fn only_a_host_needs_a_schedule() {
        assert_eq!(finding(None, true).result, CheckResult::Failure);
        assert_eq!(finding(None, false).result, CheckResult::Ok);
    }
}
