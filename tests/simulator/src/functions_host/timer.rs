//! The timer trigger by the clock, for use by hand.

use azure_core::time::{Duration, OffsetDateTime};

use super::{Framing, FunctionsHost, HostVerdict, Invocation, Payload};
use crate::clock::now;

impl FunctionsHost {
    /// Fires at every whole multiple of `every` until `until` ends or the host would give up, and tells
    /// each invocation to `tell`. Runs never overlap: one that lasts past its next occurrences is followed
    /// by a single run at once. A process that has ended is treated as the host treats it.
    pub async fn run_timer(
        &self,
        every: Duration,
        until: impl Future<Output = ()>,
        mut tell: impl FnMut(&Invocation),
    ) {
        let ticking = async {
            let mut payload = Payload::FirstRun;
            let mut previous = now() - every;
            let mut due = next_occurrence(now(), every);
            loop {
                let wait = (due - now()).try_into().unwrap_or_default();
                tokio::time::sleep(wait).await;
                if self.has_ended() && !self.bring_back().await {
                    return;
                }
                let started = now();
                tell(&self.invoke(&payload, Framing::Chunked, previous, due, every).await);
                payload = Payload::Regular;
                previous = started;
                due = next_occurrence(started, every);
            }
        };
        tokio::select! {
            () = ticking => {}
            () = until => {}
        }
    }

    /// Whether the process runs again.
    async fn bring_back(&self) -> bool {
        match self.verdict(now()) {
            HostVerdict::StaysDown | HostVerdict::HostStops => false,
            HostVerdict::Restarts | HostVerdict::RestartsCounted(_) => self.restart().await.is_ok(),
        }
    }
}

/// The first whole multiple of `every` after `at`.
fn next_occurrence(at: OffsetDateTime, every: Duration) -> OffsetDateTime {
    let step = every.whole_nanoseconds().max(1);
    let past = at.unix_timestamp_nanos().rem_euclid(step);
    let ahead = i64::try_from(step - past).unwrap_or(i64::MAX);
    at + Duration::nanoseconds(ahead)
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn occurrences_lie_on_the_clock_and_ahead() {
        let time = |text| parse_rfc3339(text).expect("written by hand");
        let every = Duration::minutes(5);
        assert_eq!(next_occurrence(time("2026-11-24T05:52:10.5Z"), every), time("2026-11-24T05:55:00Z"));
        assert_eq!(next_occurrence(time("2026-11-24T05:55:00Z"), every), time("2026-11-24T06:00:00Z"));
    }
}
