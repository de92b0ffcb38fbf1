//! The first half of a run: page after page of the list, and the machines of what is new on it. It works
//! ahead of the second half, by no more than the channel between them holds.

use std::{collections::HashSet, sync::atomic::Ordering};

use azure_core::time::OffsetDateTime;
use futures::{StreamExt, stream};
use tokio::sync::mpsc::Sender;
use tracing::warn;

use crate::{
    alert::{Alert, Identity, NoAlert},
    batch::Delivery,
    call::{CallError, Caller},
    config::AlertFetch,
    enrich::{CALLS_AT_ONCE, LookedUp, MachineOf, Machines},
    http::ExchangeError,
    page::Page,
    services::Services,
    walk::{Next, Walk, Window},
};

/// Alerts that are fetched again by their ids together. Between two such groups the run can end early
/// without losing work.
const GROUP: usize = 256;

/// So many alerts that cannot be fetched by their ids, and none that can, are the fault of the call and not of an
/// alert: of what stands in between, or of the service.
const FAILURES_TO_BLAME_CALL: usize = 8;

/// After so many no more are asked for to find that out. More than the above, since some of a kind of ids may be
/// rejected by their looks and others not.
const FAILURES_TO_GIVE_UP: usize = 32;

/// What was read together.
#[derive(Debug, Default)]
pub struct Portion {
    /// What is new, in the order of the list.
    pub elements: Vec<Element>,
    /// How many alerts were read, each counted once, whether new or not.
    pub read: u64,
    /// How many of them earlier runs had delivered.
    pub known: u64,
    /// What looking up their machines brought, and in by-id mode themselves.
    pub looked_up: LookedUp,
    /// When Defender says it answered.
    pub answered: Option<OffsetDateTime>,
}

/// An element of the list.
#[derive(Debug)]
pub enum Element {
    /// An alert with its machine.
    Alert(Box<Enriched>),
    /// Something that is no alert.
    NoAlert(NoAlert),
}

impl Element {
    /// What tells it from others, as the list has it.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Alert(enriched) => enriched.delivery.identity,
            Self::NoAlert(no_alert) => no_alert.identity(),
        }
    }
}

/// An alert with its machine, and what its delivery means.
#[derive(Debug)]
pub struct Enriched {
    /// The alert.
    pub alert: Alert,
    /// False when it could not be fetched by its id, and is what the list has of it.
    pub is_fetched: bool,
    /// Its machine.
    pub machine: MachineOf,
    /// What its acceptance means for the checkpoint.
    pub delivery: Delivery,
}

/// Reads for one run.
pub struct Reader<'a> {
    /// The services.
    pub services: &'a Services,
    /// Makes the calls.
    pub caller: &'a Caller,
    /// What earlier runs delivered.
    pub delivered: HashSet<Identity>,
    /// Where the range ends that the whole checkpoint is for; none when it has no end.
    pub until: Option<OffsetDateTime>,
}

