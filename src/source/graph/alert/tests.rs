use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::*;

fn parse(text: &str) -> Alert {
    Alert::parse(text.to_owned().into()).expect("an alert")
}

/// The alert as it came, and with whitespace, which is read by another parser.
fn forms(text: &RawValue) -> [String; 2] {
    let value: Value = serde_json::from_str(text.get()).expect("JSON");
    [serde_json::to_string(&value).expect("JSON"), text.get().to_owned()]
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// The text of a machine.
fn written(machine: &Machine) -> String {
    let object = Object::from(machine.members().collect::<Vec<_>>());
    String::from_utf8(object.to_json()).expect("text")
}

#[derive(Deserialize)]
struct AlertCase<'a> {
    what: String,
    #[serde(borrow)]
    graph: &'a RawValue,
    alert: Value,
    machine: Value,
}

#[test]
fn alerts_of_graph_become_the_alerts_and_machines_on_file() {
    let cases: Vec<AlertCase<'_>> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/graph/alerts.json")).expect("cases");
    assert!(cases.len() >= 4);
    for case in cases {
        for text in forms(case.graph) {
            let alert = translated(&parse(&text), DevicePlace::Machine).expect("an alert");
            assert_eq!(value(&alert.text), case.alert, "{}", case.what);
            let machine = alert.machine.as_ref().map_or(Value::Null, |machine| value(&written(machine)));
            assert_eq!(machine, case.machine, "{}", case.what);
            let times = (alert.created.is_some(), alert.updated.is_some());
            let has = |name: &str| case.alert.get(name).is_some();
            assert_eq!(times, (has("alertCreationTime"), has("lastUpdateTime")), "{}", case.what);
            assert_eq!(alert.machine_id.as_deref(), case.alert["machineId"].as_str(), "{}", case.what);
        }
    }
}

#[derive(Deserialize)]
struct EntryCase {
    graph: Value,
    defender: Value,
}

#[test]
fn evidence_of_every_type_becomes_the_entry_on_file() {
    let cases: Vec<EntryCase> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/graph/evidence.json")).expect("cases");
    for case in &cases {
        let text = json!({"id": "a", "evidence": [case.graph]}).to_string();
        let alert = translated(&parse(&text), DevicePlace::Machine).expect("an alert");
        let expected = if case.defender.is_null() { json!([]) } else { json!([case.defender]) };
        assert_eq!(value(&alert.text)["evidence"], expected, "{}", case.graph);
    }
    // Together too: no entry runs into the next.
    let graph: Vec<&Value> = cases.iter().map(|case| &case.graph).collect();
    let text = json!({"id": "a", "evidence": graph}).to_string();
    let alert = translated(&parse(&text), DevicePlace::Machine).expect("an alert");
    let expected: Vec<&Value> =
        cases.iter().map(|case| &case.defender).filter(|entry| !entry.is_null()).collect();
    assert_eq!(value(&alert.text)["evidence"], json!(expected));
}

#[test]
fn digits_and_escapes_stay_as_graph_wrote_them() {
    let text = r##"{"id":"a","severity":"low","new":1.50,"description":"\u00e9\/","evidence":[{"@odata.type":"#microsoft.graph.security.ipEvidence","ipAddress":"\u0031","n":1e400}]}"##;
    let alert = translated(&parse(text), DevicePlace::Machine).expect("an alert");
    assert_eq!(
        alert.text,
        r#"{"id":"a","severity":"Low","category":null,"description":"\u00e9\/","evidence":[{"entityType":"Ip","ipAddress":"\u0031","n":1e400}],"new":1.50}"#
    );
}

