//! The machines of the alerts in hand, each looked up once a run.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt, stream};
use http::StatusCode;

use crate::{
    alert::Alert,
    call::{CallError, Caller},
    defender::Defender,
    machine::Machine,
};

/// How many calls for single machines or alerts are under way at once.
pub const CALLS_AT_ONCE: usize = 8;

/// How many machines are asked for in one call. Above a hundred values `OData` servers refuse a filter;
/// thirty is the number that shipped code has proven (Sentinel Triage Assistant).
const IDS_A_CALL: usize = 30;

/// After so many machines that could not be read, the machines API is taken to be down, and no more are
/// asked for in this run.
const FAILURES_TO_GIVE_UP: usize = 16;

/// What has been looked up in this run.
#[derive(Debug, Default)]
pub struct Machines {
    /// None for a machine that the service does not know.
    known: HashMap<String, Option<Machine>>,
    failed: HashSet<String>,
    takes_no_bulk: bool,
}

/// What looking up brought.
#[derive(Debug, Default)]
pub struct LookedUp {
    /// Machines read.
    pub found: u64,
    /// Machines that the service does not know.
    pub missing: u64,
    /// Why the last machine that could not be read could not.
    pub failure: Option<CallError>,
}

/// The machine of an alert.
#[derive(Debug, Clone, Copy)]
pub enum MachineOf<'a> {
    /// Here it is.
    Found(&'a Machine),
    /// The alert names none, or the service does not know it.
    None,
    /// The service failed to tell.
    Unknown,
}

impl Machines {
    /// Looks up the machines of `alerts` that have not been looked up yet. A failure that concerns one
    /// machine only does not keep the others.
    pub async fn look_up(
        &mut self,
        alerts: &[Alert],
        defender: &Defender,
        caller: &Caller,
    ) -> Result<LookedUp, CallError> {
        let mut wanted: BTreeSet<&str> = alerts
            .iter()
            .filter_map(|alert| alert.machine_id.as_deref())
            .filter(|id| !self.known.contains_key(*id) && !self.failed.contains(*id))
            .collect();
        let mut looked_up =
            LookedUp { found: self.in_bulk(&mut wanted, defender, caller).await?, ..Default::default() };
        let look_ups: Vec<_> =
            wanted.into_iter().map(|id| async move { (id, defender.machine(id, caller).await) }).collect();
        let mut look_ups = stream::iter(look_ups).buffer_unordered(CALLS_AT_ONCE);
        while self.failed.len() < FAILURES_TO_GIVE_UP {
            match look_ups.next().await {
                None => return Ok(looked_up),
                Some((id, Ok(machine))) => {
                    match machine {
                        Some(_) => looked_up.found += 1,
                        None => looked_up.missing += 1,
                    }
                    self.known.insert(id.to_owned(), machine);
                }
                Some((id, Err(error))) if error.is_passing() => {
                    self.failed.insert(id.to_owned());
                    looked_up.failure = Some(error);
                }
                Some((_, Err(error))) => return Err(error),
            }
        }
        Ok(looked_up)
    }

    /// Asks for many machines a call, which spares the quota, and takes those that come off `wanted`. A
    /// machine that does not come is asked for singly, as all are when the service refuses this form or
    /// fails at it; so its answer decides nothing alone.
    async fn in_bulk(
        &mut self,
        wanted: &mut BTreeSet<&str>,
        defender: &Defender,
        caller: &Caller,
    ) -> Result<u64, CallError> {
        let plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let ids: Vec<&str> = wanted.iter().copied().filter(plain).collect();
        if self.takes_no_bulk || ids.len() < 2 {
            return Ok(0);
        }
        let calls: Vec<_> = ids.chunks(IDS_A_CALL).map(|ids| defender.machines(ids, caller)).collect();
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
        let mut found = 0;
        while let Some(answer) = calls.next().await {
            match answer {
                Ok(machines) => {
                    for (id, machine) in machines {
                        if wanted.remove(id.as_str()) {
                            self.known.insert(id, Some(machine));
                            found += 1;
                        }
                    }
                }
                Err(CallError::Refused(refusal)) if refusal.status == StatusCode::BAD_REQUEST => {
                    self.takes_no_bulk = true;
                }
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The machine of `alert`, as far as it has been looked up.
    pub fn of(&self, alert: &Alert) -> MachineOf<'_> {
        match alert.machine_id.as_deref().map(|id| self.known.get(id)) {
            None | Some(Some(None)) => MachineOf::None,
            Some(Some(Some(machine))) => MachineOf::Found(machine),
            Some(None) => MachineOf::Unknown,
        }
    }
}
