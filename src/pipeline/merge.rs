//! The second stage: each alert and its machine become one record, in its shape and short enough for the sink, and
//! records become batches.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{Receiver, Sender},
    },
    task::yield_now,
};
use tracing::warn;

use super::{
    fetch::{Chunk, Element, Enriched, Fetched, ReadResult},
    live_report::LiveReport,
    plan::Plan,
};
use crate::{
    error_chain::one_line,
    http::call::{CallError, Caller},
    record::{
        alert::Alert,
        batch::{Ack, Batch, Packer, TooLarge},
        merge::merge,
        page::PageSizes,
        timestamp,
        window::Window,
        writer::{RecordWriter, Written},
    },
    schema::{Shape, extras},
    services::Services,
    sink::Sent,
    source::machines::MachineLookup,
    state::set_aside::SENT_SHORTENED,
};

/// The most bytes of batches that are sent while the next one is packed: one of the Data Collector's, or of Logs
/// Ingestion's megabytes one that is on its way and one that is compressed.
const SENT_BESIDE: usize = 2_000_000;

/// So many alerts are packed before the other stages get a turn.
const TURN: usize = 64;

/// A difference between Defender's clock and ours worth a warning.
const SKEW: Duration = Duration::from_secs(60);

/// A piece of work for the last stage. The order is that of the list, as far as the list has one.
pub(super) enum Work<'a> {
    /// Records to send.
    Batch(Outgoing<'a>),
    /// Something to keep whole.
    SetAside(Aside),
    /// An alert, of this time, that is left to a later run.
    Hold(Option<OffsetDateTime>),
    /// The end of the run. Nothing comes after it.
    End(End<'a>),
}

/// A batch on its way to the sink.
pub(super) struct Outgoing<'a> {
    /// Its records.
    pub batch: Batch,
    /// What was sent, once the sink has accepted it. It is made ready at once, and posted when this is awaited. `None`
    /// in a dry run, for which nothing has to be made ready.
    pub sent: Option<BoxFuture<'a, Result<Sent, CallError>>>,
    /// Its share of [`SENT_BESIDE`], which falls free with it.
    _room: OwnedSemaphorePermit,
}

/// What is kept whole in the state store.
pub(super) struct Aside {
    /// The alert's id, as far as it has one.
    pub id: Option<String>,
    /// Why it cannot be delivered, or not whole.
    pub reason: String,
    /// The shape of the record.
    pub shape: Shape,
    /// The whole record, or the element of the list that is no alert.
    pub record: Vec<u8>,
    /// What it means for the checkpoint that it is dealt with.
    pub ack: Ack,
    /// True when it is sent as well, with less in it.
    pub is_sent: bool,
}

impl Aside {
    /// The id, for a line of the log.
    pub(super) fn id_in_brief(&self) -> String {
        one_line(self.id.as_deref().unwrap_or("(none)"), 200)
    }

    /// The reason, for a line of the log.
    pub(super) fn reason_in_brief(&self) -> String {
        one_line(&self.reason, 400)
    }
}

/// How the run ended, as far as the stages before the last one know.
pub(super) struct End<'a> {
    /// The last batch.
    pub batch: Option<Outgoing<'a>>,
    /// The time before which all is delivered once the last batch is; `None` when not all of the window was read.
    pub reached: Option<OffsetDateTime>,
    /// What is known of the server's pages, where reading came to an end by itself.
    pub pages: Option<PageSizes>,
    /// True when all alerts of the window were read; false when time was up before.
    pub read: Result<bool, CallError>,
}

impl End<'_> {
    /// Of a run whose other stages are gone.
    pub(super) fn cut_off() -> Self {
        Self { batch: None, reached: None, pages: None, read: Ok(false) }
    }
}

/// Takes chunk after chunk, makes records of it, and hands on what fills a batch.
pub(super) struct MergeStage<'a, 'r> {
    services: &'a Services,
    caller: &'a Caller,
    enrich_patience: Duration,
    window: Window,
    /// False in a dry run.
    sends: bool,
    live: &'r LiveReport,
    writer: RecordWriter,
    packer: Packer,
    room: Arc<Semaphore>,
    /// Of which members values did not fit their columns, and how many.
    type_mismatches: BTreeMap<&'static str, u64>,
    /// The earliest time at which Defender says it answered this run.
    answered: Option<OffsetDateTime>,
    /// Why the last machine, or alert by its id, that could not be read could not.
    machine_failure: Option<CallError>,
}

