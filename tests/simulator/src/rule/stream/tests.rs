use azure_core::time::parse_rfc3339;
use serde_json::json;

use super::super::column::Declared;
use super::*;

const COLUMNS: [(&str, &str); 8] = [
    ("TimeGenerated", "datetime"),
    ("Text", "string"),
    ("Int", "int"),
    ("Long", "long"),
    ("Real", "real"),
    ("Truth", "boolean"),
    ("Time", "datetime"),
    ("Any", "dynamic"),
];

const SOURCE: &str = "source";
const FILL_TIME: &str = "source | extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)";

fn row(record: &str, kql: &str) -> (Value, Vec<(String, Why)>) {
    row_in(None, record, kql)
}

fn row_in(table: Option<&str>, record: &str, kql: &str) -> (Value, Vec<(String, Why)>) {
    let declared = COLUMNS.map(|(name, kind)| Declared { name: name.to_owned(), kind: kind.to_owned() });
    let stream = {
        let table = table.map(|document| Arc::new(Table::parse(document).expect("a table").1));
        let transform = Transform::parse(Some(kql)).expect("a transformation");
        Stream::new(Columns::checked(&declared).expect("columns"), transform, table)
    };
    let at = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
    let row = stream.row(&Record::parse(record).expect("a record"), at);
    (Value::Object(row.values), row.lost)
}

#[test]
fn what_fits_is_stored_as_it_is() {
    let record = r#"{
        "TimeGenerated": "2026-11-24T05:00:00.1234567Z", "Text": "Zażółć", "Int": -1, "Long": 9007199254740993,
        "Real": 1.5, "Truth": false, "Time": "2026-11-24T05:00:00+01:00", "Any": [1, {"a": null}]
    }"#;
    let expected = json!({
        "TimeGenerated": "2026-11-24T05:00:00.1234567Z", "Text": "Zażółć", "Int": -1,
        "Long": 9_007_199_254_740_993_i64, "Real": 1.5, "Truth": false, "Time": "2026-11-24T05:00:00+01:00",
        "Any": [1, {"a": null}]
    });
    assert_eq!(row(record, SOURCE), (expected, vec![]));
}

#[test]
fn each_kind_of_loss_is_told() {
    for (record, stored, column, why) in [
        (r#"{"Text":"a","New":1}"#, json!({"Text": "a"}), "New", Why::NotDeclared),
        (r#"{"Text":"a","text":"b"}"#, json!({"Text": "a"}), "text", Why::NotDeclared),
        (r#"{"Text":"a","TenantId":"b"}"#, json!({"Text": "a"}), "TenantId", Why::Reserved),
        (r#"{"Text":"a","type":"b"}"#, json!({"Text": "a"}), "type", Why::Reserved),
        (r#"{"Text":7}"#, json!({}), "Text", Why::WrongType),
        (r#"{"Text":["a"]}"#, json!({}), "Text", Why::WrongType),
        (r#"{"Int":2147483648}"#, json!({}), "Int", Why::WrongType),
        (r#"{"Long":"7"}"#, json!({}), "Long", Why::WrongType),
        (r#"{"Real":"7.5"}"#, json!({}), "Real", Why::WrongType),
        (r#"{"Truth":"true"}"#, json!({}), "Truth", Why::WrongType),
        (r#"{"Time":"yesterday","Any":1}"#, json!({"Any": 1}), "Time", Why::WrongType),
    ] {
        assert_eq!(row(record, SOURCE), (stored, vec![(column.to_owned(), why)]), "{record}");
    }
}

#[test]
fn a_null_is_no_loss_and_no_value() {
    let record = r#"{"Text":null,"New":null,"TenantId":null}"#;
    assert_eq!(row(record, SOURCE), (json!({}), vec![]));
}

#[test]
fn sixty_four_kib_are_kept_of_a_text_and_cut_between_characters() {
    let longest = "x".repeat(65_536);
    for (column, value, stored, is_whole) in [
        ("Text", json!(longest), json!(longest), true),
        ("Text", json!(format!("{longest}x")), json!(longest), false),
        ("Text", json!(format!("{}é", &longest[1..])), json!(&longest[1..]), false),
        ("Any", json!(longest), json!(longest), true),
        ("Any", json!(["x".repeat(65_533)]), json!(format!("[\"{}", "x".repeat(65_533)) + "\""), false),
    ] {
        let record = json!({ column: value }).to_string();
        let lost = if is_whole { vec![] } else { vec![(column.to_owned(), Why::TooLong)] };
        assert!(row(&record, SOURCE) == (json!({ column: stored }), lost), "{record:.40}");
    }
    let digits = format!(r#"{{"Real":1.{}}}"#, "0".repeat(70_000));
    assert_eq!(row(&digits, SOURCE), (json!({"Real": 1.0}), vec![]));
}

#[test]
fn the_transformation_fills_the_time_that_is_missing() {
    let arrival = "2026-11-24T06:00:00Z";
    let wrong = vec![("TimeGenerated".to_owned(), Why::WrongType)];
    for (record, time, lost) in [
        (r#"{"TimeGenerated":"2026-11-23T00:00:00Z"}"#, "2026-11-23T00:00:00Z", vec![]),
        ("{}", arrival, vec![]),
        (r#"{"TimeGenerated":null}"#, arrival, vec![]),
        (r#"{"TimeGenerated":"soon"}"#, arrival, wrong),
    ] {
        assert_eq!(row(record, FILL_TIME), (json!({ "TimeGenerated": time }), lost), "{record}");
    }
    assert_eq!(row("{}", SOURCE), (json!({}), vec![]));
}

#[test]
fn the_table_gets_guids_of_texts_and_no_column_that_it_does_not_have() {
    let guid = "0a1b2c3d-0000-4000-8000-00000000abcd";
    let table = r#"{"schema": {"name": "A_CL", "columns": [{"name": "Text", "type": "guid"}]}}"#;
    let kql = "source | extend Text = toguid(Text)";
    let record = |text: &str| json!({ "Text": text, "Long": 1 }).to_string();
    let no_column = ("Long".to_owned(), Why::NotInTable);
    assert_eq!(row_in(Some(table), &record(guid), kql), (json!({ "Text": guid }), vec![no_column.clone()]));
    let nulled = ("Text".to_owned(), Why::NotConverted);
    assert_eq!(row_in(Some(table), &record("no GUID"), kql), (json!({}), vec![no_column, nulled]));
}
