//! An alert with all its members, null where the real ones often are.

use azure_core::time::{Duration, OffsetDateTime, to_rfc3339};
use fastrand::Rng;
use serde::Serialize;

use super::evidence::{self, Entry};
use super::machine::Host;
use super::vocabulary::{ANALYSTS, COMMENTS, DETECTIONS, GROUPS, USERS};
use super::{after, sql_time};
use crate::guid::guid;
use crate::tenant;

const DOMAIN: &str = "FABRIKAM";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertBody {
    id: String,
    incident_id: u32,
    investigation_id: Option<u32>,
    assigned_to: Option<&'static str>,
    severity: &'static str,
    status: &'static str,
    classification: Option<&'static str>,
    determination: Option<&'static str>,
    investigation_state: &'static str,
    detection_source: &'static str,
    detector_id: String,
    category: &'static str,
    threat_family_name: Option<&'static str>,
    title: &'static str,
    description: &'static str,
    alert_creation_time: String,
    first_event_time: String,
    last_event_time: String,
    last_update_time: String,
    resolved_time: Option<String>,
    machine_id: Option<String>,
    computer_dns_name: Option<String>,
    rbac_group_name: Option<&'static str>,
    aad_tenant_id: &'static str,
    threat_name: Option<&'static str>,
    mitre_techniques: &'static [&'static str],
    related_user: Option<RelatedUser>,
    logged_on_users: Vec<LoggedOnUser>,
    comments: Vec<Note>,
    evidence: Vec<Entry>,
    domains: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RelatedUser {
    user_name: &'static str,
    domain_name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedOnUser {
    account_name: &'static str,
    domain_name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    comment: &'static str,
    created_by: &'static str,
    created_time: String,
}

/// An alert created at this moment, on this machine or on none, and not touched after `until`.
pub(super) fn make(
    rng: &mut Rng,
    serial: u32,
    host: Option<&Host>,
    created: OffsetDateTime,
    until: OffsetDateTime,
) -> AlertBody {
    let detection = &DETECTIONS[rng.usize(..DETECTIONS.len())];
    let user = USERS[rng.usize(..USERS.len())];
    let handled = rng.u8(..5) == 0;
    let touched_after = if handled {
        Duration::seconds(rng.i64(60..20_000))
    } else {
        Duration::milliseconds(rng.i64(900..2_100))
    };
    let updated = after((created + touched_after).min(until), 0);
    let last_event = created - Duration::nanoseconds(rng.i64(10_000_000..900_000_000) * 100);
    let first_event = last_event - Duration::seconds(rng.i64(0..300));
    // Now and then an event's time has no fraction at all.
    let last_event = match rng.u8(..4) {
        0 => last_event - Duration::nanoseconds(last_event.nanosecond().into()),
        _ => last_event,
    };
    let resolved = handled && rng.bool();
    AlertBody {
        id: id(rng, serial, detection.source, created),
        incident_id: rng.u32(40_000..60_000),
        investigation_id: (rng.u8(..3) == 0).then(|| rng.u32(9_000..99_000)),
        assigned_to: handled.then(|| ANALYSTS[rng.usize(..ANALYSTS.len())]),
        severity: ["Informational", "Low", "Medium", "Medium", "High"][rng.usize(..5)],
        status: match (handled, resolved) {
            (_, true) => "Resolved",
            (true, false) => "InProgress",
            (false, false) => "New",
        },
        classification: resolved.then_some("TruePositive"),
        determination: resolved.then_some("SecurityTesting"),
        investigation_state: ["Queued", "UnsupportedAlertType", "Running", "Benign"][rng.usize(..4)],
        detection_source: detection.source,
        detector_id: guid(rng),
        category: detection.category,
        threat_family_name: detection.threat.map(|(family, _)| family),
        title: detection.title,
        description: detection.description,
        alert_creation_time: to_rfc3339(&created),
        first_event_time: to_rfc3339(&first_event),
        last_event_time: to_rfc3339(&last_event),
        last_update_time: to_rfc3339(&sql_time(updated)),
        resolved_time: resolved.then(|| to_rfc3339(&updated)),
        machine_id: host.map(|host| host.id.clone()),
        computer_dns_name: host.map(|host| name_in_alert(rng, &host.name)),
        rbac_group_name: host.and_then(|host| group_in_alert(rng, host.group)),
        aad_tenant_id: tenant::TENANT_ID,
        threat_name: detection.threat.map(|(_, name)| name),
        mitre_techniques: detection.techniques,
        related_user: rng.bool().then_some(RelatedUser { user_name: user, domain_name: DOMAIN }),
        logged_on_users: logged_on(rng, user),
        comments: comments(rng, handled, updated),
        evidence: evidence::make(rng, detection, user, created),
        domains: [],
    }
}

/// Ids as they were seen: most begin with the creation time in .NET ticks, so that they sort nearly
/// but not quite as they were created. The serial number makes them unique.
fn id(rng: &mut Rng, serial: u32, source: &str, created: OffsetDateTime) -> String {
    let ticks = created.unix_timestamp_nanos() / 100 + 621_355_968_000_000_000;
    let tail = i64::from(serial) * 7_919;
    match (source, rng.u8(..4)) {
        ("AutomatedInvestigation", _) => format!("ar{ticks}_{tail}"),
        (_, 0) => format!("da{}_{serial}", &guid(rng)),
        (_, 1) => format!("da{ticks}_-{tail}"),
        _ => format!("da{ticks}_{tail}"),
    }
}

/// The sensor and the inventory do not agree on the case of every name.
fn name_in_alert(rng: &mut Rng, name: &str) -> String {
    match rng.u8(..10) {
        0 => name.to_uppercase(),
        _ => name.to_owned(),
    }
}

/// An alert keeps the group its machine was in when it was raised.
fn group_in_alert(rng: &mut Rng, group: Option<&'static str>) -> Option<&'static str> {
    match rng.u8(..10) {
        0 => GROUPS[rng.usize(..GROUPS.len())].1,
        _ => group,
    }
}

fn logged_on(rng: &mut Rng, user: &'static str) -> Vec<LoggedOnUser> {
    let others = rng.usize(..3);
    let others = (0..others).map(|_| USERS[rng.usize(..USERS.len())]);
    let users = others.chain([user]);
    let logged_on = |account_name| LoggedOnUser { account_name, domain_name: DOMAIN };
    users.map(logged_on).collect()
}

fn comments(rng: &mut Rng, handled: bool, updated: OffsetDateTime) -> Vec<Note> {
    let count = if handled { rng.usize(..3) } else { 0 };
    let comment = |_| Note {
        comment: COMMENTS[rng.usize(..COMMENTS.len())],
        created_by: ANALYSTS[rng.usize(..ANALYSTS.len())],
        created_time: to_rfc3339(&updated),
    };
    (0..count).map(comment).collect()
}
