//! The device evidence of a Graph alert: the alert's machine in the form that Defender's API has, as it was when the
//! alert was raised. Pure.

use std::borrow::Cow;

use crate::{
    record::{
        json::{elements, members},
        machine::Machine,
    },
    schema::MACHINE_ID,
};

use super::{
    evidence::{Entry, append_member, unquoted},
    word::word,
};

/// The values of `detailedRoles` that name the device that the alert is on: the usual one, and the one in older
/// responses.
const PRIMARY: [&str; 2] = ["\"PrimaryDevice\"", "\"Main device\""];

/// The members of a machine at Defender, in its order, with the members of device evidence that they come from.
const MACHINE: [(&str, &str, Form); 17] = [
    (MACHINE_ID, MDE_DEVICE_ID, Form::Same),
    ("computerDnsName", DEVICE_DNS_NAME, Form::Same),
    ("firstSeen", "firstSeenDateTime", Form::Same),
    ("osPlatform", "osPlatform", Form::Same),
    ("version", "version", Form::Same),
    ("lastIpAddress", "lastIpAddress", Form::Same),
    ("lastExternalIpAddress", "lastExternalIpAddress", Form::Same),
    ("osBuild", "osBuild", Form::Same),
    ("healthStatus", "healthStatus", Form::Word),
    ("rbacGroupId", "rbacGroupId", Form::Same),
    (RBAC_GROUP_NAME, RBAC_GROUP_NAME, Form::Same),
    ("riskScore", "riskScore", Form::Word),
    ("aadDeviceId", "azureAdDeviceId", Form::Same),
    ("machineTags", "tags", Form::Same),
    ("defenderAvStatus", "defenderAvStatus", Form::Word),
    ("onboardingStatus", "onboardingStatus", Form::Word),
    ("ipAddresses", "ipInterfaces", Form::Addresses),
    // Followed by `vmMetadata`, which is an object with a word in it.
];

/// The member with the machine's id.
pub const MDE_DEVICE_ID: &str = "mdeDeviceId";

/// The member with the machine's name.
pub const DEVICE_DNS_NAME: &str = "deviceDnsName";

/// The member with the name of the machine's device group.
pub const RBAC_GROUP_NAME: &str = "rbacGroupName";

/// The member with those who were logged on.
pub const LOGGED_ON_USERS: &str = "loggedOnUsers";

const VM_METADATA: &str = "vmMetadata";

/// How a value differs at Defender.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Not at all.
    Same,
    /// As the members of enumerations do.
    Word,
    /// Each address is an object there.
    Addresses,
}

/// Returns the device that the alert is on, from all entries of its evidence: the one that is named as such, or else the
/// first that has a machine's id.
pub fn primary<'e, 'a>(evidence: &'e [Entry<'a>]) -> Option<&'e Entry<'a>> {
    let devices = || evidence.iter().filter(|entry| entry.is_device());
    let is_named = |entry: &&Entry<'_>| {
        let roles = entry.get("detailedRoles").filter(|roles| roles.starts_with('['));
        roles.is_some_and(|roles| elements(roles).any(|role| PRIMARY.contains(&role)))
    };
    devices().find(is_named).or_else(|| devices().find(|entry| entry.get(MDE_DEVICE_ID).is_some()))
}

/// Returns the machine that the device is.
pub fn machine(device: &Entry<'_>) -> Machine {
    let (mut values, mut next) = ([None; MACHINE.len()], 0);
    for (name, value) in device.members() {
        // The members are nearly in this order.
        let mut places = (next..MACHINE.len()).chain(0..next);
        if let Some(place) = places.find(|place| MACHINE[*place].1 == name) {
            values[place] = Some(value);
            next = place + 1;
        }
    }
    let mut found: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(MACHINE.len() + 1);
    for ((name, _, form), value) in MACHINE.into_iter().zip(values) {
        let Some(value) = value else { continue };
        let value = match form {
            Form::Same => value.into(),
            Form::Word => word(value, &[]),
            Form::Addresses => addresses(value),
        };
        found.push((name, value));
    }
    if let Some(value) = device.get(VM_METADATA) {
        found.push((VM_METADATA, virtual_machine(value)));
    }
    Machine::from_members(found.iter().map(|(name, value)| (*name, &**value)))
}

/// Appends what a machine has no member for, if there is anything, as an object. Returns false if there is nothing.
pub fn append_rest(out: &mut Vec<u8>, device: &Entry<'_>) -> bool {
    let is_placed = |name: &str| {
        MACHINE.iter().any(|(_, graph, _)| *graph == name)
            || [VM_METADATA, LOGGED_ON_USERS].contains(&name)
            || name.starts_with('@')
    };
    let mut rest = device.members().filter(|(name, _)| !is_placed(name)).peekable();
    if rest.peek().is_none() {
        return false;
    }
    out.push(b'{');
    rest.for_each(|(name, value)| append_member(out, name, value));
    out.push(b'}');
    true
}

/// Defender has objects, which also have the interface's hardware address, type and state.
fn addresses(list: &str) -> Cow<'_, str> {
    if !list.starts_with('[') {
        return list.into();
    }
    let objects: Vec<_> = elements(list).map(|address| format!("{{\"ipAddress\":{address}}}")).collect();
    format!("[{}]", objects.join(",")).into()
}

fn virtual_machine(metadata: &str) -> Cow<'_, str> {
    if !metadata.starts_with('{') {
        return metadata.into();
    }
    let mut text = vec![b'{'];
    for (name, value) in members(metadata) {
        match unquoted(name) {
            name if name.starts_with('@') => {}
            name @ "cloudProvider" => append_member(&mut text, name, &word(value, &[])),
            name => append_member(&mut text, name, value),
        }
    }
    text.push(b'}');
    String::from_utf8_lossy(&text).into_owned().into()
}
