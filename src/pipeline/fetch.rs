//! The first stage: page after page of the alert list, each handed on with the machines of what is new on it. It works
//! ahead of the other stages, but by no more than the channel to them holds. It hands on each alert once.

use std::{sync::Arc, time::Duration};

use azure_core::time::OffsetDateTime;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, mpsc::Sender};
use tracing::warn;

use super::{
    enrich::{Chunk, Element, Enricher},
    plan::Plan,
    watch::Watch,
};
use crate::{
    config::AlertFetch,
    error_chain::chain,
    http::{
        ExchangeError,
        call::{CallError, Caller, RetryPolicy},
    },
    record::{
        alert::{Alert, Fingerprint, InvalidAlert, Mode},
        batch::Ack,
        fingerprints::{Fingerprints, start_of_minute},
        page::{Page, PageSizes},
        window::Window,
    },
    services::Services,
    source::pagination::{Delivered, Next, Pagination},
    state::checkpoint::Checkpoint,
};

/// The number of alerts that are fetched by their ids together. Between two such groups a run can end early without
/// losing work.
const GROUP: usize = 256;

/// After this many alerts in a row that cannot be read, the fault is the server's, and the run fails.
const MAX_UNREADABLE_IN_A_ROW: usize = 8;

/// What the stage hands on.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Part of the list.
    Chunk(Chunk),
    /// The end of the list. Nothing comes after it.
    End(ListEnd),
}

/// How reading the list ended.
#[derive(Debug)]
pub(super) struct ListEnd {
    /// True when all alerts of the window were read; false when time ran out, when the server repeats itself, or when
    /// the next stage has ended.
    pub is_complete: Result<bool, CallError>,
    /// What is now known about the server's page sizes.
    pub pages: PageSizes,
}

/// The parts of the list that cannot be read.
#[derive(Debug, Default)]
struct Unreadable {
    /// True when the last page that was asked for could not be read.
    is_on_page: bool,
    /// Pages of one alert since the last page that could be read.
    alerts: Vec<InvalidAlert>,
}

/// The stage of one run.
pub(super) struct FetchStage<'a> {
    services: &'a Services,
    caller: &'a Caller,
    window: Window,
    lookback: Duration,
    /// What earlier runs delivered.
    delivered: &'a Fingerprints,
    pagination: Pagination<'a>,
    enricher: Enricher<'a>,
    watch: Option<Arc<Watch>>,
    unreadable: Unreadable,
    /// What this run has handed on, as far back as the look-back.
    handed_on: Fingerprints,
    /// The permit to hold alerts in memory, where many runs share a process.
    permit: &'a mut Option<OwnedSemaphorePermit>,
}

impl<'a> FetchStage<'a> {
    /// Makes the stage of a run by `plan`, for the alerts of `window` that `checkpoint` does not have as delivered. It puts
    /// the permit to hold them in memory into `permit`.
    pub(super) async fn new(
        services: &'a Services,
        plan: &Plan,
        caller: &'a Caller,
        checkpoint: &'a Checkpoint,
        window: Window,
        permit: &'a mut Option<OwnedSemaphorePermit>,
    ) -> Self {
        let delivered = checkpoint.delivered();
        let (count, earliest) = delivered.since(window.from);
        let are_listed = services.mode == Mode::Created;
        let past = Delivered { fingerprints: delivered.all(), count, earliest, are_listed };
        Self {
            services,
            caller,
            window,
            lookback: plan.lookback,
            delivered,
            pagination: Pagination::new(
                window,
                services.page_size,
                services.source.page_limits(),
                past,
                checkpoint.pages,
            ),
            enricher: Enricher::new(services, caller, checkpoint.until).await,
            watch: plan.watch.clone(),
            unreadable: Unreadable::default(),
            handed_on: Fingerprints::default(),
            permit,
        }
    }

    /// Reads the alerts of the window and hands them on, until the end of the list or until the next stage has ended.
    pub(super) async fn run(mut self, chunks: Sender<Fetched>) {
        let is_complete = self.read_pages(&chunks).await;
        let end = ListEnd { is_complete, pages: self.pagination.pages() };
        // A next stage that has ended has its own reason, which counts.
        let _ = chunks.send(Fetched::End(end)).await;
    }

