//! What the checkpoint says, and the only code that changes it: what is loaded, acknowledged, held back and
//! saved in a run.
//!
//! A run's entry in the history is never worth an error, and a run that found nothing is worth no save of its
//! own: it waits in memory for the next one. But a store that nobody writes looks the same as one that nobody
//! can write, so now and then there is a sign of life.

use std::time::Duration;

use azure_core::time::{Duration as SignedDuration, OffsetDateTime, to_rfc3339};
use tracing::{debug, error, info};

use super::{error::RunError, merge::Aside, plan::Plan};
use crate::{
    config::Start,
    error_chain::chain,
    http::call::Caller,
    record::{
        batch::{Ack, Batch},
        page::PageSizes,
        window::Window,
    },
    report::RunReport,
    services::Services,
    state::{
        Version,
        checkpoint::{Checkpoint, FUTURE},
        history::Entry,
        set_aside::SetAside,
    },
};

/// The age of the newest run in the store from which on a run that found nothing is saved as well. Half of the time
/// without a success after which `status` takes a forwarder for dead (`status.rs`), at some 24 writes a day.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3_600);

/// Calls that an otherwise idle run may make without its count being saved: the next run may be another process.
const UNSAVED_CALLS: u64 = 10;

/// The checkpoint of a run.
pub(super) struct Ledger<'a> {
    services: &'a Services,
    plan: &'a Plan,
    caller: &'a Caller,
    checkpoint: Checkpoint,
    version: Option<Version>,
    /// True once this run has written the store, so that it may send.
    is_claimed: bool,
    /// True when the checkpoint remembers more than the store.
    is_unsaved: bool,
    /// The requests that had been made when the checkpoint was saved last.
    calls_saved: u64,
    /// Where the window of this run ends.
    to: OffsetDateTime,
    /// The alerts that stay behind for now.
    held: Option<Held>,
}

struct Held {
    earliest: OffsetDateTime,
    alerts: u64,
}

impl<'a> Ledger<'a> {
    /// The ledger of a run by `plan`, before anything is loaded.
    pub(super) fn new(services: &'a Services, plan: &'a Plan, caller: &'a Caller) -> Self {
        Self {
            services,
            plan,
            caller,
            checkpoint: Checkpoint::starting_at(services.clock.now()),
            version: None,
            is_claimed: false,
            is_unsaved: false,
            calls_saved: 0,
            to: services.clock.now(),
            held: None,
        }
    }

    /// Loads the checkpoint; the very first run has one that begins at the plan's start.
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
            self.caller.begin_with(self.checkpoint.quota.clone());
            self.services.unsaved_runs().forget(&self.checkpoint.history);
            self.version = Some(version);
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

    /// Saves the first checkpoint at once: that shows that the store can be written before anything is sent, and
    /// pins the start.
    pub(super) async fn pin_start(&mut self) -> Result<(), RunError> {
        // A checkpoint of the future would be taken for a damaged one.
        if self.version.is_some() || self.starts_later() { Ok(()) } else { self.save().await }
    }

    fn starts_later(&self) -> bool {
        self.checkpoint.watermark > self.services.clock.now() + FUTURE
    }

    /// True when this is the timer's checkpoint.
    pub(super) fn is_timer(&self) -> bool {
        self.plan.is_timer()
    }

    /// What the checkpoint says now.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The window of this run, which begins now.
    pub(super) fn begin_window(&mut self) -> Window {
        let to = self.plan.until.unwrap_or_else(|| self.services.clock.now());
        let window = self.checkpoint.window(self.plan.lookback, to);
        self.to = window.to;
        window
    }

    /// Makes sure that this run has written the store before it sends anything.
    pub(super) async fn claim(&mut self) -> Result<(), RunError> {
        if self.is_claimed { Ok(()) } else { self.save().await }
    }

    /// Notes what is known of the server's pages.
    pub(super) fn note_pages(&mut self, pages: PageSizes) {
        if self.checkpoint.pages != pages {
            (self.checkpoint.pages, self.is_unsaved) = (pages, true);
        }
    }

    /// Leaves an alert to a later run. The watermark stays behind it until then.
    pub(super) fn hold(&mut self, time: Option<OffsetDateTime>) {
        let time = time.unwrap_or(self.checkpoint.watermark);
        let held = self.held.get_or_insert(Held { earliest: time, alerts: 0 });
        held.earliest = held.earliest.min(time);
        held.alerts += 1;
    }

    /// Takes back that `alerts` are held. The watermark may pass them once none is.
    pub(super) fn release(&mut self, alerts: u64) {
        if let Some(held) = &mut self.held {
            held.alerts -= alerts;
        }
        self.held = self.held.take().filter(|held| held.alerts > 0);
    }

