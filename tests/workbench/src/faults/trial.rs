//! One trouble on one sink: ticks one after the other until a run says that it is complete.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use simulator::functions_host::{FunctionsHost, Invocation, Payload, Start};
use simulator::{
    Cloud, Moment, Peer, Ports, Route, Service, Sink, Step, Steps, Volume, clock, printed_rule, shape,
};

use super::Options;
use super::trouble::{Kind, Trouble};
use crate::app_root::AppRoot;

/// Ticks after which nothing more is to be expected.
const TICKS: usize = 10;

/// What was seen.
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) sink: Sink,
    pub(super) told: Vec<Told>,
    /// From the first tick to the end of the last.
    pub(super) took: Duration,
    pub(super) wanted: usize,
    pub(super) delivered: usize,
    pub(super) repeats: usize,
    /// The most repeats that the trouble excuses.
    pub(super) excused: usize,
    /// Records of one alert that are not the same, byte for byte.
    pub(super) varied: usize,
    /// Whether the trouble came at all.
    pub(super) struck: bool,
    /// Calls over a quota.
    pub(super) throttled: u64,
}

/// What a tick told the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Complete,
    /// A success that says there is more to do.
    Incomplete,
    Failed(String),
    /// Nothing: the process was gone.
    Killed,
}

impl Trial {
    pub(super) async fn run(
        binary: &Path,
        options: &Options,
        sink: Sink,
        trouble: &Trouble,
    ) -> Result<Self, String> {
        let wanted = trouble.alerts.unwrap_or(options.alerts);
        let cloud = Cloud::new(options.seed);
        cloud.deploy_rule(&printed_rule(binary)?)?;
        let until = clock::now();
        let since = until - Duration::from_secs(23 * 3600);
        cloud.generate(&Volume { alerts: wanted, machines: options.machines, since, until });
        let steps = trouble.kind.set(&cloud, sink.service());
        let served = cloud.serve_in_steps(Ports::Free, &steps).await?;
        let app_root = AppRoot::with(binary)?;
        let mut settings = served.settings(sink, Route::ClientSecret);
        settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
        let host = FunctionsHost::start(Start::new(app_root.path(), settings)).await?;

        let (begin, mut told) = (Instant::now(), Vec::new());
        while told.len() < TICKS && told.last() != Some(&Told::Complete) {
            told.push(tick(&host, &steps).await?);
        }
        let took = begin.elapsed();
        let (posts, counts) = (cloud.received(), cloud.counts());
        let texts = posts.iter().flat_map(|post| &post.records);
        let records = cloud.records();
        let ids: BTreeSet<_> = records.iter().filter_map(shape::alert_id).collect();
        let largest = posts.iter().map(|post| post.records.len()).max().unwrap_or_default();
        Ok(Self {
            name: trouble.name,
            sink,
            struck: match &trouble.kind {
                Kind::Faults(faults) => faults.is_empty() == (counts.faults == 0),
                Kind::RevokedTokens => cloud.requests().iter().any(|seen| seen.status == Some(401)),
                Kind::Kill => told.contains(&Told::Killed),
                Kind::Quotas => true,
                Kind::CappedPages(cap) => counts.alert_lists >= wanted.div_ceil(*cap) as u64,
            },
            told,
            took,
            wanted,
            delivered: cloud.alert_ids().iter().filter(|id| ids.contains(id.as_str())).count(),
            repeats: records.len() - ids.len(),
            excused: trouble.resends * largest,
            varied: texts.collect::<BTreeSet<_>>().len() - ids.len(),
            throttled: counts.throttled,
        })
    }

    /// What is not as promised.
    pub(super) fn broken(&self) -> Option<&'static str> {
        let succeeded = self.told.last() == Some(&Told::Complete);
        match () {
            () if succeeded && self.delivered < self.wanted => Some("success over a loss"),
            () if self.delivered < self.wanted => Some("lost"),
            () if !succeeded => Some("never complete"),
            () if self.repeats > self.excused => Some("repeated without need"),
            () if self.varied > 0 => Some("a repeat is another record"),
            () if self.throttled > 0 => Some("asked more than its quota"),
            () if !self.struck => Some("the fault never struck"),
            () => None,
        }
    }
}

impl Kind {
    /// Arranges for it to happen. The steps halt where the process is to die.
    fn set(&self, cloud: &Cloud, sink: Service) -> Steps {
        let is =
            |moment: &Moment, service, step| moment.peer == Peer::Service(service) && moment.step == step;
        match self {
            Self::Faults(faults) => faults.iter().cloned().for_each(|fault| cloud.fault(fault)),
            Self::Quotas => cloud.enforce_rate_limits(true),
            Self::CappedPages(cap) => cloud.cap_pages(Some(*cap)),
            Self::Kill => return Steps::new(move |moment| is(moment, sink, Step::Done)),
            Self::RevokedTokens => {
                let (cloud, revoked) = (cloud.clone(), std::sync::Once::new());
                return Steps::new(move |moment| {
                    if is(moment, Service::Defender, Step::Done) {
                        revoked.call_once(|| cloud.revoke_tokens());
                    }
                    false
                });
            }
        }
        Steps::default()
    }
}

/// One tick; if the world halts, the process is killed and started again.
async fn tick(host: &FunctionsHost, steps: &Steps) -> Result<Told, String> {
    let mut firing = pin!(host.fire(Payload::Regular));
    tokio::select! {
        invocation = &mut firing => return Ok(Told::by(invocation)),
        () = steps.halted() => {}
    }
    host.kill().await;
    steps.go_on();
    firing.await;
    host.restart().await?;
    Ok(Told::Killed)
}

impl Told {
    fn by(invocation: Invocation) -> Self {
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

    fn trial(delivered: usize, repeats: usize, last: Told) -> Trial {
        Trial {
            name: "a fault",
            sink: Sink::LogsIngestion,
            told: vec![Told::Failed("why".to_owned()), last],
            took: Duration::ZERO,
            wanted: 3,
            delivered,
            repeats,
            excused: 0,
            varied: 0,
            struck: true,
            throttled: 0,
        }
    }

    #[test]
    fn a_promise_broken_is_named() {
        assert_eq!(trial(3, 0, Told::Complete).broken(), None);
        assert_eq!(trial(2, 0, Told::Complete).broken(), Some("success over a loss"));
        assert_eq!(trial(2, 0, Told::Incomplete).broken(), Some("lost"));
        assert_eq!(trial(3, 0, Told::Incomplete).broken(), Some("never complete"));
        assert_eq!(trial(3, 1, Told::Complete).broken(), Some("repeated without need"));
        let excused = |varied| Trial { excused: 1, varied, ..trial(3, 1, Told::Complete) };
        assert_eq!(excused(0).broken(), None);
        assert_eq!(excused(1).broken(), Some("a repeat is another record"));
        assert!(Trial { struck: false, ..trial(3, 0, Told::Complete) }.broken().is_some());
        assert!(Trial { throttled: 1, ..trial(3, 0, Told::Complete) }.broken().is_some());
    }
}
