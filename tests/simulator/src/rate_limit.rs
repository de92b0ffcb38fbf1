//! Defender's quota: 100 calls a minute and 1,500 an hour for each of its APIs.

use std::collections::VecDeque;

use azure_core::time::{Duration, OffsetDateTime};

use crate::rejection::Rejection;

const LIMITS: [(usize, Duration, &str); 2] =
    [(100, Duration::minutes(1), "00:01:00"), (1500, Duration::hours(1), "01:00:00")];

/// The calls one API admitted within the last hour.
#[derive(Default)]
pub(crate) struct RateLimit {
    admitted: VecDeque<OffsetDateTime>,
}

impl RateLimit {
    /// Admits a call, or says which quota it exceeds. A rejected call costs nothing.
    pub fn admit(&mut self, now: OffsetDateTime) -> Result<(), Rejection> {
        for (allowed, span, name) in LIMITS {
            let Some(oldest) = self.admitted.iter().rev().nth(allowed - 1) else {
                continue;
            };
            let left = *oldest + span - now;
            if left.is_positive() {
                let message = format!("API calls quota exceeded! maximum allowed {allowed} per {name}");
                return Err(Rejection {
                    retry_after: Some((left + Duration::nanoseconds(999_999_999)).whole_seconds()),
                    ..Rejection::new(429, "429", message)
                });
            }
        }
        self.admitted.push_back(now);
        while self.admitted.len() > 1500 {
            self.admitted.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
    }

    #[test]
    fn the_call_after_a_hundred_within_a_minute_waits_for_the_first_to_age() {
        let mut limit = RateLimit::default();
        for call in 0..100 {
            assert_eq!(limit.admit(at(call / 10)), Ok(()), "call {call}");
        }
        let rejected = limit.admit(at(20)).expect_err("the quota is used up");
        assert_eq!(rejected.message, "API calls quota exceeded! maximum allowed 100 per 00:01:00");
        assert_eq!(rejected.retry_after, Some(40));
        assert!(limit.admit(at(59)).is_err());
        assert_eq!(limit.admit(at(60)), Ok(()));
    }

    #[test]
    fn the_hour_has_a_quota_of_its_own() {
        let mut limit = RateLimit::default();
        for call in 0..1500 {
            assert_eq!(limit.admit(at(call)), Ok(()), "call {call}");
        }
        let rejected = limit.admit(at(1600)).expect_err("the quota is used up");
        assert_eq!(rejected.message, "API calls quota exceeded! maximum allowed 1500 per 01:00:00");
        assert_eq!(rejected.retry_after, Some(2000));
        assert_eq!(limit.admit(at(3600)), Ok(()));
    }
}
