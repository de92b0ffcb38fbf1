//! An alert of Graph in the form that Defender's own API has, so that all that follows knows one form. Pure.
//!
//! Values are slices of what Graph wrote; only names and the members of enumerations are written anew. What Defender's
//! form has no place for keeps its name, and so goes to the column for the rest. Graph's members are those of the
//! documentation pages "alert resource type" (namespace microsoft.graph.security) and "alertEvidence resource type".

use std::{borrow::Cow, sync::Arc};

use bytestring::ByteString;

use crate::{
    record::{
        alert::{Alert, InvalidAlert},
        json::{Object, append_name, elements, members},
        machine::Machine,
        odata,
        page::Page,
    },
    schema::{ALERT_CREATION_TIME, ID, LAST_UPDATE_TIME, MACHINE_ID, SEVERITY, TITLE},
};

use super::{
    device::{self, DEVICE_DNS_NAME, LOGGED_ON_USERS, MDE_DEVICE_ID, RBAC_GROUP_NAME},
    evidence::{Entry, append_key, append_member, graph_name, unquoted},
    word::{CLASSIFICATIONS, DETECTION_SOURCES, DETERMINATIONS, SEVERITIES, whole, word},
};

/// The members of Defender's alert in its order, and where each comes from.
const MEMBERS: [(&str, Origin); 29] = [
    (ID, Origin::Alert("id", Form::Same)),
    ("incidentId", Origin::Alert("incidentId", Form::Whole)),
    ("assignedTo", Origin::Alert("assignedTo", Form::Same)),
    (SEVERITY, Origin::Alert("severity", Form::Word(SEVERITIES))),
    ("status", Origin::Alert("status", Form::Word(&[]))),
    ("classification", Origin::Alert("classification", Form::Word(CLASSIFICATIONS))),
    ("determination", Origin::Alert("determination", Form::Word(DETERMINATIONS))),
    ("investigationState", Origin::Alert("investigationState", Form::Word(&[]))),
    ("detectionSource", Origin::Alert("detectionSource", Form::Word(DETECTION_SOURCES))),
    ("detectorId", Origin::Alert("detectorId", Form::Same)),
    ("category", Origin::Alert("category", Form::Category)),
    ("threatFamilyName", Origin::Alert("threatFamilyName", Form::Same)),
    (TITLE, Origin::Alert("title", Form::Same)),
    ("description", Origin::Alert("description", Form::Same)),
    (ALERT_CREATION_TIME, Origin::Alert(CREATED, Form::Same)),
    ("firstEventTime", Origin::Alert("firstActivityDateTime", Form::Same)),
    ("lastEventTime", Origin::Alert("lastActivityDateTime", Form::Same)),
    (LAST_UPDATE_TIME, Origin::Alert(UPDATED, Form::Same)),
    ("resolvedTime", Origin::Alert("resolvedDateTime", Form::Same)),
    (MACHINE_ID, Origin::Device(MDE_DEVICE_ID)),
    ("computerDnsName", Origin::Device(DEVICE_DNS_NAME)),
    (RBAC_GROUP_NAME, Origin::Device(RBAC_GROUP_NAME)),
    ("aadTenantId", Origin::Alert("tenantId", Form::Same)),
    ("threatName", Origin::Alert("threatDisplayName", Form::Same)),
    ("mitreTechniques", Origin::Alert("mitreTechniques", Form::Same)),
    ("relatedUser", Origin::User),
    (LOGGED_ON_USERS, Origin::Device(LOGGED_ON_USERS)),
    ("comments", Origin::Alert("comments", Form::Comments)),
    (EVIDENCE, Origin::Alert(EVIDENCE, Form::Evidence)),
];

/// The time by which Graph's list is read for Defender's `alertCreationTime`.
pub const CREATED: &str = "createdDateTime";

/// The time by which Graph's list is read for Defender's `lastUpdateTime`.
pub const UPDATED: &str = "lastUpdateDateTime";

const EVIDENCE: &str = "evidence";
const CATEGORIES: &str = "categories";

/// The member for device evidence, as far as it has no other place.
const DEVICE_EVIDENCE: &str = "deviceEvidence";

