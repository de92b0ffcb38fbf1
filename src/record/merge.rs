//! The record: an alert and its machine merged into one JSON object.
//!
//! In the Logic App's `union()`, the machine's members overwrote the alert's, so the alert's own `id` was lost. Here
//! the alert keeps all its members and comes first; where the machine has another value under the same name, that is
//! added as `machine<Name>`.

use std::borrow::Cow;

use crate::{
    record::{
        json::{Member, MemberMap, Object, append_compact, text_of},
        machine::Machine,
        odata,
    },
    schema::TIME_GENERATED,
};

/// Returns the record's members; of members of the alert with the same name the last one counts. `stamp`, a JSON
/// string, is put first as `TimeGenerated`, which the Logs Ingestion API takes a record's time from.
pub fn merge<'a>(mut alert: Object<'a>, machine: Option<&'a Machine>, stamp: Option<&'a str>) -> Object<'a> {
    // An alert that came with such a member keeps its own.
    let stamp = stamp.filter(|_| alert.get(TIME_GENERATED).is_none());
    alert.members.retain(|member| !odata::is_annotation(&member.name));
    if let Some(value) = stamp {
        alert.members.insert(0, Member { name: TIME_GENERATED.into(), value });
    }
    let mut record = MemberMap::from(alert.members);
    for Member { mut name, value } in machine.into_iter().flat_map(Machine::members) {
        let is_known = loop {
            let Some(place) = record.find(&name) else { break false };
            if is_same(record.list[place].value, value) {
                break true;
            }
            name = Cow::Owned(machine_name(&name));
        };
        if !is_known {
            record.push(Member { name, value });
        }
    }
    Object { members: record.list, sources: [alert.sources[0], machine.map_or("", Machine::text)] }
}

/// Returns the name of a member of the machine whose own name is taken: `rbacGroupName` becomes `machineRbacGroupName`.
fn machine_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map_or(' ', |letter| letter.to_ascii_uppercase());
    format!("machine{first}{}", letters.as_str())
}

/// True if two values are the same apart from whitespace, or are strings with the same content however that is escaped.
/// In case of doubt they differ, and both are kept.
fn is_same(one: &str, other: &str) -> bool {
    let compact = |text: &str| {
        let mut compact = Vec::with_capacity(text.len());
        append_compact(&mut compact, text);
        compact
    };
    one == other
        || compact(one) == compact(other)
        || (one.starts_with('"')
            && other.starts_with('"')
            && text_of(one).is_some_and(|text| Some(text) == text_of(other)))
}

#[cfg(test)]
mod tests;
