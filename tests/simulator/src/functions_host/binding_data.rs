//! What the host makes of JSON that comes with a trigger, before the handler sees it: members of an object become
//! metadata, and texts that look like times are written in the manner of the United States.

use azure_core::time::{Duration, OffsetDateTime, parse_rfc3339, to_rfc3339};
use serde_json::{Value, json};

use crate::members::members;

/// The members of a JSON object that the host adds to the metadata, each with its value there: as JSON in a string, an
/// object as it is. Arrays are left out, and what is null; any other text than an object has none.
pub(super) fn metadata(text: &str) -> Vec<(String, String)> {
    let members = members(text).unwrap_or_default();
    let member = |member: crate::members::Member| {
        let raw = member.value.get();
        let text = match serde_json::from_str(raw).ok()? {
            Value::Null | Value::Array(_) => return None,
            Value::Object(_) => return Some((member.name, raw.to_owned())),
            Value::String(text) => american(&text).unwrap_or(text),
            other => other.to_string(),
        };
        Some((member.name, json!(json!(text).to_string()).to_string()))
    };
    members.into_iter().filter_map(member).collect()
}

/// A time as .NET prints it for the invariant culture; `None` for any other text.
pub(super) fn american(text: &str) -> Option<String> {
    let time = parse_rfc3339(text).ok()?;
    let (date, clock) = (time.date(), time.time());
    let (month, day, year) = (u8::from(date.month()), date.day(), date.year());
    let (hour, minute, second) = clock.as_hms();
    Some(format!("{month:02}/{day:02}/{year} {hour:02}:{minute:02}:{second:02}"))
}

/// A time as the host writes it beside a message: in whole seconds, with an offset.
pub(super) fn with_offset(time: OffsetDateTime) -> String {
    to_rfc3339(&(time - Duration::nanoseconds(time.nanosecond().into()))).replace('Z', "+00:00")
}

/// JSON as Newtonsoft.Json writes it anew, indented: times without the zeros at their end, all else as it was.
pub(super) fn indented(raw: &str) -> String {
    let mut text = String::new();
    indent(raw, 0, &mut text);
    text
}

fn indent(raw: &str, depth: usize, text: &mut String) {
    let raw = raw.trim();
    let (open, close, items): (_, _, Vec<(String, &str)>) = match raw.as_bytes().first() {
        Some(b'{') => {
            let members = members(raw).unwrap_or_default().into_iter();
            (
                '{',
                '}',
                members.map(|member| (json!(member.name).to_string() + ": ", member.value.get())).collect(),
            )
        }
        Some(b'[') => {
            let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(raw).unwrap_or_default();
            ('[', ']', items.into_iter().map(|item| (String::new(), item.get())).collect())
        }
        Some(b'"') => {
            let time = serde_json::from_str::<String>(raw).ok().filter(|text| parse_rfc3339(text).is_ok());
            *text += &time.map_or_else(|| raw.to_owned(), |time| json!(shortest(&time)).to_string());
            return;
        }
        _ => {
            *text += raw;
            return;
        }
    };
    text.push(open);
    for (place, (name, value)) in items.iter().enumerate() {
        *text += if place == 0 { "\n" } else { ",\n" };
        *text += &"  ".repeat(depth + 1);
        *text += name;
        indent(value, depth + 1, text);
    }
    if !items.is_empty() {
        text.push('\n');
        *text += &"  ".repeat(depth);
    }
    text.push(close);
}

/// A time without the zeros at the end of its fraction.
fn shortest(time: &str) -> String {
    let Some((whole, rest)) = time.split_once('.') else { return time.to_owned() };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        fraction => format!("{whole}.{fraction}{zone}"),
    }
}
