//! A cache of machines: each is looked up at most once per run, and kept for later runs.

mod look_up;

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
    source::{
        defender::{Defender, FLEET_PAGE},
        graph::Graph,
    },
};

pub use look_up::{LookupSummary, MachineLookup};

/// The number of concurrent calls for single machines or alerts.
pub const CALLS_AT_ONCE: usize = 8;

/// The number of machines in one bulk look-up. `OData` servers reject a filter of more than a hundred values; thirty is
/// the number that the Sentinel Triage Assistant uses.
const IDS_PER_CALL: usize = 30;

/// The number of machines in one hunting query, whose text stays below 10,000 characters.
const IDS_PER_QUERY: usize = 200;

/// The number of machines from which on listing the whole fleet may take fewer calls.
const MANY: usize = 4 * IDS_PER_CALL;

/// After so many failures, the machines API is considered unavailable, and no more machines are looked up in this run.
const MAX_FAILURES: usize = 16;

/// The most memory of cached machines, in bytes: some five thousand machines.
const MAX_BYTES: usize = 8_000_000;

/// A cache of machines.
#[derive(Debug)]
pub struct Machines {
    ttl: Duration,
    cached: HashMap<String, CachedMachine>,
    /// The ids of `cached`, the oldest first.
    ages: VecDeque<String>,
    bytes: usize,
    /// Machines that the service did not have in this run. A new machine may appear a little later.
    missing: HashSet<String>,
    /// Machines that could not be read in this run.
    failed: HashSet<String>,
    bulk: BulkLookup,
    /// True once any request for machines has succeeded in this run: then the settings are right, and a rejection
    /// probably concerns the one machine of the request.
    has_succeeded: bool,
    /// A machine whose own request was answered in this run, whether or not it exists.
    answered: Option<String>,
    /// True once a page of the fleet has contained too few of the machines that are needed.
    is_fleet_large: bool,
}

/// Whether many machines can be requested in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BulkLookup {
    /// Yes, or it has not been tried.
    Works,
    /// It has failed in this run, and is tried again in the next.
    Failed,
    /// It has been rejected, and is not tried again.
    Rejected,
}

#[derive(Debug)]
struct CachedMachine {
    machine: Arc<Machine>,
    read_at: OffsetDateTime,
}

