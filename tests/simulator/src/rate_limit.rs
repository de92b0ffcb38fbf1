//! The quotas of services: by default Defender's, 100 calls a minute and 1,500 an hour for each of its APIs.

use std::collections::VecDeque;

use azure_core::time::{Duration, OffsetDateTime};

use crate::rejection::Rejection;

/// So many calls within so much time.
pub(crate) struct Limit {
    calls: usize,
    span: Duration,
    /// The time as Defender writes it.
    name: &'static str,
}

impl Limit {
    /// So many calls a minute.
    pub const fn minute(calls: usize) -> Self {
        Self { calls, span: Duration::minutes(1), name: "00:01:00" }
    }
}

const DEFENDER: [Limit; 2] =
    [Limit::minute(100), Limit { calls: 1500, span: Duration::hours(1), name: "01:00:00" }];

/// The calls one API admitted within the last hour.
pub(crate) struct RateLimit {
    limits: &'static [Limit],
    admitted: VecDeque<OffsetDateTime>,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::of(&DEFENDER)
    }
}

impl RateLimit {
    /// The quota of an API of which no call has been made.
    pub fn of(limits: &'static [Limit]) -> Self {
        Self { limits, admitted: VecDeque::new() }
    }

    /// Admits a call, or says which quota it exceeds. A rejected call costs nothing.
    pub fn admit(&mut self, now: OffsetDateTime) -> Result<(), Rejection> {
        for Limit { calls: allowed, span, name } in self.limits {
            let Some(oldest) = self.admitted.iter().rev().nth(*allowed - 1) else {
                continue;
            };
            let left = *oldest + *span - now;
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
