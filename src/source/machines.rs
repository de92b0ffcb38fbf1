//! The machines of the alerts in hand: each looked up once a run at most, and kept for the runs after it.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use azure_core::time::OffsetDateTime;
use futures::{StreamExt, stream};
use tracing::debug;

use crate::{
    error_chain::chain,
    http::call::{CallError, Caller},
    record::machine::Machine,
    source::defender::{Defender, FLEET_PAGE},
};

/// How many calls for single machines or alerts are under way at once.
pub const CALLS_AT_ONCE: usize = 8;

/// How many machines are asked for in one call. Above a hundred values `OData` servers refuse a filter;
/// thirty is the number that shipped code has proven (Sentinel Triage Assistant).
const IDS_A_CALL: usize = 30;

/// With so many machines to ask for, listing the whole fleet instead may take fewer calls.
const MANY: usize = 4 * IDS_A_CALL;

/// After so many machines that could not be read, the machines API is taken to be down, and no more are
/// asked for in this run.
const FAILURES_TO_GIVE_UP: usize = 16;

/// The most bytes of machines that are kept: some five thousand machines.
const MOST_BYTES: usize = 8_000_000;

/// What is known of machines.
#[derive(Debug)]
pub struct Machines {
    ttl: Duration,
    known: HashMap<String, Known>,
    /// The ids of `known`, the oldest first.
    ages: VecDeque<String>,
    bytes: usize,
    /// Machines that the service does not know, in this run. Some of them it knows a little later.
    missing: HashSet<String>,
    /// Machines that could not be read in this run.
    failed: HashSet<String>,
    bulk: Bulk,
    /// True once the service has answered any question about machines in this run: the settings are right then, and
    /// a rejection concerns the machine that was asked for.
    has_answered: bool,
    /// True once listing the fleet has brought too little.
    is_fleet_large: bool,
}

/// Whether machines are asked for many a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bulk {
    /// As far as is known.
    Works,
    /// It has failed in this run, and is tried again in the next.
    Failed,
    /// It has been rejected, and is not tried again.
    Rejected,
}

#[derive(Debug)]
struct Known {
    machine: Arc<Machine>,
    read_at: OffsetDateTime,
}

/// What looking up brought.
#[derive(Debug, Default)]
pub struct LookupSummary {
    /// Machines read.
    pub found: u64,
    /// Machines that the service does not know.
    pub missing: u64,
    /// Why the last machine that could not be read could not.
    pub failure: Option<CallError>,
}

/// The machine of an alert.
#[derive(Debug, Clone)]
pub enum MachineLookup {
    /// Here it is.
    Found(Arc<Machine>),
    /// The alert names none, or the service does not know it.
    None,
    /// The service failed to tell.
    Failed,
}

