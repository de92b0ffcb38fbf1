//! The first stage: page after page of the list, and the machines of what is new on it. It works ahead of the
//! others, by no more than the channel between them holds. What it hands on once, it never hands on again.

use std::{sync::atomic::Ordering, time::Duration};

use azure_core::time::OffsetDateTime;
use futures::{StreamExt, stream};
use http::StatusCode;
use tokio::sync::mpsc::Sender;
use tracing::warn;

use super::plan::Plan;
use crate::{
    config::AlertFetch,
    error_chain::chain,
    http::{
        ExchangeError,
        call::{CallError, Caller, Effort},
    },
    record::{
        alert::{Alert, InvalidAlert, Mode},
        batch::Ack,
        fingerprints::{Fingerprints, start_of_minute},
        page::{Page, PageSizes},
        window::Window,
    },
    services::Services,
    source::{
        machines::{CALLS_AT_ONCE, LookedUp, MachineLookup, Machines},
        pagination::{Delivered, Next, Pagination},
    },
    state::checkpoint::Checkpoint,
};

/// Alerts that are fetched again by their ids together. Between two such groups the run can end early
/// without losing work.
const GROUP: usize = 256;

/// So many alerts side by side that cannot be read mean that nothing of this server can.
const UNREADABLE_TO_BLAME_THE_SERVER: usize = 8;

/// So many alerts that cannot be fetched by their ids, and none that can, are the fault of the call and not of an
/// alert: of what stands in between, or of the service.
const FAILURES_TO_BLAME_CALL: usize = 8;

/// After so many no more are asked for to find that out. More than the above, since some of a kind of ids may be
/// rejected by their looks and others not.
const FAILURES_TO_GIVE_UP: usize = 32;

/// What the stage hands on.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Some of the list.
    Chunk(Chunk),
    /// The end of it. Nothing comes after it.
    End(ReadResult),
}

/// What was read together.
#[derive(Debug, Default)]
pub struct Chunk {
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

/// What of the list cannot be read.
#[derive(Debug, Default)]
struct Unreadable {
    /// True when the last page that was asked for could not be.
    is_on_page: bool,
    /// Pages of one alert since the last page that could be read.
    alone: Vec<InvalidAlert>,
}

/// How reading ended.
#[derive(Debug)]
pub struct ReadResult {
    /// True when all alerts of the window were read; false when time is up, when the server repeats itself, or when
    /// nobody listens any more.
    pub end: Result<bool, CallError>,
    /// What is known of the server's pages now.
    pub pages: PageSizes,
}

/// An element of the list.
#[derive(Debug)]
pub enum Element {
    /// An alert with its machine.
    Alert(Box<Enriched>),
    /// Something that is no alert.
    InvalidAlert(InvalidAlert),
}

/// An alert with its machine, and what its ack means.
#[derive(Debug)]
pub struct Enriched {
    /// The alert.
    pub alert: Alert,
    /// False when it could not be fetched by its id, and is what the list has of it.
    pub is_fetched: bool,
    /// Its machine.
    pub machine: MachineLookup,
    /// What its acceptance means for the checkpoint.
    pub ack: Ack,
}

/// Reads for one run.
pub(super) struct FetchStage<'a> {
    services: &'a Services,
    caller: &'a Caller,
    window: Window,
    lookback: Duration,
    /// What earlier runs delivered.
    delivered: Fingerprints,
    /// What earlier runs have learnt about the server's pages.
    pages: PageSizes,
    /// Where the range ends that the whole checkpoint is for; none when it has no end.
    until: Option<OffsetDateTime>,
}

impl<'a> FetchStage<'a> {
    /// The stage of a run by `plan`, for the alerts of `window` after what `checkpoint` says was delivered.
    pub(super) fn new(
        services: &'a Services,
        plan: &Plan,
        caller: &'a Caller,
        checkpoint: &Checkpoint,
        window: Window,
    ) -> Self {
        Self {
            services,
            caller,
            window,
            lookback: plan.lookback,
            delivered: checkpoint.delivered().clone(),
            pages: checkpoint.pages,
            until: checkpoint.until,
        }
    }

    /// Reads the alerts of the window and hands them on, until the end or until nobody takes them.
    pub(super) async fn run(&self, chunks: Sender<Fetched>) {
        let (count, earliest) = self.delivered.since(self.window.from);
        let are_listed = self.services.mode == Mode::Created;
        let delivered = Delivered { fingerprints: self.delivered.all(), count, earliest, are_listed };
        let mut pagination = Pagination::new(self.window, self.services.page_size, delivered, self.pages);
        let end = self.pagination(&mut pagination, &chunks).await;
        // Nobody left to hear of the end is no matter of this stage.
        let _ = chunks.send(Fetched::End(ReadResult { end, pages: pagination.pages() })).await;
    }

