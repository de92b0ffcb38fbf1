//! What the sinks do with records of the past, said before the first is sent. Pure.

use azure_core::time::{Duration, OffsetDateTime};

use crate::record::{alert::Mode, window::Window};

/// Records older than this get another `TimeGenerated` (documentation of the Data Collector API; for the Logs
/// Ingestion API it is what Microsoft's own transformations guard against).
const OLD: Duration = Duration::days(2);

/// What there is to say about sending the alerts of `range` at `now`, to the Logs Ingestion API or else to the
/// Data Collector API. The range is of the time that the list is walked by in `mode`, which is that of the rows.
pub fn notices(range: Window, now: OffsetDateTime, mode: Mode, is_logs_ingestion: bool) -> Vec<String> {
    let mut notices = Vec::new();
    let days = days(Window { to: range.to.min(now - OLD), ..range });
    if days > 0 {
        let who = match is_logs_ingestion {
            true => "the Logs Ingestion API may store its own time",
            false => "the Data Collector API stores its own time",
        };
        let member = mode.row_times()[0];
        notices.push(format!(
            "{days} {} older than 2 days: {who} as TimeGenerated of such records, so query them by the alert's \
             {member}",
            if days == 1 { "day is" } else { "days are" },
        ));
    }
    if is_logs_ingestion {
        let days = self::days(range);
        notices.push(format!(
            "the Logs Ingestion API may refuse posts whose records span more than 30 minutes; from the first \
             one that it refuses on, posts are kept within that, up to {} for {}",
            days * 48,
            if days == 1 { "this day".to_owned() } else { format!("these {days} days") },
        ));
    }
    notices
}

/// The days of a window, a day begun counted whole.
fn days(window: Window) -> i64 {
    let seconds = (window.to - window.from).whole_seconds().max(0);
    seconds.unsigned_abs().div_ceil(86_400).try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn old_days_and_posts_are_counted() {
        let at = |text: &str| parse_rfc3339(text).expect(text);
        let range = |from, to| Window { from: at(from), to: at(to) };
        let now = at("2026-11-24T06:00:00Z");
        let old = range("2026-11-01T00:00:00Z", "2026-11-23T06:00:00Z");
        let told = notices(old, now, Mode::Created, false);
        assert!(told.len() == 1 && told[0].starts_with("22 days are older"), "{told:?}");
        assert!(told[0].ends_with("by the alert's alertCreationTime"), "{told:?}");
        let told = notices(old, now, Mode::Updated, true);
        assert!(told[0].starts_with("22 days are older") && told[0].contains("may store"), "{told:?}");
        assert!(told[0].ends_with("by the alert's lastUpdateTime"), "{told:?}");
        assert!(told.len() == 2 && told[1].ends_with("up to 1104 for these 23 days"), "{told:?}");
        let young = range("2026-11-22T06:00:00Z", "2026-11-22T09:00:00Z");
        assert_eq!(notices(young, now, Mode::Created, false), [""; 0]);
        let told = notices(range("2026-11-22T05:00:00Z", "2026-11-22T09:00:00Z"), now, Mode::Updated, true);
        assert!(
            told[0].starts_with("1 day is older") && told[1].ends_with("up to 48 for this day"),
            "{told:?}"
        );
    }
}
