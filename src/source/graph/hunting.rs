//! The hunting query for machines: the latest row of each in the table `DeviceInfo`, in the form that Defender's API has.
//! Pure.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    record::{
        json::{Object, text_of},
        machine::Machine,
    },
    schema::MACHINE_ID,
};

/// How far back rows are looked for. A machine that is on reports several times a day.
const SPAN: (&str, &str) = ("1d", "P1D");

/// The column with the machine's id.
const DEVICE_ID: &str = "DeviceId";

/// The members of a machine at Defender, in its order, with the columns of the table that they come from (page
/// "`DeviceInfo` table in the advanced hunting schema").
const COLUMNS: [(&str, &str); 19] = [
    (MACHINE_ID, DEVICE_ID),
    ("mergedIntoMachineId", "MergedToDeviceId"),
    ("isExcluded", IS_EXCLUDED),
    ("exclusionReason", "ExclusionReason"),
    ("computerDnsName", "DeviceName"),
    ("lastSeen", "Timestamp"),
    ("osPlatform", "OSPlatform"),
    ("osVersion", "OSVersion"),
    ("version", "OSVersionInfo"),
    ("lastExternalIpAddress", "PublicIP"),
    ("agentVersion", "ClientVersion"),
    ("osBuild", "OSBuild"),
    ("healthStatus", "SensorHealthState"),
    ("deviceValue", "AssetValue"),
    ("rbacGroupName", "MachineGroup"),
    ("exposureLevel", "ExposureLevel"),
    ("isAadJoined", IS_JOINED),
    ("aadDeviceId", "AadDeviceId"),
    ("osArchitecture", "OSArchitecture"),
    // Followed by tags and the virtual machine, which have several columns.
];

const IS_EXCLUDED: &str = "IsExcluded";
const IS_JOINED: &str = "IsAzureADJoined";

/// The columns with tags. The first two are lists.
const TAGS: [&str; 3] = ["DeviceManualTags", "DeviceDynamicTags", "RegistryDeviceTag"];

/// The members of a machine's `vmMetadata`, with their columns.
const VIRTUAL_MACHINE: [(&str, &str); 3] =
    [("vmId", "AzureVmId"), ("resourceId", "AzureResourceId"), ("subscriptionId", "AzureVmSubscriptionId")];

/// Returns the body of the request for the machines `ids`, which need no escaping.
pub fn query(ids: &[&str]) -> String {
    let (span, timespan) = SPAN;
    let query = format!(
        "DeviceInfo | where Timestamp > ago({span}) and {DEVICE_ID} in ('{}') | summarize arg_max(Timestamp, *) by \
         {DEVICE_ID}",
        ids.join("', '")
    );
    json!({ "Query": query, "Timespan": timespan }).to_string()
}

/// Reads the machines of a response, by id. A row without an id is left out.
///
/// # Errors
///
/// `body` is not a result of a query.
pub fn machines(body: &Bytes) -> Result<Vec<(String, Machine)>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let results: Results<'_> = serde_json::from_slice(body)?;
    let machines = results.results.iter().filter_map(|row| {
        let row = Object::parse(row.get().as_bytes()).ok()?;
        let id = text_of(value(&row, DEVICE_ID)?)?.into_owned();
        Some((id, machine(&row)))
    });
    Ok(machines.collect())
}

fn machine(row: &Object<'_>) -> Machine {
    let mut found: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(COLUMNS.len() + 2);
    for (name, column) in COLUMNS {
        let Some(value) = value(row, column) else { continue };
        let value = match (column, value) {
            (IS_EXCLUDED | IS_JOINED, "1") => "true",
            (IS_EXCLUDED | IS_JOINED, "0") => "false",
            (_, value) => value,
        };
        found.push((name, value.into()));
    }
    found.extend(tags(row).map(|tags| ("machineTags", tags.into())));
    let parts = VIRTUAL_MACHINE.iter().filter_map(|(name, column)| Some((*name, value(row, column)?)));
    let parts: Vec<_> = parts.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    if !parts.is_empty() {
        let metadata = format!("{{\"cloudProvider\":\"Azure\",{}}}", parts.join(","));
        found.push(("vmMetadata", metadata.into()));
    }
    Machine::from_members(found.iter().map(|(name, value)| (*name, &**value)))
}

/// Returns the value of a column; `None` also for an empty text, which is what the table has instead of null.
fn value<'a>(row: &Object<'a>, column: &str) -> Option<&'a str> {
    row.get(column).filter(|value| !["null", r#""""#].contains(value))
}

/// Returns all tags as a list; `None` if the row has no such column.
fn tags(row: &Object<'_>) -> Option<String> {
    if TAGS.iter().all(|column| row.get(column).is_none()) {
        return None;
    }
    let mut all: Vec<String> = Vec::new();
    for value in TAGS.iter().filter_map(|column| value(row, column)) {
        // A list may come as such, or as the text of one.
        let text = text_of(value).unwrap_or(value.into());
        match serde_json::from_str::<Vec<String>>(&text) {
            Ok(list) => all.extend(list),
            Err(_) => all.push(text.into_owned()),
        }
    }
    let mut seen: Vec<&String> = Vec::new();
    for tag in &all {
        if !seen.contains(&tag) {
            seen.push(tag);
        }
    }
    Some(json!(seen).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_the_machines_and_how_far_back_to_look() {
        assert_eq!(
            query(&["a1", "b-2"]),
            r#"{"Query":"DeviceInfo | where Timestamp > ago(1d) and DeviceId in ('a1', 'b-2') | summarize arg_max(Timestamp, *) by DeviceId","Timespan":"P1D"}"#
        );
    }

    #[test]
    fn a_row_becomes_a_machine() {
        let body = br#"{"schema":[],"results":[
            {"DeviceId":"m1","Timestamp":"2026-11-24T06:00:00.1234567Z","OSBuild":26100,"ClientVersion":"10.1","OSVersion":"",
             "IsAzureADJoined":1,"IsExcluded":false,"DeviceManualTags":"[\"a\",\"b\"]","DeviceDynamicTags":["b","c"],
             "RegistryDeviceTag":"d","AzureVmId":"v","AzureResourceId":"","MergedToDeviceId":null,"Unknown":1},
            {"DeviceId":"m2","DeviceManualTags":""},
            {"Timestamp":"2026-11-24T06:00:00Z"}
        ]}"#;
        let machines = machines(&body[..].into()).expect("a result");
        let text = |machine: &Machine| Object::from(machine.members().collect::<Vec<_>>()).to_json();
        let texts = machines.iter().map(|(id, machine)| (id.clone(), String::from_utf8(text(machine))));
        let texts: Vec<_> = texts.map(|(id, text)| (id, text.expect("text"))).collect();
        let texts: Vec<(&str, &str)> = texts.iter().map(|(id, text)| (&**id, &**text)).collect();
        assert_eq!(
            texts,
            [
                (
                    "m1",
                    r#"{"machineId":"m1","isExcluded":false,"lastSeen":"2026-11-24T06:00:00.1234567Z","agentVersion":"10.1","osBuild":26100,"isAadJoined":true,"machineTags":["a","b","c","d"],"vmMetadata":{"cloudProvider":"Azure","vmId":"v"}}"#
                ),
                ("m2", r#"{"machineId":"m2","machineTags":[]}"#),
            ]
        );
        for body in ["", "{}", r#"{"results":7}"#] {
            assert!(super::machines(&Bytes::from(body)).is_err(), "{body}");
        }
    }
}
