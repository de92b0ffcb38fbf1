//! The second stage: each alert and its machine become one record, in its shape and short enough for the sink, and
//! records become batches.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use tokio::{
    sync::{
        Semaphore,
        mpsc::{Receiver, Sender},
    },
    task::yield_now,
};
use tracing::warn;

use super::{
    enrich::{Chunk, Element, Enriched},
    fetch::{Fetched, ListEnd},
    live_report::LiveReport,
    plan::Plan,
    work::{End, Outgoing, Whole, Work},
};
use crate::{
    error_chain::one_line,
    http::call::{CallError, Caller},
    record::{
        alert::{Alert, InvalidAlert},
        batch::{Ack, Batch, Packer, TooLarge},
        json::Object,
        merge::merge,
        timestamp,
        window::Window,
        writer::{RecordWriter, Written},
    },
    schema::{Shape, extras},
    services::Services,
    source::machines::MachineLookup,
    state::set_aside::{SENT_TRUNCATED, SetAsideKind},
};

/// The most bytes of batches that wait or are sent while the next one is packed: one batch for the Data Collector API,
/// or two for the Logs Ingestion API, of which one is sent and one is compressed.
const MAX_BYTES_AHEAD: usize = 2_000_000;

/// The number of alerts that are merged before the other stages get a turn.
const TURN: usize = 64;

/// The difference between Defender's clock and this machine's from which on there is a warning.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The stage of one run.
pub(super) struct MergeStage<'a, 'r> {
    services: &'a Services,
    caller: &'a Caller,
    enrichment_timeout: Duration,
    window: Window,
    /// False in a dry run.
    sends: bool,
    live: &'r LiveReport,
    writer: RecordWriter,
    packer: Packer,
    room: Arc<Semaphore>,
    /// The members whose values did not fit their columns, with counts.
    type_mismatches: BTreeMap<&'static str, u64>,
    /// The earliest time at which Defender says it answered this run.
    answered: Option<OffsetDateTime>,
    /// The error of the last machine, or alert by its id, that could not be read.
    lookup_failure: Option<CallError>,
}

/// The next stage has ended, and takes no more work.
struct Closed;

impl<'a, 'r> MergeStage<'a, 'r> {
    /// Makes the stage of a run by `plan` over `window`, which sends its records unless it is a dry run.
    pub(super) fn new(
        services: &'a Services,
        plan: &Plan,
        caller: &'a Caller,
        window: Window,
        sends: bool,
        live: &'r LiveReport,
    ) -> Self {
        Self {
            services,
            caller,
            enrichment_timeout: plan.enrichment_timeout,
            window,
            sends,
            live,
            writer: services.record_writer(),
            packer: services.packer(),
            room: Arc::new(Semaphore::new(MAX_BYTES_AHEAD)),
            type_mismatches: BTreeMap::new(),
            answered: None,
            lookup_failure: None,
        }
    }

    /// Works until the chunks end, time runs out, or the next stage has ended.
    pub(super) async fn run(&mut self, mut chunks: Receiver<Fetched>, work: Sender<Work<'a>>) {
        let mut end = None;
        while let Some(fetched) = chunks.recv().await {
            if self.caller.deadline.is_near() {
                break;
            }
            match fetched {
                Fetched::Chunk(chunk) => {
                    if let Err(Closed) = self.merge_chunk(chunk, &work).await {
                        return;
                    }
                }
                Fetched::End(list_end) => end = Some(list_end),
            }
        }
        let (is_complete, pages) = match end {
            Some(ListEnd { is_complete, pages }) => (is_complete, Some(pages)),
            None => (Ok(false), None),
        };
        let reached = matches!(is_complete, Ok(true)).then_some(self.listed_until());
        let batch = match self.packer.take() {
            Some(batch) => Some(self.prepare(batch).await),
            None => None,
        };
        // A next stage that has ended has its own reason, which counts.
        let _ = work.send(Work::End(End { batch, reached, pages, is_complete })).await;
    }

    /// The end of what this run can have listed: what appeared after Defender's first answer may be missing, whatever
    /// this machine's clock says.
    fn listed_until(&self) -> OffsetDateTime {
        self.answered.map_or(self.window.to, |answered| answered.min(self.window.to))
    }

