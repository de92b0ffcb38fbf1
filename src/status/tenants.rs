//! The status of many tenants: which are late, which fail, and how many messages none could handle. Each tenant's part comes
//! from its own checkpoint; a disabled tenant is never a problem.

mod text;

use std::cmp::Reverse;

use azure_core::time::OffsetDateTime;
use serde::Serialize;

use super::Status;
use crate::{
    count::Count,
    report::{RunResult, rfc3339},
    state::history::HistoryEntry,
};

/// The queue of the messages that five invocations could not handle: what the Functions host calls it for the queue
/// `mdatp-tenants` (documentation page "Azure Queue storage trigger for Azure Functions", poison messages).
pub const POISON_QUEUE: &str = "mdatp-tenants-poison";

/// The status of all tenants. The names of its members are part of the contract with the readers of `status --all --json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantsStatus {
    /// What needs attention; empty if all is well.
    pub problems: Vec<String>,
    /// The time of the status.
    #[serde(serialize_with = "rfc3339")]
    pub now: Option<OffsetDateTime>,
    /// The location of the list, for messages.
    pub place: String,
    /// The number of messages in the poison queue; `None` if it is not known, or the state is kept in a folder.
    pub poison_messages: Option<u64>,
    /// The tenants: first those that need attention, by the number of failed runs, then the others, each by their lag.
    pub tenants: Vec<TenantStatus>,
}

/// The status of one tenant.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// The tenant's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// False if its alerts are not forwarded at present.
    pub enabled: bool,
    /// What needs attention; empty if all is well, or the tenant is disabled.
    pub problems: Vec<String>,
    /// Why the checkpoint cannot be used.
    pub damage: Option<String>,
    /// The age of the time before which everything is delivered or set aside.
    pub lag_seconds: Option<u64>,
    /// The start of the newest run.
    #[serde(serialize_with = "rfc3339")]
    pub last_run: Option<OffsetDateTime>,
    /// The start of the newest run without an error.
    #[serde(serialize_with = "rfc3339")]
    pub last_success: Option<OffsetDateTime>,
    /// How the newest run ended.
    pub result: Option<RunResult>,
    /// The number of runs that have failed since the newest success.
    pub failed_runs: u64,
    /// The number of documents that are set aside.
    pub set_aside: usize,
}

/// What is known of the poison queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoisonQueue {
    /// The state is kept in a folder, so that there is no queue.
    None,
    /// The number of its messages.
    Messages(u64),
    /// Why the number is not known.
    Unknown(String),
}

impl TenantStatus {
    /// Makes the status of a tenant of which its own state says `status`.
    pub fn new(id: String, name: String, enabled: bool, status: Status) -> Self {
        let is_run = |entry: &&HistoryEntry| entry.result != RunResult::Skipped;
        Self {
            id,
            name,
            enabled,
            problems: if enabled { status.problems } else { Vec::new() },
            damage: status.damage,
            lag_seconds: status.lag_seconds,
            last_run: status.last_run,
            last_success: status.last_success,
            result: status.runs.entries().iter().rfind(is_run).map(|entry| entry.result),
            failed_runs: status.runs.failures().map_or(0, |(failures, _)| failures),
            set_aside: status.set_aside.count,
        }
    }

    fn needs_attention(&self) -> bool {
        !self.problems.is_empty()
    }
}

impl TenantsStatus {
    /// Creates the status at `now` of the tenants in the list at `place`.
    pub fn new(
        place: String,
        mut tenants: Vec<TenantStatus>,
        poison: &PoisonQueue,
        now: OffsetDateTime,
    ) -> Self {
        // Without a run there is no lag, and no tenant is further behind.
        tenants.sort_by_cached_key(|tenant| {
            let lag = Reverse(tenant.lag_seconds.unwrap_or(u64::MAX));
            (
                !tenant.enabled,
                Reverse((tenant.needs_attention(), tenant.failed_runs)),
                lag,
                tenant.name.clone(),
            )
        });
        let mut problems = Vec::new();
        let late = tenants.iter().filter(|tenant| tenant.needs_attention()).count();
        if late > 0 {
            let verb = if late == 1 { "needs" } else { "need" };
            problems.push(format!("{} of {} {verb} attention", late, Count(tenants.len() as u64, "tenant")));
        }
        if !tenants.iter().any(|tenant| tenant.enabled) {
            problems.push("no tenant is enabled".to_owned());
        }
        match poison {
            PoisonQueue::Messages(count @ 1..) => problems.push(format!(
                "the queue {POISON_QUEUE} has {} that five invocations could not handle: see the log for \"run result=failed\"",
                Count(*count, "message")
            )),
            PoisonQueue::Unknown(reason) => {
                problems.push(format!("the number of messages in the queue {POISON_QUEUE} is not known: {reason}"));
            }
            PoisonQueue::None | PoisonQueue::Messages(0) => {}
        }
        let poison_messages = match poison {
            PoisonQueue::Messages(count) => Some(*count),
            PoisonQueue::None | PoisonQueue::Unknown(_) => None,
        };
        Self { problems, now: Some(now), place, poison_messages, tenants }
    }

    /// Returns how many tenants are well, need attention, and are disabled.
    pub(super) fn counts(&self) -> [usize; 3] {
        let count = |is_wanted: fn(&TenantStatus) -> bool| {
            self.tenants.iter().filter(|tenant| is_wanted(tenant)).count()
        };
        [
            count(|tenant| tenant.enabled && !tenant.needs_attention()),
            count(TenantStatus::needs_attention),
            count(|tenant| !tenant.enabled),
        ]
    }
}

#[cfg(test)]
mod tests;
