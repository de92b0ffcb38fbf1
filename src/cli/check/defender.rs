//! The findings about Defender's responses. Pure.

use super::{call_failure, finding::Finding, principal::Principal};
use crate::{
    http::{advice::Advice, call::CallError},
    record::alert::{Alert, InvalidAlert},
};

/// The name of the check of the alerts.
pub const ALERTS: &str = "defender-alerts";

/// The name of the check of the machines.
pub const MACHINES: &str = "defender-machines";

/// Returns the finding about the request for one alert of the last `days`.
pub fn alert_finding(
    alert: &Result<Option<Result<Alert, InvalidAlert>>, CallError>,
    days: i64,
    principal: &Principal,
) -> Finding {
    match alert {
        Ok(Some(Ok(alert))) => {
            Finding::ok(ALERTS, format!("read one of the alerts of the last {days} days: {}", alert.id))
        }
        Ok(None) => {
            Finding::ok(ALERTS, format!("Defender answers; there is no alert in the last {days} days"))
        }
        Ok(Some(Err(InvalidAlert { reason, .. }))) => Finding::warning(
            ALERTS,
            format!("the first element of the list is not an alert: {reason}"),
            "none needed: such elements are set aside; see mdatp-forward set-aside list",
        ),
        Err(error) => call_failure::call_finding(ALERTS, error, |advice| grant(principal, advice)),
    }
}

/// Returns the finding about the request for the machine of an alert, or for any machine if `requested` is `None`.
pub fn machine_finding(
    requested: Option<&str>,
    machine: &Result<Option<String>, CallError>,
    principal: &Principal,
) -> Finding {
    match (machine, requested) {
        (Ok(Some(id)), Some(_)) => Finding::ok(MACHINES, format!("read that alert's machine: {id}")),
        (Ok(Some(id)), None) => Finding::ok(MACHINES, format!("read one of the machines: {id}")),
        (Ok(None), Some(id)) => {
            Finding::ok(MACHINES, format!("Defender answers; it no longer has that alert's machine {id}"))
        }
        (Ok(None), None) => Finding::ok(MACHINES, "Defender answers; it has no machines"),
        (Err(error), _) => call_failure::call_finding(MACHINES, error, |advice| grant(principal, advice)),
    }
}

fn grant(principal: &Principal, advice: Advice) -> Option<String> {
    (advice == Advice::GrantDefenderRoles).then(|| principal.grant_roles())
}