    async fn merge_chunk(&mut self, chunk: Chunk, work: &Sender<Work<'a>>) -> Result<(), Closed> {
        self.note_time(chunk.answered);
        let listed_until = self.listed_until();
        self.live.update(|report| {
            report.alerts_read += chunk.read;
            report.alerts_already_sent += chunk.known;
            report.machines_read += chunk.looked_up.found;
            report.machines_not_found += chunk.looked_up.missing;
        });
        self.lookup_failure = chunk.looked_up.failure.or(self.lookup_failure.take());
        for (place, element) in chunk.elements.into_iter().enumerate() {
            // Before the first too: the next page is asked for before this one is worked on.
            if place % TURN == 0 {
                yield_now().await;
            }
            match element {
                Element::Alert(mut enriched) => {
                    let reached = &mut enriched.ack.watermark_after;
                    *reached = reached.map(|reached| reached.min(listed_until));
                    self.merge_alert(&enriched, work).await?;
                }
                Element::Invalid(invalid) => send(work, Work::SetAside(Whole::from(invalid))).await?,
            }
        }
        Ok(())
    }

    /// Makes a record of an alert and its machine and packs it, unless it has to wait for what could not be read.
    async fn merge_alert(&mut self, enriched: &Enriched, work: &Sender<Work<'a>>) -> Result<(), Closed> {
        let Enriched { alert, machine, ack, .. } = enriched;
        if self.must_wait(enriched) {
            return send(work, Work::Hold(ack.time)).await;
        }
        let object = match alert.object() {
            Ok(object) => object,
            Err(error) => {
                let reason = format!("the alert cannot be read: {error}");
                let text = alert.text.as_bytes().to_vec();
                let whole = Whole::of(alert, *ack, SetAsideKind::Unreadable, reason, text);
                return send(work, Work::SetAside(whole)).await;
            }
        };
        let stamp = self.stamp(alert).and_then(|member| timestamp::stamp(object.get(member)?));
        let machine = match machine {
            MachineLookup::Found(machine) => Some(&**machine),
            MachineLookup::None => None,
            MachineLookup::Failed => alert.machine.as_deref(),
        };
        let merged = merge(object, machine, stamp.as_deref());
        let Some(text) = self.write(&merged, alert, *ack, work).await? else { return Ok(()) };
        if let Some(span) = self.services.longest_span() {
            self.packer.keep_within(span);
        }
        match self.packer.push(&text, *ack) {
            Ok(Some(full)) => {
                let outgoing = self.prepare(full).await;
                send(work, Work::Batch(outgoing)).await
            }
            Ok(None) => Ok(()),
            Err(TooLarge) => {
                let reason = format!("its {} bytes do not fit into a post", text.len());
                let whole = Whole::of(alert, *ack, SetAsideKind::TooLarge, reason, text);
                send(work, Work::SetAside(Whole { shape: self.services.shape, ..whole })).await
            }
        }
    }

    /// True while an alert without its machine or without its details is young enough to wait for them. From then on
    /// it is sent without.
    fn must_wait(&self, enriched: &Enriched) -> bool {
        let Enriched { alert, is_fetched, machine, .. } = enriched;
        let lacks_machine = matches!(machine, MachineLookup::Failed);
        if !lacks_machine && *is_fetched {
            return false;
        }
        // By Defender's own clock, where it is known: this machine's may be wrong.
        let now = self.answered.unwrap_or_else(|| self.services.clock.now());
        let age = alert.created.map(|created| now - created);
        if age.is_some_and(|age| age < self.enrichment_timeout) {
            return true;
        }
        let id = one_line(&alert.id, 200);
        if !is_fetched {
            warn!("alert {id} is sent as listed, without evidence: it could not be fetched by its id");
        }
        if lacks_machine {
            warn!("alert {id} is sent without its machine, which could not be read");
            self.live.update(|report| report.machines_not_found += 1);
        }
        false
    }

