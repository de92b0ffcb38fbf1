//! The record: an alert and its machine merged into one JSON object.
//!
//! The Logic App's `union()` let the machine's members overwrite the alert's, so the alert's own `id`
//! was lost. Here the alert comes first and keeps everything; where the machine says something else
//! under the same name, it is said as `machine<Name>`.

use std::borrow::Cow;

use crate::{
    record::{
        json::{Member, MemberMap, Object, append_compact},
        machine::Machine,
    },
    schema::TIME_GENERATED,
};

/// The record's members; of members of the alert with the same name the last one counts. `stamp`, the text of a
/// JSON string, is put first as `TimeGenerated`, which the Logs Ingestion API takes a record's time from.
pub fn merge<'a>(mut alert: Object<'a>, machine: Option<&'a Machine>, stamp: Option<&'a str>) -> Object<'a> {
    // An alert that came with such a member keeps its own.
    let stamp = stamp.filter(|_| alert.get(TIME_GENERATED).is_none());
    alert.members.retain(|member| !member.name.starts_with("@odata."));
    if let Some(value) = stamp {
        alert.members.insert(0, Member { name: TIME_GENERATED.into(), value });
    }
    let mut record = MemberMap::of(alert.members);
    for Member { mut name, value } in machine.into_iter().flat_map(Machine::members) {
        let is_said = loop {
            let Some(place) = record.find(&name) else { break false };
            if same(record.list[place].value, value) {
                break true;
            }
            name = Cow::Owned(machine_name(&name));
        };
        if !is_said {
            record.push(Member { name, value });
        }
    }
    Object { members: record.list, sources: [alert.sources[0], machine.map_or("", Machine::text)] }
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
