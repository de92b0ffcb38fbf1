//! A scenario on one sink: ticks follow each other until a run reports that it is complete.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use simulator::functions_host::{FunctionsHost, Invocation, Payload, Start};
use simulator::{
    Cloud, Event, Ports, Role, Route, Service, Sink, Step, Steps, Target, Volume, clock, printed_rule, shape,
};

use super::Options;
use super::scenario::{Kind, Scenario};
use crate::app_root::AppRoot;

/// A trial that is not complete after this many ticks has failed.
const TICKS: usize = 10;

/// What was observed.
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) sink: Sink,
    /// What each tick came to, in order.
    pub(super) results: Vec<TickResult>,
    /// From the first tick to the end of the last.
    pub(super) took: Duration,
    pub(super) wanted: usize,
    pub(super) delivered: usize,
    pub(super) repeats: usize,
    /// The most repeats that the scenario allows.
    pub(super) allowed_repeats: usize,
    /// Repeats that are not the same record, byte for byte.
    pub(super) different_repeats: usize,
    /// Whether what was to go wrong did.
    pub(super) struck: bool,
    /// Calls beyond a quota.
    pub(super) throttled: u64,
}

/// The result of a tick, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TickResult {
    Complete,
    /// A success that reports more to do.
    Incomplete,
    Failed(String),
    /// The process was killed during the tick.
    Killed,
}

impl Trial {
    pub(super) async fn run(
        binary: &Path,
        options: &Options,
        sink: Sink,
        scenario: &Scenario,
    ) -> Result<Self, String> {
        let wanted = scenario.alerts.unwrap_or(options.alerts);
        let cloud = Cloud::new(options.seed);
        cloud.deploy_rule(&printed_rule(binary)?)?;
        let until = clock::now();
        let since = until - Duration::from_secs(23 * 3600);
        cloud.generate(&Volume { alerts: wanted, machines: options.machines, since, until });
        cloud.grant_role(Role::SecurityAlertRead);
        let steps = scenario.kind.set(&cloud, options.source(), sink.service());
        let served = cloud.serve_in_steps(Ports::Free, &steps).await?;
        let app_root = AppRoot::with(binary)?;
        let mut settings = served.settings(sink, Route::ClientSecret);
        settings.push(("MDATP_SOURCE".to_owned(), options.source.clone()));
        settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
        let host = FunctionsHost::start(Start::new(app_root.path(), settings)).await?;

        let (begin, mut results) = (Instant::now(), Vec::new());
        while results.len() < TICKS && results.last() != Some(&TickResult::Complete) {
            results.push(tick(&host, &steps).await?);
        }
        let took = begin.elapsed();
        let (posts, counts) = (cloud.received(), cloud.counts());
        let texts = posts.iter().flat_map(|post| &post.records);
        let records = cloud.records();
        let ids: BTreeSet<_> = records.iter().filter_map(shape::alert_id).collect();
        let largest = posts.iter().map(|post| post.records.len()).max().unwrap_or_default();
        Ok(Self {
            name: scenario.name,
            sink,
            struck: match &scenario.kind {
                Kind::Faults(faults) => faults.is_empty() == (counts.faults == 0),
                Kind::RevokedTokens => cloud.requests().iter().any(|seen| seen.status == Some(401)),
                Kind::Kill => results.contains(&TickResult::Killed),
                Kind::Quotas => true,
                Kind::CappedPages(cap) => {
                    counts.alert_lists + counts.graph_lists >= wanted.div_ceil(*cap) as u64
                }
            },
            results,
            took,
            wanted,
            delivered: cloud.alert_ids().iter().filter(|id| ids.contains(id.as_str())).count(),
            repeats: records.len() - ids.len(),
            allowed_repeats: scenario.resends * largest,
            different_repeats: texts.collect::<BTreeSet<_>>().len() - ids.len(),
            throttled: counts.throttled,
        })
    }

