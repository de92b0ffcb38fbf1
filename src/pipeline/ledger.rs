//! The checkpoint of a run, and the only code that changes it: load, acknowledge, hold back, save.
//!
//! A run's entry in the history never causes an error, and a run that found nothing causes no save: its entry waits in
//! memory for the next one. But a store that is not written looks the same as one that cannot be written, so a quiet
//! forwarder saves once an hour.

use std::{pin::pin, time::Duration};

use azure_core::time::{Duration as SignedDuration, OffsetDateTime, to_rfc3339};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info};

use super::{due::reason_to_skip, error::RunError, plan::Plan, work::Whole};
use crate::{
    config::Start,
    error_chain::chain,
    http::call::Caller,
    record::{
        batch::{Ack, Batch},
        page::PageSizes,
        window::Window,
    },
    report::{RunReport, Skip},
    services::Services,
    state::{
        ETag, StateError, StateErrorKind,
        checkpoint::{Checkpoint, FUTURE},
        history::HistoryEntry,
        lease::{Lease, RENEWAL},
        set_aside::SetAside,
    },
};

/// The age of the newest run in the store from which on a run that found nothing is saved too: half of the time without
/// a success after which `status` reports a failure (`status.rs`), at the cost of some 24 writes a day.
const HEARTBEAT: Duration = Duration::from_secs(3_600);

/// The calls that a quiet run may make without a save of their count, which the next run's quota budget needs when it
/// is another process.
const UNSAVED_CALLS: u64 = 10;

/// The ledger of one run.
pub(super) struct Ledger<'a> {
    services: &'a Services,
    plan: &'a Plan,
    caller: &'a Caller,
    checkpoint: Checkpoint,
    version: Option<ETag>,
    /// The time of the lease's next renewal; `None` while this run does not hold the lease.
    renewal: Option<Instant>,
    /// The error of a renewal, which the next save returns: until then a post may be in flight.
    renewal_error: Option<StateError>,
    /// True when the checkpoint holds something that is not saved.
    is_unsaved: bool,
    /// The number of requests made before the last save.
    calls_saved: u64,
    /// The end of this run's window.
    to: OffsetDateTime,
    /// The lease that the checkpoint had when it was loaded.
    found: Option<Lease>,
    /// The alerts that are held back.
    held: Option<Held>,
}

struct Held {
    earliest: OffsetDateTime,
    alerts: u64,
}

impl<'a> Ledger<'a> {
    /// Makes the ledger of a run by `plan`, before the checkpoint is loaded.
    pub(super) fn new(services: &'a Services, plan: &'a Plan, caller: &'a Caller) -> Self {
        Self {
            services,
            plan,
            caller,
            checkpoint: Checkpoint::starting_at(services.clock.now()),
            version: None,
            renewal: None,
            renewal_error: None,
            is_unsaved: false,
            calls_saved: 0,
            to: services.clock.now(),
            found: None,
            held: None,
        }
    }

    /// Loads the checkpoint. Without one, this is the very first run, and begins at the plan's start.
    ///
    /// # Errors
    ///
    /// A checkpoint that cannot be used is copied, and fails the run: starting over would send everything again.
    pub(super) async fn load(&mut self) -> Result<(), RunError> {
        let (store, now) = (&self.plan.store, self.services.clock.now());
        if let Some((text, version)) = store.load().await? {
            match Checkpoint::from_json(&text, now) {
                Ok(checkpoint) => self.checkpoint = checkpoint,
                Err(damage) => {
                    store.keep_damaged(&text).await?;
                    return Err(RunError::Damaged { place: store.checkpoint_place(), damage });
                }
            }
            self.caller.set_quota(self.checkpoint.quota.clone());
            self.services.unsaved_runs().forget(&self.checkpoint.history);
            self.version = Some(version);
            // The lease of the document is this run's business only if it is another's.
            self.found = self.checkpoint.lease.take();
            return Ok(());
        }
        let start = match self.plan.start {
            Start::At(time) => time,
            Start::Ago(duration) => now - duration,
        };
        self.checkpoint = Checkpoint::starting_at(start);
        if self.starts_later() {
            info!("MDATP_START lies ahead: nothing is forwarded before {}", to_rfc3339(&start));
        }
        Ok(())
    }

    /// Ends the run if another process is at work on the checkpoint, and saves the very first checkpoint at once: that pins
    /// the start, and shows that the store can be written before anything is sent.
    pub(super) async fn open(&mut self) -> Result<(), RunError> {
        let (own, now) = (&self.services.holder, self.services.clock.now());
        let is_busy = |lease: &Lease| lease.holder != *own && lease.is_valid(now) && !lease.holder.is_gone();
        if let Some(lease) = self.found.take().filter(is_busy) {
            info!("another process is at work on the checkpoint: {lease}");
            return Err(self.give_way());
        }
        // A checkpoint whose watermark lies in the future counts as damaged.
        if self.version.is_some() || self.starts_later() { Ok(()) } else { self.save_if_free().await }
    }

