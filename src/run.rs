//! The story of one run: fetch alerts, enrich them with their machines, merge, sign, send, and only
//! then remember them as delivered. This is the file to read first.
//!
//! The order of the last steps is the promise: the checkpoint moves only over what the sink has
//! accepted or what has been set aside whole. A run that ends anywhere, in whatever way, leaves the
//! next one to go on from there; at worst the batch in flight is sent again. Before the first batch of
//! a run the checkpoint is saved once as it is: a store that cannot be written, or another process that
//! is at work on it, is noticed before anything is sent.

use std::{collections::HashSet, fmt, sync::atomic::Ordering, time::Duration};

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tracing::{debug, error, info, warn};

use crate::{
    alert::{Alert, Identity, NoAlert, Page},
    batch::{Batch, Delivery, Packer},
    call::{CallError, Caller, Refusal},
    cause::{chain, one_line},
    checkpoint::{Checkpoint, Damage},
    config::{AlertFetch, SettingsError, Start},
    deadline::Deadline,
    enrich::{CALLS_AT_ONCE, MachineOf, Machines},
    http::ExchangeError,
    object::{Object, text_of},
    report::RunReport,
    services::Services,
    set_aside::{SENT_SHORTENED, SetAside},
    shrink::{Fit, fit},
    sink::Blame,
    state::{StateError, Version},
    union::union,
    walk::{Next, Walk, Window},
};

/// Alerts that are enriched together before any of them is merged. Between two such groups the run
/// can end early without losing work.
const GROUP: usize = 256;

/// A difference between Defender's clock and ours worth a warning.
const SKEW: Duration = Duration::from_secs(60);

/// So many records refused one by one before any was accepted mean that the settings are at fault.
const REFUSALS_TO_BLAME_SETTINGS: usize = 8;

/// Calls that an otherwise idle run may make without its count being saved.
const UNSAVED_CALLS: u64 = 10;

/// What becomes of the records of a run.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// They are sent. The function hears of the report as it grows.
    Send(&'a (dyn Fn(&RunReport) + Send + Sync)),
    /// They are only shown, each to this function; nothing is sent or saved.
    Show(&'a (dyn Fn(&[u8]) + Send + Sync)),
}

/// Why a run failed.
#[derive(Debug)]
pub enum RunError {
    /// The settings do not say what to do.
    Settings(SettingsError),
    /// This machine has no CA certificates, or the HTTP client cannot be made for another reason.
    Client(reqwest::Error),
    /// A call to Defender or the sink.
    Call(CallError),
    /// Everything else is delivered, but these alerts wait for machines that cannot be read.
    Waiting {
        /// How many alerts.
        alerts: u64,
        /// Why the last machine could not be read.
        error: Option<CallError>,
    },
    /// The state store.
    State(StateError),
    /// The checkpoint's document.
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A fault of this program.
    Panicked,
}

/// Runs once, until everything new is delivered or `deadline` is near. The report tells how far it
/// came, whether or not there is an error.
pub async fn run(
    services: &Services,
    deadline: Deadline,
    purpose: Purpose<'_>,
) -> (RunReport, Result<(), RunError>) {
    let mut run = Run {
        services,
        caller: Caller::new(services.http.clone(), services.clock, deadline, services.quota_share),
        purpose,
        report: RunReport::default(),
        checkpoint: Checkpoint::starting_at(services.clock.now()),
        version: None,
        is_claimed: false,
        is_unsaved: false,
        calls_saved: 0,
        held: None,
        machine_failure: None,
        reached_at_most: None,
        packer: Packer::new(services.sink.limit()),
        in_hand: HashSet::new(),
        machines: Machines::default(),
    };
    let result = match run.tell().await {
        // Time is up. What was sent is saved, and the report says that there is more.
        Err(RunError::Call(CallError::OutOfTime)) => Ok(()),
        result => result,
    };
    run.save_calls().await;
    run.report.requests = run.caller.requests();
    run.report.error = result.as_ref().err().map(|error| chain(error));
    (run.report, result)
}

struct Run<'a> {
    services: &'a Services,
    caller: Caller,
    purpose: Purpose<'a>,
    report: RunReport,
    checkpoint: Checkpoint,
    version: Option<Version>,
    /// True once this run has written the store, so that it may send.
    is_claimed: bool,
    /// True when the checkpoint remembers more than the store.
    is_unsaved: bool,
    /// The requests that had been made when the checkpoint was saved last.
    calls_saved: u64,
    /// The alerts that stay behind for now.
    held: Option<Held>,
    /// Why the last machine that could not be read could not.
    machine_failure: Option<CallError>,
    /// The earliest time at which Defender says it answered this run.
    reached_at_most: Option<OffsetDateTime>,
    packer: Packer,
    /// The identities in the batch that is being packed.
    in_hand: HashSet<Identity>,
    machines: Machines,
}

