//! The findings about the responses of Defender and Microsoft Graph. Pure.

use super::{call_failure, finding::Finding, principal::Principal};
use crate::{
    http::{advice::Advice, call::CallError, service::Service},
    record::alert::{Alert, InvalidAlert},
};

/// The name of the check of the alerts.
pub const ALERTS: &str = "defender-alerts";

/// The name of the check of the machines.
pub const MACHINES: &str = "defender-machines";

/// Returns the finding about the request for one alert of the last `days`.
pub fn alert_finding(
    check: &'static str,
    service: Service,
    alert: &Result<Option<Result<Alert, InvalidAlert>>, CallError>,
    days: i64,
    principal: &Principal,
) -> Finding {
    match alert {
        Ok(Some(Ok(alert))) => {
            Finding::ok(check, format!("read one of the alerts of the last {days} days: {}", alert.id))
        }
        Ok(None) => {
            let name = service.name();
            Finding::ok(check, format!("{name} answers; there is no alert in the last {days} days"))
        }
        Ok(Some(Err(InvalidAlert { reason, .. }))) => Finding::warning(
            check,
            format!("the first element of the list is not an alert: {reason}"),
            "none needed: such elements are set aside; see mdatp-forward set-aside list",
        ),
        Err(error) => call_failure::call_finding(check, error, |advice| grant(principal, advice)),
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

/// Returns the finding about a hunting query for one machine, which found so many.
pub fn hunting_finding(
    check: &'static str,
    found: &Result<usize, CallError>,
    principal: &Principal,
) -> Finding {
    match found {
        Ok(0) => Finding::ok(check, "Microsoft Graph answers; the machine has not reported within a day"),
        Ok(_) => Finding::ok(check, "a hunting query found that alert's machine"),
        Err(error) => call_failure::call_finding(check, error, |advice| grant(principal, advice)),
    }
}

fn grant(principal: &Principal, advice: Advice) -> Option<String> {
    match advice {
        Advice::GrantDefenderRoles => Some(principal.grant(Service::Defender)),
        Advice::GrantGraphRoles => Some(principal.grant(Service::Graph)),
        _ => None,
    }
}
