//! The last stage: posts batch after batch to the sink, in order, and has the ledger acknowledge what was accepted.

use std::sync::atomic::Ordering;

use azure_core::time::OffsetDateTime;
use tokio::sync::mpsc::Receiver;
use tracing::{debug, info};

use super::{
    error::RunError,
    ledger::Ledger,
    live_report::LiveReport,
    work::{End, Outgoing, Whole, Work},
};
use crate::{
    http::call::{CallError, Caller, ErrorResponse},
    record::{
        batch::Batch,
        json::{Object, text_of},
    },
    report::RunReport,
    services::Services,
    sink::{RejectionCause, Sent, logs_ingestion::LONGEST_SPAN, split::Split},
    state::{checkpoint::Checkpoint, set_aside::SetAsideKind},
};

/// When this many single records are rejected before the sink has accepted any, the settings are the cause.
const REJECTIONS_OF_SETTINGS: usize = 8;

/// The stage of one run.
pub(super) struct SendStage<'a, 'l> {
    services: &'a Services,
    caller: &'a Caller,
    ledger: &'l mut Ledger<'a>,
    live: &'l LiveReport,
    progress: &'l (dyn Fn(&RunReport, &Checkpoint) + Send + Sync),
}

impl<'a, 'l> SendStage<'a, 'l> {
    /// Makes the stage of a run. It calls `progress` after each acknowledgement.
    pub(super) fn new(
        services: &'a Services,
        caller: &'a Caller,
        ledger: &'l mut Ledger<'a>,
        live: &'l LiveReport,
        progress: &'l (dyn Fn(&RunReport, &Checkpoint) + Send + Sync),
    ) -> Self {
        Self { services, caller, ledger, live, progress }
    }

    /// Works until the end of the run, or until an error.
    pub(super) async fn run(mut self, mut work: Receiver<Work<'a>>) -> Result<End<'a>, RunError> {
        while let Some(piece) = self.ledger.renewing(work.recv()).await {
            match piece {
                Work::Batch(outgoing) => self.send(outgoing, None).await?,
                Work::SetAside(whole) => self.set_aside(&whole).await?,
                Work::Hold(time) => self.ledger.hold(time),
                Work::End(mut end) => {
                    if let Some(pages) = end.pages {
                        self.ledger.note_pages(pages);
                    }
                    match end.batch.take() {
                        Some(outgoing) => self.send(outgoing, end.reached).await?,
                        None => self.ledger.finish(end.reached).await?,
                    }
                    return Ok(end);
                }
            }
        }
        Ok(End::cut_off())
    }

    /// Sends a batch, in parts if the sink rejects it for its size, its time span or a record in it. `reached` is the
    /// time before which everything is delivered once all of it is accepted, if it is the last batch.
    async fn send(
        &mut self,
        outgoing: Outgoing<'a>,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        self.ledger.prepare_to_send().await?;
        let mut parts = Split::of(outgoing.batch, self.services.longest_span());
        let mut ready = outgoing.sent.filter(|_| parts.len() == 1);
        let mut rejected = Vec::new();
        while let Some(part) = parts.next() {
            let sending =
                ready.take().unwrap_or_else(|| self.services.sink.send(part.body.clone(), self.caller));
            let response = match self.ledger.renewing(sending).await {
                Ok(sent) => {
                    let reached = reached.filter(|_| parts.len() == 0 && rejected.is_empty());
                    self.acknowledge(&part, sent, reached).await?;
                    continue;
                }
                Err(CallError::Rejected(response)) => response,
                Err(error) => return Err(error.into()),
            };
            let rejection = match self.services.sink.rejection_cause(&response, part.body.len()) {
                RejectionCause::NotTheRecords => return Err(CallError::Rejected(response).into()),
                RejectionCause::TimeSpan => {
                    self.limit_span();
                    RejectionCause::TimeSpan
                }
                rejection => rejection,
            };
            if let Some(record) = parts.divide(part, rejection) {
                self.ledger.hold(record.acks[0].time);
                rejected.push((record, response));
                if rejected.len() >= REJECTIONS_OF_SETTINGS && !self.sink_has_accepted() {
                    break;
                }
            }
        }
        self.resolve_rejected(rejected, reached).await
    }

    /// Keeps posts within the time span that the sink takes, from now on for the life of the process.
    fn limit_span(&self) {
        if !self.services.sink_limits_span.swap(true, Ordering::Relaxed) {
            info!("the sink takes no post that spans more than {} minutes", LONGEST_SPAN.as_secs() / 60);
        }
    }

    /// Decides about records that the sink rejected alone: if it accepts others, they are set aside; if it has never
    /// accepted any, the settings are the cause, and the run fails.
    async fn resolve_rejected(
        &mut self,
        rejected: Vec<(Batch, ErrorResponse)>,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        if rejected.is_empty() {
            return Ok(());
        }
        if !self.sink_has_accepted() {
            let response = rejected.into_iter().next().map(|(_, response)| CallError::Rejected(response));
            return response.map_or(Ok(()), |response| Err(response.into()));
        }
        for (batch, response) in rejected {
            let shape = self.services.shape;
            let object = Object::parse(batch.record(0)).unwrap_or_default();
            let whole = Whole {
                id: object.get(shape.id()).and_then(text_of).map(String::from),
                kind: SetAsideKind::Rejected,
                reason: format!("rejected: {}", response.describe()),
                shape,
                record: batch.record(0).to_vec(),
                ack: batch.acks[0],
            };
            self.set_aside(&whole).await?;
            self.ledger.release(1);
        }
        self.ledger.finish(reached).await
    }

    fn sink_has_accepted(&self) -> bool {
        self.services.sink_has_accepted.load(Ordering::Relaxed)
    }

    async fn acknowledge(
        &mut self,
        batch: &Batch,
        sent: Sent,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        let records = batch.acks.len();
        self.services.sink_has_accepted.store(true, Ordering::Relaxed);
        self.live.update(|report| {
            report.alerts_sent += records as u64;
            report.bytes_sent += sent.bytes as u64;
        });
        self.ledger.acknowledge(batch, reached).await?;
        (self.progress)(&self.live.now(), self.ledger.checkpoint());
        let (bytes, id) = (sent.bytes, sent.log_id());
        let noun = if records == 1 { "record" } else { "records" };
        let request_id = sent.request_id.map(tracing::field::display);
        let message = format!("sent a batch of {records} {noun}, {bytes} bytes{id}");
        // A backfill displays its progress itself.
        match self.ledger.is_timer() {
            true => info!(records, bytes, requestId = request_id, "{message}"),
            false => debug!(records, bytes, requestId = request_id, "{message}"),
        }
        Ok(())
    }

    async fn set_aside(&mut self, whole: &Whole) -> Result<(), RunError> {
        self.ledger.set_aside(whole).await?;
        if !whole.kind.is_sent() {
            self.live.update(|report| report.alerts_set_aside += 1);
        }
        Ok(())
    }
}
