//! The last stage: batch after batch to the sink, in order, and only what it accepted into the ledger.

use std::sync::atomic::Ordering;

use azure_core::time::OffsetDateTime;
use tokio::sync::mpsc::Receiver;
use tracing::{debug, info};

use super::{
    error::RunError,
    ledger::Ledger,
    live_report::LiveReport,
    merge::{Aside, End, Outgoing, Work},
};
use crate::{
    http::call::{CallError, Caller, Refusal},
    record::{
        batch::Batch,
        json::object::{Object, text_of},
    },
    report::RunReport,
    services::Services,
    sink::{Blame, Sent, logs_ingestion::LONGEST_SPAN},
    state::checkpoint::Checkpoint,
};

/// So many records refused one by one before any was accepted mean that the settings are at fault.
const REFUSALS_TO_BLAME_SETTINGS: usize = 8;

/// Sends, and acknowledges what was accepted.
pub(super) struct SendStage<'a, 'l> {
    services: &'a Services,
    caller: &'a Caller,
    ledger: &'l mut Ledger<'a>,
    live: &'l LiveReport,
    progress: &'l (dyn Fn(&RunReport, &Checkpoint) + Send + Sync),
}

impl<'a, 'l> SendStage<'a, 'l> {
    /// The stage of a run. `progress` hears of what was acknowledged.
    pub(super) fn new(
        services: &'a Services,
        caller: &'a Caller,
        ledger: &'l mut Ledger<'a>,
        live: &'l LiveReport,
        progress: &'l (dyn Fn(&RunReport, &Checkpoint) + Send + Sync),
    ) -> Self {
        Self { services, caller, ledger, live, progress }
    }

    /// Works until the end of the run; an error ends it before.
    pub(super) async fn run(mut self, mut work: Receiver<Work<'a>>) -> Result<End<'a>, RunError> {
        while let Some(piece) = work.recv().await {
            match piece {
                Work::Batch(outgoing) => self.send(outgoing, None).await?,
                Work::SetAside(aside) => self.set_aside(&aside).await?,
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

    /// Sends a batch. One refused for its size or for a record in it is sent in halves, down to the record at
    /// fault. `reached` is the time before which all is delivered when it is accepted, if it is the last one.
    async fn send(
        &mut self,
        outgoing: Outgoing<'a>,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        self.ledger.claim().await?;
        let (mut waiting, mut suspects) = (Vec::new(), Vec::new());
        let mut sent = None;
        match self.parts_within_span(&outgoing.batch) {
            Some(parts) => waiting.extend(parts.into_iter().rev()),
            None => {
                sent = outgoing.sent;
                waiting.push(outgoing.batch);
            }
        }
        while let Some(batch) = waiting.pop() {
            let sending =
                sent.take().unwrap_or_else(|| self.services.sink.send(batch.body.clone(), self.caller));
            let refusal = match sending.await {
                Ok(sent) => {
                    let reached = reached.filter(|_| waiting.is_empty() && suspects.is_empty());
                    self.acknowledge(&batch, sent, reached).await?;
                    continue;
                }
                Err(CallError::Refused(refusal)) => refusal,
                Err(error) => return Err(error.into()),
            };
            match (self.services.sink.blame(&refusal, batch.body.len()), batch.halves()) {
                (Blame::None, _) => return Err(CallError::Refused(refusal).into()),
                (Blame::Span, Some((first, second))) => {
                    self.limit_span();
                    match self.parts_within_span(&batch) {
                        Some(parts) => waiting.extend(parts.into_iter().rev()),
                        None => waiting.extend([second, first]),
                    }
                }
                (_, Some((first, second))) => waiting.extend([second, first]),
                (_, None) => {
                    self.ledger.hold(batch.acks[0].time);
                    suspects.push((batch, refusal));
                    if suspects.len() >= REFUSALS_TO_BLAME_SETTINGS && !self.sink_has_accepted() {
                        break;
                    }
                }
            }
        }
        self.judge(suspects, reached).await
    }

    /// The sink takes only posts of a short time: from now on all are.
    fn limit_span(&self) {
        if !self.services.sink_limits_span.swap(true, Ordering::Relaxed) {
            info!("the sink takes no post that spans more than {} minutes", LONGEST_SPAN.as_secs() / 60);
        }
    }

    /// The batch in parts that the sink takes, if it limits the time they span and the batch is longer: it was packed
    /// before that was known.
    fn parts_within_span(&self, batch: &Batch) -> Option<Vec<Batch>> {
        let is_limited = self.services.sink_limits_span.load(Ordering::Relaxed);
        is_limited.then(|| batch.within(LONGEST_SPAN)).filter(|parts| parts.len() > 1)
    }

    /// What to do with records that the sink refused alone: they are at fault if it accepts others, and
    /// the settings are if it does not.
    async fn judge(
        &mut self,
        suspects: Vec<(Batch, Refusal)>,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        if suspects.is_empty() {
            return Ok(());
        }
        if !self.sink_has_accepted() {
            let refusal = suspects.into_iter().next().map(|(_, refusal)| CallError::Refused(refusal));
            return refusal.map_or(Ok(()), |refusal| Err(refusal.into()));
        }
        for (batch, refusal) in suspects {
            let shape = self.services.shape;
            let object = Object::parse(batch.record(0)).unwrap_or_default();
            let aside = Aside {
                id: object.get(shape.id()).and_then(text_of).map(String::from),
                reason: format!("refused: {refusal}"),
                shape,
                record: batch.record(0).to_vec(),
                ack: batch.acks[0],
                is_sent: false,
            };
            self.set_aside(&aside).await?;
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
        let (bytes, id) = (sent.bytes, sent.told_id());
        // A backfill tells of its progress itself.
        match self.ledger.is_timer() {
            true => info!("sent a batch of {records} records, {bytes} bytes{id}"),
            false => debug!("sent a batch of {records} records, {bytes} bytes{id}"),
        }
        Ok(())
    }

    async fn set_aside(&mut self, aside: &Aside) -> Result<(), RunError> {
        self.ledger.set_aside(aside).await?;
        if !aside.is_sent {
            self.live.update(|report| report.alerts_set_aside += 1);
        }
        Ok(())
    }
}