    /// Leaves the checkpoint to the process that is at work on it.
    fn give_way(&mut self) -> RunError {
        // A save now would take the checkpoint away from the other process.
        (self.version, self.renewal) = (None, None);
        RunError::BusyElsewhere
    }

    /// Saves while nothing is in flight: if another process has saved meanwhile, nothing is lost, and it goes on.
    ///
    /// # Errors
    ///
    /// A conflict although the document is as it was when it was loaded is an error of the store, which must not look like
    /// another process at work for ever.
    async fn save_if_free(&mut self) -> Result<(), RunError> {
        let before = self.version.clone();
        let error = match self.save().await {
            Err(RunError::State(error)) if matches!(error.kind, StateErrorKind::Conflict) => error,
            saved => return saved,
        };
        match self.plan.store.load().await {
            Ok(Some((_, now))) if before.as_ref() != Some(&now) => {
                info!("another process has saved the checkpoint since this run began, and goes on with it");
                Err(self.give_way())
            }
            _ => Err(error.into()),
        }
    }

    /// Returns why this run is to be skipped; `None` when it is due.
    pub(super) fn reason_to_skip(&self) -> Option<Skip> {
        let (saved, now) = (&self.checkpoint.history, self.services.clock.now());
        reason_to_skip(self.plan.tick?, saved, &self.services.unsaved_runs(), now)
    }

    fn starts_later(&self) -> bool {
        self.checkpoint.watermark > self.services.clock.now() + FUTURE
    }

    /// True when this is the timer's checkpoint.
    pub(super) fn is_timer(&self) -> bool {
        self.plan.is_timer()
    }

    /// The checkpoint as it is now.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the window of this run, which begins now.
    pub(super) fn begin_window(&mut self) -> Window {
        let to = self.plan.until.unwrap_or_else(|| self.services.clock.now());
        let window = self.checkpoint.window(self.plan.lookback, to);
        self.to = window.to;
        window
    }

    /// Takes the lease before this run's first batch, or renews it where that is due. A store that cannot be written, or
    /// another process at work on it, ends the run before anything is sent.
    pub(super) async fn prepare_to_send(&mut self) -> Result<(), RunError> {
        if self.renewal.is_some_and(|renewal| Instant::now() < renewal) {
            return Ok(());
        }
        self.renewal.get_or_insert_with(Instant::now);
        self.save_if_free().await
    }