    async fn pagination(
        &self,
        pagination: &mut Pagination<'_>,
        chunks: &Sender<Fetched>,
    ) -> Result<bool, CallError> {
        let mut machines = self.services.machines.lock().await;
        machines.begin_run(self.caller.now());
        let mut unreadable = Unreadable::default();
        let mut handed_on = Fingerprints::default();
        while !self.caller.deadline.is_near() {
            // No page is fetched before the one before is taken: one is read while one is delivered.
            if chunks.reserve().await.is_err() {
                return Ok(false);
            }
            let Some(page) = self.fetch(pagination, &mut unreadable).await? else { continue };
            // The server can be read, so what could not be is the fault of these alerts.
            let alone = std::mem::take(&mut unreadable.alone);
            let next = self.hand_on(page, alone, pagination, &mut handed_on, &mut machines, chunks).await?;
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

    /// Fetches the next page; `None` when it is to be asked for in another way: with fewer alerts on it, or after one
    /// that cannot be read, which is added to `unreadable`.
    async fn fetch(
        &self,
        pagination: &mut Pagination<'_>,
        unreadable: &mut Unreadable,
    ) -> Result<Option<Page>, CallError> {
        let is_short = pagination.can_reduce() || unreadable.is_on_page;
        let effort = if is_short { Effort::Reducible } else { Effort::Full };
        let error = match self.services.defender.list(pagination.query(), effort, self.caller).await {
            Ok(page) => {
                if let Some(flaw) = &page.flaw {
                    warn!(
                        "Defender's reply to GET /api/alerts is not valid JSON and is read leniently: {flaw}"
                    );
                }
                return Ok(Some(page));
            }
            Err(error) => error,
        };
        unreadable.is_on_page = matches!(error, CallError::Unreadable { .. });
        let Some(by) = reduction(&error).filter(|_| !self.caller.deadline.is_near()) else {
            return Err(error);
        };
        if pagination.reduce(by) {
            warn!("{}; asking for {} alerts a page", chain(&error), pagination.query().top);
            return Ok(None);
        }
        match error {
            CallError::Unreadable { error, body, .. }
                if Page::is_meant_by(&body) && unreadable.alone.len() < UNREADABLE_TO_BLAME_THE_SERVER =>
            {
                let reason = format!("Defender's reply with this alert alone cannot be read: {error}");
                unreadable
                    .alone
                    .push(InvalidAlert { text: String::from_utf8_lossy(&body).into_owned().into(), reason });
                pagination.pass_over();
                Ok(None)
            }
            error => {
                // Fewer alerts have not helped, so their number is not to blame.
                pagination.restore();
                Err(error)
            }
        }
    }

    /// Enriches what is new on a page and hands it on. Tells how the pagination goes on; nothing when the page
    /// could not be handed on whole.
    async fn hand_on(
        &self,
        page: Page,
        unreadable: Vec<InvalidAlert>,
        pagination: &mut Pagination<'_>,
        handed_on: &mut Fingerprints,
        machines: &mut Machines,
        chunks: &Sender<Fetched>,
    ) -> Result<Option<Next>, CallError> {
        let mode = self.services.mode;
        let keys: Vec<_> = page
            .elements
            .iter()
            .map(|element| match element {
                Ok(alert) => (alert.time(mode), alert.fingerprint(mode)),
                Err(invalid_alert) => (None, invalid_alert.fingerprint()),
            })
            .collect();
        let step = pagination.step(&keys, page.has_next_link);
        let is_in_order = pagination.is_in_order();

        let mut chunk = Chunk {
            read: step.left_out as u64,
            known: step.left_out as u64,
            answered: page.as_of,
            ..Chunk::default()
        };
        // True for what no run has handed on before. A pagination that began again comes by everything twice.
        let mut is_new = |chunk: &mut Chunk, fingerprint, time: Option<OffsetDateTime>| {
            let is_delivered = self.delivered.contains(fingerprint);
            let is_first = is_delivered || handed_on.insert(fingerprint, time.unwrap_or(self.window.to));
            chunk.read += u64::from(is_first);
            chunk.known += u64::from(is_delivered);
            is_first && !is_delivered
        };
        for invalid_alert in unreadable {
            if is_new(&mut chunk, invalid_alert.fingerprint(), None) {
                chunk.elements.push(Element::InvalidAlert(invalid_alert));
            }
        }
        let mut alerts = Vec::with_capacity(step.fresh.len());
        let mut elements: Vec<_> = page.elements.into_iter().map(Some).collect();
        for place in step.fresh {
            let (time, fingerprint) = keys[place];
            if !is_new(&mut chunk, fingerprint, time) {
                continue;
            }
            match elements[place].take() {
                Some(Ok(alert)) => {
                    let watermark_after = time.filter(|_| is_in_order);
                    let generated = alert.generated(mode).map(|(_, time)| time);
                    alerts.push((alert, Ack { fingerprint, time, watermark_after, newer: None, generated }));
                }
                Some(Err(invalid_alert)) => chunk.elements.push(Element::InvalidAlert(invalid_alert)),
                None => {}
            }
        }
        if is_in_order && let Some(latest) = keys.iter().filter_map(|(time, _)| *time).max() {
            // As the checkpoint forgets: memory is a look-back, not the backlog.
            handed_on.forget_before(start_of_minute(latest - self.lookback));
        }
        let together = match self.services.fetch {
            AlertFetch::List => alerts.len().max(1),
            AlertFetch::ById => GROUP,
        };
        while !alerts.is_empty() {
            let rest = alerts.split_off(alerts.len().min(together));
            let group = std::mem::replace(&mut alerts, rest);
            self.enrich(group, handed_on, machines, &mut chunk).await?;
            let is_more = !alerts.is_empty();
            if is_more
                && (chunks.send(Fetched::Chunk(std::mem::take(&mut chunk))).await.is_err()
                    || self.caller.deadline.is_near())
            {
                return Ok(None);
            }
        }
        Ok(chunks.send(Fetched::Chunk(chunk)).await.is_ok().then_some(step.next))
    }

    /// Adds alerts with their machines to a chunk.
    async fn enrich(
        &self,
        group: Vec<(Alert, Ack)>,
        handed_on: &mut Fingerprints,
        machines: &mut Machines,
        chunk: &mut Chunk,
    ) -> Result<(), CallError> {
        let (group, failure) = match self.services.fetch {
            AlertFetch::List => (group.into_iter().map(Candidate::from).collect(), None),
            AlertFetch::ById => self.fetch_each(group).await?,
        };
        for (fingerprint, time) in group.iter().filter_map(|fetched: &Candidate| fetched.ack.newer) {
            handed_on.insert(fingerprint, time);
        }
        let ids = group.iter().filter_map(|fetched: &Candidate| fetched.alert.machine_id.as_deref());
        chunk.looked_up = machines.look_up(ids, &self.services.defender, self.caller).await?;
        chunk.looked_up.failure = chunk.looked_up.failure.take().or(failure);
        chunk.elements.extend(group.into_iter().map(|Candidate { alert, ack, is_fetched }| {
            let machine = alert.machine_id.as_deref().map_or(MachineLookup::None, |id| machines.get(id));
            Element::Alert(Box::new(Enriched { alert, is_fetched, machine, ack }))
        }));
        Ok(())
    }

    /// Fetches each alert by its id, and tells why the last one that was rejected was. One that is
    /// gone meanwhile is forwarded as the list had it. The list's own alert says where the pagination is; the one fetched
    /// may be newer. If it is so new that it belongs to whoever goes on after `until`, it is left to that.
    ///
    /// A rejection concerns its own alert. It is an error when so many are rejected and none is answered that the call
    /// itself must be at fault.
    async fn fetch_each(
        &self,
        group: Vec<(Alert, Ack)>,
    ) -> Result<(Vec<Candidate>, Option<CallError>), CallError> {
        let Services { mode, defender, alerts_come_by_id, .. } = self.services;
        let fetches = group.into_iter().map(|listed| async move {
            let answer = defender.alert(&listed.0.id, self.caller).await;
            (listed, answer)
        });
        let mut fetches = stream::iter(fetches.collect::<Vec<_>>()).buffered(CALLS_AT_ONCE);
        let (mut all, mut failures, mut failure) = (Vec::new(), 0, None);
        while let Some(((listed, mut ack), answer)) = fetches.next().await {
            match answer {
                Ok(alert) => {
                    alerts_come_by_id.store(true, Ordering::Relaxed);
                    let alert = alert.unwrap_or(listed);
                    let newer = alert.time(*mode).filter(|sent| Some(*sent) != ack.time);
                    ack.newer = newer.map(|sent| (alert.fingerprint(*mode), sent));
                    ack.generated = alert.generated(*mode).map(|(_, time)| time);
                    let is_another_s = newer.zip(self.until).is_some_and(|(sent, until)| sent >= until);
                    if !is_another_s {
                        all.push(Candidate { alert, ack, is_fetched: true });
                    }
                }
                // What may be gone a little later is no reason to send an alert without its evidence.
                Err(error) if error.is_rejection() => {
                    all.push(Candidate { alert: listed, ack, is_fetched: false });
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
    ack: Ack,
    /// False for the list's form of an alert that could not be fetched by its id.
    is_fetched: bool,
}

impl From<(Alert, Ack)> for Candidate {
    fn from((alert, ack): (Alert, Ack)) -> Self {
        Self { alert, ack, is_fetched: true }
    }
}

/// By how much a page that failed like this is to be smaller, where its size may be why: a service that takes too long
/// for so many alerts, a proxy that cuts long replies, an alert on it that cannot be read.
fn reduction(error: &CallError) -> Option<u32> {
    match error {
        CallError::Unreachable { error: ExchangeError::TooLarge, .. } => Some(2),
        CallError::Unreachable { error: ExchangeError::TimedOut | ExchangeError::Broken(_), .. }
        | CallError::Unreadable { .. } => Some(4),
        CallError::Refused(refusal)
            if refusal.status != StatusCode::TOO_MANY_REQUESTS && error.is_transient() =>
        {
            Some(4)
        }
        _ => None,
    }
}