/// The last stage is gone: there is nobody to work for.
struct NobodyLeft;

impl<'a, 'r> MergeStage<'a, 'r> {
    /// The stage of a run by `plan` over `window`, which sends its records unless it is a dry run.
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
            enrich_patience: plan.enrich_patience,
            window,
            sends,
            live,
            writer: services.record_writer(),
            packer: services.packer(),
            room: Arc::new(Semaphore::new(SENT_BESIDE)),
            type_mismatches: BTreeMap::new(),
            answered: None,
            machine_failure: None,
        }
    }

    /// Works until the chunks end, time is up, or the last stage is gone.
    pub(super) async fn run(&mut self, mut chunks: Receiver<Fetched>, work: Sender<Work<'a>>) {
        let mut end = None;
        while let Some(fetched) = chunks.recv().await {
            if self.caller.deadline.is_near() {
                break;
            }
            match fetched {
                Fetched::Chunk(chunk) => {
                    if let Err(NobodyLeft) = self.merge(chunk, &work).await {
                        return;
                    }
                }
                Fetched::End(result) => end = Some(result),
            }
        }
        let (read, pages) = match end {
            Some(ReadResult { end, pages }) => (end, Some(pages)),
            None => (Ok(false), None),
        };
        // What was created after Defender answered could not be listed, whatever this clock says.
        let to = self.answered.map_or(self.window.to, |answered| answered.min(self.window.to));
        let reached = matches!(read, Ok(true)).then_some(to);
        let batch = match self.packer.take() {
            Some(batch) => Some(self.begin_sending(batch).await),
            None => None,
        };
        // Nobody left to hear of the end is no matter of this stage.
        let _ = work.send(Work::End(End { batch, reached, pages, read })).await;
    }

    async fn merge(&mut self, chunk: Chunk, work: &Sender<Work<'a>>) -> Result<(), NobodyLeft> {
        self.note_time(chunk.answered);
        self.live.update(|report| {
            report.alerts_read += chunk.read;
            report.alerts_already_sent += chunk.known;
            report.machines_read += chunk.looked_up.found;
            report.machines_not_found += chunk.looked_up.missing;
        });
        self.machine_failure = chunk.looked_up.failure.or(self.machine_failure.take());
        for (place, element) in chunk.elements.into_iter().enumerate() {
            // At first too: the next page is asked for before this one is worked on.
            if place % TURN == 0 {
                yield_now().await;
            }
            match element {
                Element::Alert(enriched) => self.merge_one(&enriched, work).await?,
                Element::InvalidAlert(invalid_alert) => {
                    let aside = Aside {
                        id: None,
                        ack: Ack::of(invalid_alert.fingerprint()),
                        record: invalid_alert.text.as_bytes().to_vec(),
                        reason: invalid_alert.reason,
                        shape: Shape::Union,
                        is_sent: false,
                    };
                    hand_on(work, Work::SetAside(aside)).await?;
                }
            }
        }
        Ok(())
    }

    /// Makes a record of an alert and its machine and packs it, unless it has to wait for what could not be read.
    async fn merge_one(&mut self, enriched: &Enriched, work: &Sender<Work<'a>>) -> Result<(), NobodyLeft> {
        let Enriched { alert, is_fetched, machine, ack } = enriched;
        let lacks_machine = matches!(machine, MachineLookup::Unknown);
        if lacks_machine || !is_fetched {
            // By Defender's own clock, as far as it tells: ours may be wrong.
            let now = self.answered.unwrap_or_else(|| self.services.clock.now());
            let age = alert.created.map(|created| now - created);
            if age.is_some_and(|age| age < self.enrich_patience) {
                return hand_on(work, Work::Hold(ack.time)).await;
            }
            let id = one_line(&alert.id, 200);
            if !is_fetched {
                warn!("alert {id} goes as the list has it, without evidence: it cannot be fetched by its id");
            }
            if lacks_machine {
                warn!("alert {id} goes without its machine, which cannot be read");
                self.live.update(|report| report.machines_not_found += 1);
            }
        }
        let aside = |reason, shape, record, is_sent| Aside {
            id: Some(alert.id.clone()),
            reason,
            shape,
            record,
            ack: *ack,
            is_sent,
        };
        let object = match alert.object() {
            Ok(object) => object,
            Err(error) => {
                let reason = format!("the alert cannot be read: {error}");
                let aside = aside(reason, Shape::Union, alert.text.as_bytes().to_vec(), false);
                return hand_on(work, Work::SetAside(aside)).await;
            }
        };
        let stamp = self.stamp(alert).and_then(|member| timestamp::stamp(object.get(member)?));
        let machine = match machine {
            MachineLookup::Found(machine) => Some(&**machine),
            MachineLookup::None | MachineLookup::Unknown => None,
        };
        let merge = merge(object, machine, stamp.as_deref());
        let (written, type_mismatches) = self.writer.write(&merge);
        for member in type_mismatches {
            *self.type_mismatches.entry(member).or_default() += 1;
        }
        let text = match written {
            Written::Whole(text) => text,
            Written::Truncated { text, fields } => {
                let whole = merge.to_json();
                let reason = format!(
                    "{SENT_SHORTENED}: {} of its {} bytes fit, with less in {}",
                    text.len(),
                    whole.len(),
                    fields.join(", ")
                );
                warn!("alert {} is {reason}", one_line(&alert.id, 200));
                hand_on(work, Work::SetAside(aside(reason, Shape::Union, whole, true))).await?;
                text
            }
            Written::DoesNotFit => {
                let whole = merge.to_json();
                let limit = self.services.sink.limits().record;
                let reason =
                    format!("the record has {} bytes and cannot be shortened to {limit}", whole.len());
                return hand_on(work, Work::SetAside(aside(reason, Shape::Union, whole, false))).await;
            }
        };
        self.services.limit_span_of(&mut self.packer);
        match self.packer.push(&text, *ack) {
            Ok(Some(full)) => {
                let outgoing = self.begin_sending(full).await;
                hand_on(work, Work::Batch(outgoing)).await
            }
            Ok(None) => Ok(()),
            Err(TooLarge) => {
                let reason = format!("its {} bytes do not fit into a post", text.len());
                let aside = aside(reason, self.services.shape, text, false);
                hand_on(work, Work::SetAside(aside)).await
            }
        }
    }

    /// The member whose time becomes the record's `TimeGenerated`, where the sink takes one.
    fn stamp(&self, alert: &Alert) -> Option<&'static str> {
        let time = alert.generated(self.services.mode).filter(|_| self.services.sink.wants_time_generated());
        time.map(|(member, _)| member)
    }

    /// Makes a batch ready to be posted, once there is room for it.
    async fn begin_sending(&self, batch: Batch) -> Outgoing<'a> {
        let bytes = batch.body.len().min(SENT_BESIDE);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(permits).await;
        let sent = self.sends.then(|| self.services.sink.send(Bytes::clone(&batch.body), self.caller));
        Outgoing { batch, sent, _room: room.expect("the semaphore is never closed") }
    }

    fn note_time(&mut self, answered: Option<OffsetDateTime>) {
        let (Some(answered), None) = (answered, self.answered) else { return };
        self.answered = Some(answered);
        let ahead = self.services.clock.now() - answered;
        if ahead.abs() > SKEW {
            let side = if ahead.is_positive() { "ahead of" } else { "behind" };
            warn!(
                "this machine's clock is {} s {side} Defender's: set it right",
                ahead.abs().whole_seconds()
            );
        }
    }

    /// Why the last machine, or alert by its id, that could not be read could not.
    pub(super) fn machine_failure(&mut self) -> Option<CallError> {
        self.machine_failure.take()
    }

    /// Reports which values did not fit their columns, and says it once a run: the API has changed, or the schema is
    /// wrong.
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

async fn hand_on<'a>(work: &Sender<Work<'a>>, piece: Work<'a>) -> Result<(), NobodyLeft> {
    work.send(piece).await.map_err(|_| NobodyLeft)
}
