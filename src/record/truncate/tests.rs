use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::record::json::Object;

/// The truncated record and what was cut, for limits that it does not fit.
fn truncated(record: &str, limits: Limits) -> (String, Vec<String>) {
    match fit(record.as_bytes(), limits, Shape::Union) {
        Fit::Truncated { record, fields } => (String::from_utf8(record).expect("text"), fields),
        other => panic!("{other:?} for {record:.200}"),
    }
}

/// What is left of a value in at most `limit` bytes: its field alone is too long.
#[track_caller]
fn assert_cut(value: &str, limit: usize, left: &str) {
    let (record, fields) =
        truncated(&format!(r#"{{"a":{value}}}"#), Limits { record: 1_000_000, field: limit });
    assert_eq!(record, format!(r#"{{"a":{left},"truncatedFields":["a"]}}"#), "{value} in {limit} bytes");
    assert_eq!(fields, ["a"]);
}

#[test]
fn a_record_within_the_limits_is_whole() {
    for (record, record_limit, field) in [
        (r#"{"a":"bcd"}"#, 11, 11),
        (r#"{"a":"bcd"}"#, 11, 5),
        (r#"{"a":"bcd","truncatedFields":["a"]}"#, 35, 17),
        ("{}", 2, 0),
        // A short record is not checked.
        ("no object", 9, 9),
    ] {
        let limits = Limits { record: record_limit, field };
        assert_eq!(fit(record.as_bytes(), limits, Shape::Union), Fit::Whole, "{record}");
    }
}

#[test]
fn a_string_is_cut_between_characters() {
    assert_cut(r#""abcdefghijklmnop""#, 12, r#""abcdefghij""#);
    assert_cut(r#""abcdefghiäklmnop""#, 12, r#""abcdefghi""#);
    assert_cut(r#""abcdefghiäklmnop""#, 13, r#""abcdefghiä""#);
    assert_cut(r#""abcdefg🦀klmnop""#, 12, r#""abcdefg""#);
    assert_cut(r#""abcdefg🦀klmnop""#, 13, r#""abcdefg🦀""#);
}

#[test]
fn a_string_is_cut_between_escapes() {
    assert_cut(r#""abcdefghi\nklmnop""#, 12, r#""abcdefghi""#);
    assert_cut(r#""abcdefghi\nklmnop""#, 13, r#""abcdefghi\n""#);
    assert_cut(r#""abcdefgh\\\"nop""#, 13, r#""abcdefgh\\""#);
    assert_cut(r#""abcde\u00e9fghi""#, 12, r#""abcde""#);
    assert_cut(r#""abcde\u00e9fghi""#, 13, r#""abcde\u00e9""#);
}

#[test]
fn a_pair_of_surrogates_is_one_character() {
    assert_cut(r#""ab\ud83d\ude00cdefgh""#, 15, r#""ab""#);
    assert_cut(r#""ab\ud83d\ude00cdefgh""#, 16, r#""ab\ud83d\ude00""#);
    assert_cut(r#""ab\uDBFF\uDFFFcdefgh""#, 15, r#""ab""#);
    assert_cut(r#""ab\udbff\uDC00cdefgh""#, 15, r#""ab""#);
    // Two that make no pair are two characters.
    assert_cut(r#""ab\ud83d\ud83dcdefgh""#, 15, r#""ab\ud83d""#);
    assert_cut(r#""ab\ude00\ude00cdefgh""#, 15, r#""ab\ude00""#);
    assert_cut(r#""ab\ud83d\nghijklmnop""#, 12, r#""ab\ud83d\n""#);
}

#[test]
fn an_array_loses_elements_from_its_end() {
    assert_cut("[1,22,333,4444]", 14, "[1,22,333]");
    assert_cut("[1,22,333,4444]", 10, "[1,22,333]");
    assert_cut("[1,22,333,4444]", 9, "[1,22]");
    assert_cut("[ 1, 22\n, 333 ,\t4444 ]", 10, "[1,22,333]");
    assert_cut(r#"[{"a":"]"},{"b":"}\""},3]"#, 24, r#"[{"a":"]"},{"b":"}\""}]"#);
    assert_cut(r#"[1,"abcdefghijklmnop",2]"#, 20, "[1]");
}

#[test]
fn of_an_array_whose_first_element_is_too_long_the_beginning_of_that_stays() {
    assert_cut(r#"["abcdefghijklmnop",2]"#, 12, r#"["abcdefgh"]"#);
    assert_cut("[[1,22,333,4444],5]", 12, "[[1,22,333]]");
    assert_cut("[1234567890]", 8, "[null]");
    assert_cut("[1234567890]", 5, "[]");
}

#[test]
fn of_an_object_the_longest_members_are_cut() {
    assert_cut(
        r#"{"file":"a.exe","line":"a.exe /s /q /x:abcdefghijklmnopqrstuvwxyz","pid":4711}"#,
        60,
        r#"{"file":"a.exe","line":"a.exe /s /q /x:abcdefgh","pid":4711}"#,
    );
    // Two long ones are cut to the same length.
    assert_cut(
        r#"{"a":"abcdefghijklmnopqrstuvw","b":[1,2],"c":"abcdefghijklmnopqrstuvwxyz"}"#,
        50,
        r#"{"a":"abcdefghijkl","b":[1,2],"c":"abcdefghijkl"}"#,
    );
}

#[test]
fn an_object_of_many_members_loses_the_last() {
    assert_cut(r#"{"a":10,"b":20,"c":30,"d":40}"#, 22, r#"{"a":10,"b":20,"c":30}"#);
    assert_cut(r#"{"a":10,"b":20,"c":30,"d":40}"#, 21, r#"{"a":10,"b":20}"#);
    // Four with something to read in them rather than six with little.
    let object = |names: &str, count: usize| {
        let text = "x".repeat(count);
        let members: Vec<_> = names.chars().map(|name| format!(r#""{name}":"{text}""#)).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_cut(&object("abcdef", 100), 300, &object("abcd", 67));
}

#[test]
fn a_member_inside_whose_name_is_too_long_is_left_out_alone() {
    assert_cut(r#"{"a":1,"abcdefghijklmno":2,"b":3}"#, 20, r#"{"a":1,"b":3}"#);
}

#[test]
fn a_number_that_is_too_long_becomes_null() {
    assert_cut(&"7".repeat(1_000_000), 32_768, "null");
    assert_cut("1234567890", 9, "null");
}

#[test]
fn very_deep_nesting_is_left_out_as_a_whole() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_cut(&deep, 32_768, &format!("{}null{}", "[".repeat(16), "]".repeat(16)));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert_cut(&deep, 32_768, &format!("{}null{}", r#"{"a":"#.repeat(16), "}".repeat(16)));
}

#[test]
fn what_is_not_cut_stays_as_it_was_written() {
    let record = r#"{"\u0061":1.50e+1,"long":"abcdefghijklmnopqrstuvwxyz","b":{"c":"\/","c":-0.0}}"#;
    assert_eq!(
        truncated(record, Limits { record: 1_000, field: 25 }).0,
        r#"{"\u0061":1.50e+1,"long":"abcdefghijklmnopqrstuvw","b":{"c":"\/","c":-0.0},"truncatedFields":["long"]}"#
    );
}

#[test]
fn the_list_replaces_one_that_the_record_has() {
    let record = r#"{"b":1,"truncated\u0046ields":["b"],"z":"abcdefghijklmnopqrstuvwxyz","a":"abcdefghijklmnopqrstuvwxyz"}"#;
    let (record, fields) = truncated(record, Limits { record: 1_000, field: 25 });
    let left = r#"{"b":1,"z":"abcdefghijklmnopqrstuvw","a":"abcdefghijklmnopqrstuvw","truncatedFields":["#;
    assert_eq!(record, format!(r#"{left}"truncated\u0046ields"]}}"#), "the list too must fit its field");
    assert_eq!(fields, ["truncatedFields", "z", "a"]);
}

#[test]
fn a_name_too_long_for_a_field_is_left_out_and_its_beginning_is_listed() {
    let fits = "f".repeat(998);
    let record = format!(r#"{{"{fits}":1,"{}":2,"b":3}}"#, "n".repeat(2_000));
    let short = "n".repeat(254);
    let (record, fields) = truncated(&record, Limits { record: 1_500, field: 1_000 });
    assert_eq!(record, format!(r#"{{"{fits}":1,"b":3,"truncatedFields":["{short}"]}}"#));
    assert_eq!(fields, [short]);
}

#[test]
fn a_record_too_long_as_a_whole_loses_of_its_longest_fields() {
    let text = |count: usize| format!(r#""{}""#, "x".repeat(count));
    let record = |title: usize, a: usize, c: usize| {
        format!(r#"{{"title":{},"a":{},"b":{},"c":{}"#, text(title), text(a), text(200), text(c))
    };
    let limits = |record| Limits { record, field: 1_000 };
    let whole = record(900, 700, 500) + "}";
    let cut = |limit| truncated(&whole, limits(limit)).0;

    assert_eq!(cut(whole.len() - 1), record(900, 674, 500) + r#","truncatedFields":["a"]}"#);
    assert_eq!(cut(1_900), record(900, 369, 369) + r#","truncatedFields":["a","c"]}"#);
    // What was cut for its field is listed already: all the room is used.
    let long = record(900, 1_200, 1_200) + "}";
    assert_eq!(truncated(&long, limits(1_900)).0, record(900, 369, 369) + r#","truncatedFields":["a","c"]}"#);
    // The title only after all others.
    let left = r#"","a":"xx","b":"xx","c":"xx","truncatedFields":["title","a","b","c"]}"#;
    assert_eq!(cut(900), format!(r#"{{"title":"{}{left}"#, "x".repeat(900 - 10 - left.len())));
    assert_eq!(fit(whole.as_bytes(), limits(80), Shape::Union), Fit::DoesNotFit);
}

#[test]
fn short_values_are_not_cut_if_listing_them_costs_more() {
    let flags = r#""aNameThatIsRatherLong":false,"anotherNameThatIsRatherLong":false,"#;
    let record = format!(r#"{{{flags}"text":"{}"}}"#, "x".repeat(400));
    let left = format!(r#"{{{flags}"text":"xx","truncatedFields":["text"]}}"#);
    assert_eq!(
        truncated(&record, Limits { record: left.len(), field: 1_000 }),
        (left, vec!["text".to_owned()])
    );
}

#[test]
fn what_cannot_be_cut_enough_does_not_fit() {
    let tiny = r#""a":1,"#.repeat(10_000);
    for (record, limits) in [
        (format!(r#"{{{tiny}"a":1}}"#), Limits { record: 50_000, field: 1_000 }),
        (r#"{"a":"abcdefghijklm"}"#.to_owned(), Limits { record: 1_000, field: 3 }),
        (r#"{"a":"abcdefghijklm"}"#.to_owned(), Limits { record: 0, field: 0 }),
        (r#"["abcdefghijklm"]"#.to_owned(), Limits { record: 1_000, field: 10 }),
        (r#"{"abcdefghijklm":"#.to_owned(), Limits { record: 1_000, field: 10 }),
        (String::new(), Limits { record: 0, field: 0 }),
    ] {
        let result = fit(record.as_bytes(), limits, Shape::Union);
        let expected = if record.is_empty() { Fit::Whole } else { Fit::DoesNotFit };
        assert_eq!(result, expected, "{record:.40}");
    }
    assert_eq!(
        fit(b"{\"a\":\"abcdef\xff\"}", Limits { record: 99, field: 9 }, Shape::Union),
        Fit::DoesNotFit
    );
}

/// Strings as no serializer would write them: escapes of every kind, lone surrogates.
fn texts() -> impl Strategy<Value = String> {
    let pieces = ["x", "[a, ", "}{:1,", "äß", "€", "🦀", r"\n", r"\\", r#"\""#, r"\u00e9"];
    let surrogates = [r"\ud83d\ude00", r"\uD83D", r"\ude00"];
    let piece = prop::sample::select([&pieces[..], &surrogates].concat());
    prop::collection::vec(piece, 0..40).prop_map(|text| format!("\"{}\"", text.concat()))
}

fn values() -> impl Strategy<Value = String> {
    let short = ["null", "true", "false", "0", "-1.5e+300", "31415926535897932384626433832795028841"];
    let scalar = prop_oneof![texts(), prop::sample::select(short.to_vec()).prop_map(String::from)];
    let names = prop::sample::select(vec!["", "a", "b", "c", "pid", "a name that is rather long"]);
    scalar.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|array| format!("[{}]", array.join(","))),
            prop::collection::btree_map(names.clone().prop_map(String::from), inner, 0..6)
                .prop_map(|members| object(&members)),
        ]
    })
}

fn records() -> impl Strategy<Value = String> {
    let names = ["", "a", "é", "evidence", "comments", "id", "title", "severity", "truncatedFields"];
    let mut names = names.map(String::from).to_vec();
    names.push("a name that is too long to keep ".repeat(9));
    prop::collection::btree_map(prop::sample::select(names), values(), 0..8)
        .prop_map(|members| object(&members))
}

fn object(members: &BTreeMap<String, String>) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// True if `left` is what may be left of `value`.
fn is_left_of(left: &str, value: &str) -> bool {
    let elements = |array: &str| -> Vec<String> {
        let raw: Vec<&RawValue> = serde_json::from_str(array).expect("an array");
        raw.iter().map(|element| element.get().to_owned()).collect()
    };
    let all_but_last = |text: &str| text[..text.len() - 1].to_owned();
    match (&left[..1], &value[..1]) {
        _ if left == value => true,
        ("\"", "\"") => value.starts_with(&all_but_last(left)),
        ("[", "[") => match (elements(left).as_slice(), elements(value).as_slice()) {
            ([only], [first, ..]) => is_left_of(only, first),
            (left, all) => all.starts_with(left),
        },
        ("{", "{") => {
            let (left, all) = (members_of(left), members_of(value));
            let mut all = all.iter();
            left.iter().all(|(name, left)| all.any(|(known, value)| known == name && is_left_of(left, value)))
        }
        _ => left == "null" && !value.starts_with(['"', '[', '{']),
    }
}

/// The members of an object, read by another parser than the one under test.
fn members_of(object: &str) -> Vec<(String, String)> {
    let object = Object::parse(object.as_bytes()).expect("an object");
    object.members.iter().map(|member| (member.name.to_string(), member.value.to_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn what_is_left_fits_and_was_there(
        record in records(), record_limit in 30_usize..1_500, field in 4_usize..200
    ) {
        let limits = Limits { record: record_limit, field };
        let Fit::Truncated { record: truncated, fields } = fit(record.as_bytes(), limits, Shape::Union) else { return Ok(()) };
        let text = String::from_utf8(truncated.clone()).expect("text");

        prop_assert!(truncated.len() <= record_limit);
        prop_assert_eq!(fit(&truncated, limits, Shape::Union), Fit::Whole);
        // Of a long name, the beginning is listed.
        let listed = |name: &str| fields.iter().any(|field| field == name.get(..254).unwrap_or(name));
        let before = members_of(&record);
        let mut after = members_of(&text);
        let (name, list) = after.pop().expect("the list is the last member");
        prop_assert_eq!(name, "truncatedFields");
        let list_left = serde_json::to_string(&fields).expect("JSON");
        prop_assert!(list.len() <= field && is_left_of(&list, &list_left), "{list} {fields:?}");

        let mut places = before.iter();
        for (name, left) in &after {
            prop_assert!(left.len() <= field && name != "truncatedFields");
            let (_, value) = places.find(|(known, _)| known == name).expect("in its order");
            prop_assert!(is_left_of(left, value), "{left} of {value}");
            prop_assert_eq!(left == value, !listed(name), "{} {}", name, value);
        }
        let names = before.iter().map(|(name, _)| name).filter(|name| listed(name));
        prop_assert_eq!(names.count(), fields.len(), "each once");
        for (name, value) in before.iter().filter(|(name, _)| after.iter().all(|(left, _)| left != name)) {
            prop_assert!(name.len() + 2 > 256 || name == "truncatedFields", "{name} {value} is gone");
        }
    }

    #[test]
    fn what_identifies_an_alert_is_cut_last(record in records(), record_limit in 30_usize..900) {
        let limits = Limits { record: record_limit, field: 100_000 };
        let Fit::Truncated { record: truncated, fields } = fit(record.as_bytes(), limits, Shape::Union) else { return Ok(()) };
        let is_identifying = |name: &str| ["id", "title", "severity", "machineId"].contains(&name);
        let text = String::from_utf8(truncated).expect("text");
        if fields.iter().any(|name| is_identifying(name)) {
            for (name, left) in members_of(&text).iter().filter(|(name, _)| name != "truncatedFields") {
                let cost = if fields.contains(name) { 0 } else { name.len() + 3 };
                prop_assert!(is_identifying(name) || left.len() <= 4 + cost, "{name} {left}");
            }
        }
    }

    #[test]
    fn no_more_of_a_string_is_cut_than_necessary(text in texts(), field in 4_usize..60) {
        // Long enough not to fit, whatever was drawn.
        let value = format!("{}{}\"", &text[..text.len() - 1], "x".repeat(60));
        let record = format!(r#"{{"a":{value}}}"#);
        let (text, _) = truncated(&record, Limits { record: 10_000, field });
        // No character has more than twelve bytes.
        prop_assert!(members_of(&text)[0].1.len() + 12 > field);
    }

    #[test]
    fn any_bytes_are_handled(
        bytes in prop::collection::vec(any::<u8>(), 0..60), record in 0_usize..60, field in 0_usize..60
    ) {
        if let Fit::Truncated { record: truncated, .. } = fit(&bytes, Limits { record, field }, Shape::Union) {
            prop_assert!(truncated.len() <= record && Object::parse(&truncated).is_ok());
        }
    }
}
