//! The second half of a run: records into batches, batches to the sink, and only what it accepted into the
//! checkpoint.

use std::{pin::pin, sync::atomic::Ordering};

use azure_core::time::{Duration as SignedDuration, OffsetDateTime};
use futures::future::{BoxFuture, Either, select};
use tokio::{sync::mpsc::Receiver, task::yield_now};
use tracing::{debug, error, info, warn};

use super::{
    Held, Loss, Purpose, Record, Run, RunError,
    read::{Element, Enriched, Portion},
};
use crate::{
    alert::{Alert, NoAlert},
    batch::{Batch, Delivery, TooLarge},
    call::{CallError, Refusal},
    cause::one_line,
    enrich::MachineOf,
    object::{Object, text_of},
    schema::Shape,
    set_aside::{SENT_SHORTENED, SetAside},
    sink::{Blame, logs_ingestion::LONGEST_SPAN},
};

/// So many records refused one by one before any was accepted mean that the settings are at fault.
const REFUSALS_TO_BLAME_SETTINGS: usize = 8;

/// The most bytes of batches that are sent while the next one is packed: one of the Data Collector's, or of Logs
/// Ingestion's megabytes one that is on its way and one that is compressed.
const SENT_BESIDE: usize = 2_000_000;

/// So many alerts are packed before what is sent gets a turn.
const TURN: usize = 64;

/// A batch on its way, or that waits for the ones before it to arrive.
pub(super) struct Sending<'a> {
    batch: Batch,
    /// The time before which all is delivered when it is accepted, if it is the last one.
    reached: Option<OffsetDateTime>,
    sent: BoxFuture<'a, Result<usize, CallError>>,
}

