//! The workload: the simulated services with all alerts to forward, and the verification of what arrived, once the
//! time has been taken.

use std::collections::HashSet;
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use simulator::{Cloud, Request, Role, Route, Seen, Served, Service, Sink, Volume, clock, shape};

/// A cloud with alerts, and where it listens.
pub(super) struct Workload {
    pub(super) served: Served,
    cloud: Cloud,
    latency: Duration,
    bytes: usize,
    ids: HashSet<String>,
}

/// What arrived during a run.
pub(super) struct Traffic {
    /// The calls in the order of their arrival.
    pub(super) calls: Vec<Call>,
    /// The posts' bodies.
    pub(super) posts: Vec<Bytes>,
}

/// A call and what it was for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) at: OffsetDateTime,
}

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token,
    /// A page of alerts.
    Page,
    Machines,
    /// A post with so many records.
    Post(usize),
}

impl Workload {
    /// Makes `alerts` alerts of the last 23 hours; every response takes `latency`.
    pub(super) async fn new(alerts: usize, machines: usize, latency: Duration) -> Result<Self, String> {
        let now = clock::now();
        Self::between(alerts, machines, latency, now - Duration::from_secs(23 * 3600), now).await
    }

    /// Makes `alerts` alerts that were created between two times.
    pub(super) async fn between(
        alerts: usize,
        machines: usize,
        latency: Duration,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Self, String> {
        let cloud = Cloud::new(1);
        cloud.grant_role(Role::SecurityAlertRead);
        cloud.generate(&Volume { alerts, machines, since, until });
        let served = cloud.serve_timed(latency).await?;
        let ids: HashSet<_> = cloud.alert_ids().into_iter().collect();
        let text = |id: &String| cloud.alert_json(id).map_or(0, |text| text.len());
        let bytes = ids.iter().map(text).sum();
        Ok(Self { served, cloud, latency, bytes, ids })
    }

    pub(super) fn latency(&self) -> Duration {
        self.latency
    }

    pub(super) fn alerts(&self) -> usize {
        self.ids.len()
    }

    /// The mean length of an alert in bytes.
    pub(super) fn mean_bytes(&self) -> usize {
        self.bytes / self.ids.len().max(1)
    }

    pub(super) fn settings(&self, sink: Sink) -> Vec<(String, String)> {
        self.served.settings(sink, Route::ManagedIdentity)
    }

    /// The number of requests to services other than the sinks so far.
    pub(super) fn seen(&self) -> usize {
        self.cloud.requests().len()
    }

    /// The calls of services other than the sinks, without the first `seen`.
    pub(super) fn calls_since(&self, seen: usize) -> Vec<Call> {
        let seen = self.cloud.requests().split_off(seen);
        seen.iter().map(|seen| Call { kind: kind(seen), at: seen.at }).collect()
    }

    /// Verifies everything since the services had seen `seen` requests: the sink has to accept each post, and every
    /// alert has to be in one of them.
    pub(super) fn verify(&self, seen: usize) -> Result<Traffic, String> {
        let asked = self.cloud.requests().split_off(seen);
        let mut calls: Vec<_> = asked.iter().map(|seen| Call { kind: kind(seen), at: seen.at }).collect();
        if let Some(bad) = asked.iter().find(|seen| seen.status != Some(200)) {
            return Err(format!("{:?} answered {} {:?}", bad.service, bad.path_and_query, bad.status));
        }
        let (mut missing, mut posts) =
            (self.ids.iter().map(String::as_str).collect::<HashSet<_>>(), Vec::new());
        for (service, request, at) in self.served.take_unread() {
            let ids = self.accept(service, &request, at)?;
            calls.push(Call { kind: Kind::Post(ids.len()), at });
            for id in ids {
                missing.remove(id.as_str());
            }
            posts.push(request.body);
        }
        match missing.len() {
            0 => {}
            lost => return Err(format!("{lost} of {} alerts did not arrive", self.ids.len())),
        }
        calls.sort_by_key(|call| call.at);
        Ok(Traffic { calls, posts })
    }

    /// Hands a post to its service, and returns the ids of the alerts in it.
    fn accept(&self, service: Service, request: &Request, at: OffsetDateTime) -> Result<Vec<String>, String> {
        // Every cloud accepts the Data Collector's constant key, and a new one does not hold the posts before. Tokens
        // are accepted only by the cloud that issued them.
        let cloud = match service {
            Service::DataCollector => Cloud::new(0),
            _ => self.cloud.clone(),
        };
        let reaction = cloud.react(service, request, at);
        if !matches!(reaction.status(), Some(200 | 204)) {
            let reason = cloud.rejected().pop().map(|rejected| rejected.reason);
            return Err(format!("{service:?} rejects a post: {}", reason.unwrap_or_default()));
        }
        let received = cloud.received().pop().ok_or("the cloud kept no accepted post")?;
        let id = |record: &String| {
            let record = serde_json::from_str(record).expect("only JSON is accepted");
            shape::alert_id(&record).map(str::to_owned).ok_or_else(|| "a record is of no alert".to_owned())
        };
        received.records.iter().map(id).collect()
    }
}

fn kind(seen: &Seen) -> Kind {
    match seen.service {
        Service::Defender if seen.path_and_query.starts_with("/api/alerts") => Kind::Page,
        Service::Defender => Kind::Machines,
        Service::Graph => Kind::Page,
        _ => Kind::Token,
    }
}
