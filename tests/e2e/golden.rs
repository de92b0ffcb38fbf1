//! The documented answers of the API: merged, every member and value is still there. And records in all three
//! shapes, against those that a second implementation makes (`tests/fixtures/shapes`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use azure_core::time::parse_rfc3339;
use bytes::Bytes;
use mdatp_forward::testing::{ColumnType, Machine, Object, Shape, columns, extras, merge};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use simulator::{Cloud, Volume};

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
                merge(Object::parse(alert.as_bytes()).expect("an alert"), Some(&parsed), None).to_json();
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
    let record = merge(Object::parse(alert.as_bytes()).expect("an alert"), Some(&machine), None).to_json();
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

/// Alerts, each of which meets each of the machines; or none, if there are none.
#[derive(Deserialize)]
struct Group {
    /// Whether the records get a `TimeGenerated`.
    stamped: bool,
    alerts: Vec<Box<RawValue>>,
    machines: Vec<Box<RawValue>>,
}

impl Group {
    fn records(&self) -> Vec<String> {
        let texts = self.machines.iter().map(|machine| Bytes::copy_from_slice(machine.get().as_bytes()));
        let mut machines: Vec<Option<Machine>> =
            texts.map(|text| Some(Machine::parse(&text).expect("a machine"))).collect();
        if machines.is_empty() {
            machines.push(None);
        }
        let records = self.alerts.iter().flat_map(|alert| {
            let alert = Object::parse(alert.get().as_bytes()).expect("an alert");
            let stamp = alert.get("alertCreationTime").filter(|_| self.stamped);
            let record = |machine: &Option<_>| merge(alert.clone(), machine.as_ref(), stamp).to_json();
            machines.iter().map(record).collect::<Vec<_>>()
        });
        records.map(|record| String::from_utf8(record).expect("text")).collect()
    }
}

fn shapes(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shapes").join(name)
}

fn lines(name: &str) -> Vec<String> {
    let text = fs::read_to_string(shapes(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    text.lines().map(str::to_owned).collect()
}

fn shaped(shape: Shape, record: &str) -> String {
    let record = Object::parse(record.as_bytes()).expect("a record");
    String::from_utf8(shape.write(&record).text).expect("text")
}

/// The columns of a row with their texts, so that no digit of a number is lost; of the column for all the
/// rest, the members.
fn texts(shape: Shape, row: &str) -> BTreeMap<String, String> {
    type Texts = BTreeMap<String, Box<RawValue>>;
    let mut row: Texts = serde_json::from_str(row).expect("a row");
    let column = extras(shape).expect("a column");
    let rest: Texts = row.remove(column).map_or_else(Texts::new, |rest| {
        let text: Option<String> = serde_json::from_str(rest.get()).ok();
        serde_json::from_str(text.as_deref().unwrap_or(rest.get())).expect("an object")
    });
    let rest = rest.into_iter().map(|(name, value)| (format!("{column}.{name}"), value));
    row.into_iter().chain(rest).map(|(name, value)| (name, value.get().to_owned())).collect()
}

#[test]
fn alerts_and_machines_make_the_records_on_file() {
    let expected = lines("union.jsonl");
    let groups = ["pairs.jsonl", "generated.jsonl"].map(lines).concat();
    let groups = groups.iter().map(|group| serde_json::from_str::<Group>(group).expect("a group"));
    let records: Vec<String> = groups.flat_map(|group| group.records()).collect();
    assert_eq!(records.len(), expected.len());
    assert!(expected.len() >= 250, "{} records", expected.len());
    for (record, expected) in records.iter().zip(&expected) {
        assert_eq!(record, expected);
    }
}

#[test]
fn records_make_the_rows_on_file() {
    for (shape, name) in [(Shape::Native, "native.jsonl"), (Shape::Classic, "classic.jsonl")] {
        let (records, rows) = (lines("union.jsonl"), lines(name));
        assert_eq!(records.len(), rows.len());
        for (record, expected) in records.iter().zip(&rows) {
            let row = shaped(shape, record);
            assert_eq!(texts(shape, &row), texts(shape, expected), "{shape:?} {record}");
            assert_eq!(row.len(), expected.len(), "no column is there twice: {row}");
        }
    }
}

#[test]
fn rows_have_the_columns_of_the_schema_in_their_types_and_fill_each_of_them() {
    for shape in [Shape::Native, Shape::Classic] {
        let kinds: BTreeMap<_, _> =
            columns(shape).iter().map(|column| (&*column.name, column.kind)).collect();
        let mut filled = BTreeSet::new();
        for record in lines("union.jsonl") {
            let row = shaped(shape, &record);
            let row: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&row).expect("a row");
            for (name, text) in &row {
                let (name, kind) = kinds.get_key_value(name.as_str()).expect(name);
                assert!(is_of(*kind, text.get()), "{name}: {text}");
                filled.insert(*name);
            }
        }
        assert_eq!(filled, kinds.keys().copied().collect(), "{shape:?}");
    }
}

/// Whether a column of this type holds a value of this text.
fn is_of(kind: ColumnType, text: &str) -> bool {
    match kind {
        ColumnType::String => text.starts_with('"'),
        ColumnType::Long => text.parse::<i64>().is_ok(),
        ColumnType::Real => text.parse::<f64>().is_ok_and(|number| number.abs() <= 9_007_199_254_740_992.0),
        ColumnType::Boolean => matches!(text, "true" | "false"),
        ColumnType::DateTime => {
            let said: Result<String, _> = serde_json::from_str(text);
            said.is_ok_and(|said| parse_rfc3339(&said).is_ok())
        }
        ColumnType::Dynamic => text.starts_with(['[', '{']),
    }
}

#[test]
#[ignore = "writes a fixture: see tests/fixtures/shapes/README.md"]
fn generate_the_alerts_and_machines() {
    let time = |text| parse_rfc3339(text).expect("a time");
    let (since, until) = (time("2026-11-23T06:00:00Z"), time("2026-11-24T06:00:00Z"));
    let cloud = Cloud::new(4);
    cloud.generate(&Volume { alerts: 200, machines: 25, since, until });

    let mut groups: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for id in cloud.alert_ids() {
        let alert = cloud.alert_json(&id).expect("an alert");
        let members: Members = serde_json::from_str(&alert).expect("JSON");
        let machine = members["machineId"].as_str().and_then(|id| cloud.machine_json(id));
        groups.entry(machine).or_default().push(alert);
    }
    let mut text = String::new();
    for (machine, alerts) in groups {
        let (alerts, machine) = (alerts.join(","), machine.unwrap_or_default());
        writeln!(text, r#"{{"stamped":true,"alerts":[{alerts}],"machines":[{machine}]}}"#).expect("a String");
    }
    fs::write(shapes("generated.jsonl"), text).expect("the file is written");
}