    /// Waits for `work`, and renews the lease meanwhile, if this run holds it. An error of a renewal is left to the next
    /// save: `work` may be a post in flight, whose response counts.
    pub(super) async fn renewing<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        while let Some(renewal) = self.renewal {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(renewal) => {}
            }
            if let Err(RunError::State(error)) = self.save().await {
                (self.renewal, self.renewal_error) = (None, Some(error));
            }
        }
        work.await
    }

    /// Notes what is known about the server's page sizes.
    pub(super) fn note_pages(&mut self, pages: PageSizes) {
        if self.checkpoint.pages != pages {
            (self.checkpoint.pages, self.is_unsaved) = (pages, true);
        }
    }

    /// Holds back an alert for a later run. The watermark does not pass it.
    pub(super) fn hold(&mut self, time: Option<OffsetDateTime>) {
        let time = time.unwrap_or(self.checkpoint.watermark);
        let held = self.held.get_or_insert(Held { earliest: time, alerts: 0 });
        held.earliest = held.earliest.min(time);
        held.alerts += 1;
    }

    /// Ends the holding back of `alerts`. The watermark may pass once none is left.
    pub(super) fn release(&mut self, alerts: u64) {
        if let Some(held) = &mut self.held {
            held.alerts -= alerts;
        }
        self.held = self.held.take().filter(|held| held.alerts > 0);
    }

    /// The number of alerts that are held back.
    pub(super) fn alerts_held(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.alerts)
    }

    /// Records in the checkpoint that the sink accepted a batch, and saves it. `reached` is the time before which
    /// everything is delivered with this batch, if that is later than its records say.
    pub(super) async fn acknowledge(
        &mut self,
        batch: &Batch,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        for ack in &batch.acks {
            self.deliver(ack);
        }
        let listed = batch.acks.iter().filter_map(|ack| ack.watermark_after).max();
        self.advance(reached.max(listed));
        self.save().await?;
        if let Some(watch) = &self.plan.watch {
            watch.note_acknowledged(&batch.acks);
        }
        Ok(())
    }

    /// Marks an alert as delivered. One without a time is kept as long as one of the end of the window.
    fn deliver(&mut self, ack: &Ack) {
        let time = ack.time.unwrap_or(self.to);
        self.checkpoint.mark_delivered(ack.fingerprint, time);
        if let Some((fingerprint, time)) = ack.newer {
            self.checkpoint.mark_delivered(fingerprint, time);
        }
    }

    /// Keeps a record whole in the store. Unless it is sent as well, that acknowledges it.
    pub(super) async fn set_aside(&mut self, whole: &Whole) -> Result<(), RunError> {
        let document = SetAside {
            fingerprint: whole.ack.fingerprint,
            id: whole.id.as_deref(),
            kind: whole.kind,
            reason: &whole.reason,
            shape: whole.shape,
            record: &whole.record,
        };
        self.plan.store.set_aside(&document).await?;
        if !whole.kind.is_sent() {
            self.deliver(&whole.ack);
            self.is_unsaved = true;
            error!(
                "alert {} is set aside, kept whole as {}: {}",
                whole.log_id(),
                document.name(),
                whole.log_reason()
            );
        }
        Ok(())
    }

    /// Moves the watermark to `reached`, but not past an alert that is held back.
    fn advance(&mut self, reached: Option<OffsetDateTime>) {
        let reached = self.held.as_ref().map_or(reached, |held| reached.min(Some(held.earliest)));
        if let Some(reached) = reached {
            self.checkpoint.advance(reached, self.plan.lookback);
        }
    }

    /// Ends a run that has nothing left to send. It saves only what is not saved yet, or when the watermark would fall so
    /// far behind that the look-back grows by half.
    pub(super) async fn finish(&mut self, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        let behind = reached.map(|reached| reached - self.checkpoint.watermark);
        let is_far = behind.is_some_and(|behind| behind > self.plan.lookback / 2);
        // No later run would record that a window with a fixed end is done.
        let is_end = !self.plan.is_timer() && behind > Some(SignedDuration::ZERO);
        if !self.is_unsaved && !is_far && !is_end {
            if self.is_heartbeat_due() {
                self.advance(reached);
            }
            return Ok(());
        }
        self.advance(reached);
        self.save_if_free().await
    }

    /// Records the run in the history, and saves if it did anything, holds the lease, failed, is the first after one that
    /// failed, or made many calls, or if the hourly save is due: the last save gives up the lease. The run has ended, so an
    /// error of this save is not the run's.
    pub(super) async fn record_run(&mut self, entry: HistoryEntry) {
        let mut has_news = self.caller.requests() - self.calls_saved > UNSAVED_CALLS;
        has_news |= self.renewal.take().is_some();
        // A backfill's runs are slices of one, and its operator watches it.
        if self.plan.is_timer() {
            has_news |= !entry.is_quiet() || self.checkpoint.history.failures().is_some();
            self.services.unsaved_runs().add(entry);
        }
        // Without a version, the store was never reached or is in an unknown state.
        if self.version.is_some()
            && (has_news || self.is_heartbeat_due())
            && let Err(error) = self.save().await
        {
            debug!("{}", chain(&error));
        }
    }

    /// True when the store has no run of the last hour.
    fn is_heartbeat_due(&self) -> bool {
        let newest = self.checkpoint.history.entries().last();
        let is_old = |newest: &HistoryEntry| self.services.clock.now() - newest.last_start() > HEARTBEAT;
        self.plan.is_timer() && newest.is_none_or(is_old)
    }

    /// Returns how long ago the time lies before which everything is delivered. A complete run that found nothing does
    /// not move the watermark, but has seen that there is nothing to deliver.
    pub(super) fn lag_seconds(&self, report: &RunReport) -> Option<u64> {
        let reached = if report.complete { report.to? } else { self.checkpoint.watermark };
        report.from?;
        // Defender's clock may be ahead of this machine's.
        Some((self.services.clock.now() - reached).whole_seconds().max(0).unsigned_abs())
    }

    async fn save(&mut self) -> Result<(), RunError> {
        self.checkpoint.quota = self.caller.quota();
        self.calls_saved = self.caller.requests();
        self.checkpoint.history.merge(&self.services.unsaved_runs());
        // After a save with an unknown result, the store's version is unknown too.
        let over = self.version.take();
        if let Some(error) = self.renewal_error.take() {
            return Err(error.into());
        }
        let (holder, now) = (&self.services.holder, self.services.clock.now());
        self.checkpoint.lease = self.renewal.map(|_| Lease::of(holder, now));
        let renewal = Instant::now() + RENEWAL;
        let saved = self.plan.store.save(self.checkpoint.to_json(), over.as_ref()).await?;
        self.version = Some(saved);
        self.services.unsaved_runs().forget(&self.checkpoint.history);
        self.renewal = self.renewal.map(|_| renewal);
        self.is_unsaved = false;
        Ok(())
    }
}
