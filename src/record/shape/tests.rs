use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::schema::{ColumnType, columns};

fn shaped(shape: Shape, record: &str) -> (String, Vec<&'static str>) {
    let record = Object::parse(record.as_bytes()).expect(record);
    let Shaped { text, type_mismatches } = shape.write(&record);
    (String::from_utf8(text).expect("text"), type_mismatches)
}

#[track_caller]
fn assert_shaped(shape: Shape, record: &str, expected: &str) {
    assert_eq!(shaped(shape, record).0, expected, "{record}");
}

/// The names and forms that the Data Collector API gives to what it is sent (documentation page "Send log data to Azure
/// Monitor by using the HTTP Data Collector API", "Record type and properties").
#[test]
fn classic_columns_are_those_that_the_data_collector_made() {
    for (member, column) in [
        (r#""id":"da1""#, r#""id_s":"da1""#),
        (r#""title":"""#, r#""title_s":"""#),
        (r#""incidentId":48213"#, r#""incidentId_d":48213"#),
        (r#""rbacGroupId":0"#, r#""rbacGroupId_d":0"#),
        (r#""isAadJoined":true"#, r#""isAadJoined_b":true"#),
        (
            r#""alertCreationTime":"2026-11-20T09:14:27.1180342Z""#,
            r#""alertCreationTime_t":"2026-11-20T09:14:27.1180342Z""#,
        ),
        (r#""lastEventTime":"2026-11-20T09:11:03Z""#, r#""lastEventTime_t":"2026-11-20T09:11:03Z""#),
        (
            r#""aadTenantId":"5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10""#,
            r#""aadTenantId_g":"5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10""#,
        ),
        (
            r#""detectorId":"0b9d1f6e5b1c4c599f356f1f2f0c77aa""#,
            r#""detectorId_g":"0b9d1f6e-5b1c-4c59-9f35-6f1f2f0c77aa""#,
        ),
        (r#""detectorId":"custom""#, r#""detectorId_s":"custom""#),
        (
            r#""machineId":"3f1c0a9b5d7e42816c0fa9b2d4e6f8017a3b5c9d""#,
            r#""machineId_s":"3f1c0a9b5d7e42816c0fa9b2d4e6f8017a3b5c9d""#,
        ),
        (
            r#""mitreTechniques":["T1059.005","T1204.002"]"#,
            r#""mitreTechniques_s":"[\"T1059.005\",\"T1204.002\"]""#,
        ),
        (r#""evidence":[ {"filePath" : "C:\\a"} ]"#, r#""evidence_s":"[{\"filePath\":\"C:\\\\a\"}]""#),
        (r#""domains":[]"#, r#""domains_s":"[]""#),
        (
            r#""relatedUser":{"userName":"k","domainName":"F"}"#,
            r#""relatedUser_userName_s":"k","relatedUser_domainName_s":"F""#,
        ),
        (
            r#""vmMetadata":{"vmId":"5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10","resourceId":"/s/1"}"#,
            r#""vmMetadata_vmId_g":"5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10","vmMetadata_resourceId_s":"/s/1""#,
        ),
        (r#""assignedTo":null"#, ""),
        (r#""relatedUser":{"userName":null}"#, ""),
    ] {
        assert_shaped(Shape::Classic, &format!("{{{member}}}"), &format!("{{{column}}}"));
    }
}

#[test]
fn native_columns_have_clean_names_and_keep_lists_and_objects() {
    assert_shaped(
        Shape::Native,
        r#"{"TimeGenerated":"2026-11-20T09:14:27Z","id":"a","title":"t","incidentId":7,"resolvedTime":null,
            "relatedUser":{"userName":"k"},"evidence":[{"n":1.50}],"isExcluded":false,"version":"22H2"}"#,
        r#"{"TimeGenerated":"2026-11-20T09:14:27Z","AlertId":"a","AlertTitle":"t","IncidentId":7,"RelatedUser":{"userName":"k"},"Evidence":[{"n":1.50}],"IsExcluded":false,"Version":"22H2"}"#,
    );
}

#[test]
fn what_has_no_column_or_does_not_fit_it_goes_to_the_extras() {
    let record = r#"{"id":"a","Severity":"x","severity":5,"osBuild":1.5,"firstSeen":"yesterday","new":{"b":[1]},"isExcluded":1,"evidence":"none","vmMetadata":{"vmId":7,"zone":"1"},"additionalFields":2}"#;
    let rest = r#"{"Severity":"x","severity":5,"osBuild":1.5,"firstSeen":"yesterday","new":{"b":[1]},"isExcluded":1,"evidence":"none","additionalFields":2}"#;
    let (text, type_mismatches) = shaped(Shape::Native, record);
    let expected =
        format!(r#"{{"AlertId":"a","VmMetadata":{{"vmId":7,"zone":"1"}},"AdditionalFields":{rest}}}"#);
    assert_eq!(text, expected);
    assert_eq!(type_mismatches, ["severity", "osBuild", "firstSeen", "isExcluded", "evidence"]);

    let (text, type_mismatches) = shaped(Shape::Classic, record);
    let record: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(record.as_object().map(Map::len), Some(2));
    assert_eq!(record["id_s"], "a");
    let mut expected: Value = serde_json::from_str(rest).expect("JSON");
    expected["vmMetadata"] = json!({"vmId": 7, "zone": "1"});
    let rest: Value =
        serde_json::from_str(record["additionalFields_s"].as_str().expect("a text")).expect("JSON");
    assert_eq!(rest, expected);
    assert_eq!(type_mismatches, ["severity", "osBuild", "firstSeen", "isExcluded", "evidence", "vmMetadata"]);
}

#[test]
fn a_number_or_boolean_in_a_string_is_taken_for_what_it_says() {
    for (value, column) in [
        ("\"43\"", Some("43")),
        ("\"-1\"", Some("-1")),
        ("9223372036854775807", Some("9223372036854775807")),
        ("9223372036854775808", None),
        ("\"\"", None),
        ("\"+1\"", None),
        ("\"01\"", None),
        ("\"-\"", None),
        ("1e3", Some("1000")),
        ("1.0", Some("1")),
        ("\"400.0\"", Some("400")),
        ("1.126093E6", Some("1126093")),
        ("1.126093e+6", Some("1126093")),
        ("\"1.126093E6\"", Some("1126093")),
        ("-400.00", Some("-400")),
        ("400e-2", Some("4")),
        ("0.0", Some("0")),
        ("-0.0e5", Some("0")),
        ("0e99999999999", Some("0")),
        ("0.000400e6", Some("400")),
        // Digits beyond the precision of a float stay what they are.
        ("9007199254740993.0", Some("9007199254740993")),
        ("9.223372036854775807e18", Some("9223372036854775807")),
        ("9.223372036854775808e18", None),
        ("1e19", None),
        ("1e99999999999", None),
        ("1e-99999999999", None),
        ("1.5", None),
        ("15e-1", None),
        ("4e-1", None),
        ("\"1.\"", None),
        ("\".5e1\"", None),
        ("\"1e\"", None),
        ("\"1e+\"", None),
        ("\"0e+-1\"", None),
        ("\"01.0\"", None),
        ("\"0x10\"", None),
        ("\" 400\"", None),
        ("\"1e3 \"", None),
        ("true", None),
        ("[1]", None),
    ] {
        let (text, type_mismatches) = shaped(Shape::Native, &format!(r#"{{"rbacGroupId":{value}}}"#));
        let expected = match column {
            Some(column) => format!(r#"{{"RbacGroupId":{column}}}"#),
            None => format!(r#"{{"AdditionalFields":{{"rbacGroupId":{value}}}}}"#),
        };
        assert_eq!((text, type_mismatches.is_empty()), (expected, column.is_some()), "{value}");
    }
    for boolean in ["\"true\"", "\"True\"", "\"TRUE\"", "true"] {
        assert_shaped(Shape::Native, &format!(r#"{{"isExcluded":{boolean}}}"#), r#"{"IsExcluded":true}"#);
    }
    assert_shaped(Shape::Native, r#"{"isExcluded":"yes"}"#, r#"{"AdditionalFields":{"isExcluded":"yes"}}"#);
}

#[test]
fn a_whole_number_that_a_real_would_round_is_not_put_into_one() {
    assert_shaped(
        Shape::Classic,
        r#"{"incidentId":9007199254740992}"#,
        r#"{"incidentId_d":9007199254740992}"#,
    );
    assert_shaped(
        Shape::Classic,
        r#"{"incidentId":9007199254740993}"#,
        r#"{"additionalFields_s":"{\"incidentId\":9007199254740993}"}"#,
    );
    assert_shaped(Shape::Classic, r#"{"incidentId":1.126093E6}"#, r#"{"incidentId_d":1126093}"#);
    assert_shaped(
        Shape::Classic,
        r#"{"incidentId":9007199254740993.0}"#,
        r#"{"additionalFields_s":"{\"incidentId\":9007199254740993.0}"}"#,
    );
}

#[test]
fn a_time_is_one_that_a_datetime_holds() {
    for (text, is_time) in [
        ("2026-11-20T09:14:27Z", true),
        ("2026-11-20T09:14:27.1234567Z", true),
        ("2026-11-20T09:14:27.12+02:00", true),
        ("2026-11-20T09:14:27.12", true),
        ("11/20/2026 09:14:27", true),
        ("2026-11-20T09:14:27.12345678Z", false),
        ("2026-11-20T09:14:60Z", false),
        ("0001-01-01T00:00:00Z", true),
        ("0000-12-31T00:00:00Z", false),
        ("2026-11-20", false),
        ("2026-13-20T09:14:27Z", false),
        ("", false),
    ] {
        let (_, type_mismatches) = shaped(Shape::Native, &format!(r#"{{"firstSeen":"{text}"}}"#));
        assert_eq!(type_mismatches.is_empty(), is_time, "{text}");
    }
}

const LIMITS: Limits = Limits { record: 400, field: 200 };

#[test]
fn a_classic_record_that_is_too_long_keeps_valid_json_in_its_strings() {
    let entry = r#"{"filePath":"C:\\Windows\\System32","fileName":"a.exe"}"#;
    let record = format!(r#"{{"id":"a","evidence":[{}],"machineTags":["x"]}}"#, [entry; 20].join(","));
    let record = Object::parse(record.as_bytes()).expect("an object");
    let text = Shape::Classic.write(&record).text;
    let Fit::Truncated { record, fields } = Shape::Classic.fit(&record, &text, LIMITS) else {
        panic!("it is cut")
    };
    assert_eq!(fields, ["evidence_s"]);
    assert!(record.len() <= LIMITS.record, "{}", record.len());
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    let evidence: Value = serde_json::from_str(record["evidence_s"].as_str().expect("a text")).expect("JSON");
    let entry: Value = serde_json::from_str(entry).expect("JSON");
    let entries = evidence.as_array().expect("a list");
    assert!((2..5).contains(&entries.len()), "{}", entries.len());
    assert!(entries.iter().all(|kept| *kept == entry));
    assert_eq!((&record["id_s"], &record["truncatedFields_s"]), (&json!("a"), &json!(r#"["evidence_s"]"#)));
}

#[test]
fn a_native_record_that_is_too_long_says_so_in_a_column_of_its_table() {
    let record = format!(r#"{{"id":"a","description":"{}","new":1}}"#, "x".repeat(300));
    let record = Object::parse(record.as_bytes()).expect("an object");
    let text = Shape::Native.write(&record).text;
    let Fit::Truncated { record, fields } = Shape::Native.fit(&record, &text, LIMITS) else {
        panic!("it is cut")
    };
    let description = "x".repeat(198);
    let expected = format!(
        r#"{{"AlertId":"a","Description":"{description}","AdditionalFields":{{"new":1}},"TruncatedFields":["Description"]}}"#
    );
    assert_eq!(
        (String::from_utf8(record).expect("text"), fields),
        (expected, vec!["Description".to_owned()])
    );
}

fn names() -> impl Strategy<Value = String> {
    let known: Vec<String> = FIELDS.iter().map(|field| field.name.to_owned()).collect();
    let native: Vec<String> = FIELDS.iter().map(|field| field.native.to_owned()).collect();
    prop_oneof![
        6 => prop::sample::select(known),
        1 => prop::sample::select(native),
        1 => prop::sample::select(vec![
            "AdditionalFields".to_owned(),
            "additionalFields_s".to_owned(),
            "severity_s".to_owned(),
            "relatedUser_userName_s".to_owned(),
            "relatedUser_userName".to_owned(),
        ]),
        2 => "\\PC{1,5}",
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9i64..99).prop_map(Value::from),
        (-9i64..99).prop_map(|number| Value::from(number.to_string())),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        (-99i32..99).prop_map(|number| Value::from(f64::from(number))),
        "(?i)(true|false)".prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[0-9a-f]{32}".prop_map(Value::from),
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(Value::from),
        "20[0-9]{2}-1[0-3]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                "(userName|domainName|vmId|cloudProvider|subscriptionId|[a-z \"]{0,4})",
                inner,
                0..4
            )
            .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What a scalar means, whatever its type: GUIDs with and without dashes mean the same, and so do 400 and 400.0.
fn says(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = text.strip_suffix(".0").unwrap_or(&text);
    text.to_ascii_lowercase().replace('-', "")
}

/// Removes a value from whichever column of `row` has it.
fn take(row: &mut Map<String, Value>, columns: &[String], wanted: &Value) -> bool {
    let holder = columns.iter().find(|column| {
        row.get(*column).is_some_and(|found| {
            let json = found.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
            found == wanted || json.as_ref() == Some(wanted) || says(found) == says(wanted)
        })
    });
    holder.is_some_and(|column| row.remove(column).is_some())
}

fn classic_columns(path: &str) -> Vec<String> {
    ["s", "g", "d", "b", "t"].iter().map(|suffix| format!("{path}_{suffix}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn no_value_is_lost_and_none_is_made_up(record in prop::collection::btree_map(names(), values(), 0..12)) {
        let text = serde_json::to_string_pretty(&record).expect("JSON");
        // Read back: serde_json does not read every fraction as it wrote it.
        let record: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
        for shape in [Shape::Native, Shape::Classic] {
            let (row, _) = shaped(shape, &text);
            let mut row: Map<String, Value> = serde_json::from_str(&row).expect("an object");
            let rest = match row.remove(schema::extras(shape).expect("a column")) {
                Some(Value::String(text)) => serde_json::from_str(&text).expect("JSON"),
                Some(other) => other,
                None => json!({}),
            };
            let mut rest: BTreeMap<String, Value> = serde_json::from_value(rest).expect("an object");
            for (name, value) in record.iter().filter(|(_, value)| !value.is_null()) {
                if rest.get(name) == Some(value) {
                    rest.remove(name);
                    continue;
                }
                let native = FIELDS.iter().find(|field| field.name == name).map(|field| field.native.to_owned());
                let native = Vec::from_iter(native.or(Some(name.clone()).filter(|name| name == "TimeGenerated")));
                if shape == Shape::Native || name == "TimeGenerated" {
                    prop_assert!(take(&mut row, &native, value), "{} {} in {:?}", name, value, row);
                    continue;
                }
                if take(&mut row, &classic_columns(name), value) {
                    continue;
                }
                let Value::Object(parts) = value else { panic!("{name} {value} in {row:?}") };
                for (part, value) in parts.iter().filter(|(_, value)| !value.is_null()) {
                    let left = rest.get_mut(name).and_then(Value::as_object_mut);
                    if left.is_some_and(|left| left.remove(part).as_ref() == Some(value)) {
                        continue;
                    }
                    let columns = classic_columns(&format!("{name}_{part}"));
                    prop_assert!(take(&mut row, &columns, value), "{name} {part} {value} in {row:?}");
                }
                rest.retain(|known, left| known != name || left.as_object().is_none_or(|left| !left.is_empty()));
            }
            prop_assert!(row.is_empty() && rest.is_empty(), "made up: {:?} {:?}", row, rest);
        }
    }

    #[test]
    fn every_column_is_declared_and_holds_its_value(record in prop::collection::btree_map(names(), values(), 0..12)) {
        let text = serde_json::to_string(&record).expect("JSON");
        for shape in [Shape::Native, Shape::Classic] {
            let row: Map<String, Value> = serde_json::from_str(&shaped(shape, &text).0).expect("an object");
            for (name, value) in &row {
                let column = columns(shape).iter().find(|column| column.name == name.as_str());
                let holds = match column.expect(name).kind {
                    ColumnType::String => value.is_string(),
                    ColumnType::Long => value.is_i64(),
                    ColumnType::Real => value.is_number(),
                    ColumnType::Boolean => value.is_boolean(),
                    ColumnType::DateTime => value.as_str().is_some_and(|text| text.len() <= 33),
                    ColumnType::Dynamic => value.is_array() || value.is_object(),
                };
                prop_assert!(holds, "{} {}", name, value);
            }
        }
    }
}