impl Machines {
    /// Creates an empty cache that keeps machines for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            cached: HashMap::new(),
            ages: VecDeque::new(),
            bytes: 0,
            missing: HashSet::new(),
            failed: HashSet::new(),
            bulk: BulkLookup::Works,
            has_succeeded: false,
            answered: None,
            is_fleet_large: false,
        }
    }

    /// Removes machines that are too old at `now`, and what applied to the previous run only.
    pub fn begin_run(&mut self, now: OffsetDateTime) {
        self.missing.clear();
        self.failed.clear();
        self.has_succeeded = false;
        self.answered = None;
        if self.bulk == BulkLookup::Failed {
            self.bulk = BulkLookup::Works;
        }
        let ttl = self.ttl;
        let is_old = |cached: &CachedMachine| now - cached.read_at >= ttl || cached.read_at > now;
        while self.ages.front().and_then(|id| self.cached.get(id)).is_some_and(is_old) {
            self.remove_oldest();
        }
    }

    /// Returns the memory of the cached machines, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes all machines.
    pub fn clear(&mut self) {
        *self = Self { bulk: self.bulk, ..Self::new(self.ttl) };
    }

    /// Returns the machine with this id, which must have been looked up.
    pub fn get(&self, id: &str) -> MachineLookup {
        match self.cached.get(id) {
            Some(cached) => MachineLookup::Found(cached.machine.clone()),
            None if self.missing.contains(id) => MachineLookup::None,
            None => MachineLookup::Failed,
        }
    }

    /// Looks up the machines with these ids that are not cached. A failure that concerns only one machine does not
    /// affect the others.
    ///
    /// # Errors
    ///
    /// The service cannot be used, or rejects every request for a machine, even one that names none.
    pub async fn look_up(
        &mut self,
        ids: impl Iterator<Item = &str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<LookupSummary, CallError> {
        let mut wanted = self.wanted(ids);
        let before = wanted.len();
        self.list_fleet(&mut wanted, defender, caller).await?;
        self.look_up_in_bulk(&mut wanted, defender, caller).await?;
        let mut looked_up =
            LookupSummary { found: (before - wanted.len()) as u64, ..LookupSummary::default() };
        let look_ups: Vec<_> =
            wanted.into_iter().map(|id| async move { (id, defender.machine(id, caller).await) }).collect();
        let mut look_ups = stream::iter(look_ups).buffer_unordered(CALLS_AT_ONCE);
        // Those that may concern the service rather than one machine.
        let mut failures = 0;
        let (mut probe, mut has_rejections) = (None, false);
        while failures < MAX_FAILURES
            && let Some((id, result)) = look_ups.next().await
        {
            match result {
                Ok(machine) => {
                    self.has_succeeded = true;
                    self.answered.get_or_insert_with(|| id.to_owned());
                    match machine {
                        Some(machine) => {
                            looked_up.found += 1;
                            self.insert(id.to_owned(), machine, caller.now());
                        }
                        None => {
                            looked_up.missing += 1;
                            self.missing.insert(id.to_owned());
                        }
                    }
                }
                Err(error) if error.is_of_one_call() => {
                    self.failed.insert(id.to_owned());
                    let is_rejection = error.is_rejection();
                    looked_up.failure = Some(error);
                    has_rejections |= is_rejection;
                    // Whether this machine or the API is rejected is found out at once, while nothing has succeeded.
                    if is_rejection && !self.has_succeeded && probe.is_none() {
                        has_rejections = false;
                        probe = Some(self.probe(defender, caller).await);
                    }
                    // A rejection of one machine does not predict the next.
                    failures += usize::from(!(is_rejection && self.has_succeeded));
                }
                Err(error) => return Err(error),
            }
        }
        match probe {
            Some(Err(error)) if !error.is_of_one_call() || !self.has_succeeded => return Err(error),
            // A role can be lost during a run: what succeeded before a rejection says nothing about it.
            _ if has_rejections => self.probe(defender, caller).await?,
            _ => {}
        }
        Ok(looked_up)
    }

    /// Looks up the machines with these ids that are not cached by hunting queries. Those whose query fails have failed,
    /// and those that are in no result are missing.
    ///
    /// # Errors
    ///
    /// The run cannot go on.
    pub async fn hunt(
        &mut self,
        ids: impl Iterator<Item = &str>,
        graph: &Graph,
        caller: &Caller,
    ) -> Result<LookupSummary, CallError> {
        let (ids, odd): (Vec<&str>, Vec<&str>) =
            self.wanted(ids).into_iter().partition(|id| needs_no_escaping(id));
        let mut looked_up = LookupSummary { missing: odd.len() as u64, ..LookupSummary::default() };
        self.missing.extend(odd.into_iter().map(str::to_owned));
        for ids in ids.chunks(IDS_PER_QUERY) {
            match graph.machines(ids, caller).await {
                Ok(machines) => {
                    for (id, machine) in machines {
                        looked_up.found += 1;
                        self.insert(id, machine, caller.now());
                    }
                    let missing = ids.iter().filter(|id| !self.cached.contains_key(**id));
                    let missing: Vec<String> = missing.map(|id| (*id).to_owned()).collect();
                    looked_up.missing += missing.len() as u64;
                    self.missing.extend(missing);
                }
                Err(error) if error.is_of_one_call() => {
                    self.failed.extend(ids.iter().map(|id| (*id).to_owned()));
                    looked_up.failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(looked_up)
    }

    /// Returns the ids that are still to be looked up, and makes room for their machines.
    fn wanted<'i>(&mut self, ids: impl Iterator<Item = &'i str>) -> BTreeSet<&'i str> {
        // Before looking up: the machines that are added now are needed next.
        while self.bytes > MAX_BYTES {
            self.remove_oldest();
        }
        let is_done = |id: &&str| {
            self.cached.contains_key(*id) || self.missing.contains(*id) || self.failed.contains(*id)
        };
        ids.filter(|id| !is_done(id)).collect()
    }

    /// Repeats a request that was answered in this run, or makes one that names no machine.
    ///
    /// # Errors
    ///
    /// That too is rejected: then the API is, and no single machine. Or the run cannot go on.
    async fn probe(&mut self, defender: &Defender, caller: &Caller) -> Result<(), CallError> {
        let result = match &self.answered {
            Some(id) => defender.machine(id, caller).await.map(drop),
            None => defender.any_machine(caller).await.map(drop),
        };
        match result {
            Ok(()) => self.has_succeeded = true,
            Err(error) if error.is_rejection() || !error.is_of_one_call() => return Err(error),
            Err(error) => debug!("whether machines can be read is unknown: {}", chain(&error)),
        }
        Ok(())
    }

    /// Lists the fleet, page by page, as long as a page contains more of the wanted machines than a bulk look-up would
    /// return, and removes those from `wanted`. After a failure, the remaining ones are looked up by id.
    async fn list_fleet(
        &mut self,
        wanted: &mut BTreeSet<&str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<(), CallError> {
        let mut skip = 0;
        while wanted.len() > MANY && !self.is_fleet_large {
            let page = match defender.fleet(skip, caller).await {
                Ok(page) => {
                    self.has_succeeded = true;
                    page
                }
                Err(error) if error.is_of_one_call() => Vec::new(),
                Err(error) => return Err(error),
            };
            let (before, length) = (wanted.len(), page.len());
            for (id, machine) in page {
                wanted.remove(id.as_str());
                self.insert(id, machine, caller.now());
            }
            self.is_fleet_large = before - wanted.len() <= IDS_PER_CALL;
            if length < FLEET_PAGE {
                break;
            }
            skip += length;
        }
        Ok(())
    }

    /// Requests up to 30 machines per call, which saves quota, and removes those that are returned from `wanted`. The
    /// others are looked up one by one, as are all if this form is rejected or fails: its result alone decides nothing.
    async fn look_up_in_bulk(
        &mut self,
        wanted: &mut BTreeSet<&str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<(), CallError> {
        let ids: Vec<&str> = wanted.iter().copied().filter(|id| needs_no_escaping(id)).collect();
        if self.bulk != BulkLookup::Works || ids.len() < 2 {
            return Ok(());
        }
        let calls: Vec<_> = ids.chunks(IDS_PER_CALL).map(|ids| defender.machines(ids, caller)).collect();
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
        while let Some(result) = calls.next().await {
            match result {
                Ok(machines) => {
                    self.has_succeeded = true;
                    for (id, machine) in machines {
                        if wanted.remove(id.as_str()) {
                            self.insert(id, machine, caller.now());
                        }
                    }
                }
                Err(error) if error.is_of_one_call() => {
                    let may_recover = error.is_transient() && !matches!(error, CallError::Unreadable { .. });
                    self.bulk = if may_recover { BulkLookup::Failed } else { BulkLookup::Rejected };
                    debug!("machines are looked up one by one: {}", chain(&error));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: String, machine: Machine, read_at: OffsetDateTime) {
        if self.cached.contains_key(&id) {
            return;
        }
        self.bytes += machine.memory() + 2 * id.len();
        self.ages.push_back(id.clone());
        self.cached.insert(id, CachedMachine { machine: Arc::new(machine), read_at });
    }

    fn remove_oldest(&mut self) {
        let Some(id) = self.ages.pop_front() else { return };
        if let Some(cached) = self.cached.remove(&id) {
            self.bytes -= cached.machine.memory() + 2 * id.len();
        }
    }
}

/// True for an id that is the same in a filter or a query as outside.
fn needs_no_escaping(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
