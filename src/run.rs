//! The story of one run: fetch alerts, enrich them with their machines, merge, sign, send, and only
//! then remember them as delivered. This is the file to read first.
//!
//! The order of the last steps is the promise: the checkpoint moves only over what the sink has
//! accepted or what has been set aside whole. A run that ends anywhere, in whatever way, leaves the
//! next one to go on from there; at worst the batch in flight is sent again. Before the first batch of
//! a run the checkpoint is saved once as it is: a store that cannot be written, or another process that
//! is at work on it, is noticed before anything is sent.
//!
//! A backfill is the same run, over a window of the past and with a checkpoint of its own.

mod deliver;
mod error;
mod health;
mod history;
mod read;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    pin::pin,
    time::Duration,
};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use futures::future::{Either, select};
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

pub use error::RunError;

use crate::{
    alert::{Alert, Identity},
    batch::Packer,
    call::{CallError, Caller},
    cause::chain,
    checkpoint::{Checkpoint, FUTURE},
    config::Start,
    deadline::Deadline,
    enrich::MachineOf,
    report::RunReport,
    schema::extras,
    services::Services,
    shape::Shaped,
    shrink::Fit,
    state::Version,
    timestamp,
    union::union,
    walk::Window,
};
use deliver::Sending;
use read::Reader;

/// A difference between Defender's clock and ours worth a warning.
const SKEW: Duration = Duration::from_secs(60);

/// What becomes of the records of a run.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// They are sent. The function hears of the report as it grows, and of the checkpoint as it is saved.
    Send(&'a (dyn Fn(&RunReport, &Checkpoint) + Send + Sync)),
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
    let (begun, start) = (Instant::now(), services.clock.now());
    let caller = Caller::new(services.http.clone(), services.clock, deadline, services.quota_share);
    let mut run = Run {
        services,
        caller: &caller,
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
        packer: services.packer(),
        misfits: BTreeMap::new(),
        in_hand: HashSet::new(),
        sending: VecDeque::new(),
    };
    // Boxed: it is large, and callers should not have to know.
    let result = match Box::pin(run.tell()).await {
        // Time is up. What was sent is saved, and the report says that there is more. What was packed stays
        // behind: if it overtook a batch that could not be sent, the watermark would pass that too.
        Err(RunError::Call(CallError::OutOfTime)) => run.settle(None).await,
        result => result,
    };
    run.tell_misfits();
    run.report.requests = caller.requests();
    run.report.duration_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    run.report.lag_seconds = run.lag_seconds();
    run.report.error = result.as_ref().err().map(|error| chain(error));
    run.write_down(start).await;
    run.send_health().await;
    (run.report, result)
}

struct Run<'a> {
    services: &'a Services,
    caller: &'a Caller,
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
    /// Why the last machine, or alert by its id, that could not be read could not.
    machine_failure: Option<CallError>,
    /// The earliest time at which Defender says it answered this run.
    reached_at_most: Option<OffsetDateTime>,
    packer: Packer,
    /// Of which members values did not fit their columns, and how many.
    misfits: BTreeMap<&'static str, u64>,
    /// The identities in the batches that are being packed and sent.
    in_hand: HashSet<Identity>,
    /// What is being sent, in its order: the first one is on its way, the others are made ready meanwhile.
    sending: VecDeque<Sending<'a>>,
}

struct Held {
    earliest: OffsetDateTime,
    alerts: u64,
}

impl Run<'_> {
    async fn tell(&mut self) -> Result<(), RunError> {
        self.load().await?;
        let to = self.services.until.unwrap_or_else(|| self.services.clock.now());
        let window = self.checkpoint.window(self.services.lookback, to);
        (self.report.from, self.report.to) = (Some(window.from), Some(window.to));

        let read = match self.forward_all(window).await {
            Ok(read) => read,
            Err(error) => {
                // What is on its way may be accepted, and is to be remembered then.
                let _ = self.arrive_all().await;
                return Err(error);
            }
        };
        let is_read_to_its_end = matches!(read, Ok(true));
        // What was created after Defender answered could not be listed, whatever this clock says.
        let to = self.reached_at_most.map_or(window.to, |answered| answered.min(window.to));
        let reached = is_read_to_its_end.then_some(to);
        self.send_rest(reached).await?;
        match read {
            Ok(_) | Err(CallError::OutOfTime) => {}
            // What was read before is delivered all the same.
            Err(error) => return Err(error.into()),
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
            self.services.unsaved_runs().forget(&self.checkpoint.history);
            self.version = Some(version);
            return Ok(());
        }
        let now = self.services.clock.now();
        let start = match self.services.start {
            Start::At(time) => time,
            Start::Ago(duration) => now - duration,
        };
        self.checkpoint = Checkpoint::starting_at(start);
        match self.purpose {
            // A checkpoint of the future would be taken for a damaged one.
            _ if start > now + FUTURE => {
                info!("MDATP_START lies ahead: nothing is forwarded before {}", to_rfc3339(&start));
                Ok(())
            }
            Purpose::Send(_) => self.save().await,
            Purpose::Show(_) => Ok(()),
        }
    }

    /// Reads and delivers at the same time. The result tells how far reading came: to the end, not so far,
    /// or to an error; an error of delivering ends both.
    async fn forward_all(&mut self, window: Window) -> Result<Result<bool, CallError>, RunError> {
        // One portion is read or waits while one is delivered: memory is two pages, not the backlog.
        let (sender, portions) = mpsc::channel(1);
        let reader = Reader::new(self.services, self.caller, &self.checkpoint, window);
        let (read, are_all_delivered) = {
            let reading = pin!(reader.read(sender));
            let delivering = pin!(self.deliver_all(portions));
            match select(delivering, reading).await {
                Either::Left((delivered, _)) => return delivered.map(|_| Ok(false)),
                Either::Right((read, delivering)) => (read, delivering.await?),
            }
        };
        if self.checkpoint.pages != read.pages {
            (self.checkpoint.pages, self.is_unsaved) = (read.pages, true);
        }
        Ok(read.end.map(|is_end| is_end && are_all_delivered))
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

    /// Merges an alert with its machine, and writes the record in its shape.
    fn make_record(&self, alert: &Alert, machine: &MachineOf) -> Result<Record, RunError> {
        let object = alert.object().map_err(|_| RunError::Panicked)?;
        let time = alert.generated(self.services.mode).filter(|_| self.services.sink.wants_time_generated());
        let stamp = time.and_then(|(member, _)| timestamp::stamp(object.get(member)?));
        let machine = match machine {
            MachineOf::Found(machine) => Some(&**machine),
            MachineOf::None | MachineOf::Unknown => None,
        };
        let union = union(object, machine, stamp.as_deref());
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

    /// How long ago the time lies before which everything is delivered. A complete run that found nothing does
    /// not move the watermark, but has seen all the same that there is nothing.
    fn lag_seconds(&self) -> Option<u64> {
        let reached = if self.report.complete { self.report.to? } else { self.checkpoint.watermark };
        self.report.from?;
        // Defender's clock may be ahead of ours.
        Some((self.services.clock.now() - reached).whole_seconds().max(0).unsigned_abs())
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
