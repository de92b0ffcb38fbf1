//! The quotas that Defender and Microsoft Graph publish, respected on this side. Pure.
//!
//! The service counts across runs, and each run may be another process, so the calls of the last hour are part of the
//! checkpoint.

use std::{collections::BTreeMap, fmt, time::Duration};

use azure_core::time::OffsetDateTime;
use serde::{Deserialize, Serialize};

use super::claims::{READ_ROLES, SECURITY_ALERT_ROLE, THREAT_HUNTING_ROLE};

/// The APIs that have a quota of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Api {
    /// `GET /api/alerts`
    AlertList,
    /// `GET /api/alerts/{id}`
    Alert,
    /// `GET /api/machines/{id}`
    Machine,
    /// `GET /api/machines`
    MachineList,
    /// Microsoft Graph's `GET /v1.0/security/alerts_v2`, also for one alert.
    GraphAlerts,
    /// Microsoft Graph's `POST /v1.0/security/runHuntingQuery`.
    GraphHunting,
}

impl Api {
    /// The calls that the service allows: Defender 100 a minute and 1,500 an hour of each API (documentation pages of the
    /// APIs, section "Limitations"), Graph 150 requests for alerts and 45 hunting queries a minute (pages "Microsoft
    /// Graph service-specific throttling limits" and "security: runHuntingQuery").
    fn limits(self) -> &'static [Limit] {
        match self {
            Self::AlertList | Self::Alert | Self::Machine | Self::MachineList => &[MINUTE, HOUR],
            Self::GraphAlerts => &[Limit { calls: 150, seconds: 60 }],
            Self::GraphHunting => &[Limit { calls: 45, seconds: 60 }],
        }
    }

    /// The calls that `share` allows in an hour.
    fn hour(self, share: f64) -> u64 {
        let in_hour = |limit: &Limit| limit.allowed(share) * (HOUR.seconds / limit.seconds).unsigned_abs();
        self.limits().iter().map(in_hour).min().unwrap_or(0)
    }

    /// The application roles that the calls need (section "Permissions" of their documentation pages).
    pub fn roles(self) -> &'static [&'static str] {
        match self {
            // Each is of no use without the other.
            Self::AlertList | Self::Alert | Self::Machine | Self::MachineList => &READ_ROLES,
            Self::GraphAlerts => &[SECURITY_ALERT_ROLE],
            Self::GraphHunting => &[THREAT_HUNTING_ROLE],
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlertList => "GET /api/alerts",
            Self::Alert => "GET /api/alerts/{id}",
            Self::Machine => "GET /api/machines/{id}",
            Self::MachineList => "GET /api/machines",
            Self::GraphAlerts => "GET /v1.0/security/alerts_v2",
            Self::GraphHunting => "POST /v1.0/security/runHuntingQuery",
        })
    }
}

/// A quota: so many calls within so many seconds.
struct Limit {
    calls: u32,
    seconds: i64,
}

const MINUTE: Limit = Limit { calls: 100, seconds: 60 };
const HOUR: Limit = Limit { calls: 1_500, seconds: 3_600 };

/// The seconds of a bucket, in which calls are counted. A call counts until the end of its bucket leaves the window, so
/// rather too long than too short.
const BUCKET: i64 = 10;

/// The tolerance for clocks, in seconds: the next run may be on a machine whose clock is a little behind. Calls that are
/// further in the future are ignored: the clock was set back.
const SKEW: i64 = 60;

/// The calls of the last hour by API and bucket. A bucket's number is its Unix time divided by [`BUCKET`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quota(BTreeMap<Api, BTreeMap<i64, u32>>);

impl Quota {
    /// Returns the wait at `now` until one more call of `api` is within `share` (above 0, at most 1) of all its quotas;
    /// zero when it may be made at once.
    pub fn wait(&self, api: Api, share: f64, now: OffsetDateTime) -> Duration {
        let now = now.unix_timestamp();
        let waits = api.limits().iter().map(|limit| {
            let allowed = limit.allowed(share);
            let mut made = self.made(api, limit, now);
            let mut free_at = now;
            for (bucket, calls) in self.buckets(api, limit, now) {
                if made < allowed {
                    break;
                }
                made -= u64::from(calls);
                free_at = (bucket + 1) * BUCKET + limit.seconds;
            }
            (free_at - now).unsigned_abs()
        });
        Duration::from_secs(waits.max().unwrap_or(0))
    }

