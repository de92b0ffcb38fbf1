//! The machines of the alerts in hand, each looked up once a run.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    alert::Alert,
    call::{CallError, Caller},
    defender::Defender,
    machine::Machine,
};

/// How many calls for single machines or alerts are under way at once.
pub const CALLS_AT_ONCE: usize = 8;

/// What has been looked up in this run; none for a machine that the service does not know.
#[derive(Debug, Default)]
pub struct Machines(HashMap<String, Option<Arc<Machine>>>);

/// What a look-up brought.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LookedUp {
    /// Machines read.
    pub found: u64,
    /// Machines that the service does not know.
    pub missing: u64,
}

impl Machines {
    /// Looks up the machines of `alerts` that have not been looked up yet.
    pub async fn look_up(
        &mut self,
        alerts: &[Alert],
        defender: &Defender,
        caller: &Caller,
    ) -> Result<LookedUp, CallError> {
        let wanted: BTreeSet<&str> = alerts
            .iter()
            .filter_map(|alert| alert.machine_id.as_deref())
            .filter(|id| !self.0.contains_key(*id))
            .collect();
        let look_ups: Vec<_> = wanted
            .into_iter()
            .map(|id| async move { defender.machine(id, caller).await.map(|machine| (id, machine)) })
            .collect();
        let answers: Vec<(&str, Option<Machine>)> =
            stream::iter(look_ups).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let mut looked_up = LookedUp::default();
        for (id, machine) in answers {
            match machine {
                Some(_) => looked_up.found += 1,
                None => looked_up.missing += 1,
            }
            self.0.insert(id.to_owned(), machine.map(Arc::new));
        }
        Ok(looked_up)
    }

    /// The machine of `alert`, if it has one that the service knows.
    pub fn of(&self, alert: &Alert) -> Option<&Machine> {
        self.0.get(alert.machine_id.as_deref()?)?.as_deref()
    }
}