#[test]
fn a_device_that_is_not_to_be_the_machine_stays_whole() {
    let device = r##"{"@odata.type":"#microsoft.graph.security.deviceEvidence","mdeDeviceId":"m","osBuild":26100,"x":null}"##;
    let text = format!(r#"{{"id":"a","category":"x","evidence":[{device}]}}"#);
    let alert = translated(&parse(&text), DevicePlace::Alert).expect("an alert");
    let expected =
        format!(r#"{{"id":"a","category":"x","machineId":"m","evidence":[],"deviceEvidence":[{device}]}}"#);
    assert_eq!((alert.text.to_string(), alert.machine.is_none()), (expected, true));
    let machine =
        translated(&parse(&text), DevicePlace::Machine).expect("an alert").machine.expect("a machine");
    assert_eq!(written(&machine), r#"{"machineId":"m","osBuild":26100}"#);
}

#[test]
fn a_page_is_translated_alert_by_alert_and_what_is_no_alert_stays() {
    let body = br#"{"value":[{"id":"a","createdDateTime":"2026-11-20T09:14:27Z"},{"title":"no id"},7]}"#;
    let page = translated_page(Page::parse(&body[..].into(), None).expect("a page"), DevicePlace::Machine);
    let texts: Vec<&str> = page
        .elements
        .iter()
        .map(|element| match element {
            Ok(alert) => &*alert.text,
            Err(invalid) => &*invalid.text,
        })
        .collect();
    let alert = r#"{"id":"a","category":null,"alertCreationTime":"2026-11-20T09:14:27Z"}"#;
    assert_eq!(texts, [alert, r#"{"title":"no id"}"#, "7"]);
    assert!(page.elements[0].as_ref().is_ok_and(|alert| alert.created.is_some()));
}

/// Any JSON, in which the names that mean something are frequent.
fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z\"\\\\é]{0,3}",
        prop::sample::select(vec![
            "id",
            "evidence",
            "comments",
            "category",
            "categories",
            "incidentId",
            "severity",
            "machineId",
            "deviceEvidence",
            "@odata.type",
            "mdeDeviceId",
            "detailedRoles",
            "userAccount",
            "imageFile",
            "accountName",
            "sha1",
            "tags",
            "ipInterfaces",
            "vmMetadata",
            "cloudProvider",
            "createdDateTime",
            "detectionStatus",
        ])
        .prop_map(str::to_owned),
    ];
    let types = ["device", "user", "process", "file", "registryKey", "new"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[a-zé\"\\\\]{0,5}".prop_map(Value::from),
        prop::sample::select(types.to_vec())
            .prop_map(|kind| Value::from(format!("#microsoft.graph.security.{kind}Evidence"))),
    ];
    leaf.prop_recursive(5, 80, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..10).prop_map(Value::from_iter),
        ]
    })
}

/// The strings and numbers in a value, in a text that does not depend on where they are.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Array(list) => list.iter().for_each(|value| leaves(value, into)),
        Value::Object(object) => object.iter().for_each(|(name, value)| {
            // Its value becomes the type of an entry.
            if !name.starts_with("@odata.") {
                leaves(value, into);
            }
        }),
        leaf => into.push(leaf.to_string()),
    }
}

proptest! {
    #[test]
    fn whatever_graph_sends_becomes_one_object_that_keeps_every_value(
        members in prop::collection::btree_map("[a-z]{1,3}", json(), 0..6),
        evidence in json(),
        place in prop_oneof![Just(DevicePlace::Machine), Just(DevicePlace::Alert)],
    ) {
        let mut graph: Map<String, Value> = members.into_iter().collect();
        graph.insert("id".to_owned(), json!("a"));
        graph.insert("evidence".to_owned(), json!([evidence]));
        let alert = translated(&parse(&json!(graph).to_string()), place).expect("an alert");
        let object: Map<String, Value> = serde_json::from_str(&alert.text).expect("an object");
        prop_assert_eq!(&object["id"], "a");
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        leaves(&json!(graph), &mut expected);
        leaves(&json!(object), &mut found);
        if let Some(machine) = &alert.machine {
            leaves(&value(&written(machine)), &mut found);
        }
        let all = found.join("\n").to_lowercase();
        for leaf in expected {
            prop_assert!(all.contains(&leaf.to_lowercase()), "{leaf} is lost: {}", alert.text);
        }
    }
}
