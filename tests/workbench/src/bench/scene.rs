//! The services with everything there is to forward, and a look at what arrived when the clock has stopped.

use std::collections::HashSet;
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use simulator::{Cloud, Request, Route, Seen, Served, Service, Sink, Volume, clock, shape};

/// A cloud and where it listens.
pub(super) struct Scene {
    pub(super) served: Served,
    cloud: Cloud,
    latency: Duration,
    bytes: usize,
    ids: HashSet<String>,
}

/// What came since the last look.
pub(super) struct Arrived {
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

impl Scene {
    /// So many alerts of the last 23 hours; every answer takes `latency`.
    pub(super) async fn new(alerts: usize, machines: usize, latency: Duration) -> Result<Self, String> {
        let now = clock::now();
        Self::between(alerts, machines, latency, now - Duration::from_secs(23 * 3600), now).await
    }

    /// So many alerts between two times.
    pub(super) async fn between(
        alerts: usize,
        machines: usize,
        latency: Duration,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Self, String> {
        let cloud = Cloud::new(1);
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

    /// The mean length of an alert.
    pub(super) fn mean_bytes(&self) -> usize {
        self.bytes / self.ids.len().max(1)
    }

    pub(super) fn settings(&self, sink: Sink) -> Vec<(String, String)> {
        self.served.settings(sink, Route::ManagedIdentity)
    }

    /// How many requests the services other than the sinks have seen.
    pub(super) fn seen(&self) -> usize {
        self.cloud.requests().len()
    }

    /// The calls of services other than the sinks, except for the first ones.
    pub(super) fn calls_since(&self, seen: usize) -> Vec<Call> {
        let seen = self.cloud.requests().split_off(seen);
        seen.iter().map(|seen| Call { kind: kind(seen), at: seen.at }).collect()
    }

    /// Looks at everything since the services had seen `seen` requests: each post has to be one that the sink
    /// accepts, and every alert has to be in one of them.
    pub(super) fn look(&self, seen: usize) -> Result<Arrived, String> {
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
        Ok(Arrived { calls, posts })
    }

    /// Shows a post to its service, and reads the ids of the alerts in it.
    fn accept(&self, service: Service, request: &Request, at: OffsetDateTime) -> Result<Vec<String>, String> {
        // The Data Collector knows its callers by a constant key, so any cloud will do: a new one does not keep
        // the posts before. Tokens are known only to the cloud that issued them.
        let judge = match service {
            Service::DataCollector => Cloud::new(0),
            _ => self.cloud.clone(),
        };
        let reaction = judge.react(service, request, at);
        if !matches!(reaction.status(), Some(200 | 204)) {
            let reason = judge.refused().pop().map(|refused| refused.reason);
            return Err(format!("{service:?} would have refused a post: {}", reason.unwrap_or_default()));
        }
        let received = judge.received().pop().ok_or("an accepted post was not kept")?;
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
        _ => Kind::Token,
    }
}
