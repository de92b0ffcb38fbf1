//! A page of alerts and a machine for them: each record is one JSON object that has all their members, and no name
//! twice.

use bytes::Bytes;
use mdatp_forward::testing::{Alert, Machine, Page, merge};

use super::json::{Members, is_json, without_blanks};

/// The line between the page and the machine, which no JSON text contains.
const LINE: &[u8] = b"\n---\n";

/// `input` is a page, or a page, a line `---` and a machine.
pub fn holds(input: &[u8]) {
    let (page, machine) = match input.windows(LINE.len()).position(|window| window == LINE) {
        Some(at) => (&input[..at], Some(&input[at + LINE.len()..])),
        None => (input, None),
    };
    let machine_text = machine.map(Bytes::copy_from_slice);
    let machine = machine_text.as_ref().and_then(|text| Machine::parse(text).ok());
    let expected = machine_text.as_ref().filter(|_| machine.is_some()).and_then(|text| Members::of(text));
    if let Some(text) = &machine_text {
        // As a list of machines it must only not panic.
        let _ = Machine::parse_list(text);
    }
    let Some(page) = parse_both_ways(page) else { return };
    let is_valid = page.json_error.is_none();
    for element in page.elements {
        match element {
            Ok(alert) => {
                is_merged(&alert, machine.as_ref().zip(expected.as_ref()));
                is_merged(&alert, None);
            }
            Err(invalid_alert) => {
                assert!(!invalid_alert.reason.is_empty());
                assert!(!is_valid || is_json(invalid_alert.text.as_bytes()));
            }
        }
    }
}

/// Compact JSON is read by a parser of the program's own, and with a space in front by `serde_json`. Both must agree.
fn parse_both_ways(page: &[u8]) -> Option<Page> {
    let with_space = Page::parse(&[b" ", page].concat().into(), None);
    let page = Page::parse(&Bytes::copy_from_slice(page), None);
    assert_eq!(page.is_ok(), with_space.is_ok(), "what is JSON depends on a space");
    let (page, with_space) = (page.ok()?, with_space.ok()?);
    assert_eq!(page.json_error.is_some(), with_space.json_error.is_some());
    assert_eq!(page.has_next_link, with_space.has_next_link);
    assert_eq!(page.elements.len(), with_space.elements.len());
    for (element, other) in page.elements.iter().zip(&with_space.elements) {
        match (element, other) {
            (Ok(alert), Ok(other)) => {
                assert_eq!(alert.text, other.text);
                assert_eq!((&alert.id, &alert.machine_id), (&other.id, &other.machine_id));
                assert_eq!((alert.created, alert.updated), (other.created, other.updated));
            }
            (Err(invalid_alert), Err(other)) => assert_eq!(invalid_alert.text, other.text),
            _ => panic!("what is an alert depends on a space: {element:?}, {other:?}"),
        }
    }
    Some(page)
}

fn is_merged(alert: &Alert, machine: Option<(&Machine, &Members<'_>)>) {
    let object = alert.object().expect("an alert is an object");
    let stamp = object.get("alertCreationTime").filter(|_| alert.created.is_some());
    for stamp in [None, stamp] {
        let record = merge(object.clone(), machine.map(|(machine, _)| machine), stamp).to_json();
        let record = Members::of(&record).expect("a record is a JSON object");

        let mut names: Vec<&str> = record.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next), "a name is repeated: {names:?}");
        let expected = Members::of(alert.text.as_bytes()).expect("an alert is an object");
        if let Some(stamp) = stamp.filter(|_| expected.last("TimeGenerated").is_none()) {
            assert_eq!(record.0.first(), Some(&("TimeGenerated".to_owned(), stamp)));
        }
        for (name, _) in expected.0.iter().filter(|(name, _)| is_kept(name)) {
            let value = without_blanks(expected.last(name).expect("a member"));
            assert_eq!(record.last(name), Some(value.as_str()), "{name} of the alert is lost or changed");
        }
        let Some((_, expected)) = machine else { continue };
        for (name, _) in expected.0.iter().filter(|(name, _)| is_kept(name)) {
            let value = expected.last(name).expect("a member");
            let tail = if name == "id" { "achineId" } else { tail(name) };
            let is_it = |(known, kept): &(String, &str)| known.ends_with(tail) && is_same_value(kept, value);
            assert!(record.0.iter().any(is_it), "{name} of the machine is lost");
        }
    }
}

/// `@odata.` members describe the response, not the alert.
fn is_kept(name: &str) -> bool {
    !name.starts_with("@odata.")
}

/// A name without its first letter, which becomes a capital when `machine` comes before it.
fn tail(name: &str) -> &str {
    let mut letters = name.chars();
    letters.next();
    letters.as_str()
}

fn is_same_value(one: &str, other: &str) -> bool {
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    without_blanks(one) == without_blanks(other) || text(one).is_some_and(|t| Some(t) == text(other))
}
