//! Whether a request is retried, and when. The loops that do it are in `call.rs`, `credential/issuer.rs` and
//! `state/blob.rs`. Pure.

use std::time::Duration;

use azure_core::time::{OffsetDateTime, parse_rfc7231};
use http::{HeaderMap, header::RETRY_AFTER};

use super::CALL_TIMEOUT;

/// The attempts of one call in all. The next tick of the timer is the real retry, so a run gives up within seconds.
pub const ATTEMPTS: u32 = 6;

/// The wait before the second attempt; it doubles each time up to [`MAX_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait of our own choice. A server's `Retry-After` may ask for more.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How often a call is attempted, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPolicy {
    /// [`ATTEMPTS`] times.
    Full,
    /// For a page that can be asked for with fewer alerts: one transient error is retried, and a timeout is not.
    Reducible,
    /// For a call that only saves others, which are made instead if it fails: fewer attempts, and less time.
    Optional,
}

impl RetryPolicy {
    /// Returns the attempts in all.
    pub fn attempts(self) -> u32 {
        match self {
            Self::Full => ATTEMPTS,
            Self::Reducible | Self::Optional => 2,
        }
    }

    /// Returns the time limit of one attempt. A page of 1,000 machines is about 1.5 MB, which takes seconds.
    pub fn timeout(self) -> Duration {
        match self {
            Self::Full | Self::Reducible => CALL_TIMEOUT,
            Self::Optional => Duration::from_secs(20),
        }
    }
}

/// What to do about a response, whatever time is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAction {
    /// None: it is a success.
    Accept,
    /// Retry, after the server's `Retry-After` if it has one.
    Retry(Option<Duration>),
    /// Get a new token, then retry once.
    RenewToken,
    /// None: a retry would bring the same response.
    Fail,
}

/// Classifies a response by its status. 501 and 505 are about the request, so they are permanent.
pub fn classify(status: u16, headers: &HeaderMap, now: OffsetDateTime) -> RetryAction {
    match status {
        200..=299 => RetryAction::Accept,
        401 => RetryAction::RenewToken,
        429 | 503 => RetryAction::Retry(retry_after(headers, now)),
        status if is_transient(status) => RetryAction::Retry(None),
        _ => RetryAction::Fail,
    }
}

/// Returns true for a status that may go away by itself.
pub fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599) && !matches!(status, 501 | 505)
}

/// Returns `Retry-After` in either of its forms, seconds or a date; `None` when it is absent or invalid.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = parse_rfc7231(text).ok()? - now;
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

/// The attempts of one call, and the waits between them: exponential backoff with jitter.
#[derive(Debug)]
pub struct Backoff {
    /// The number of the next attempt.
    attempt: u32,
    limit: u32,
}

impl Backoff {
    /// Starts before the first of `limit` attempts.
    pub fn new(limit: u32) -> Self {
        Self { attempt: 1, limit }
    }

    /// Counts a failed attempt, and returns the wait before the next one: the longer one of the server's `retry_after`
    /// and our own. `chance`, from 0 to 1, decides about the upper half of our own, so that many clients do not retry
    /// together.
    pub fn next(&mut self, retry_after: Option<Duration>, chance: f64) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << (self.attempt - 1).min(16)).min(MAX_WAIT);
        self.attempt = self.attempt.saturating_add(1);
        let wait = doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
        retry_after.unwrap_or_default().max(wait)
    }

    /// Returns true when no attempt is left.
    pub fn is_exhausted(&self) -> bool {
        self.attempt > self.limit
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    fn now() -> OffsetDateTime {
        parse_rfc3339("2026-11-24T06:00:00Z").expect("a time")
    }

    fn asking(retry_after: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, retry_after.parse().expect("a header"))])
    }

    #[test]
    fn every_status_has_its_action() {
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
        let bounds = |attempt: u32| {
            let wait = |chance| Backoff { attempt: attempt - 1, limit: 9 }.next(None, chance).as_millis();
            (wait(0.0), wait(1.0))
        };
        assert_eq!(bounds(2), (125, 250));
        assert_eq!(bounds(3), (250, 500));
        assert_eq!(bounds(6), (2_000, 4_000));
        assert_eq!(bounds(40), (15_000, 30_000));

        let (mut backoff, second) = (Backoff::new(2), Duration::from_secs(1));
        assert_eq!((backoff.next(Some(second), 1.0), backoff.is_exhausted()), (second, false));
        assert_eq!((backoff.next(Some(Duration::ZERO), 1.0), backoff.is_exhausted()), (second / 2, true));
    }
}
