//! Notices about what the sinks do with old records, printed before the first is sent. Pure.

use azure_core::time::{Duration, OffsetDateTime};

use crate::{
    count::Count,
    record::{alert::Mode, window::Window},
    schema::TIME_GENERATED,
};

/// The age beyond which records get another `TimeGenerated` (documentation page "Azure Monitor HTTP Data Collector API",
/// `time-generated-field`; for the Logs Ingestion API it is what Microsoft's own transformations guard against).
const OLD: Duration = Duration::days(2);

/// Returns the notices about sending the alerts of `range` at `now`, to the Logs Ingestion API or else to the Data Collector
/// API. The times of the range are those by which alerts are listed in `mode`, which are also those of the rows.
pub fn notices(range: Window, now: OffsetDateTime, mode: Mode, is_logs_ingestion: bool) -> Vec<String> {
    let mut notices = Vec::new();
    let days = days(Window { to: range.to.min(now - OLD), ..range });
    if days > 0 {
        let who = match is_logs_ingestion {
            true => "the Logs Ingestion API may store its own time",
            false => "the Data Collector API stores its own time",
        };
        let member = mode.list_time();
        notices.push(format!(
            "{} {} older than 2 days: {who} as {TIME_GENERATED} of such records, so query them by {member}",
            Count(days, "day"),
            if days == 1 { "is" } else { "are" },
        ));
    }
    if is_logs_ingestion {
        let days = self::days(range);
        notices.push(format!(
            "the Logs Ingestion API may reject requests whose records span more than 30 minutes; after the first rejection \
             each request stays within that, which makes up to {} for {}",
            Count(days * 48, "request"),
            Count(days, "day"),
        ));
    }
    notices
}

/// Returns the number of days of a window, rounded up.
fn days(window: Window) -> u64 {
    let seconds = (window.to - window.from).whole_seconds().max(0);
    seconds.unsigned_abs().div_ceil(86_400)
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn old_days_and_requests_are_counted() {
        let at = |text: &str| parse_rfc3339(text).expect(text);
        let range = |from, to| Window { from: at(from), to: at(to) };
        let now = at("2026-11-24T06:00:00Z");
        let old = range("2026-11-01T00:00:00Z", "2026-11-23T06:00:00Z");
        let found = notices(old, now, Mode::Created, false);
        assert!(found.len() == 1 && found[0].starts_with("22 days are older"), "{found:?}");
        assert!(found[0].ends_with("by alertCreationTime"), "{found:?}");
        let found = notices(old, now, Mode::Updated, true);
        assert!(found[0].starts_with("22 days are older") && found[0].contains("may store"), "{found:?}");
        assert!(found[0].ends_with("by lastUpdateTime"), "{found:?}");
        assert!(found.len() == 2 && found[1].ends_with("up to 1104 requests for 23 days"), "{found:?}");
        let young = range("2026-11-22T06:00:00Z", "2026-11-22T09:00:00Z");
        assert_eq!(notices(young, now, Mode::Created, false), [""; 0]);
        let found = notices(range("2026-11-22T05:00:00Z", "2026-11-22T09:00:00Z"), now, Mode::Updated, true);
        assert!(
            found[0].starts_with("1 day is older") && found[1].ends_with("up to 48 requests for 1 day"),
            "{found:?}"
        );
    }
}
