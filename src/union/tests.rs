use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn merge(alert: &str, machine: Option<&str>) -> String {
    let machine = machine.map(|text| Machine::parse(&Bytes::copy_from_slice(text.as_bytes())).expect(text));
    let object = Object::parse(alert.as_bytes()).expect(alert);
    String::from_utf8(union(&object, machine.as_ref(), None).to_json()).expect("a record is text")
}

#[test]
fn the_alert_comes_first_and_keeps_its_members_and_the_machine_adds_its_own() {
    let alert = r#"{"@odata.context":"x","id":"da1","machineId":"m1","computerDnsName":"ws","rbacGroupName":"A","n":1}"#;
    for (machine, record) in [
        (None, r#"{"id":"da1","machineId":"m1","computerDnsName":"ws","rbacGroupName":"A","n":1}"#),
        (
            Some(
                r#"{"@odata.context":"y","id":"m1","computerDnsName":"ws","rbacGroupName":"A","osBuild":26100}"#,
            ),
            r#"{"id":"da1","machineId":"m1","computerDnsName":"ws","rbacGroupName":"A","n":1,"osBuild":26100}"#,
        ),
        (
            Some(r#"{"id":"m1","computerDnsName":"WS","rbacGroupName":null}"#),
            r#"{"id":"da1","machineId":"m1","computerDnsName":"ws","rbacGroupName":"A","n":1,"machineComputerDnsName":"WS","machineRbacGroupName":null}"#,
        ),
        (
            Some(r#"{"id":"m2","n":1.0}"#),
            r#"{"id":"da1","machineId":"m1","computerDnsName":"ws","rbacGroupName":"A","n":1,"machineMachineId":"m2","machineN":1.0}"#,
        ),
    ] {
        assert_eq!(merge(alert, machine), record);
    }
}

#[test]
fn values_pass_untouched_but_for_the_blanks_between_tokens() {
    let alert = "{ \"id\" : \"a\", \"big\": 123456789012345678901234567890, \"e\": 1.50E+400,\n \
                 \"s\": \" \\u00e9 \\ud83d\\ude00 \\ud800 \\/ \", \"l\": [ 1, { \"k\" : [] } ], \"wei\\\"rd name\": {} }";
    assert_eq!(
        merge(alert, None),
        r#"{"id":"a","big":123456789012345678901234567890,"e":1.50E+400,"s":" \u00e9 \ud83d\ude00 \ud800 \/ ","l":[1,{"k":[]}],"wei\"rd name":{}}"#
    );
}

#[test]
fn equal_texts_count_as_equal_however_they_are_escaped() {
    let record = merge(r#"{"id":"a","t":"caf\u00e9","l":[1, 2]}"#, Some(r#"{"t":"café","l":[1,2]}"#));
    assert_eq!(record, r#"{"id":"a","t":"caf\u00e9","l":[1,2]}"#);
}

#[test]
fn a_name_that_is_taken_already_is_never_used_twice() {
    let record = merge(r#"{"a":1,"machineA":2}"#, Some(r#"{"a":3}"#));
    assert_eq!(record, r#"{"a":1,"machineA":2,"machineMachineA":3}"#);
}

#[test]
fn the_time_stamp_comes_first() {
    let object = Object::parse(br#"{"id":"a"}"#).expect("an object");
    assert_eq!(
        union(&object, None, Some("\"2026-11-20T09:14:27Z\"")).to_json(),
        br#"{"TimeGenerated":"2026-11-20T09:14:27Z","id":"a"}"#
    );
}

#[test]
fn a_time_stamp_never_doubles_a_member_of_that_name() {
    let stamp = Some("\"2026\"");
    let own = Object::parse(br#"{"id":"a","TimeGenerated":1}"#).expect("an object");
    assert_eq!(union(&own, None, stamp).to_json(), br#"{"id":"a","TimeGenerated":1}"#);
    let machine = Machine::parse(&Bytes::from_static(br#"{"TimeGenerated":2}"#)).expect("a machine");
    let bare = Object::parse(br#"{"id":"a"}"#).expect("an object");
    assert_eq!(
        union(&bare, Some(&machine), stamp).to_json(),
        br#"{"TimeGenerated":"2026","id":"a","machineTimeGenerated":2}"#
    );
}

fn objects() -> impl Strategy<Value = BTreeMap<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z ]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    // Few names, so that the two sides meet often; `machine…` names among them.
    prop::collection::btree_map("(id|machineId|machineA|[ab]|\\PC{1,3})", value, 0..8)
}

proptest! {
    #[test]
    fn nothing_of_either_side_is_lost_and_no_name_is_said_twice(alert in objects(), machine in objects()) {
        let text = |members: &BTreeMap<String, Value>| serde_json::to_string_pretty(members).expect("JSON");
        let record = merge(&text(&alert), Some(&text(&machine)));

        let names: Vec<String> =
            Object::parse(record.as_bytes()).expect("a record is an object").0.iter().map(|m| m.name.to_string()).collect();
        let raw_names = record_names(&record);
        prop_assert_eq!(&names, &raw_names, "a name is said twice");

        let record: BTreeMap<String, Value> = serde_json::from_str(&record).expect("JSON");
        for (name, value) in &alert {
            prop_assert_eq!(record.get(name), Some(value));
        }
        for (name, value) in &machine {
            let name = if name == "id" { "machineId" } else { name };
            prop_assert!(
                record.iter().any(|(known, v)| v == value && known.to_lowercase().ends_with(&name.to_lowercase())),
                "{} of the machine is lost", name
            );
        }
    }
}

/// The names as the text has them, doubles included (which `Object` would fold).
fn record_names(record: &str) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Names;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                    let mut names = Vec::new();
                    while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        names.push(name);
                    }
                    Ok(Names(names))
                }
            }
            deserializer.deserialize_map(Visit)
        }
    }
    serde_json::from_str::<Names>(record).expect("an object").0
}
