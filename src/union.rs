//! The record: an alert and its machine merged into one JSON object.
//!
//! The Logic App's `union()` let the machine's members overwrite the alert's, so the alert's own `id`
//! was lost. Here the alert comes first and keeps everything; where the machine says something else
//! under the same name, it is said as `machine<Name>`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    machine::Machine,
    object::{Object, append_compact},
};

/// The member that the Logs Ingestion API takes a record's time from.
const STAMP: &str = "TimeGenerated";

/// The record's text. `stamp` is put first as `TimeGenerated`, which the Logs Ingestion API needs; it
/// is the text of a JSON string.
pub fn union(alert: &Object<'_>, machine: Option<&Machine>, stamp: Option<&str>) -> Vec<u8> {
    let mut record = Record { text: vec![b'{'] };
    let members = machine.map_or(&[][..], |machine| &machine.members);
    let mut added: Vec<(Cow<'_, str>, &str)> = Vec::with_capacity(members.len() + 1);
    // An alert that came with such a member keeps its own.
    if let Some(stamp) = stamp.filter(|_| alert.get(STAMP).is_none()) {
        record.put(STAMP, stamp);
        added.push((STAMP.into(), stamp));
    }
    for member in alert.0.iter().filter(|member| !member.name.starts_with("@odata.")) {
        record.put(&member.name, member.value.get());
    }
    for (name, value) in members {
        // A machine's `id` is what an alert calls `machineId`.
        let mut name = Cow::Borrowed(if name == "id" { "machineId" } else { name });
        let is_said = loop {
            let known = added.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            let Some(known) = alert.get(&name).map(RawValue::get).or(known) else { break false };
            if same(known, value) {
                break true;
            }
            name = Cow::Owned(machine_name(&name));
        };
        if !is_said {
            record.put(&name, value);
            added.push((name, value));
        }
    }
    record.text.push(b'}');
    record.text
}

struct Record {
    text: Vec<u8>,
}

impl Record {
    fn put(&mut self, name: &str, value: &str) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        match name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            true => {
                self.text.push(b'"');
                self.text.extend_from_slice(name.as_bytes());
                self.text.push(b'"');
            }
            false => self.text.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes()),
        }
        self.text.push(b':');
        append_compact(&mut self.text, value);
    }
}

/// `rbacGroupName` becomes `machineRbacGroupName`.
fn machine_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map_or(' ', |letter| letter.to_ascii_uppercase());
    format!("machine{first}{}", letters.as_str())
}

/// Whether two values say the same: the same text but for blanks, or two strings with the same text
/// inside however it is escaped. When in doubt they differ, and both are kept.
fn same(known: &str, value: &str) -> bool {
    let compact = |text: &str| {
        let mut compact = Vec::with_capacity(text.len());
        append_compact(&mut compact, text);
        compact
    };
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    known == value
        || compact(known) == compact(value)
        || (known.starts_with('"')
            && value.starts_with('"')
            && text(known).is_some_and(|t| Some(t) == text(value)))
}

#[cfg(test)]
mod tests;