impl Run<'_> {
    /// Takes portion after portion, makes records of it, and sends what fills a batch. True when it came to
    /// the last one; false when time is up before.
    pub(super) async fn deliver_all(&mut self, mut portions: Receiver<Portion>) -> Result<bool, RunError> {
        while let Some(portion) = self.meanwhile(portions.recv()).await? {
            if self.caller.deadline.is_near() {
                return Ok(false);
            }
            self.note_time(portion.answered);
            self.report.alerts_read += portion.read;
            self.report.alerts_already_sent += portion.known;
            self.report.machines_read += portion.looked_up.found;
            self.report.machines_not_found += portion.looked_up.missing;
            self.machine_failure = portion.looked_up.failure.or(self.machine_failure.take());
            for (place, element) in portion.elements.into_iter().enumerate() {
                // At first too: the next page is asked for before this one is worked on.
                if place % TURN == 0 {
                    self.meanwhile(yield_now()).await?;
                }
                // A walk that began again hands out twice.
                let identity = element.identity();
                if self.checkpoint.has(identity) {
                    self.report.alerts_already_sent += 1;
                } else if !self.in_hand.contains(&identity) {
                    match element {
                        Element::Alert(enriched) => self.forward(&enriched).await?,
                        Element::NoAlert(no_alert) => self.set_aside_no_alert(&no_alert).await?,
                    }
                }
            }
        }
        Ok(true)
    }

    /// Makes a record of an alert and its machine and packs it, unless it has to wait for what could not be read.
    async fn forward(&mut self, enriched: &Enriched) -> Result<(), RunError> {
        let Enriched { alert, is_fetched, machine, delivery } = enriched;
        let lacks_machine = matches!(machine, MachineOf::Unknown);
        if lacks_machine || !is_fetched {
            // By Defender's own clock, as far as it tells: ours may be wrong.
            let now = self.reached_at_most.unwrap_or_else(|| self.services.clock.now());
            let age = alert.created.map(|created| now - created);
            if age.is_some_and(|age| age < self.services.enrich_patience) {
                self.hold(delivery.time);
                return Ok(());
            }
            let id = one_line(&alert.id, 200);
            if !is_fetched {
                warn!("alert {id} goes as the list has it, without evidence: it cannot be fetched by its id");
            }
            if lacks_machine {
                warn!("alert {id} goes without its machine, which cannot be read");
                self.report.machines_not_found += 1;
            }
        }
        let record = self.make_record(alert, machine)?;
        self.pack(alert, record, *delivery).await
    }

    /// Leaves an alert to a later run. The watermark stays behind it until then.
    fn hold(&mut self, time: Option<OffsetDateTime>) {
        let time = time.unwrap_or(self.checkpoint.watermark);
        let held = self.held.get_or_insert(Held { earliest: time, alerts: 0 });
        held.earliest = held.earliest.min(time);
        held.alerts += 1;
    }

    /// Adds a record to the batch in hand. One that does not fit the sink is kept whole first, and goes
    /// shortened; if nothing helps, it stays set aside.
    async fn pack(&mut self, alert: &Alert, record: Record, delivery: Delivery) -> Result<(), RunError> {
        self.report.values_misfit += record.misfits.len() as u64;
        for member in record.misfits {
            *self.misfits.entry(member).or_default() += 1;
        }
        let id = Some(alert.id.as_str());
        let text = match (record.text, record.loss) {
            (Some(text), None) => text,
            (Some(text), Some(Loss { whole, fields })) => {
                let reason = format!(
                    "{SENT_SHORTENED}: {} of its {} bytes fit, with less in {}",
                    text.len(),
                    whole.len(),
                    fields.join(", ")
                );
                let aside = SetAside {
                    identity: delivery.identity,
                    id,
                    reason: &reason,
                    shape: Shape::Union,
                    record: &whole,
                };
                self.keep_aside(&aside).await?;
                warn!("alert {} is {reason}", one_line(&alert.id, 200));
                text
            }
            (None, loss) => {
                let whole = loss.map_or_else(Vec::new, |loss| loss.whole);
                let limit = self.services.sink.limits().record;
                let reason =
                    format!("the record has {} bytes and cannot be shortened to {limit}", whole.len());
                return self.set_aside(id, &reason, (Shape::Union, &whole), delivery).await;
            }
        };
        match self.packer.push(&text, delivery) {
            Ok(full) => {
                if let Some(batch) = full {
                    self.hand_over(batch).await?;
                }
                self.in_hand.extend(delivery.identities());
                Ok(())
            }
            Err(TooLarge) => {
                let reason = format!("its {} bytes do not fit into a post", text.len());
                self.set_aside(id, &reason, (self.services.shape, &text), delivery).await
            }
        }
    }

    /// Sends a full batch while the next one is packed, unless too much is on its way already.
    async fn hand_over(&mut self, batch: Batch) -> Result<(), RunError> {
        self.depart(batch).await?;
        while self.sending.iter().map(|sending| sending.batch.body.len()).sum::<usize>() > SENT_BESIDE {
            self.arrive().await?;
        }
        self.meanwhile(yield_now()).await
    }

    /// Sends what is packed, and waits until all has arrived. `reached` is the time before which all is
    /// delivered then.
    pub(super) async fn send_rest(&mut self, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        if let Some(batch) = self.packer.take() {
            self.depart(batch).await?;
        }
        match self.sending.back_mut() {
            Some(last) => last.reached = reached,
            None => return self.settle(reached).await,
        }
        self.arrive_all().await
    }

    /// Waits until all that is being sent has arrived.
    pub(super) async fn arrive_all(&mut self) -> Result<(), RunError> {
        while !self.sending.is_empty() {
            self.arrive().await?;
        }
        Ok(())
    }

    /// Puts a batch behind those that are being sent.
    async fn depart(&mut self, batch: Batch) -> Result<(), RunError> {
        if let Purpose::Show(show) = self.purpose {
            (0..batch.deliveries.len()).for_each(|place| show(batch.record(place)));
            return Ok(());
        }
        if !self.is_claimed {
            self.save().await?;
        }
        let sent = self.services.sink.send(batch.body.clone(), self.caller);
        self.sending.push_back(Sending { batch, reached: None, sent });
        Ok(())
    }

    /// Waits until the first of the batches that are being sent has arrived.
    async fn arrive(&mut self) -> Result<(), RunError> {
        let Some(first) = self.sending.front_mut() else { return Ok(()) };
        let sent = first.sent.as_mut().await;
        self.arrived(sent).await
    }

    /// Waits for something while batches are sent, one after the other.
    async fn meanwhile<T>(&mut self, awaited: impl Future<Output = T>) -> Result<T, RunError> {
        let mut awaited = pin!(awaited);
        while let Some(first) = self.sending.front_mut() {
            match select(&mut first.sent, awaited.as_mut()).await {
                Either::Left((sent, _)) => self.arrived(sent).await?,
                Either::Right((value, _)) => return Ok(value),
            }
        }
        Ok(awaited.await)
    }

    /// The first of the batches that are being sent has arrived. If it was not accepted, nothing is sent any more.
    async fn arrived(&mut self, sent: Result<usize, CallError>) -> Result<(), RunError> {
        let Some(Sending { batch, reached, .. }) = self.sending.pop_front() else { return Ok(()) };
        let dealt_with = self.deal_with(batch, sent, reached).await;
        if dealt_with.is_err() {
            self.sending.clear();
        }
        dealt_with
    }

    /// Remembers what was accepted. A batch refused for its size or for a record in it is sent in halves, down
    /// to the record at fault.
    async fn deal_with(
        &mut self,
        batch: Batch,
        sent: Result<usize, CallError>,
        mut reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        let (mut waiting, mut suspects) = (vec![batch], Vec::new());
        let mut sent = Some(sent);
        while let Some(batch) = waiting.pop() {
            for identity in batch.deliveries.iter().flat_map(Delivery::identities) {
                self.in_hand.remove(&identity);
            }
            let sent = match sent.take() {
                Some(sent) => sent,
                None => self.services.sink.send(batch.body.clone(), self.caller).await,
            };
            let refusal = match sent {
                Ok(bytes) => {
                    let reached = reached.filter(|_| waiting.is_empty() && suspects.is_empty());
                    self.remember(&batch, bytes, reached).await?;
                    continue;
                }
                Err(CallError::Refused(refusal)) => refusal,
                Err(error) => return Err(error.into()),
            };
            match (self.services.sink.blame(&refusal, batch.body.len()), batch.halves()) {
                (Blame::None, _) => return Err(CallError::Refused(refusal).into()),
                (Blame::Span, Some(halves)) => {
                    let parts = self.keep_within_span(&batch);
                    match parts.len() {
                        1 => waiting.extend([halves.1, halves.0]),
                        _ => waiting.extend(parts.into_iter().rev()),
                    }
                    // Those behind it were packed before this was known.
                    for next in self.sending.drain(..) {
                        waiting.splice(0..0, next.batch.within(LONGEST_SPAN).into_iter().rev());
                        reached = reached.or(next.reached);
                    }
                }
                (_, Some((first, second))) => waiting.extend([second, first]),
                (_, None) => {
                    self.hold(batch.deliveries[0].time);
                    suspects.push((batch, refusal));
                    if suspects.len() >= REFUSALS_TO_BLAME_SETTINGS && !self.sink_has_accepted() {
                        break;
                    }
                }
            }
        }
        self.judge(suspects, reached).await
    }

    /// The sink takes only posts of a short time: from now on all are, and this batch comes in parts.
    fn keep_within_span(&mut self, batch: &Batch) -> Vec<Batch> {
        if !self.services.sink_limits_span.swap(true, Ordering::Relaxed) {
            info!("the sink takes no post that spans more than {} minutes", LONGEST_SPAN.as_secs() / 60);
        }
        self.packer.keep_within(LONGEST_SPAN);
        batch.within(LONGEST_SPAN)
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
            let object = Object::parse(batch.record(0)).unwrap_or_default();
            let shape = self.services.shape;
            let id = object.get(shape.id()).and_then(text_of).map(String::from);
            let reason = format!("refused: {refusal}");
            let record = (shape, batch.record(0));
            self.set_aside(id.as_deref(), &reason, record, batch.deliveries[0]).await?;
            if let Some(held) = &mut self.held {
                held.alerts -= 1;
            }
        }
        // The suspects hold nothing back any more; only alerts that wait for their machines do.
        self.held = self.held.take().filter(|held| held.alerts > 0);
        self.settle(reached).await
    }

    fn sink_has_accepted(&self) -> bool {
        self.services.sink_has_accepted.load(Ordering::Relaxed)
    }

    /// Marks what the sink has accepted as delivered, and saves that.
    async fn remember(
        &mut self,
        batch: &Batch,
        bytes: usize,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        let records = batch.deliveries.len();
        self.services.sink_has_accepted.store(true, Ordering::Relaxed);
        self.report.alerts_sent += records as u64;
        self.report.bytes_sent += bytes as u64;
        for delivery in &batch.deliveries {
            self.deliver(delivery);
        }
        let walked = batch.deliveries.iter().filter_map(|delivery| delivery.reaches).max();
        self.advance(reached.max(walked));
        self.save().await?;
        if let Purpose::Send(progress) = self.purpose {
            progress(&self.report, &self.checkpoint);
        }
        match self.services.until {
            // A backfill tells of its progress itself.
            Some(_) => debug!("sent a batch of {records} records, {bytes} bytes"),
            None => info!("sent a batch of {records} records, {bytes} bytes"),
        }
        Ok(())
    }

    /// An alert without a time is remembered as long as one of this moment.
    fn deliver(&mut self, delivery: &Delivery) {
        let time = delivery.time.or(self.report.to).unwrap_or(self.checkpoint.watermark);
        self.checkpoint.deliver(delivery.identity, time);
        if let Some((identity, time)) = delivery.newer {
            self.checkpoint.deliver(identity, time);
        }
    }

    /// Moves the watermark to `reached`, but not past an alert that stays behind.
    fn advance(&mut self, reached: Option<OffsetDateTime>) {
        let reached = self.held.as_ref().map_or(reached, |held| reached.min(Some(held.earliest)));
        if let Some(reached) = reached {
            self.checkpoint.advance(reached, self.services.lookback);
        }
    }

    /// The end of a walk that left nothing to send: a save only when there is something to remember, or
    /// when the watermark would fall so far behind that the look-back grows by half.
    pub(super) async fn settle(&mut self, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        let Purpose::Send(_) = self.purpose else { return Ok(()) };
        let behind = reached.map(|reached| reached - self.checkpoint.watermark);
        let is_far = behind.is_some_and(|behind| behind > self.services.lookback / 2);
        // Nobody comes after the last run over a given window to see that it is done.
        let is_end = self.services.until.is_some() && behind > Some(SignedDuration::ZERO);
        if !self.is_unsaved && !is_far && !is_end {
            if self.is_sign_of_life_due() {
                self.advance(reached);
            }
            return Ok(());
        }
        self.advance(reached);
        self.save().await
    }

    pub(super) async fn save(&mut self) -> Result<(), RunError> {
        self.checkpoint.quota = self.caller.quota();
        self.calls_saved = self.caller.requests();
        self.checkpoint.history.merge(&self.services.unsaved_runs());
        // Only a save that is known to have worked may be built upon.
        let over = self.version.take();
        let saved = self.services.store.save(self.checkpoint.to_json(), over.as_ref()).await?;
        self.version = Some(saved);
        self.services.unsaved_runs().forget(&self.checkpoint.history);
        (self.is_claimed, self.is_unsaved) = (true, false);
        Ok(())
    }

    pub(super) async fn set_aside_no_alert(&mut self, no_alert: &NoAlert) -> Result<(), RunError> {
        let delivery = Delivery::of(no_alert.identity());
        self.set_aside(None, &no_alert.reason, (Shape::Union, no_alert.text.as_bytes()), delivery).await
    }

    /// Gives up on a record for now: it is kept whole, and counts as dealt with.
    async fn set_aside(
        &mut self,
        id: Option<&str>,
        reason: &str,
        (shape, record): (Shape, &[u8]),
        delivery: Delivery,
    ) -> Result<(), RunError> {
        let aside = SetAside { identity: delivery.identity, id, reason, shape, record };
        self.keep_aside(&aside).await?;
        self.deliver(&delivery);
        self.is_unsaved = true;
        self.report.alerts_set_aside += 1;
        let id = one_line(id.unwrap_or("(none)"), 200);
        error!("alert {id} is set aside, kept whole as {}: {}", aside.name(), one_line(reason, 400));
        Ok(())
    }

    async fn keep_aside(&mut self, aside: &SetAside<'_>) -> Result<(), RunError> {
        match self.purpose {
            Purpose::Send(_) => Ok(self.services.store.set_aside(aside).await?),
            Purpose::Show(_) => Ok(()),
        }
    }
}
