//! Whether a call is made again, and when. Pure: the loop that obeys is in `call.rs`. Pure.

use std::time::Duration;

use azure_core::time::{OffsetDateTime, parse_rfc7231};
use http::HeaderMap;

/// How often one call is tried in all. The next tick of the timer is the real retry, so a run gives
/// up within seconds.
pub const ATTEMPTS: u32 = 6;

/// The wait before the second try; it doubles each time up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait that is our own choice. A server's `Retry-After` may ask for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What to do about a reply, before looking at the time that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAction {
    /// It worked, or it says something that the caller understands.
    Accept,
    /// Try again; the wait is the server's `Retry-After` where it has one.
    Retry(Option<Duration>),
    /// Ask for a new token once, then try again.
    RenewToken,
    /// Trying again would bring the same answer.
    Fail,
}

/// Judges a status. 501 and 505 are answers about the request, not about the moment.
pub fn classify(status: u16, headers: &HeaderMap, now: OffsetDateTime) -> RetryAction {
    match status {
        200..=299 => RetryAction::Accept,
        401 => RetryAction::RenewToken,
        429 | 503 => RetryAction::Retry(retry_after(headers, now)),
        status if is_transient(status) => RetryAction::Retry(None),
        _ => RetryAction::Fail,
    }
}

/// True for a status that the same call may not meet a little later.
pub fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599) && !matches!(status, 501 | 505)
}

/// The wait before try number `attempt` (2 is the first repeat): doubled each time, with the upper
/// half left to chance (`chance` from 0 to 1), so that many clients do not come back together.
pub fn backoff(attempt: u32, chance: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(2).min(16)).min(LONGEST_WAIT);
    doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

/// `Retry-After` in either of its forms, seconds or a date; none when absent or unreadable.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = parse_rfc7231(text).ok()? - now;
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    fn now() -> OffsetDateTime {
        parse_rfc3339("2026-11-24T06:00:00Z").expect("a time")
    }

    fn asking(retry_after: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::RETRY_AFTER, retry_after.parse().expect("a header"))])
    }

    #[test]
    fn every_status_has_its_verdict() {
        let with = |wanted: RetryAction| {
            (100..=599)
                .filter(|status| classify(*status, &HeaderMap::new(), now()) == wanted)
                .collect::<Vec<u16>>()
        };
        assert_eq!(with(RetryAction::Accept), (200..=299).collect::<Vec<u16>>());
        assert_eq!(with(RetryAction::RenewToken), [401]);
        let again: Vec<u16> =
            [408, 429].into_iter().chain((500..=599).filter(|s| ![501, 505].contains(s))).collect();
        assert_eq!(with(RetryAction::Retry(None)), again);
    }

    #[test]
    fn retry_after_is_understood_in_seconds_and_as_a_date_and_ignored_when_unreadable() {
        for (text, wait) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(86_400)),
            ("Tue, 24 Nov 2026 06:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 05:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("1.5", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(
                classify(429, &asking(text), now()),
                RetryAction::Retry(wait.map(Duration::from_secs)),
                "{text}"
            );
        }
    }

    #[test]
    fn waits_double_up_to_a_limit_and_half_of_each_is_chance() {
        let bounds = |attempt| (backoff(attempt, 0.0).as_millis(), backoff(attempt, 1.0).as_millis());
        assert_eq!(bounds(2), (125, 250));
        assert_eq!(bounds(3), (250, 500));
        assert_eq!(bounds(6), (2_000, 4_000));
        assert_eq!(bounds(40), (15_000, 30_000));
    }
}