impl Machines {
    /// Nothing yet; what will be known is kept for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            known: HashMap::new(),
            ages: VecDeque::new(),
            bytes: 0,
            missing: HashSet::new(),
            failed: HashSet::new(),
            bulk: Bulk::Works,
            has_answered: false,
            is_fleet_large: false,
        }
    }

    /// Forgets what is too old at `now`, and what only counted for the run before.
    pub fn begin_run(&mut self, now: OffsetDateTime) {
        self.missing.clear();
        self.failed.clear();
        self.has_answered = false;
        if self.bulk == Bulk::Failed {
            self.bulk = Bulk::Works;
        }
        let ttl = self.ttl;
        let is_old = |known: &Known| now - known.read_at >= ttl || known.read_at > now;
        while self.ages.front().and_then(|id| self.known.get(id)).is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    /// The machine called `id`, as far as it has been looked up.
    pub fn get(&self, id: &str) -> MachineLookup {
        match self.known.get(id) {
            Some(known) => MachineLookup::Found(known.machine.clone()),
            None if self.missing.contains(id) => MachineLookup::None,
            None => MachineLookup::Failed,
        }
    }

    /// Looks up the machines called `ids` that are not known yet. A failure that concerns one machine only
    /// does not keep the others. It is an error when nothing is answered but rejections, whoever is asked for.
    pub async fn look_up(
        &mut self,
        ids: impl Iterator<Item = &str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<LookupSummary, CallError> {
        // Not later: what is looked up now is asked for next.
        while self.bytes > MOST_BYTES {
            self.forget_oldest();
        }
        let is_asked = |id: &&str| {
            self.known.contains_key(*id) || self.missing.contains(*id) || self.failed.contains(*id)
        };
        let mut wanted: BTreeSet<&str> = ids.filter(|id| !is_asked(id)).collect();
        let before = wanted.len();
        self.in_the_fleet(&mut wanted, defender, caller).await?;
        self.in_bulk(&mut wanted, defender, caller).await?;
        let mut looked_up =
            LookupSummary { found: (before - wanted.len()) as u64, ..LookupSummary::default() };
        let look_ups: Vec<_> =
            wanted.into_iter().map(|id| async move { (id, defender.machine(id, caller).await) }).collect();
        let mut look_ups = stream::iter(look_ups).buffer_unordered(CALLS_AT_ONCE);
        // Failures that may say more about the service than about a machine.
        let mut failures = 0;
        let mut probed = None;
        while failures < FAILURES_TO_GIVE_UP
            && let Some((id, answer)) = look_ups.next().await
        {
            match answer {
                Ok(Some(machine)) => {
                    self.has_answered = true;
                    looked_up.found += 1;
                    self.keep(id.to_owned(), machine, caller.now());
                }
                Ok(None) => {
                    self.has_answered = true;
                    looked_up.missing += 1;
                    self.missing.insert(id.to_owned());
                }
                Err(error) if error.is_of_one_call() => {
                    self.failed.insert(id.to_owned());
                    let is_rejection = error.is_rejection();
                    looked_up.failure = Some(error);
                    // Is it this machine, or the call? Another question about machines tells.
                    if is_rejection && !self.has_answered && probed.is_none() {
                        let answer = probed.insert(defender.any_machine(caller).await);
                        self.has_answered = answer.is_ok();
                    }
                    // A rejection of one machine says nothing of the next.
                    failures += usize::from(!(is_rejection && self.has_answered));
                }
                Err(error) => return Err(error),
            }
        }
        match probed {
            Some(Err(error)) if error.is_rejection() && !self.has_answered => Err(error),
            Some(Err(error)) if !error.is_of_one_call() => Err(error),
            _ => Ok(looked_up),
        }
    }

    /// Lists the fleet, page by page, as long as a page brings more than a call for thirty ids would. A
    /// failure decides nothing: what is still wanted is asked for by id.
    async fn in_the_fleet(
        &mut self,
        wanted: &mut BTreeSet<&str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<(), CallError> {
        let mut skip = 0;
        while wanted.len() > MANY && !self.is_fleet_large {
            let page = match defender.fleet(skip, caller).await {
                Ok(page) => {
                    self.has_answered = true;
                    page
                }
                Err(error) if error.is_of_one_call() => Vec::new(),
                Err(error) => return Err(error),
            };
            let (before, length) = (wanted.len(), page.len());
            for (id, machine) in page {
                wanted.remove(id.as_str());
                self.keep(id, machine, caller.now());
            }
            self.is_fleet_large = before - wanted.len() <= IDS_A_CALL;
            if length < FLEET_PAGE {
                break;
            }
            skip += length;
        }
        Ok(())
    }

    /// Asks for many machines a call, which spares the quota, and takes those that come off `wanted`. A
    /// machine that does not come is asked for singly, as all are when this form is rejected or fails, for
    /// whatever reason; so its answer decides nothing alone.
    async fn in_bulk(
        &mut self,
        wanted: &mut BTreeSet<&str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<(), CallError> {
        let plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let ids: Vec<&str> = wanted.iter().copied().filter(plain).collect();
        if self.bulk != Bulk::Works || ids.len() < 2 {
            return Ok(());
        }
        let calls: Vec<_> = ids.chunks(IDS_A_CALL).map(|ids| defender.machines(ids, caller)).collect();
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
        while let Some(answer) = calls.next().await {
            match answer {
                Ok(machines) => {
                    self.has_answered = true;
                    for (id, machine) in machines {
                        if wanted.remove(id.as_str()) {
                            self.keep(id, machine, caller.now());
                        }
                    }
                }
                Err(error) if error.is_of_one_call() => {
                    let is_blip = error.is_transient() && !matches!(error, CallError::Unreadable { .. });
                    self.bulk = if is_blip { Bulk::Failed } else { Bulk::Rejected };
                    debug!("machines are asked for one by one: {}", chain(&error));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn keep(&mut self, id: String, machine: Machine, read_at: OffsetDateTime) {
        if self.known.contains_key(&id) {
            return;
        }
        self.bytes += machine.memory() + 2 * id.len();
        self.ages.push_back(id.clone());
        self.known.insert(id, Known { machine: Arc::new(machine), read_at });
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.ages.pop_front() else { return };
        if let Some(known) = self.known.remove(&id) {
            self.bytes -= known.machine.memory() + 2 * id.len();
        }
    }
}