struct Held {
    earliest: OffsetDateTime,
    alerts: u64,
}

impl Run<'_> {
    async fn tell(&mut self) -> Result<(), RunError> {
        self.load().await?;
        let window = self.checkpoint.window(self.services.lookback, self.services.clock.now());
        (self.report.from, self.report.to) = (Some(window.from), Some(window.to));

        let is_read_to_its_end = match self.walk(window).await {
            Err(RunError::Call(CallError::OutOfTime)) => false,
            walked => walked?,
        };
        // What was created after Defender answered could not be listed, whatever this clock says.
        let to = self.reached_at_most.map_or(window.to, |answered| answered.min(window.to));
        let reached = is_read_to_its_end.then_some(to);
        match self.packer.take() {
            Some(batch) => self.send(batch, reached).await?,
            None => self.settle(reached).await?,
        }
        match self.held.take() {
            Some(Held { alerts, .. }) => {
                Err(RunError::Waiting { alerts, error: self.machine_failure.take() })
            }
            None => {
                self.report.complete = is_read_to_its_end;
                Ok(())
            }
        }
    }

    /// Loads the checkpoint. The very first run saves one at once: that shows that the store can be
    /// written before anything is sent, and pins the start.
    async fn load(&mut self) -> Result<(), RunError> {
        let store = &self.services.store;
        if let Some((text, version)) = store.load().await? {
            match Checkpoint::from_json(&text, self.services.clock.now()) {
                Ok(checkpoint) => self.checkpoint = checkpoint,
                Err(damage) => {
                    store.keep_damaged(&text).await?;
                    return Err(RunError::Damaged { place: store.checkpoint_place(), damage });
                }
            }
            self.caller.begin_with(self.checkpoint.quota.clone());
            self.version = Some(version);
            return Ok(());
        }
        let start = match self.services.start {
            Start::At(time) => time,
            Start::Ago(duration) => self.services.clock.now() - duration,
        };
        self.checkpoint = Checkpoint::starting_at(start);
        match self.purpose {
            Purpose::Send(_) => self.save().await,
            Purpose::Show(_) => Ok(()),
        }
    }

    /// Walks through the alerts of `window`. True when all of them were read; false when time is up, or
    /// when the server repeats itself.
    async fn walk(&mut self, window: Window) -> Result<bool, RunError> {
        let services = self.services;
        let mut walk = Walk::new(window, services.page_size);
        loop {
            if self.caller.deadline.is_near() {
                return Ok(false);
            }
            let Some(page) = self.fetch(&mut walk).await? else { continue };
            let keys: Vec<_> = page
                .elements
                .iter()
                .map(|element| match element {
                    Ok(alert) => (alert.time(services.mode), alert.identity(services.mode)),
                    Err(no_alert) => (None, no_alert.identity()),
                })
                .collect();
            let step = walk.step(&keys, page.has_next_link);

            let mut elements: Vec<_> = page.elements.into_iter().map(Some).collect();
            let mut alerts = Vec::new();
            for place in step.fresh {
                self.report.alerts_read += 1;
                if self.checkpoint.has(keys[place].1) {
                    self.report.alerts_already_sent += 1;
                } else if !self.in_hand.contains(&keys[place].1) {
                    match elements[place].take() {
                        Some(Ok(alert)) => alerts.push(alert),
                        Some(Err(no_alert)) => self.set_aside_no_alert(&no_alert).await?,
                        None => {}
                    }
                }
            }
            for group in alerts.chunks(GROUP) {
                self.forward(group, walk.is_in_order()).await?;
                if self.caller.deadline.is_near() {
                    return Ok(false);
                }
            }
            match step.next {
                Next::Page => {}
                Next::End => return Ok(true),
                Next::Stalled => {
                    warn!(
                        "Defender answered with a full page of alerts that this run has seen already; the rest \
                         of the list is left for the next run"
                    );
                    return Ok(false);
                }
            }
        }
    }

    /// Fetches the next page; none when it was too large and is to be asked for in halves.
    async fn fetch(&mut self, walk: &mut Walk) -> Result<Option<Page>, RunError> {
        match self.services.defender.list(walk.query(), &self.caller).await {
            Ok(page) => {
                self.note_time(page.as_of);
                Ok(Some(page))
            }
            Err(CallError::Unreachable { error: ExchangeError::TooLarge, .. }) if walk.halve_page() => {
                warn!("{}; asking for {} alerts a page", ExchangeError::TooLarge, walk.query().top);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn note_time(&mut self, answered: Option<OffsetDateTime>) {
        let (Some(answered), None) = (answered, self.reached_at_most) else { return };
        self.reached_at_most = Some(answered);
        let ahead = self.services.clock.now() - answered;
        if ahead.abs() > SKEW {
            let side = if ahead.is_positive() { "ahead of" } else { "behind" };
            warn!(
                "this machine's clock is {} s {side} Defender's: set it right",
                ahead.abs().whole_seconds()
            );
        }
    }

    /// Enriches a group of new alerts, merges each with its machine, and sends what fills a batch.
    async fn forward(&mut self, group: &[Alert], is_in_order: bool) -> Result<(), RunError> {
        let services = self.services;
        let whole = match services.fetch {
            AlertFetch::List => None,
            AlertFetch::ById => Some(self.fetch_each(group).await?),
        };
        let whole = whole.as_deref().unwrap_or(group);
        let looked_up = self.machines.look_up(whole, &services.defender, &self.caller).await?;
        self.report.machines_read += looked_up.found;
        self.report.machines_not_found += looked_up.missing;
        self.machine_failure = looked_up.failure.or(self.machine_failure.take());

        // The list's own alert says where the walk is; the one fetched by id may be newer.
        for (listed, alert) in group.iter().zip(whole) {
            let time = listed.time(services.mode);
            let delivery = Delivery {
                identity: listed.identity(services.mode),
                time,
                reaches: time.filter(|_| is_in_order),
            };
            if let MachineOf::Unknown = self.machines.of(alert) {
                let age = alert.created.map(|created| services.clock.now() - created);
                if age.is_some_and(|age| age < services.enrich_patience) {
                    self.hold(time);
                    continue;
                }
                warn!("alert {} goes without its machine, which cannot be read", one_line(&alert.id, 200));
                self.report.machines_not_found += 1;
            }
            let record = self.merge(alert)?;
            self.pack(alert, record, delivery).await?;
        }
        Ok(())
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
    async fn pack(&mut self, alert: &Alert, record: Vec<u8>, delivery: Delivery) -> Result<(), RunError> {
        let limits = self.services.sink.limits();
        let record = match fit(&record, limits) {
            Fit::Whole => record,
            Fit::Shrunk { record: shrunk, fields } => {
                let reason = format!(
                    "{SENT_SHORTENED}: {} of its {} bytes fit, with less in {}",
                    shrunk.len(),
                    record.len(),
                    fields.join(", ")
                );
                self.keep_aside(&SetAside {
                    identity: delivery.identity,
                    id: Some(&alert.id),
                    reason: &reason,
                    record: &record,
                })
                .await?;
                warn!("alert {} is {reason}", one_line(&alert.id, 200));
                shrunk
            }
            Fit::Hopeless => {
                let reason = format!(
                    "the record has {} bytes and cannot be shortened to {}",
                    record.len(),
                    limits.record
                );
                return self.set_aside(Some(&alert.id), &reason, &record, delivery).await;
            }
        };
        // A record within the limits fits into a batch.
        if let Ok(Some(batch)) = self.packer.push(&record, delivery) {
            self.send(batch, None).await?;
        }
        self.in_hand.insert(delivery.identity);
        Ok(())
    }

    /// Fetches each alert by its id. One that is gone meanwhile is forwarded as the list had it.
    async fn fetch_each(&self, group: &[Alert]) -> Result<Vec<Alert>, RunError> {
        let (defender, caller) = (&self.services.defender, &self.caller);
        let fetches: Vec<_> = group
            .iter()
            .map(|listed| async move {
                let alert = defender.alert(&listed.id, caller).await?;
                Ok::<_, CallError>(alert.unwrap_or_else(|| listed.clone()))
            })
            .collect();
        Ok(stream::iter(fetches).buffered(CALLS_AT_ONCE).try_collect().await?)
    }

    fn merge(&self, alert: &Alert) -> Result<Vec<u8>, RunError> {
        let object = Object::parse(&alert.text).map_err(|_| RunError::Panicked)?;
        let stamp = (self.services.sink.wants_time_generated() && alert.created.is_some())
            .then(|| object.get("alertCreationTime"))
            .flatten();
        let machine = match self.machines.of(alert) {
            MachineOf::Found(machine) => Some(machine),
            MachineOf::None | MachineOf::Unknown => None,
        };
        Ok(union(&object, machine, stamp.map(serde_json::value::RawValue::get)))
    }

    /// Sends a batch and remembers what was accepted. `reached` is the time before which all is delivered
    /// then. A batch refused for its size or for a record in it is sent in halves, down to the record at
    /// fault.
    async fn send(&mut self, batch: Batch, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        if let Purpose::Show(show) = self.purpose {
            (0..batch.deliveries.len()).for_each(|place| show(batch.record(place)));
            return Ok(());
        }
        if !self.is_claimed {
            self.save().await?;
        }
        let mut suspects = Vec::new();
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            let body = Bytes::copy_from_slice(&batch.body);
            let refusal = match self.services.sink.send(body, &self.caller).await {
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
        self.in_hand.clear();
        self.judge(suspects, reached).await
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
            let id = object.get("id").and_then(text_of).map(String::from);
            let reason = format!("refused: {refusal}");
            self.set_aside(id.as_deref(), &reason, batch.record(0), batch.deliveries[0]).await?;
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
            self.in_hand.remove(&delivery.identity);
            self.deliver(delivery);
        }
        let walked = batch.deliveries.iter().filter_map(|delivery| delivery.reaches).max();
        self.advance(reached.max(walked));
        self.save().await?;
        info!("sent a batch of {records} records, {bytes} bytes");
        if let Purpose::Send(progress) = self.purpose {
            progress(&self.report);
        }
        Ok(())
    }

    /// An alert without a time is remembered as long as one of this moment.
    fn deliver(&mut self, delivery: &Delivery) {
        let time = delivery.time.or(self.report.to).unwrap_or(self.checkpoint.watermark);
        self.checkpoint.deliver(delivery.identity, time);
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
    async fn settle(&mut self, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        let Purpose::Send(_) = self.purpose else { return Ok(()) };
        let behind = reached.map(|reached| reached - self.checkpoint.watermark);
        let is_far = behind.is_some_and(|behind| behind > self.services.lookback / 2);
        if !self.is_unsaved && !is_far {
            return Ok(());
        }
        self.advance(reached);
        self.save().await
    }

    /// A run that made many calls and had nothing else to remember still saves their count, since the next
    /// run may be another process. The run has ended already, so a failure changes nothing.
    async fn save_calls(&mut self) {
        let unsaved = self.caller.requests() - self.calls_saved;
        let may_save = self.version.is_some() && matches!(self.purpose, Purpose::Send(_));
        if unsaved > UNSAVED_CALLS
            && may_save
            && let Err(error) = self.save().await
        {
            debug!("{}", chain(&error));
        }
    }

    async fn save(&mut self) -> Result<(), RunError> {
        self.checkpoint.quota = self.caller.quota();
        self.calls_saved = self.caller.requests();
        // Only a save that is known to have worked may be built upon.
        let over = self.version.take();
        let saved = self.services.store.save(self.checkpoint.to_json(), over.as_ref()).await?;
        self.version = Some(saved);
        (self.is_claimed, self.is_unsaved) = (true, false);
        Ok(())
    }

    async fn set_aside_no_alert(&mut self, no_alert: &NoAlert) -> Result<(), RunError> {
        let delivery = Delivery { identity: no_alert.identity(), time: None, reaches: None };
        self.set_aside(None, &no_alert.reason, &no_alert.text, delivery).await
    }

    /// Gives up on a record for now: it is kept whole, and counts as dealt with.
    async fn set_aside(
        &mut self,
        id: Option<&str>,
        reason: &str,
        record: &[u8],
        delivery: Delivery,
    ) -> Result<(), RunError> {
        let aside = SetAside { identity: delivery.identity, id, reason, record };
        self.keep_aside(&aside).await?;
        self.deliver(&delivery);
        self.is_unsaved = true;
        self.report.alerts_set_aside += 1;
        let id = one_line(id.unwrap_or("(none)"), 200);
        error!("alert {id} is set aside, kept whole as {}: {}", aside.name(), one_line(reason, 400));
        Ok(())
    }

    async fn keep_aside(&self, aside: &SetAside<'_>) -> Result<(), RunError> {
        match self.purpose {
            Purpose::Send(_) => Ok(self.services.store.set_aside(aside).await?),
            Purpose::Show(_) => Ok(()),
        }
    }
}

impl From<CallError> for RunError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<StateError> for RunError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Client(_) => f.write_str("the HTTP client cannot be made: are CA certificates installed?"),
            Self::Call(error) => error.fmt(f),
            Self::Waiting { alerts, .. } => write!(
                f,
                "{alerts} alerts wait for their machines, which Defender fails to tell; all others are delivered, \
                 and these go without after MDATP_ENRICH_PATIENCE"
            ),
            Self::State(error) => error.fmt(f),
            Self::Damaged { place, .. } => write!(
                f,
                "the checkpoint {place} cannot be used; nothing was sent. A copy is kept beside it. The way out: \
                 mdatp-forward state show, then mdatp-forward state reset --to TIME"
            ),
            Self::Panicked => f.write_str("a fault of mdatp-forward itself; the lines before tell where"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(_) | Self::Panicked => None,
            Self::Client(error) => Some(error),
            Self::Call(error) => std::error::Error::source(error),
            Self::Waiting { error, .. } => error.as_ref().map(|error| error as _),
            Self::State(error) => std::error::Error::source(error),
            Self::Damaged { damage, .. } => Some(damage),
        }
    }
}
