//! A page of alerts, and a machine for them, whatever the services write: each record is one JSON object
//! that says everything and nothing twice.

use bytes::Bytes;
use mdatp_forward::{
    alert::{Alert, Page},
    machine::Machine,
    union::union,
};

use super::json::{Members, is_json, without_blanks};

/// The line between the page and the machine: no JSON text has it.
const LINE: &[u8] = b"\n---\n";

/// `input` is a page, or a page, a line `---` and a machine.
pub fn holds(input: &[u8]) {
    let (page, machine) = match input.windows(LINE.len()).position(|window| window == LINE) {
        Some(at) => (&input[..at], Some(&input[at + LINE.len()..])),
        None => (input, None),
    };
    let machine_text = machine.map(Bytes::copy_from_slice);
    let machine = machine_text.as_ref().and_then(|text| Machine::parse(text).ok());
    let told = machine_text.as_ref().filter(|_| machine.is_some()).and_then(|text| Members::of(text));
    if let Some(text) = &machine_text {
        // A list of machines is read as well; here it only must do no harm.
        let _ = Machine::parse_list(text);
    }
    let Ok(page) = Page::parse(&Bytes::copy_from_slice(page), None) else { return };
    for element in page.elements {
        match element {
            Ok(alert) => {
                is_merged(&alert, machine.as_ref().zip(told.as_ref()));
                is_merged(&alert, None);
            }
            Err(no_alert) => {
                assert!(is_json(no_alert.text.as_bytes()) && !no_alert.reason.is_empty());
            }
        }
    }
}

fn is_merged(alert: &Alert, machine: Option<(&Machine, &Members<'_>)>) {
    let object = alert.object().expect("an alert is an object");
    let stamp = object.get("alertCreationTime").filter(|_| alert.created.is_some());
    for stamp in [None, stamp] {
        let record = union(object.clone(), machine.map(|(machine, _)| machine), stamp).to_json();
        let record = Members::of(&record).expect("a record is a JSON object");

        let mut names: Vec<&str> = record.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|one, next| one < next), "a name is said twice: {names:?}");
        let told = Members::of(alert.text.as_bytes()).expect("an alert is an object");
        if let Some(stamp) = stamp.filter(|_| told.last("TimeGenerated").is_none()) {
            assert_eq!(record.0.first(), Some(&("TimeGenerated".to_owned(), stamp)));
        }
        for (name, _) in told.0.iter().filter(|(name, _)| is_kept(name)) {
            let value = without_blanks(told.last(name).expect("a member"));
            assert_eq!(record.last(name), Some(value.as_str()), "{name} of the alert is lost or changed");
        }
        let Some((_, told)) = machine else { continue };
        for (name, _) in told.0.iter().filter(|(name, _)| is_kept(name)) {
            let value = told.last(name).expect("a member");
            let tail = if name == "id" { "achineId" } else { tail(name) };
            let is_said =
                |(known, said): &(String, &str)| known.ends_with(tail) && says_the_same(said, value);
            assert!(record.0.iter().any(is_said), "{name} of the machine is lost");
        }
    }
}

/// `@odata.` members are about the reply, not about the alert.
fn is_kept(name: &str) -> bool {
    !name.starts_with("@odata.")
}

/// A name without its first letter, which becomes a capital when `machine` comes before it.
fn tail(name: &str) -> &str {
    let mut letters = name.chars();
    letters.next();
    letters.as_str()
}

fn says_the_same(one: &str, other: &str) -> bool {
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    without_blanks(one) == without_blanks(other) || text(one).is_some_and(|t| Some(t) == text(other))
}
