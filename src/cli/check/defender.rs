//! What Defender's answers mean. Pure.

use super::{call_failure, finding::Finding, fix::Principal};
use crate::{
    http::{advice::Advice, call::CallError},
    record::alert::{Alert, InvalidAlert},
};

/// The name of the check of the alerts.
pub const ALERTS: &str = "defender-alerts";

/// The name of the check of the machines.
pub const MACHINES: &str = "defender-machines";

/// What came when one alert of the last `days` was asked for.
pub fn judge_alert(
    alert: &Result<Option<Result<Alert, InvalidAlert>>, CallError>,
    days: i64,
    principal: &Principal,
) -> Finding {
    match alert {
        Ok(Some(Ok(alert))) => {
            Finding::ok(ALERTS, format!("read one of the alerts of the last {days} days: {}", alert.id))
        }
        Ok(None) => Finding::ok(ALERTS, format!("Defender answers; it has no alert of the last {days} days")),
        Ok(Some(Err(InvalidAlert { reason, .. }))) => Finding::warning(
            ALERTS,
            format!("the first element of the list is no alert: {reason}"),
            "none needed: such elements are kept under set-aside/; see mdatp-forward set-aside list",
        ),
        Err(error) => call_failure::of_call(ALERTS, error, |advice| grant(principal, advice)),
    }
}

/// What came when the machine `asked` of an alert, or any one, was asked for.
pub fn judge_machine(
    asked: Option<&str>,
    machine: &Result<Option<String>, CallError>,
    principal: &Principal,
) -> Finding {
    match (machine, asked) {
        (Ok(Some(id)), Some(_)) => Finding::ok(MACHINES, format!("read that alert's machine: {id}")),
        (Ok(Some(id)), None) => Finding::ok(MACHINES, format!("read one of the machines: {id}")),
        (Ok(None), Some(id)) => Finding::ok(
            MACHINES,
            format!("Defender answers; it does not know that alert's machine {id} any more"),
        ),
        (Ok(None), None) => Finding::ok(MACHINES, "Defender answers; it has no machines"),
        (Err(error), _) => call_failure::of_call(MACHINES, error, |advice| grant(principal, advice)),
    }
}

fn grant(principal: &Principal, advice: Advice) -> Option<String> {
    (advice == Advice::GrantDefenderRoles).then(|| principal.grant_roles())
}