/// The members of a comment that have another name at Defender.
const COMMENT: [(&str, &str); 2] =
    [("createdByDisplayName", "createdBy"), ("createdDateTime", "createdTime")];

/// Where a member comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// The alert's member of this name.
    Alert(&'static str, Form),
    /// The member of this name of the device that the alert is on.
    Device(&'static str),
    /// The first user of the evidence.
    User,
}

/// How a value differs at Defender.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Not at all.
    Same,
    /// It is a number there.
    Whole,
    /// It is a member of an enumeration, with other names for these.
    Word(&'static [(&'static str, &'static str)]),
    /// If there is none, it is the first of `categories`.
    Category,
    /// Its members have other names.
    Comments,
    /// Each entry is flat there, and devices are no entries.
    Evidence,
}

/// Where the device that an alert is on goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicePlace {
    /// It is the alert's machine.
    Machine,
    /// The alert's machine is looked up elsewhere, or nowhere: the device stays with the alert, whole.
    Alert,
}

/// Puts the alerts of a page of Graph's list into Defender's form.
pub fn translated_page(page: Page, place: DevicePlace) -> Page {
    let elements =
        page.elements.into_iter().map(|element| element.and_then(|alert| translated(&alert, place)));
    Page { elements: elements.collect(), ..page }
}

/// Puts an alert of Graph into Defender's form.
///
/// # Errors
///
/// Its text cannot be taken apart again, because of a name that is not Unicode text.
pub fn translated(alert: &Alert, place: DevicePlace) -> Result<Alert, InvalidAlert> {
    let invalid = |reason: String| InvalidAlert { text: alert.text.clone(), reason };
    let object = alert.object().map_err(|error| invalid(format!("it is not a JSON object: {error}")))?;
    let (text, machine) = translate(&object, place);
    let mut translated = Alert::parse(text).map_err(|error| invalid(error.reason))?;
    translated.machine = machine.map(Arc::new);
    Ok(translated)
}

/// Returns the text of the alert in Defender's form, and its machine.
fn translate(graph: &Object<'_>, place: DevicePlace) -> (ByteString, Option<Machine>) {
    let (mut found, mut rest, mut next) = ([None; MEMBERS.len()], Vec::new(), 0);
    for member in &graph.members {
        let is_it =
            |place: &usize| matches!(MEMBERS[*place].1, Origin::Alert(name, _) if name == member.name);
        match (next..MEMBERS.len()).chain(0..next).find(is_it) {
            Some(place) => {
                found[place] = Some(member.value);
                next = place + 1;
            }
            None if odata::is_annotation(&member.name) => {}
            None => rest.push(member),
        }
    }
    let evidence = graph.get(EVIDENCE).filter(|list| list.starts_with('['));
    let evidence: Vec<Entry<'_>> = evidence.into_iter().flat_map(elements).map(Entry::of).collect();
    let device = device::primary(&evidence);

    let length: usize = graph.members.iter().map(|member| member.name.len() + member.value.len() + 8).sum();
    let mut out = Vec::with_capacity(length);
    out.push(b'{');
    for ((name, origin), value) in MEMBERS.into_iter().zip(found) {
        match (origin, value) {
            (Origin::Alert(_, form), Some(value)) => append(&mut out, name, value, form, &evidence, graph),
            (Origin::Alert(_, Form::Category), None) => {
                append(&mut out, name, "null", Form::Category, &evidence, graph);
            }
            (Origin::Alert(..), None) => {}
            (Origin::Device(member), _) => {
                // A null is not nothing: what the alert does not have is not what its machine has by now.
                if let Some(value) = device.and_then(|device| device.get_or_null(member)) {
                    append_member(&mut out, name, value);
                }
            }
            (Origin::User, _) => append_related_user(&mut out, name, &evidence),
        }
    }
    for member in rest {
        append_name(&mut out, &unambiguous(&member.name));
        out.extend_from_slice(member.value.as_bytes());
    }
    append_devices(&mut out, &evidence, device, place);
    out.push(b'}');
    let machine = device.filter(|_| place == DevicePlace::Machine).map(device::machine);
    let text = String::from_utf8(out).expect("whole strings and ASCII between them are text");
    (text.into(), machine)
}