    /// The promise that is broken, if one is.
    pub(super) fn broken_promise(&self) -> Option<&'static str> {
        let succeeded = self.results.last() == Some(&TickResult::Complete);
        match () {
            () if succeeded && self.delivered < self.wanted => Some("success over a loss"),
            () if self.delivered < self.wanted => Some("lost"),
            () if !succeeded => Some("never complete"),
            () if self.repeats > self.allowed_repeats => Some("repeated without need"),
            () if self.different_repeats > 0 => Some("a repeat is another record"),
            () if self.throttled > 0 => Some("asked more than its quota"),
            () if !self.struck => Some("the fault never struck"),
            () => None,
        }
    }
}

impl Kind {
    /// Sets it up. The steps halt where the process is to be killed.
    fn set(&self, cloud: &Cloud, source: Service, sink: Service) -> Steps {
        let is =
            |event: &Event, service, step| event.target == Target::Service(service) && event.step == step;
        match self {
            Self::Faults(faults) => faults.iter().cloned().for_each(|fault| cloud.fault(fault)),
            Self::Quotas => cloud.enforce_rate_limits(true),
            Self::CappedPages(cap) => cloud.cap_pages(Some(*cap)),
            Self::Kill => return Steps::new(move |event| is(event, sink, Step::Done)),
            Self::RevokedTokens => {
                let (cloud, revoked) = (cloud.clone(), std::sync::Once::new());
                return Steps::new(move |event| {
                    if is(event, source, Step::Done) {
                        revoked.call_once(|| cloud.revoke_tokens());
                    }
                    false
                });
            }
        }
        Steps::default()
    }
}

/// Fires one tick; if the steps halt, kills the process and starts it again.
async fn tick(host: &FunctionsHost, steps: &Steps) -> Result<TickResult, String> {
    let mut firing = pin!(host.fire(Payload::Regular));
    tokio::select! {
        invocation = &mut firing => return Ok(TickResult::of(invocation)),
        () = steps.halted() => {}
    }
    host.kill().await;
    steps.resume();
    firing.await;
    host.restart().await?;
    Ok(TickResult::Killed)
}

impl TickResult {
    fn of(invocation: Invocation) -> Self {
        match (invocation.succeeded(), invocation.report["complete"] == true) {
            (true, true) => Self::Complete,
            (true, false) => Self::Incomplete,
            (false, _) => Self::Failed(invocation.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(delivered: usize, repeats: usize, last: TickResult) -> Trial {
        Trial {
            name: "a fault",
            sink: Sink::LogsIngestion,
            results: vec![TickResult::Failed("why".to_owned()), last],
            took: Duration::ZERO,
            wanted: 3,
            delivered,
            repeats,
            allowed_repeats: 0,
            different_repeats: 0,
            struck: true,
            throttled: 0,
        }
    }

    #[test]
    fn a_promise_broken_is_named() {
        assert_eq!(trial(3, 0, TickResult::Complete).broken_promise(), None);
        assert_eq!(trial(2, 0, TickResult::Complete).broken_promise(), Some("success over a loss"));
        assert_eq!(trial(2, 0, TickResult::Incomplete).broken_promise(), Some("lost"));
        assert_eq!(trial(3, 0, TickResult::Incomplete).broken_promise(), Some("never complete"));
        assert_eq!(trial(3, 1, TickResult::Complete).broken_promise(), Some("repeated without need"));
        let allowed = |different_repeats| Trial {
            allowed_repeats: 1,
            different_repeats,
            ..trial(3, 1, TickResult::Complete)
        };
        assert_eq!(allowed(0).broken_promise(), None);
        assert_eq!(allowed(1).broken_promise(), Some("a repeat is another record"));
        assert!(Trial { struck: false, ..trial(3, 0, TickResult::Complete) }.broken_promise().is_some());
        assert!(Trial { throttled: 1, ..trial(3, 0, TickResult::Complete) }.broken_promise().is_some());
    }
}
