//! The story of one run: fetch alerts, enrich them with their machines, merge, sign, send, and only
//! then remember them as delivered. This is the file to read first.
//!
//! The order of the last steps is the promise: the checkpoint moves only over what the sink has
//! accepted or what has been set aside whole. A run that ends anywhere, in whatever way, leaves the
//! next one to go on from there; at worst the batch in flight is sent again. Before the first batch of
//! a run the checkpoint is saved once as it is: a store that cannot be written, or another process that
//! is at work on it, is noticed before anything is sent.

mod deliver;
mod error;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use azure_core::time::OffsetDateTime;
use futures::{StreamExt, TryStreamExt, stream};
use tracing::warn;

pub use error::RunError;

use crate::{
    alert::{Alert, Identity, Page},
    batch::{Delivery, Packer},
    call::{CallError, Caller},
    cause::{chain, one_line},
    checkpoint::Checkpoint,
    config::{AlertFetch, Start},
    deadline::Deadline,
    enrich::{CALLS_AT_ONCE, MachineOf, Machines},
    http::ExchangeError,
    object::Object,
    report::RunReport,
    schema::extras,
    services::Services,
    shape::Shaped,
    shrink::Fit,
    state::Version,
    union::union,
    walk::{Next, Walk, Window},
};

/// Alerts that are enriched together before any of them is merged. Between two such groups the run
/// can end early without losing work.
const GROUP: usize = 256;

/// A difference between Defender's clock and ours worth a warning.
const SKEW: Duration = Duration::from_secs(60);

/// What becomes of the records of a run.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// They are sent. The function hears of the report as it grows.
    Send(&'a (dyn Fn(&RunReport) + Send + Sync)),
    /// They are only shown, each to this function; nothing is sent or saved.
    Show(&'a (dyn Fn(&[u8]) + Send + Sync)),
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
        misfits: BTreeMap::new(),
        in_hand: HashSet::new(),
        machines: Machines::default(),
    };
    let result = match run.tell().await {
        // Time is up. What was sent is saved, and the report says that there is more.
        Err(RunError::Call(CallError::OutOfTime)) => Ok(()),
        result => result,
    };
    run.save_calls().await;
    run.tell_misfits();
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
    /// Of which members values did not fit their columns, and how many.
    misfits: BTreeMap<&'static str, u64>,
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
                newer: alert
                    .time(services.mode)
                    .filter(|sent| Some(*sent) != time)
                    .map(|sent| (alert.identity(services.mode), sent)),
            };
            if let MachineOf::Unknown = self.machines.of(alert) {
                // By Defender's own clock, as far as it tells: ours may be wrong.
                let now = self.reached_at_most.unwrap_or_else(|| services.clock.now());
                let age = alert.created.map(|created| now - created);
                if age.is_some_and(|age| age < services.enrich_patience) {
                    self.hold(time);
                    continue;
                }
                warn!("alert {} goes without its machine, which cannot be read", one_line(&alert.id, 200));
                self.report.machines_not_found += 1;
            }
            let record = self.make_record(alert)?;
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

    /// Merges an alert with its machine, and writes the record in its shape.
    fn make_record(&self, alert: &Alert) -> Result<Record, RunError> {
        let object = Object::parse(&alert.text).map_err(|_| RunError::Panicked)?;
        let stamp = (self.services.sink.wants_time_generated() && alert.created.is_some())
            .then(|| object.get("alertCreationTime"))
            .flatten();
        let machine = match self.machines.of(alert) {
            MachineOf::Found(machine) => Some(machine),
            MachineOf::None | MachineOf::Unknown => None,
        };
        let union = union(&object, machine, stamp);
        let shape = self.services.shape;
        let Shaped { text, misfits } = shape.write(&union);
        Ok(match shape.fit(&union, &text, self.services.sink.limits()) {
            Fit::Whole => Record { text: Some(text), misfits, loss: None },
            Fit::Shrunk { record, fields } => {
                Record { text: Some(record), misfits, loss: Some(Loss { whole: union.to_json(), fields }) }
            }
            Fit::Hopeless => Record {
                text: None,
                misfits,
                loss: Some(Loss { whole: union.to_json(), fields: Vec::new() }),
            },
        })
    }

    /// Says once a run which values did not fit their columns: that the API has changed, or the schema is wrong.
    fn tell_misfits(&self) {
        if self.misfits.is_empty() {
            return;
        }
        let members: Vec<_> = self.misfits.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        warn!(
            "values of an unexpected type went to {}, nothing is lost: {}",
            extras(self.services.shape).unwrap_or_default(),
            members.join(", ")
        );
    }
}

/// A record, ready for the sink.
struct Record {
    /// None when it cannot be made to fit the sink.
    text: Option<Vec<u8>>,
    /// The members whose value did not fit its column.
    misfits: Vec<&'static str>,
    /// What it lost, to fit.
    loss: Option<Loss>,
}

struct Loss {
    /// The whole record, as the union has it.
    whole: Vec<u8>,
    /// The members that lost something.
    fields: Vec<String>,
}