fn append(
    out: &mut Vec<u8>,
    name: &str,
    value: &str,
    form: Form,
    evidence: &[Entry<'_>],
    graph: &Object<'_>,
) {
    match form {
        Form::Whole => append_member(out, name, whole(value)),
        Form::Word(names) => append_member(out, name, &word(value, names)),
        Form::Category => {
            let list = graph.get(CATEGORIES).filter(|list| value == "null" && list.starts_with('['));
            let first = list.and_then(|list| elements(list).next());
            append_member(out, name, first.unwrap_or(value));
        }
        Form::Comments if value.starts_with('[') => append_list(out, name, elements(value), append_comment),
        Form::Evidence if value.starts_with('[') => {
            let entries = evidence.iter().filter(|entry| !entry.is_device());
            append_list(out, name, entries, |out, entry| entry.append_to(out));
        }
        Form::Same | Form::Comments | Form::Evidence => append_member(out, name, value),
    }
}

fn append_list<T>(
    out: &mut Vec<u8>,
    name: &str,
    items: impl Iterator<Item = T>,
    append_item: impl Fn(&mut Vec<u8>, T),
) {
    append_key(out, name);
    out.push(b'[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        append_item(out, item);
    }
    out.push(b']');
}

fn append_comment(out: &mut Vec<u8>, comment: &str) {
    if !comment.starts_with('{') {
        return out.extend_from_slice(comment.as_bytes());
    }
    out.push(b'{');
    for (name, value) in members(comment) {
        let name = unquoted(name);
        if !odata::is_annotation(name) {
            let renamed = COMMENT.iter().find(|(graph, defender)| [*graph, *defender].contains(&name));
            match renamed {
                None => append_member(out, name, value),
                Some((graph, defender)) if *graph == name => append_member(out, defender, value),
                Some(_) => append_member(out, &graph_name(name), value),
            }
        }
    }
    out.push(b'}');
}

/// Appends the first user of the evidence. Graph does not say which user the alert is about.
fn append_related_user(out: &mut Vec<u8>, name: &str, evidence: &[Entry<'_>]) {
    let account = evidence.iter().find(|entry| entry.is_user()).and_then(|user| user.get("userAccount"));
    let Some(account) = account.filter(|account| account.starts_with('{')) else { return };
    let member = |wanted: &str| {
        let mut members = members(account);
        members.find(|(name, _)| unquoted(name) == wanted).map_or("null", |(_, value)| value)
    };
    append_key(out, name);
    out.push(b'{');
    append_member(out, "userName", member("accountName"));
    append_member(out, "domainName", member("domainName"));
    out.push(b'}');
}

/// Appends the devices that the alert names beside the one that it is on, and what has no other place of that one.
fn append_devices(
    out: &mut Vec<u8>,
    evidence: &[Entry<'_>],
    primary: Option<&Entry<'_>>,
    place: DevicePlace,
) {
    let mut list = Vec::new();
    for device in evidence.iter().filter(|entry| entry.is_device()) {
        let start = list.len();
        if start > 0 {
            list.push(b',');
        }
        let is_machine =
            place == DevicePlace::Machine && primary.is_some_and(|primary| std::ptr::eq(primary, device));
        let is_appended = match is_machine {
            true => device::append_rest(&mut list, device),
            false => {
                list.extend_from_slice(device.text().as_bytes());
                true
            }
        };
        if !is_appended {
            list.truncate(start);
        }
    }
    if !list.is_empty() {
        append_key(out, DEVICE_EVIDENCE);
        out.push(b'[');
        out.append(&mut list);
        out.push(b']');
    }
}

/// Returns the name of a member that keeps its name, unless that is taken at Defender.
fn unambiguous(name: &str) -> Cow<'_, str> {
    let is_taken = name == DEVICE_EVIDENCE || MEMBERS.iter().any(|(taken, _)| *taken == name);
    if is_taken { graph_name(name).into() } else { name.into() }
}

#[cfg(test)]
mod tests;