impl Reader<'_> {
    /// Reads the alerts of `window` and hands them on. True when all of them were read; false when time is
    /// up, when the server repeats itself, or when nobody listens any more.
    pub async fn read(&self, window: Window, portions: Sender<Portion>) -> Result<bool, CallError> {
        let mut machines = self.services.machines.lock().await;
        machines.begin_run(self.caller.now());
        let mut walk = Walk::new(window, self.services.page_size);
        while !self.caller.deadline.is_near() {
            // No page is fetched before the one before is taken: one is read while one is delivered.
            if portions.reserve().await.is_err() {
                return Ok(false);
            }
            let Some(page) = self.fetch(&mut walk).await? else { continue };
            let next = self.hand_on(page, &mut walk, &mut machines, &portions).await?;
            match next {
                Some(Next::Page) => {}
                Some(Next::End) => return Ok(true),
                Some(Next::Stalled) => {
                    warn!(
                        "Defender answered with a full page of alerts that this run has seen already; the rest \
                         of the list is left for the next run"
                    );
                    return Ok(false);
                }
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Fetches the next page; none when it was too large and is to be asked for in halves.
    async fn fetch(&self, walk: &mut Walk) -> Result<Option<Page>, CallError> {
        match self.services.defender.list(walk.query(), self.caller).await {
            Ok(page) => Ok(Some(page)),
            Err(CallError::Unreachable { error: ExchangeError::TooLarge, .. }) if walk.halve_page() => {
                warn!("{}; asking for {} alerts a page", ExchangeError::TooLarge, walk.query().top);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Enriches what is new on a page and hands it on. Tells how the walk goes on; nothing when the page
    /// could not be handed on whole.
    async fn hand_on(
        &self,
        page: Page,
        walk: &mut Walk,
        machines: &mut Machines,
        portions: &Sender<Portion>,
    ) -> Result<Option<Next>, CallError> {
        let mode = self.services.mode;
        let keys: Vec<_> = page
            .elements
            .iter()
            .map(|element| match element {
                Ok(alert) => (alert.time(mode), alert.identity(mode)),
                Err(no_alert) => (None, no_alert.identity()),
            })
            .collect();
        let step = walk.step(&keys, page.has_next_link);
        let is_in_order = walk.is_in_order();

        let mut portion =
            Portion { read: step.fresh.len() as u64, answered: page.as_of, ..Portion::default() };
        let mut alerts = Vec::with_capacity(step.fresh.len());
        let mut elements: Vec<_> = page.elements.into_iter().map(Some).collect();
        for place in step.fresh {
            let (time, identity) = keys[place];
            if self.delivered.contains(&identity) {
                portion.known += 1;
                continue;
            }
            match elements[place].take() {
                Some(Ok(alert)) => {
                    let reaches = time.filter(|_| is_in_order);
                    let generated = alert.created;
                    alerts.push((alert, Delivery { identity, time, reaches, newer: None, generated }));
                }
                Some(Err(no_alert)) => portion.elements.push(Element::NoAlert(no_alert)),
                None => {}
            }
        }
        let together = match self.services.fetch {
            AlertFetch::List => alerts.len().max(1),
            AlertFetch::ById => GROUP,
        };
        while !alerts.is_empty() {
            let rest = alerts.split_off(alerts.len().min(together));
            let group = std::mem::replace(&mut alerts, rest);
            self.enrich(group, machines, &mut portion).await?;
            let is_more = !alerts.is_empty();
            if is_more
                && (portions.send(std::mem::take(&mut portion)).await.is_err()
                    || self.caller.deadline.is_near())
            {
                return Ok(None);
            }
        }
        Ok(portions.send(portion).await.is_ok().then_some(step.next))
    }

    /// Adds alerts with their machines to a portion.
    async fn enrich(
        &self,
        group: Vec<(Alert, Delivery)>,
        machines: &mut Machines,
        portion: &mut Portion,
    ) -> Result<(), CallError> {
        let (group, failure) = match self.services.fetch {
            AlertFetch::List => (group.into_iter().map(Candidate::from).collect(), None),
            AlertFetch::ById => self.fetch_each(group).await?,
        };
        let ids = group.iter().filter_map(|fetched: &Candidate| fetched.alert.machine_id.as_deref());
        portion.looked_up = machines.look_up(ids, &self.services.defender, self.caller).await?;
        portion.looked_up.failure = portion.looked_up.failure.take().or(failure);
        portion.elements.extend(group.into_iter().map(|Candidate { alert, delivery, is_fetched }| {
            let machine = alert.machine_id.as_deref().map_or(MachineOf::None, |id| machines.get(id));
            Element::Alert(Box::new(Enriched { alert, is_fetched, machine, delivery }))
        }));
        Ok(())
    }

    /// Fetches each alert by its id, and tells why the last one that was rejected was. One that is
    /// gone meanwhile is forwarded as the list had it. The list's own alert says where the walk is; the one fetched
    /// may be newer. If it is so new that it belongs to whoever goes on after `until`, it is left to that.
    ///
    /// A rejection concerns its own alert. It is an error when so many are rejected and none is answered that the call
    /// itself must be at fault.
    async fn fetch_each(
        &self,
        group: Vec<(Alert, Delivery)>,
    ) -> Result<(Vec<Candidate>, Option<CallError>), CallError> {
        let Services { mode, defender, alerts_come_by_id, .. } = self.services;
        let fetches = group.into_iter().map(|listed| async move {
            let answer = defender.alert(&listed.0.id, self.caller).await;
            (listed, answer)
        });
        let mut fetches = stream::iter(fetches.collect::<Vec<_>>()).buffered(CALLS_AT_ONCE);
        let (mut all, mut failures, mut failure) = (Vec::new(), 0, None);
        while let Some(((listed, mut delivery), answer)) = fetches.next().await {
            match answer {
                Ok(alert) => {
                    alerts_come_by_id.store(true, Ordering::Relaxed);
                    let alert = alert.unwrap_or(listed);
                    let newer = alert.time(*mode).filter(|sent| Some(*sent) != delivery.time);
                    delivery.newer = newer.map(|sent| (alert.identity(*mode), sent));
                    let is_another_s = newer.zip(self.until).is_some_and(|(sent, until)| sent >= until);
                    if !is_another_s {
                        all.push(Candidate { alert, delivery, is_fetched: true });
                    }
                }
                // What may be gone a little later is no reason to send an alert without its evidence.
                Err(error) if error.is_rejection() => {
                    all.push(Candidate { alert: listed, delivery, is_fetched: false });
                    failures += 1;
                    failure = Some(error);
                    if failures == FAILURES_TO_GIVE_UP && !alerts_come_by_id.load(Ordering::Relaxed) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error)
                if failures >= FAILURES_TO_BLAME_CALL && !alerts_come_by_id.load(Ordering::Relaxed) =>
            {
                warn!("none of {failures} alerts came by its id; MDATP_ALERT_FETCH=list makes no such calls");
                Err(error)
            }
            failure => Ok((all, failure)),
        }
    }
}

/// An alert as it is to be forwarded.
struct Candidate {
    alert: Alert,
    delivery: Delivery,
    /// False for the list's form of an alert that could not be fetched by its id.
    is_fetched: bool,
}

impl From<(Alert, Delivery)> for Candidate {
    fn from((alert, delivery): (Alert, Delivery)) -> Self {
        Self { alert, delivery, is_fetched: true }
    }
}