    /// Counts a call of `api` at `now`, and forgets those that no longer count.
    pub fn record(&mut self, api: Api, now: OffsetDateTime) {
        let now = now.unix_timestamp();
        let counted = HOUR.counted(now);
        for buckets in self.0.values_mut() {
            buckets.retain(|bucket, _| counted.contains(bucket));
        }
        self.0.retain(|_, buckets| !buckets.is_empty());
        let calls = self.0.entry(api).or_default().entry(now.div_euclid(BUCKET)).or_default();
        *calls = calls.saturating_add(1);
    }

    /// Returns the calls of each API that count at `now`: of the last minute, and of the last hour.
    pub fn used(&self, now: OffsetDateTime) -> impl Iterator<Item = (Api, u64, u64)> {
        let now = now.unix_timestamp();
        self.0.keys().map(move |api| (*api, self.made(*api, &MINUTE, now), self.made(*api, &HOUR, now)))
    }

    /// Returns the calls that are left of `share` in the hour that ends at `now`, of the API with the fewest.
    pub fn remaining(&self, share: f64, now: OffsetDateTime) -> u64 {
        let left = |(api, _, made): (Api, u64, u64)| api.hour(share).saturating_sub(made);
        self.used(now).map(left).min().unwrap_or(HOUR.allowed(share))
    }

    fn made(&self, api: Api, limit: &Limit, now: i64) -> u64 {
        self.buckets(api, limit, now).map(|(_, calls)| u64::from(calls)).sum()
    }

    /// Returns the buckets that count at `now`, the oldest first.
    fn buckets(&self, api: Api, limit: &Limit, now: i64) -> impl Iterator<Item = (i64, u32)> {
        let counted = limit.counted(now);
        let buckets = self.0.get(&api).map(move |buckets| buckets.range(counted));
        buckets.into_iter().flatten().map(|(bucket, calls)| (*bucket, *calls))
    }
}

impl Limit {
    /// Returns the numbers of the buckets that overlap the window that ends at `now`.
    fn counted(&self, now: i64) -> std::ops::RangeInclusive<i64> {
        (now - self.seconds).div_euclid(BUCKET)..=(now + SKEW).div_euclid(BUCKET)
    }

