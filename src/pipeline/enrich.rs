//! The second step: the machines of new alerts, and with `MDATP_ALERT_FETCH=by-id` the alerts themselves as
//! `GET /api/alerts/{id}` has them. The fetch stage takes it with each page, so that only new alerts are looked up.

use std::sync::atomic::Ordering;

use azure_core::time::OffsetDateTime;
use futures::{StreamExt, stream};
use tokio::sync::MutexGuard;
use tracing::warn;

use crate::{
    config::{AlertFetch, MachineSource},
    http::call::{CallError, Caller},
    record::{
        alert::{Alert, Fingerprint, InvalidAlert},
        batch::Ack,
    },
    services::Services,
    source::{
        Source,
        machines::{CALLS_AT_ONCE, LookupSummary, MachineLookup, Machines},
    },
};

/// When this many alerts of a group cannot be fetched by their ids and no alert ever could, the fault is the call's (a
/// proxy's, or the service's), and not these alerts'.
const FAILURES_OF_CALL: usize = 8;

/// After this many failures no more alerts are tried to find that out. It is more than [`FAILURES_OF_CALL`], since some
/// ids may be rejected for how they look while others of the group are not.
const MAX_FAILURES: usize = 32;

/// A part of the list, with machines.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// What is new, in the order of the list.
    pub elements: Vec<Element>,
    /// The number of alerts that were read, new or not, each counted once.
    pub read: u64,
    /// The number of those that earlier runs delivered.
    pub known: u64,
    /// What the look-ups returned.
    pub looked_up: LookupSummary,
    /// The time at which Defender says it answered.
    pub answered: Option<OffsetDateTime>,
}

/// An element of the list.
#[derive(Debug)]
pub(super) enum Element {
    /// An alert with its machine.
    Alert(Box<Enriched>),
    /// An element that is not an alert, or cannot be read.
    Invalid(InvalidAlert),
}

/// An alert with its machine.
#[derive(Debug)]
pub(super) struct Enriched {
    /// The alert.
    pub alert: Alert,
    /// False for the list's form of an alert that could not be fetched by its id.
    pub is_fetched: bool,
    /// Its machine.
    pub machine: MachineLookup,
    /// What its acceptance means for the checkpoint.
    pub ack: Ack,
}

/// Looks up machines, and alerts by their ids, for one run.
pub(super) struct Enricher<'a> {
    services: &'a Services,
    caller: &'a Caller,
    machines: MutexGuard<'a, Machines>,
    /// The end of the range that the whole checkpoint covers; `None` when it has no end.
    until: Option<OffsetDateTime>,
}

impl<'a> Enricher<'a> {
    /// Starts the look-ups of a run whose checkpoint covers the time before `until`.
    pub(super) async fn new(
        services: &'a Services,
        caller: &'a Caller,
        until: Option<OffsetDateTime>,
    ) -> Self {
        let mut machines = services.machines.lock().await;
        machines.begin_run(caller.now());
        Self { services, caller, machines, until }
    }

    /// Adds the alerts of `group` with their machines to `chunk`. Returns the newer states that were fetched in place of
    /// listed ones: the list may name them too.
    pub(super) async fn enrich(
        &mut self,
        group: Vec<(Alert, Ack)>,
        chunk: &mut Chunk,
    ) -> Result<Vec<(Fingerprint, OffsetDateTime)>, CallError> {
        let (group, failure) = match self.services.fetch {
            AlertFetch::List => (group.into_iter().map(Candidate::from).collect(), None),
            AlertFetch::ById => self.fetch_each(group).await?,
        };
        let newer = group.iter().filter_map(|candidate: &Candidate| candidate.ack.newer).collect();
        let ids = group.iter().filter_map(|candidate: &Candidate| candidate.alert.machine_id.as_deref());
        let Source { machines: from, defender, graph, .. } = &self.services.source;
        chunk.looked_up = match from {
            MachineSource::Api => self.machines.look_up(ids, defender, self.caller).await?,
            MachineSource::Hunting => self.machines.hunt(ids, graph, self.caller).await?,
            MachineSource::Evidence | MachineSource::None => LookupSummary::default(),
        };
        let is_looked_up = matches!(from, MachineSource::Api | MachineSource::Hunting);
        chunk.looked_up.failure = chunk.looked_up.failure.take().or(failure);
        chunk.elements.extend(group.into_iter().map(|Candidate { alert, ack, is_fetched }| {
            let id = alert.machine_id.as_deref().filter(|_| is_looked_up);
            let machine =
                id.map_or(MachineLookup::None, |id| self.machines.get(id)).with(alert.machine.as_ref());
            Element::Alert(Box::new(Enriched { alert, is_fetched, machine, ack }))
        }));
        Ok(newer)
    }

    /// Fetches each alert by its id. Returns them with the error of the last one that was rejected.
    ///
    /// An alert that no longer exists is forwarded as listed. The listed alert says where the pagination is; the fetched
    /// one may be newer. If it is so new that it belongs to whichever checkpoint goes on after `until`, it is left to
    /// that one.
    ///
    /// # Errors
    ///
    /// A rejection concerns its own alert. It is an error when so many are rejected and none is answered that the call
    /// itself must be the cause, or when the list is rejected too by then: a role can be lost during a run.
    async fn fetch_each(
        &self,
        group: Vec<(Alert, Ack)>,
    ) -> Result<(Vec<Candidate>, Option<CallError>), CallError> {
        let Services { mode, source, alerts_come_by_id, .. } = self.services;
        let fetches = group.into_iter().map(|listed| async move {
            let answer = source.alert(&listed.0.id, self.caller).await;
            (listed, answer)
        });
        let mut fetches = stream::iter(fetches.collect::<Vec<_>>()).buffered(CALLS_AT_ONCE);
        let (mut candidates, mut failures, mut failure) = (Vec::new(), 0, None);
        while let Some(((listed, mut ack), answer)) = fetches.next().await {
            match answer {
                Ok(alert) => {
                    alerts_come_by_id.store(true, Ordering::Relaxed);
                    let alert = alert.unwrap_or(listed);
                    let newer = alert.time(*mode).filter(|time| Some(*time) != ack.time);
                    ack.newer = newer.map(|time| (alert.fingerprint(*mode), time));
                    ack.generated = alert.generated(*mode).map(|(_, time)| time);
                    let is_beyond = newer.zip(self.until).is_some_and(|(time, until)| time >= until);
                    if !is_beyond {
                        candidates.push(Candidate { alert, ack, is_fetched: true });
                    }
                }
                // A rejection may be temporary, so it is no reason to send the alert without its evidence.
                Err(error) if error.is_rejection() => {
                    candidates.push(Candidate { alert: listed, ack, is_fetched: false });
                    failures += 1;
                    failure = Some(error);
                    if failures == MAX_FAILURES && !alerts_come_by_id.load(Ordering::Relaxed) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error) if failures >= FAILURES_OF_CALL && !alerts_come_by_id.load(Ordering::Relaxed) => {
                warn!("none of {failures} alerts came by its id; MDATP_ALERT_FETCH=list makes no such calls");
                Err(error)
            }
            Some(error) => {
                source.probe(self.caller).await?;
                Ok((candidates, Some(error)))
            }
            None => Ok((candidates, None)),
        }
    }
}

/// An alert as it is to be forwarded.
struct Candidate {
    alert: Alert,
    ack: Ack,
    /// See [`Enriched::is_fetched`].
    is_fetched: bool,
}

impl From<(Alert, Ack)> for Candidate {
    fn from((alert, ack): (Alert, Ack)) -> Self {
        Self { alert, ack, is_fetched: true }
    }
}