    async fn read_pages(&mut self, chunks: &Sender<Fetched>) -> Result<bool, CallError> {
        while !self.caller.deadline.is_near() {
            // No page is fetched before the previous one is taken: one is read while one is delivered.
            if chunks.reserve().await.is_err() {
                return Ok(false);
            }
            let Some(page) = self.fetch_page().await? else { continue };
            match self.hand_on(page, chunks).await? {
                Some(Next::Page) => {}
                Some(Next::End) => return Ok(true),
                Some(Next::Stalled) => {
                    warn!(
                        "{} answered with a full page of alerts that this run has seen already; the rest of the \
                         list is left for the next run",
                        self.services.source.service().name()
                    );
                    return Ok(false);
                }
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Fetches the next page. Returns `None` when another request is to be tried: with fewer alerts a page, or for what
    /// follows an alert that cannot be read.
    async fn fetch_page(&mut self) -> Result<Option<Page>, CallError> {
        let can_reduce = self.pagination.can_reduce() || self.unreadable.is_on_page;
        let retries = if can_reduce { RetryPolicy::Reducible } else { RetryPolicy::Full };
        let error = match self.services.source.list(self.pagination.query(), retries, self.caller).await {
            Ok(page) => {
                if let Some(error) = &page.json_error {
                    let source = &self.services.source;
                    let (service, list) = (source.service().name(), source.list_operation());
                    warn!("{service}'s reply to {list} is not valid JSON and is read leniently: {error}");
                }
                return Ok(Some(page));
            }
            Err(error) => error,
        };
        self.unreadable.is_on_page = matches!(error, CallError::Unreadable { .. });
        let Some(factor) = reduction(&error).filter(|_| !self.caller.deadline.is_near()) else {
            return Err(error);
        };
        if self.pagination.reduce(factor) {
            warn!("{}; asking for {} alerts a page", chain(&error), self.pagination.query().top);
            return Ok(None);
        }
        match error {
            CallError::Unreadable { error, body, .. }
                if Page::is_complete_list(&body)
                    && self.unreadable.alerts.len() < MAX_UNREADABLE_IN_A_ROW =>
            {
                let service = self.services.source.service().name();
                let reason = format!("{service}'s reply with this alert alone cannot be read: {error}");
                let text = String::from_utf8_lossy(&body).into_owned().into();
                self.unreadable.alerts.push(InvalidAlert { text, reason });
                self.pagination.skip_unreadable();
                Ok(None)
            }
            error => {
                // Fewer alerts did not help, so their number is not the cause.
                self.pagination.restore();
                Err(error)
            }
        }
    }

    /// Enriches what is new on a page and hands it on. Returns how the pagination goes on, or `None` when the page could
    /// not be handed on whole.
    async fn hand_on(&mut self, page: Page, chunks: &Sender<Fetched>) -> Result<Option<Next>, CallError> {
        let mode = self.services.mode;
        let keys: Vec<_> = page
            .elements
            .iter()
            .map(|element| match element {
                Ok(alert) => (alert.time(mode), alert.fingerprint(mode)),
                Err(invalid) => (None, invalid.fingerprint()),
            })
            .collect();
        if let Some(watch) = &self.watch {
            for (alert, (_, fingerprint)) in page.elements.iter().flatten().zip(&keys) {
                watch.note_listed(&alert.id, *fingerprint, self.delivered);
            }
        }
        let step = self.pagination.step(&keys, page.has_next_link);
        let is_in_order = self.pagination.is_in_order();

        let mut chunk = Chunk {
            read: step.left_out as u64,
            known: step.left_out as u64,
            answered: page.as_of,
            ..Chunk::default()
        };
        // This page shows that the server can be read, so what could not be read is these alerts' own fault.
        for invalid in std::mem::take(&mut self.unreadable.alerts) {
            if self.is_new(&mut chunk, invalid.fingerprint(), None) {
                chunk.elements.push(Element::Invalid(invalid));
            }
        }
        let mut alerts = Vec::with_capacity(step.fresh.len());
        let mut elements: Vec<_> = page.elements.into_iter().map(Some).collect();
        for place in step.fresh {
            let (time, fingerprint) = keys[place];
            if !self.is_new(&mut chunk, fingerprint, time) {
                continue;
            }
            match elements[place].take() {
                Some(Ok(alert)) => {
                    let watermark_after = time.filter(|_| is_in_order);
                    let generated = alert.generated(mode).map(|(_, time)| time);
                    alerts.push((alert, Ack { fingerprint, time, watermark_after, newer: None, generated }));
                }
                Some(Err(invalid)) => chunk.elements.push(Element::Invalid(invalid)),
                None => {}
            }
        }
        if is_in_order && let Some(latest) = keys.iter().filter_map(|(time, _)| *time).max() {
            // As the checkpoint forgets: what is kept covers the look-back, not the backlog.
            self.handed_on.remove_before(start_of_minute(latest - self.lookback));
        }
        let has_news = !(alerts.is_empty() && chunk.elements.is_empty());
        if has_news && !self.take_permit().await {
            return Ok(None);
        }
        Ok(self.enrich(alerts, chunk, chunks).await?.then_some(step.next))
    }

    /// Waits until this run may hold alerts in memory, where many runs share a process. Returns false when time is up
    /// before that. What a waiting run holds is one page.
    async fn take_permit(&mut self) -> bool {
        let Some(room) = self.services.room.as_ref().filter(|_| self.permit.is_none()) else { return true };
        tokio::select! {
            permit = room.clone().acquire_owned() => *self.permit = permit.ok(),
            () = self.caller.deadline.near() => {}
        }
        self.permit.is_some()
    }

    /// True for an alert that no run has handed on. A pagination that begins a range again meets alerts twice.
    fn is_new(&mut self, chunk: &mut Chunk, fingerprint: Fingerprint, time: Option<OffsetDateTime>) -> bool {
        let is_delivered = self.delivered.contains(fingerprint);
        let is_first = is_delivered || self.handed_on.insert(fingerprint, time.unwrap_or(self.window.to));
        chunk.read += u64::from(is_first);
        chunk.known += u64::from(is_delivered);
        is_first && !is_delivered
    }

    /// Adds the alerts of a page with their machines to `chunk`, and hands it on, in several pieces where a run may have
    /// to end between them. Returns false when some of the page could not be handed on.
    async fn enrich(
        &mut self,
        mut alerts: Vec<(Alert, Ack)>,
        mut chunk: Chunk,
        chunks: &Sender<Fetched>,
    ) -> Result<bool, CallError> {
        let together = match self.services.fetch {
            AlertFetch::List => alerts.len().max(1),
            AlertFetch::ById => GROUP,
        };
        while !alerts.is_empty() {
            let rest = alerts.split_off(alerts.len().min(together));
            let group = std::mem::replace(&mut alerts, rest);
            let newer = self.enricher.enrich(group, &mut chunk).await?;
            for (fingerprint, time) in newer {
                self.handed_on.insert(fingerprint, time);
            }
            if !alerts.is_empty() {
                let is_taken = chunks.send(Fetched::Chunk(std::mem::take(&mut chunk))).await.is_ok();
                if !is_taken || self.caller.deadline.is_near() {
                    return Ok(false);
                }
            }
        }
        Ok(chunks.send(Fetched::Chunk(chunk)).await.is_ok())
    }
}

/// By what factor a page that failed with `error` is to be smaller; `None` when its size is not a likely cause. Likely
/// causes are a service that takes too long for so many alerts, a proxy that cuts long replies, and an alert on the page
/// that cannot be read.
fn reduction(error: &CallError) -> Option<u32> {
    match error {
        CallError::Unreachable { error: ExchangeError::TooLarge, .. } => Some(2),
        CallError::Unreachable { error: ExchangeError::TimedOut | ExchangeError::Broken(_), .. }
        | CallError::Unreadable { .. } => Some(4),
        CallError::Rejected(response)
            if response.status != StatusCode::TOO_MANY_REQUESTS && error.is_transient() =>
        {
            Some(4)
        }
        _ => None,
    }
}
