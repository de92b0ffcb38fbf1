//! The form in which a record is sent: as the union of alert and machine has it, or in the columns of a table.
//! Pure.
//!
//! A data collection rule drops what it does not declare, and a value of the wrong type becomes null, both
//! without a word. So whatever has no column of its own, or does not fit it, goes to the column for all the
//! rest ([`schema::extras`]): nothing is lost on the way into the table. Nulls are left out, which is what a
//! table makes of them.

mod key;
mod value;

use crate::{
    record::{
        json::{Member, Object, append_compact, append_name, scan},
        truncate::{self, Fit, Limits, Names},
    },
    schema::{self, FIELDS, Field, Kind, Part, Shape, TIME_GENERATED, TRUNCATED},
};
use key::{Keys, key, keys};
use value::fits;

/// A record in its shape.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shaped {
    /// The text of one JSON object.
    pub text: Vec<u8>,
    /// The members whose value did not fit its column and went to the column for all the rest.
    pub type_mismatches: Vec<&'static str>,
}

/// How lists and objects are written into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Containers {
    AsTheyAre,
    /// As a text that holds their JSON, which is how the Data Collector API kept them.
    AsText,
}

impl Shape {
    /// The name of the column, or member, that has the alert's id.
    pub fn id(self) -> &'static str {
        match self {
            Self::Union => "id",
            Self::Native => "AlertId",
            Self::Classic => "id_s",
        }
    }

    /// Writes `record`, the union of alert and machine, in this shape.
    pub fn write(self, record: &Object<'_>) -> Shaped {
        match self {
            Self::Union => Shaped { text: record.to_json(), type_mismatches: Vec::new() },
            Self::Native => Writer::new(self, Containers::AsTheyAre, record).write(),
            Self::Classic => Writer::new(self, Containers::AsText, record).write(),
        }
    }

    /// Makes `text`, which is `record` in this shape, fit the limits.
    pub fn fit(self, record: &Object<'_>, text: &[u8], limits: Limits) -> Fit {
        match self {
            Self::Union => truncate::fit(text, limits, &UNION),
            Self::Native => truncate::fit(text, limits, &NATIVE),
            Self::Classic if text.len() <= limits.field.min(limits.record) => Fit::Whole,
            Self::Classic => fit_classic(record, limits),
        }
    }
}

/// The names of the union.
pub const UNION: Names<'static> = Names {
    list: TRUNCATED,
    identifying: &[
        "id",
        "machineId",
        TIME_GENERATED,
        "alertCreationTime",
        "lastUpdateTime",
        "title",
        "severity",
    ],
};

const NATIVE: Names<'static> = Names {
    list: "TruncatedFields",
    identifying: &[
        "AlertId",
        "MachineId",
        TIME_GENERATED,
        "AlertCreationTime",
        "LastUpdateTime",
        "AlertTitle",
        "Severity",
    ],
};

const CLASSIC: Names<'static> = Names {
    list: "truncatedFields_s",
    identifying: &[
        "id_s",
        "machineId_s",
        TIME_GENERATED,
        "alertCreationTime_t",
        "lastUpdateTime_t",
        "title_s",
        "severity_s",
    ],
};

/// JSON within a text must be cut as JSON, before it becomes a text. That makes it longer again, by how much
/// shows only afterwards; so a record that is still too long is cut to less.
fn fit_classic(record: &Object<'_>, limits: Limits) -> Fit {
    let flat = Writer::new(Shape::Classic, Containers::AsTheyAre, record).write().text;
    let mut aim = limits;
    loop {
        let (record, fields) = match truncate::fit(&flat, aim, &CLASSIC) {
            Fit::Whole => (flat.clone(), Vec::new()),
            Fit::Truncated { record, fields } => (record, fields),
            Fit::DoesNotFit => return Fit::DoesNotFit,
        };
        let Ok(columns) = Object::parse(&record) else { return Fit::DoesNotFit };
        let text = with_texts(&columns);
        match text.len().checked_sub(limits.record).filter(|over| *over > 0) {
            None if fields.is_empty() => return Fit::Whole,
            None => return Fit::Truncated { record: text, fields },
            // Never by so little that this takes long.
            Some(over) => aim.record = aim.record.saturating_sub(over.max(aim.record / 16)),
        }
    }
}

fn with_texts(columns: &Object<'_>) -> Vec<u8> {
    let mut text = vec![b'{'];
    for Member { name, value } in &columns.members {
        append_name(&mut text, name);
        append_value(&mut text, columns, value, Containers::AsText);
    }
    text.push(b'}');
    text
}