    /// How many alerts are left to a later run.
    pub(super) fn alerts_held(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.alerts)
    }

    /// Marks what the sink has accepted as delivered, and saves that. `reached` is the time before which all is
    /// delivered with this batch, where that is more than its records say.
    pub(super) async fn acknowledge(
        &mut self,
        batch: &Batch,
        reached: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        for ack in &batch.acks {
            self.deliver(ack);
        }
        let walked = batch.acks.iter().filter_map(|ack| ack.watermark_after).max();
        self.advance(reached.max(walked));
        self.save().await
    }

    /// An alert without a time is remembered as long as one of this moment.
    fn deliver(&mut self, ack: &Ack) {
        let time = ack.time.unwrap_or(self.to);
        self.checkpoint.deliver(ack.fingerprint, time);
        if let Some((fingerprint, time)) = ack.newer {
            self.checkpoint.deliver(fingerprint, time);
        }
    }

    /// Keeps a record whole in the store. Unless it is sent as well, it counts as dealt with from then on.
    pub(super) async fn set_aside(&mut self, aside: &Aside) -> Result<(), RunError> {
        let document = SetAside {
            fingerprint: aside.ack.fingerprint,
            id: aside.id.as_deref(),
            reason: &aside.reason,
            shape: aside.shape,
            record: &aside.record,
        };
        self.plan.store.set_aside(&document).await?;
        if !aside.is_sent {
            self.deliver(&aside.ack);
            self.is_unsaved = true;
            error!(
                "alert {} is set aside, kept whole as {}: {}",
                aside.id_in_brief(),
                document.name(),
                aside.reason_in_brief()
            );
        }
        Ok(())
    }

    /// Moves the watermark to `reached`, but not past an alert that stays behind.
    fn advance(&mut self, reached: Option<OffsetDateTime>) {
        let reached = self.held.as_ref().map_or(reached, |held| reached.min(Some(held.earliest)));
        if let Some(reached) = reached {
            self.checkpoint.advance(reached, self.plan.lookback);
        }
    }

    /// The end of a run that has nothing left to send: a save only when there is something to remember, or
    /// when the watermark would fall so far behind that the look-back grows by half.
    pub(super) async fn finish(&mut self, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        let behind = reached.map(|reached| reached - self.checkpoint.watermark);
        let is_far = behind.is_some_and(|behind| behind > self.plan.lookback / 2);
        // Nobody comes after the last run over a given window to see that it is done.
        let is_end = !self.plan.is_timer() && behind > Some(SignedDuration::ZERO);
        if !self.is_unsaved && !is_far && !is_end {
            if self.is_sign_of_life_due() {
                self.advance(reached);
            }
            return Ok(());
        }
        self.advance(reached);
        self.save().await
    }

    /// Writes the run down, and saves if it did anything, failed, made many calls, or if it is time for a sign
    /// of life. The run has ended already, so a failure changes nothing.
    pub(super) async fn record_run(&mut self, entry: Entry) {
        let mut has_news = self.caller.requests() - self.calls_saved > UNSAVED_CALLS;
        // A backfill's runs are slices, and somebody is looking at it.
        if self.plan.is_timer() {
            has_news |= !entry.is_quiet();
            self.services.unsaved_runs().add(entry);
        }
        // Without a version the store was never reached, or is in an unknown state.
        if self.version.is_some()
            && (has_news || self.is_sign_of_life_due())
            && let Err(error) = self.save().await
        {
            debug!("{}", chain(&error));
        }
    }

    /// True when the store has no run of the last hour.
    fn is_sign_of_life_due(&self) -> bool {
        let newest = self.checkpoint.history.entries().last();
        let is_old = |newest: &Entry| self.services.clock.now() - newest.last_start() > SIGN_OF_LIFE;
        self.plan.is_timer() && newest.is_none_or(is_old)
    }

    /// How long ago the time lies before which everything is delivered. A complete run that found nothing does
    /// not move the watermark, but has seen all the same that there is nothing.
    pub(super) fn lag_seconds(&self, report: &RunReport) -> Option<u64> {
        let reached = if report.complete { report.to? } else { self.checkpoint.watermark };
        report.from?;
        // Defender's clock may be ahead of ours.
        Some((self.services.clock.now() - reached).whole_seconds().max(0).unsigned_abs())
    }

    async fn save(&mut self) -> Result<(), RunError> {
        self.checkpoint.quota = self.caller.quota();
        self.calls_saved = self.caller.requests();
        self.checkpoint.history.merge(&self.services.unsaved_runs());
        // Only a save that is known to have worked may be built upon.
        let over = self.version.take();
        let saved = self.plan.store.save(self.checkpoint.to_json(), over.as_ref()).await?;
        self.version = Some(saved);
        self.services.unsaved_runs().forget(&self.checkpoint.history);
        (self.is_claimed, self.is_unsaved) = (true, false);
        Ok(())
    }
}
