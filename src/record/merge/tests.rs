use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, value::RawValue};

use super::*;
use crate::record::alert::Alert;
use crate::record::page::Page;

fn merged(alert: &str, machine: Option<&str>) -> String {
    let machine = machine.map(|text| Machine::parse(&Bytes::copy_from_slice(text.as_bytes())).expect(text));
    let object = Object::parse(alert.as_bytes()).expect(alert);
    String::from_utf8(merge(object, machine.as_ref(), None).to_json()).expect("a record is text")
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
        assert_eq!(merged(alert, machine), record);
    }
}

#[test]
fn values_are_unchanged_except_for_whitespace_between_tokens() {
    let alert = "{ \"id\" : \"a\", \"big\": 123456789012345678901234567890, \"e\": 1.50E+400,\n \
                 \"s\": \" \\u00e9 \\ud83d\\ude00 \\ud800 \\/ \", \"l\": [ 1, { \"k\" : [] } ], \"wei\\\"rd name\": {} }";
    assert_eq!(
        merged(alert, None),
        r#"{"id":"a","big":123456789012345678901234567890,"e":1.50E+400,"s":" \u00e9 \ud83d\ude00 \ud800 \/ ","l":[1,{"k":[]}],"wei\"rd name":{}}"#
    );
}

#[test]
fn equal_strings_count_as_equal_however_they_are_escaped() {
    let record = merged(r#"{"id":"a","t":"caf\u00e9","l":[1, 2]}"#, Some(r#"{"t":"café","l":[1,2]}"#));
    assert_eq!(record, r#"{"id":"a","t":"caf\u00e9","l":[1,2]}"#);
}

#[test]
fn a_name_that_is_taken_already_is_never_used_twice() {
    let record = merged(r#"{"a":1,"machineA":2}"#, Some(r#"{"a":3}"#));
    assert_eq!(record, r#"{"a":1,"machineA":2,"machineMachineA":3}"#);
}

#[test]
fn the_time_stamp_comes_first() {
    let object = Object::parse(br#"{"id":"a"}"#).expect("an object");
    assert_eq!(
        merge(object, None, Some("\"2026-11-20T09:14:27Z\"")).to_json(),
        br#"{"TimeGenerated":"2026-11-20T09:14:27Z","id":"a"}"#
    );
}

#[test]
fn a_time_stamp_never_repeats_a_member_of_that_name() {
    let stamp = Some("\"2026\"");
    let own = Object::parse(br#"{"id":"a","TimeGenerated":1}"#).expect("an object");
    assert_eq!(merge(own, None, stamp).to_json(), br#"{"id":"a","TimeGenerated":1}"#);
    let machine = Machine::parse(&Bytes::from_static(br#"{"TimeGenerated":2}"#)).expect("a machine");
    let bare = Object::parse(br#"{"id":"a"}"#).expect("an object");
    assert_eq!(
        merge(bare, Some(&machine), stamp).to_json(),
        br#"{"TimeGenerated":"2026","id":"a","machineTimeGenerated":2}"#
    );
}

/// The merge member by member: slow, and easy to verify. `Value` is not used, so that digits and escapes are compared
/// too.
fn oracle(alert: &str, machine: Option<&str>, stamp: Option<&str>) -> String {
    let compact = |text: &str| {
        let (mut compact, mut in_string, mut escaped) = (String::new(), false, false);
        for letter in text.chars() {
            if in_string || !letter.is_ascii_whitespace() {
                compact.push(letter);
            }
            match (in_string, escaped, letter) {
                (true, false, '\\') => escaped = true,
                (_, false, '"') => in_string = !in_string,
                _ => escaped = false,
            }
        }
        compact
    };
    let members = |text: &str| {
        let mut members: Vec<(String, String)> = Vec::new();
        for (name, value) in raw_members(text) {
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => members.push((name, value)),
            }
        }
        members.retain(|(name, _)| !name.starts_with("@odata."));
        members
    };
    let text_in = |value: &str| serde_json::from_str::<String>(value).ok();

    let mut record = members(alert);
    if let Some(stamp) = stamp.filter(|_| record.iter().all(|(name, _)| name != "TimeGenerated")) {
        record.insert(0, ("TimeGenerated".to_owned(), stamp.to_owned()));
    }
    for (name, value) in machine.map_or(Vec::new(), members) {
        let mut name = if name == "id" { "machineId".to_owned() } else { name };
        let is_known = loop {
            let Some((_, known)) = record.iter().find(|(known, _)| *known == name) else { break false };
            if compact(known) == compact(&value)
                || text_in(known).is_some() && text_in(known) == text_in(&value)
            {
                break true;
            }
            let capital = name.chars().next().map_or(' ', |letter| letter.to_ascii_uppercase());
            name = format!("machine{capital}{}", name.chars().skip(1).collect::<String>());
        };
        if !is_known {
            record.push((name, value));
        }
    }
    let members: Vec<String> = record
        .iter()
        .map(|(name, value)| format!("{}:{}", serde_json::to_string(name).expect("JSON"), compact(value)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// JSON as other programs may write it, unlike `serde_json`: repeated names, unnecessary escapes, whitespace in odd
/// places or none at all.
fn texts() -> impl Strategy<Value = String> {
    let string = "(\\\\[\\\\\"/bn]|\\\\u00e9|\\\\u0061|\\\\ud83d\\\\ude00|\\\\ud800|[a-c:,{}\\[\\] é]){0,20}";
    let leaf = prop_oneof![
        string.prop_map(|text| format!("\"{text}\"")),
        "(null|true|false|0|-1\\.50|2E\\+4|12345678901234567890123)",
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        let list =
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(",")));
        prop_oneof![list, members_of(inner)]
    });
    members_of(value)
}

fn members_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name =
        "(id|machineId|machineA|[ab]|\\\\u0061|@odata\\.x|@odata\\.[yz]|TimeGenerated|a\\\\\"|[a-z]{9})";
    let (gap, gaps) = ("(|||| |\n\t)", "(|||| | \r\n)");
    prop::collection::vec((name, gap, gaps, value), 0..9).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(name, gap, gaps, value)| format!("{gaps}\"{name}\"{gap}:{gap}{value}{gaps}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// As read from a page, and as read from a single response: they are parsed differently.
fn both_ways(alert: &str, machine: Option<&str>, stamp: Option<&str>) -> [String; 2] {
    let machine = machine.map(|text| Machine::parse(&Bytes::copy_from_slice(text.as_bytes())).expect(text));
    let page = Bytes::from(format!("{{\"value\": [{alert} ,\n{alert}]}}"));
    let page = Page::parse(&page, None).expect("a page");
    let listed = page.elements[1].as_ref().expect(alert);
    let single = Alert::parse(alert.into()).expect(alert);
    [listed, &single].map(|alert| {
        let object = alert.object().expect("an object");
        let record = merge(object, machine.as_ref(), stamp).to_json();
        String::from_utf8(record).expect("a record is text")
    })
}

#[test]
fn adjacent_members_are_written_as_others_are() {
    let many: Vec<_> = (0..600).map(|number| format!("\"m{}\":{number}", number % 400)).collect();
    let many = format!("{{\"id\":\"a\",{}}}", many.join(","));
    for (alert, machine) in [
        (r#"{"id":"a"}"#, r#"{"a":1}"#),
        (
            r#"{"@odata.context":"x","id":"a","b":1,"@odata.etag":2,"c":{"d":[1,2]}}"#,
            r#"{"x":1,"b":2,"y":3}"#,
        ),
        (r#"{"id":"a","b" :1,"c": 1,"d":1 ,"e":1}"#, r#"{"x" :1, "z":[ "a b", " " ,"c\" d"]}"#),
        (r#"{"b":1,"id":"a","b":2,"c":[ ]}"#, r#"{"x":1,"x":2,"id":"m","machineId":"n"}"#),
        (r#"{"id":"a","t":"} , { : ","l":["a, b"]}"#, r#"{"w\"n\\":1,"\u0062":2,"b":3}"#),
        (&many, &many),
    ] {
        for stamp in [None, Some("\"2026\"")] {
            let expected = oracle(alert, Some(machine), stamp);
            assert_eq!(both_ways(alert, Some(machine), stamp), [&*expected, &*expected]);
        }
    }
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
    // Few names, so that both sides often have the same; `machine…` names among them.
    prop::collection::btree_map("(id|machineId|machineA|[ab]|\\PC{1,3})", value, 0..8)
}

proptest! {
    #[test]
    fn the_record_is_that_of_the_oracle(alert in texts(), machine in texts(), is_stamped in any::<bool>()) {
        let alert = alert.replacen('{', if alert.len() > 2 { "{\"id\":\"a\"," } else { "{\"id\":\"a\"" }, 1);
        // The last id counts: without one that is a string, it would not be an alert.
        let alert = format!("{},\"id\":\"z\"}}", &alert[..alert.len() - 1]);
        let stamp = is_stamped.then_some("\"2026-11-20T09:14:27Z\"");
        let expected = oracle(&alert, Some(&machine), stamp);
        prop_assert_eq!(both_ways(&alert, Some(&machine), stamp), [&*expected, &*expected]);
    }

    #[test]
    fn nothing_of_either_side_is_lost_and_no_name_is_repeated(alert in objects(), machine in objects()) {
        let text = |members: &BTreeMap<String, Value>| serde_json::to_string_pretty(members).expect("JSON");
        let record = merged(&text(&alert), Some(&text(&machine)));

        let names: Vec<String> =
            Object::parse(record.as_bytes()).expect("a record is an object").members.iter().map(|m| m.name.to_string()).collect();
        let raw_names = record_names(&record);
        prop_assert_eq!(&names, &raw_names, "a name is repeated");

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

/// The names in the text, including repeated ones (which `Object` would merge).
fn record_names(record: &str) -> Vec<String> {
    raw_members(record).into_iter().map(|(name, _)| name).collect()
}

/// The members in the text, including repeated ones, read by `serde_json`.
fn raw_members(object: &str) -> Vec<(String, String)> {
    struct Members(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                        members.push((name, value.get().to_owned()));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visit)
        }
    }
    serde_json::from_str::<Members>(object).expect("an object").0
}