    /// Returns the calls that `share` allows; at least one, so that no run waits for ever.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within 0 to 1,500")]
    fn allowed(&self, share: f64) -> u64 {
        let calls = f64::from(self.calls);
        ((calls * share).clamp(0.0, calls) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::{Duration as Span, parse_rfc3339};
    use proptest::prelude::*;

    use super::*;

    fn start() -> OffsetDateTime {
        parse_rfc3339("2026-11-24T05:55:03Z").expect("a time")
    }

    fn after(calls: u32, at: OffsetDateTime) -> Quota {
        let mut quota = Quota::default();
        (0..calls).for_each(|_| quota.record(Api::Machine, at));
        quota
    }

    #[test]
    fn the_hundredth_call_of_a_minute_is_made_and_the_next_waits_for_the_bucket_to_leave() {
        let wait = |calls, share, now| after(calls, start()).wait(Api::Machine, share, now).as_secs();
        let soon = start() + Span::seconds(1);
        assert_eq!((wait(99, 1.0, soon), wait(79, 0.8, soon), wait(0, 0.001, soon)), (0, 0, 0));
        // The bucket ends at 05:55:10, and leaves the minute at 05:56:10.
        assert_eq!((wait(100, 1.0, soon), wait(80, 0.8, soon), wait(1, 0.001, soon)), (66, 66, 3606));
        let free = start() + Span::seconds(67);
        assert_eq!((wait(100, 1.0, free - Span::nanoseconds(1)), wait(100, 1.0, free)), (1, 0));
        assert_eq!(after(100, start()).wait(Api::MachineList, 1.0, soon), Duration::ZERO);
    }

    #[test]
    fn the_document_is_small_and_holds_an_hour() {
        let mut quota = after(2, start());
        quota.record(Api::AlertList, start() + Span::minutes(59));
        let text = serde_json::to_string(&quota).expect("JSON");
        assert_eq!(text, r#"{"alertList":{"179550324":1},"machine":{"179549970":2}}"#);
        assert_eq!(serde_json::from_str::<Quota>(&text).expect("a quota"), quota);

        quota.record(Api::AlertList, start() + Span::minutes(61));
        let text = serde_json::to_string(&quota).expect("JSON");
        assert_eq!(text, r#"{"alertList":{"179550324":1,"179550336":1}}"#);
        let used: Vec<_> = quota.used(start() + Span::minutes(61)).collect();
        assert_eq!(used, [(Api::AlertList, 1, 2)]);
        assert_eq!(quota.remaining(0.8, start() + Span::minutes(61)), 1_198);
        assert_eq!(after(1_501, start()).remaining(1.0, start()), 0);
    }

    #[test]
    fn a_clock_that_jumps_back_blocks_no_longer_than_an_hour_and_its_skew() {
        // A little: the calls were made after all.
        let quota = after(1_500, start());
        assert!(quota.wait(Api::Machine, 1.0, start() - Span::seconds(30)) > Duration::from_secs(3_600));
        for back in [Span::seconds(50), Span::minutes(2), Span::hours(1), Span::days(9_000)] {
            let now = start() - back;
            let wait = quota.wait(Api::Machine, 1.0, now);
            assert!(wait <= Duration::from_secs(3_600 + 60 + 10), "{back}: {wait:?}");
            assert_eq!(wait.is_zero(), back > Span::minutes(1), "{back}");
        }
    }

    #[test]
    fn an_out_of_range_document_is_harmless() {
        let text = format!(r#"{{"machine":{{"{}":4294967295,"{}":1}}}}"#, i64::MAX, i64::MIN);
        let mut quota: Quota = serde_json::from_str(&text).expect("a quota");
        assert_eq!(quota.wait(Api::Machine, 1.0, start()), Duration::ZERO);
        quota.record(Api::Machine, start());
        assert_eq!(quota, after(1, start()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_caller_that_waits_as_told_stays_within_both_quotas_and_makes_progress(
            share in prop_oneof![Just(0.8), Just(1.0), 0.001..=1.0],
            // Milliseconds between a call and the next.
            pauses in prop::collection::vec(prop_oneof![4 => Just(0_i64), 1 => 0..20_000_i64], 1..50),
            offset in 0..10_000_i64,
            restarts in 20..500_usize,
        ) {
            const HOURS: i64 = 3;
            let begin = start() + Span::milliseconds(offset);
            let (mut now, mut quota, mut calls) = (begin, Quota::default(), Vec::new());
            for pause in pauses.iter().cycle() {
                now += quota.wait(Api::Machine, share, now);
                prop_assert_eq!(quota.wait(Api::Machine, share, now), Duration::ZERO, "one wait is enough");
                if now >= begin + Span::hours(HOURS) {
                    break;
                }
                quota.record(Api::Machine, now);
                calls.push(now);
                if calls.len() % restarts == 0 {
                    let text = serde_json::to_string(&quota).expect("JSON");
                    quota = serde_json::from_str(&text).expect("a quota");
                }
                // Each call takes some time.
                now += Span::milliseconds(pause + 1);
            }
            for (quota, seconds) in [(100.0, 60), (1_500.0, 3_600)] {
                let most = (1..=1_500).take_while(|n| f64::from(*n) <= quota * share).count().max(1);
                for (first, one_more) in calls.iter().zip(calls.iter().skip(most)) {
                    prop_assert!(*one_more - *first > Span::seconds(seconds), "{} within {} s", most + 1, seconds);
                }
            }
            if pauses.iter().all(|pause| *pause == 0) {
                let hourly = (1..=1_500).take_while(|n| f64::from(*n) <= 1_500.0 * share).count().max(1);
                prop_assert!(calls.len() * 10 >= hourly * 3 * 8, "{} calls", calls.len());
            }
        }
    }
}
