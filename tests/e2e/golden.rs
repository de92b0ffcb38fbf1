//! The documented answers of the API: merged, every member and value is still there.

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use mdatp_forward::{machine::Machine, object::Object, union::union};
use serde_json::{Value, value::RawValue};

type Members = BTreeMap<String, Value>;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/defender").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The objects in an answer: a list's elements, or the one entity.
fn entities(name: &str) -> Vec<String> {
    let text = fixture(name);
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).expect(name);
    match members.get("value") {
        Some(list) => {
            let list: Vec<Box<RawValue>> = serde_json::from_str(list.get()).expect(name);
            list.iter().map(|element| element.get().to_owned()).collect()
        }
        None => vec![text],
    }
}

#[test]
fn every_documented_alert_merged_with_every_documented_machine_keeps_all_its_members_and_values() {
    let alerts: Vec<String> = [
        "get-alerts.example1.json",
        "get-alerts.example2-expand-evidence.json",
        "rapid7_test_get_alerts.json",
    ]
    .iter()
    .flat_map(|name| entities(name))
    .collect();
    let machines: Vec<String> = [
        "get-machine-by-id.fixed.json",
        "rapid7_test_get_machine_information_by_id.json",
        "rapid7_test_get_machine_information_first.json",
        "rapid7_test_search_machines.json",
    ]
    .iter()
    .flat_map(|name| entities(name))
    .collect();
    assert!(alerts.len() >= 3 && machines.len() >= 6);

    for alert in &alerts {
        for machine in &machines {
            let parsed = Machine::parse(&Bytes::copy_from_slice(machine.as_bytes())).expect("a machine");
            let record =
                union(&Object::parse(alert.as_bytes()).expect("an alert"), Some(&parsed), None).to_json();
            let record: Members = serde_json::from_slice(&record).expect("a record");
            let (alert, machine): (Members, Members) =
                (serde_json::from_str(alert).expect("JSON"), serde_json::from_str(machine).expect("JSON"));

            for (name, value) in alert.iter().filter(|(name, _)| !name.starts_with("@odata.")) {
                assert_eq!(record.get(name), Some(value), "{name} of the alert");
            }
            for (name, value) in machine.iter().filter(|(name, _)| !name.starts_with("@odata.")) {
                // Only the names that facts of the API list as shared can differ.
                let kept = match name.as_str() {
                    "id" if alert.get("machineId") == Some(value) => "machineId",
                    "id" => "machineMachineId",
                    "computerDnsName" if alert.get(name) != Some(value) => "machineComputerDnsName",
                    "rbacGroupName" if alert.get(name) != Some(value) => "machineRbacGroupName",
                    name => name,
                };
                assert_eq!(record.get(kept), Some(value), "{name} of the machine");
            }
        }
    }
}

#[test]
fn the_first_documented_alert_and_machine_make_the_record_on_file() {
    let alert = entities("get-alerts.example1.json").remove(0);
    let machine = Machine::parse(&Bytes::from(fixture("get-machine-by-id.fixed.json"))).expect("a machine");
    let record = union(&Object::parse(alert.as_bytes()).expect("an alert"), Some(&machine), None).to_json();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/record.example1.json");
    assert_eq!(
        String::from_utf8(record).expect("text"),
        fs::read_to_string(golden).expect("the file").trim_end()
    );
}

#[test]
fn the_machine_that_was_published_broken_is_refused() {
    let broken = Bytes::from(fixture("get-machine-by-id.as-published.json.txt"));
    assert!(Machine::parse(&broken).is_err());
}
