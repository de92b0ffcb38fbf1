//! The story of one run: fetch alerts, enrich them with their machines, merge, sign, send, and only
//! then remember them as delivered. This is the file to read first.
//!
//! The order of the last steps is the promise: the checkpoint moves only over what the sink has
//! accepted or what has been set aside whole. A run that ends anywhere, in whatever way, leaves the
//! next one to go on from there; at worst the batch in flight is sent again.

use std::{collections::HashSet, fmt};

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tracing::{error, info, warn};

use crate::{
    alert::{Alert, Identity, NoAlert},
    batch::{Batch, Delivery, Packer, TooLarge},
    call::{CallError, Caller},
    cause::{chain, one_line},
    checkpoint::{Checkpoint, Damage},
    config::{AlertFetch, SettingsError, Start},
    deadline::Deadline,
    enrich::{CALLS_AT_ONCE, Machines},
    object::Object,
    report::RunReport,
    services::Services,
    set_aside::SetAside,
    state::{StateError, Version},
    union::union,
    walk::{Next, Walk, Window},
};

/// Alerts that are enriched together before any of them is merged. Between two such groups the run
/// can end early without losing work.
const GROUP: usize = 256;

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
        caller: Caller::new(services.http.clone(), services.clock, deadline),
        purpose,
        report: RunReport::default(),
        checkpoint: Checkpoint::starting_at(services.clock.now()),
        version: None,
        is_unsaved: false,
        packer: Packer::new(services.sink.limit()),
        in_hand: HashSet::new(),
        machines: Machines::default(),
    };
    let result = match run.tell().await {
        // Time is up. What was sent is saved, and the report says that there is more.
        Err(RunError::Call(CallError::OutOfTime)) => Ok(()),
        result => result,
    };
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
    /// True when the checkpoint remembers more than the store.
    is_unsaved: bool,
    packer: Packer,
    /// The identities in the batch that is being packed.
    in_hand: HashSet<Identity>,
    machines: Machines,
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
        let reached = is_read_to_its_end.then_some(window.to);
        match self.packer.take() {
            Some(batch) => self.send(batch, reached).await?,
            None => self.settle(reached).await?,
        }
        self.report.complete = is_read_to_its_end;
        Ok(())
    }

    /// Loads the checkpoint. The very first run saves one at once: that shows that the store can be
    /// written before anything is sent, and pins the start.
    async fn load(&mut self) -> Result<(), RunError> {
        let store = &self.services.store;
        if let Some((text, version)) = store.load().await? {
            let damaged = |damage| RunError::Damaged { place: store.checkpoint_place(), damage };
            self.checkpoint = Checkpoint::from_json(&text).map_err(damaged)?;
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
            let page = services.defender.list(walk.query(), &self.caller).await?;
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

        // The list's own alert says where the walk is; the one fetched by id may be newer.
        for (listed, alert) in group.iter().zip(whole) {
            let time = listed.time(services.mode);
            let delivery = Delivery {
                identity: listed.identity(services.mode),
                time,
                reaches: time.filter(|_| is_in_order),
            };
            let record = self.merge(alert)?;
            match self.packer.push(&record, delivery) {
                Ok(full) => {
                    if let Some(batch) = full {
                        self.send(batch, None).await?;
                    }
                    self.in_hand.insert(delivery.identity);
                }
                Err(TooLarge) => self.set_aside_too_large(alert, &record, delivery).await?,
            }
        }
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
        Ok(union(&object, self.machines.of(alert), stamp.map(serde_json::value::RawValue::get)))
    }

    /// Sends a batch and remembers it. `reached` is the time before which all is delivered then.
    async fn send(&mut self, batch: Batch, reached: Option<OffsetDateTime>) -> Result<(), RunError> {
        let records = batch.deliveries.len();
        let progress = match self.purpose {
            Purpose::Send(progress) => progress,
            Purpose::Show(show) => {
                let shown: Vec<&serde_json::value::RawValue> =
                    serde_json::from_slice(&batch.body).map_err(|_| RunError::Panicked)?;
                for record in shown {
                    show(record.get().as_bytes());
                }
                return Ok(());
            }
        };
        let bytes = self.services.sink.send(Bytes::from(batch.body), &self.caller).await?;
        self.report.alerts_sent += records as u64;
        self.report.bytes_sent += bytes as u64;

        self.in_hand.clear();
        for delivery in &batch.deliveries {
            self.checkpoint.deliver(delivery.identity, delivery.time);
        }
        let walked = batch.deliveries.iter().filter_map(|delivery| delivery.reaches).max();
        if let Some(watermark) = reached.max(walked) {
            self.checkpoint.advance(watermark, self.services.lookback);
        }
        self.save().await?;
        info!("sent a batch of {records} records, {bytes} bytes");
        progress(&self.report);
        Ok(())
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
        if let Some(reached) = reached {
            self.checkpoint.advance(reached, self.services.lookback);
        }
        self.save().await
    }

    async fn save(&mut self) -> Result<(), RunError> {
        let saved = self.services.store.save(self.checkpoint.to_json(), self.version.as_ref()).await?;
        self.version = Some(saved);
        self.is_unsaved = false;
        Ok(())
    }

    async fn set_aside_too_large(
        &mut self,
        alert: &Alert,
        record: &[u8],
        delivery: Delivery,
    ) -> Result<(), RunError> {
        let limit = self.services.sink.limit();
        let reason = format!("the record has {} bytes, and a post may have {limit}", record.len());
        let aside = SetAside { identity: delivery.identity, id: Some(&alert.id), reason: &reason, record };
        self.set_aside(&aside, delivery.time).await
    }

    async fn set_aside_no_alert(&mut self, no_alert: &NoAlert) -> Result<(), RunError> {
        let aside = SetAside {
            identity: no_alert.identity(),
            id: None,
            reason: &no_alert.reason,
            record: &no_alert.text,
        };
        self.set_aside(&aside, None).await
    }

    async fn set_aside(
        &mut self,
        aside: &SetAside<'_>,
        time: Option<OffsetDateTime>,
    ) -> Result<(), RunError> {
        if let Purpose::Send(_) = self.purpose {
            self.services.store.set_aside(aside).await?;
        }
        self.checkpoint.deliver(aside.identity, time);
        self.is_unsaved = true;
        self.report.alerts_set_aside += 1;
        let id = one_line(aside.id.unwrap_or("(none)"), 200);
        error!("alert {id} is set aside, kept whole as {}: {}", aside.name(), one_line(aside.reason, 400));
        Ok(())
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
            Self::State(error) => error.fmt(f),
            Self::Damaged { place, .. } => write!(
                f,
                "the checkpoint {place} cannot be used; nothing was sent. Mend it, or move it away to begin again \
                 at MDATP_START"
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
            Self::State(error) => std::error::Error::source(error),
            Self::Damaged { damage, .. } => Some(damage),
        }
    }
}