/// Appends a value of `record`.
fn append_value(out: &mut Vec<u8>, record: &Object<'_>, value: &str, containers: Containers) {
    if !value::is_container(value) {
        return out.extend_from_slice(value.as_bytes());
    }
    match (containers, record.has_as_written(value)) {
        (Containers::AsTheyAre, true) => out.extend_from_slice(value.as_bytes()),
        (Containers::AsTheyAre, false) => append_compact(out, value),
        (Containers::AsText, true) => scan::append_as_text(out, value.as_bytes()),
        (Containers::AsText, false) => {
            let mut compact = Vec::with_capacity(value.len());
            append_compact(&mut compact, value);
            scan::append_as_text(out, &compact);
        }
    }
}

/// Writes members into columns.
struct Writer<'a> {
    record: &'a Object<'a>,
    shape: Shape,
    containers: Containers,
    keys: &'static [Keys],
    shaped: Shaped,
    /// The members for the last column, as the text of an object that is still open; empty while there are none.
    rest: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(shape: Shape, containers: Containers, record: &'a Object<'a>) -> Self {
        Self { record, shape, containers, keys: keys(shape), shaped: Shaped::default(), rest: Vec::new() }
    }

    fn write(mut self) -> Shaped {
        let members = &self.record.members;
        let length: usize = members.iter().map(|member| member.name.len() + member.value.len() + 8).sum();
        // JSON within a text grows by its escapes, and is written with room for the worst.
        let room = if self.containers == Containers::AsText { 2 * length } else { length };
        self.shaped.text.reserve(room);
        self.shaped.text.push(b'{');
        let mut next = 0;
        for Member { name, value } in members {
            // Members come nearly in the order of the schema, so the one wanted is nearly always the next.
            let place = (next..FIELDS.len()).chain(0..next).find(|place| FIELDS[*place].name == name);
            match place.map(|place| (place, &FIELDS[place])) {
                _ if *value == "null" => {}
                Some((place, field)) => {
                    next = place + 1;
                    if !self.put(field, &self.keys[place], value) {
                        self.shaped.type_mismatches.push(field.name);
                        self.put_rest(name, value);
                    }
                }
                None => self.put_rest(name, value),
            }
        }
        self.finish()
    }

    /// Puts a value into its column; false when it does not fit there.
    fn put(&mut self, field: &Field, keys: &'static Keys, value: &str) -> bool {
        match (self.shape, field.kind) {
            (Shape::Classic, Kind::Object(parts)) => self.put_parts(field.name, parts, keys, value),
            (Shape::Classic, kind) if field.name != TIME_GENERATED => self.put_classic(keys, kind, value),
            (_, kind) => {
                let Some(fitting) = fits(kind, value) else { return false };
                self.append(&keys.column, &fitting);
                true
            }
        }
    }

    fn put_classic(&mut self, keys: &Keys, kind: Kind, value: &str) -> bool {
        let Some(fitting) = fits(kind, value) else { return false };
        if kind == Kind::Whole && !value::is_exact_real(&fitting) {
            return false;
        }
        match if kind == Kind::Guid { value::dashed(&fitting) } else { None } {
            Some(guid) => self.append(&keys.guid, &guid),
            None => self.append(&keys.column, &fitting),
        }
        true
    }

    /// Each part of an object has a column. What has none, or does not fit it, goes with the rest under the
    /// object's own name.
    fn put_parts(
        &mut self,
        path: &'static str,
        parts: &'static [Part],
        keys: &'static Keys,
        value: &str,
    ) -> bool {
        let Some(object) = Object::from_valid(value) else { return false };
        let mut left = Vec::new();
        for Member { name, value } in object.members {
            let part = parts.iter().zip(&keys.parts).find(|(part, _)| part.name == name);
            let is_put = value == "null"
                || part.is_some_and(|(part, keys)| {
                    let is_put = self.put_classic(keys, part.kind, value);
                    if !is_put {
                        self.shaped.type_mismatches.push(path);
                    }
                    is_put
                });
            if !is_put {
                left.push(Member { name, value });
            }
        }
        if !left.is_empty() {
            let left = Object::from(left).to_json();
            self.put_rest(path, &String::from_utf8_lossy(&left));
        }
        true
    }

    fn put_rest(&mut self, name: &str, value: &str) {
        if self.rest.is_empty() {
            self.rest.push(b'{');
        }
        append_name(&mut self.rest, name);
        append_compact(&mut self.rest, value);
    }

    /// Appends a column. Behind the brace that opens the record, it has no comma before it.
    fn append(&mut self, key: &str, value: &str) {
        let text = &mut self.shaped.text;
        text.extend_from_slice(&key.as_bytes()[usize::from(text.len() == 1)..]);
        append_value(text, self.record, value, self.containers);
    }

    fn finish(mut self) -> Shaped {
        if !self.rest.is_empty()
            && let Some(column) = schema::extras(self.shape)
        {
            self.rest.push(b'}');
            let rest = String::from_utf8_lossy(&self.rest).into_owned();
            self.append(&key(column), &rest);
        }
        self.shaped.text.push(b'}');
        self.shaped
    }
}

#[cfg(test)]
mod tests;