    /// Returns the record's text as it can be sent, or `None` when it does not fit the sink even truncated. A record
    /// that loses something is set aside whole.
    async fn write(
        &mut self,
        record: &Object<'_>,
        alert: &Alert,
        ack: Ack,
        work: &Sender<Work<'a>>,
    ) -> Result<Option<Vec<u8>>, Closed> {
        let (written, type_mismatches) = self.writer.write(record);
        for member in type_mismatches {
            *self.type_mismatches.entry(member).or_default() += 1;
        }
        match written {
            Written::Whole(text) => Ok(Some(text)),
            Written::Truncated { text, fields } => {
                let whole = record.to_json();
                let reason = format!(
                    "{SENT_TRUNCATED}: {} of its {} bytes fit, with less in {}",
                    text.len(),
                    whole.len(),
                    fields.join(", ")
                );
                warn!("alert {} is {reason}", one_line(&alert.id, 200));
                let whole = Whole::of(alert, ack, SetAsideKind::Truncated, reason, whole);
                send(work, Work::SetAside(whole)).await?;
                Ok(Some(text))
            }
            Written::DoesNotFit => {
                let whole = record.to_json();
                let limit = self.services.sink.limits().record;
                let reason =
                    format!("the record has {} bytes and cannot be shortened to {limit}", whole.len());
                let whole = Whole::of(alert, ack, SetAsideKind::TooLarge, reason, whole);
                send(work, Work::SetAside(whole)).await?;
                Ok(None)
            }
        }
    }

    /// The member whose time becomes the record's `TimeGenerated`, if the sink takes one.
    fn stamp(&self, alert: &Alert) -> Option<&'static str> {
        let time = alert.generated(self.services.mode).filter(|_| self.services.sink.wants_time_generated());
        time.map(|(member, _)| member)
    }

    /// Prepares a batch for its post, once there is room for it.
    async fn prepare(&self, batch: Batch) -> Outgoing<'a> {
        let bytes = batch.body.len().min(MAX_BYTES_AHEAD);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(permits).await;
        let sent = self.sends.then(|| self.services.sink.send(Bytes::clone(&batch.body), self.caller));
        Outgoing::new(batch, sent, room.expect("the semaphore is never closed"))
    }

    /// Keeps the first time at which Defender says it answered, and warns when this machine's clock differs.
    fn note_time(&mut self, answered: Option<OffsetDateTime>) {
        let (Some(answered), None) = (answered, self.answered) else { return };
        self.answered = Some(answered);
        let ahead = self.services.clock.now() - answered;
        if ahead.abs() > CLOCK_SKEW {
            let side = if ahead.is_positive() { "ahead of" } else { "behind" };
            warn!(
                "this machine's clock is {} s {side} that of {}: set it right",
                ahead.abs().whole_seconds(),
                self.services.source.service().name()
            );
        }
    }

    /// The error of the last machine, or alert by its id, that could not be read.
    pub(super) fn lookup_failure(&mut self) -> Option<CallError> {
        self.lookup_failure.take()
    }

    /// Reports which values did not fit their columns, once a run: the API has changed, or the schema is wrong.
    pub(super) fn report_type_mismatches(&self) {
        if self.type_mismatches.is_empty() {
            return;
        }
        self.live.update(|report| report.values_misfit = self.type_mismatches.values().sum());
        let members: Vec<_> =
            self.type_mismatches.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        warn!(
            "values of an unexpected type went to {}, nothing is lost: {}",
            extras(self.services.shape).unwrap_or_default(),
            members.join(", ")
        );
    }
}

impl Whole {
    /// The whole record of an alert, as a union.
    fn of(alert: &Alert, ack: Ack, kind: SetAsideKind, reason: String, record: Vec<u8>) -> Self {
        Self { id: Some(alert.id.clone()), kind, reason, shape: Shape::Union, record, ack }
    }
}

impl From<InvalidAlert> for Whole {
    fn from(invalid: InvalidAlert) -> Self {
        Self {
            id: None,
            ack: Ack::of(invalid.fingerprint()),
            record: invalid.text.as_bytes().to_vec(),
            kind: SetAsideKind::Unreadable,
            reason: invalid.reason,
            shape: Shape::Union,
        }
    }
}

async fn send<'a>(work: &Sender<Work<'a>>, piece: Work<'a>) -> Result<(), Closed> {
    work.send(piece).await.map_err(|_| Closed)
}
