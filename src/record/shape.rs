//! The shape in which a record is sent: as the union of alert and machine has it, or in the columns of a table.
//!
//! A data collection rule silently drops members that it does not declare, and a value of the wrong type becomes null.
//! So whatever has no column of its own, or does not fit it, goes to one column for all of that ([`schema::extras`]):
//! nothing is lost on the way into the table. Nulls are left out, since a table has null wherever there is no value.

mod key;
mod value;

use crate::{
    record::{
        json::{Member, Object, append_compact, append_name, append_string},
        truncate::{self, Fit, Limits},
    },
    schema::{self, FIELDS, ID, ObjectPart, RecordField, Shape, TIME_GENERATED, ValueType},
};
use key::{Keys, key, keys};
use value::fits;

/// A record in its shape.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shaped {
    /// The text of one JSON object.
    pub text: Vec<u8>,
    /// The members whose value did not fit its column and went to [`schema::extras`].
    pub type_mismatches: Vec<&'static str>,
}

/// How lists and objects are written into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Containers {
    /// As JSON.
    AsJson,
    /// As a string that contains their JSON, which is how the Data Collector API kept them.
    AsString,
}

impl Shape {
    /// The name of the column, or member, with the alert's id.
    pub fn id(self) -> &'static str {
        schema::column_name(self, ID)
    }

    /// Writes `record`, the union of alert and machine, in this shape.
    pub fn write(self, record: &Object<'_>) -> Shaped {
        match self {
            Self::Union => Shaped { text: record.to_json(), type_mismatches: Vec::new() },
            Self::Native => ColumnWriter::new(self, Containers::AsJson, record).write(),
            Self::Classic => ColumnWriter::new(self, Containers::AsString, record).write(),
        }
    }

    /// Makes `text`, which is `record` in this shape, fit the limits.
    pub fn fit(self, record: &Object<'_>, text: &[u8], limits: Limits) -> Fit {
        match self {
            Self::Union | Self::Native => truncate::fit(text, limits, self),
            Self::Classic if text.len() <= limits.field.min(limits.record) => Fit::Whole,
            Self::Classic => fit_classic(record, limits),
        }
    }
}

/// Makes a record of the classic shape fit. JSON within a string has to be cut as JSON, before it becomes a string.
/// That makes it longer again, by an amount that is known only afterwards; so a record that is still too long is cut
/// further.
fn fit_classic(record: &Object<'_>, limits: Limits) -> Fit {
    let flat = ColumnWriter::new(Shape::Classic, Containers::AsJson, record).write().text;
    let mut aim = limits;
    loop {
        let (record, fields) = match truncate::fit(&flat, aim, Shape::Classic) {
            Fit::Whole => (flat.clone(), Vec::new()),
            Fit::Truncated { record, fields } => (record, fields),
            Fit::DoesNotFit => return Fit::DoesNotFit,
        };
        let Ok(columns) = Object::parse(&record) else { return Fit::DoesNotFit };
        let text = with_strings(&columns);
        match text.len().checked_sub(limits.record).filter(|excess| *excess > 0) {
            None if fields.is_empty() => return Fit::Whole,
            None => return Fit::Truncated { record: text, fields },
            // By a sixteenth at least, so that few rounds are needed.
            Some(excess) => aim.record = aim.record.saturating_sub(excess.max(aim.record / 16)),
        }
    }
}

fn with_strings(columns: &Object<'_>) -> Vec<u8> {
    let mut text = vec![b'{'];
    for Member { name, value } in &columns.members {
        append_name(&mut text, name);
        append_value(&mut text, columns, value, Containers::AsString);
    }
    text.push(b'}');
    text
}

/// Appends a value of `record`.
fn append_value(out: &mut Vec<u8>, record: &Object<'_>, value: &str, containers: Containers) {
    if !value::is_container(value) {
        return out.extend_from_slice(value.as_bytes());
    }
    match (containers, record.is_in_sources(value)) {
        (Containers::AsJson, true) => out.extend_from_slice(value.as_bytes()),
        (Containers::AsJson, false) => append_compact(out, value),
        (Containers::AsString, true) => append_string(out, value.as_bytes()),
        (Containers::AsString, false) => {
            let mut compact = Vec::with_capacity(value.len());
            append_compact(&mut compact, value);
            append_string(out, &compact);
        }
    }
}

/// Writes members into columns.
struct ColumnWriter<'a> {
    record: &'a Object<'a>,
    shape: Shape,
    containers: Containers,
    keys: &'static [Keys],
    shaped: Shaped,
    /// The members for [`schema::extras`], as the text of an object that is still open; empty while there are none.
    extras: Vec<u8>,
}

impl<'a> ColumnWriter<'a> {
    fn new(shape: Shape, containers: Containers, record: &'a Object<'a>) -> Self {
        Self { record, shape, containers, keys: keys(shape), shaped: Shaped::default(), extras: Vec::new() }
    }

    fn write(mut self) -> Shaped {
        let members = &self.record.members;
        let length: usize = members.iter().map(|member| member.name.len() + member.value.len() + 8).sum();
        // JSON within a string grows by its escapes, and is written with room for the worst case.
        let room = if self.containers == Containers::AsString { 2 * length } else { length };
        self.shaped.text.reserve(room);
        self.shaped.text.push(b'{');
        let mut next = 0;
        for Member { name, value } in members {
            // Members are nearly in the order of the schema, so the right one is nearly always the next.
            let place = (next..FIELDS.len()).chain(0..next).find(|place| FIELDS[*place].name == name);
            match place.map(|place| (place, &FIELDS[place])) {
                _ if *value == "null" => {}
                Some((place, field)) => {
                    next = place + 1;
                    if !self.put(field, &self.keys[place], value) {
                        self.shaped.type_mismatches.push(field.name);
                        self.put_extra(name, value);
                    }
                }
                None => self.put_extra(name, value),
            }
        }
        self.finish()
    }

    /// Puts a value into its column; false if it does not fit there.
    fn put(&mut self, field: &RecordField, keys: &'static Keys, value: &str) -> bool {
        match (self.shape, field.kind) {
            (Shape::Classic, ValueType::Object(parts)) => self.put_parts(field.name, parts, keys, value),
            (Shape::Classic, kind) if field.name != TIME_GENERATED => self.put_classic(keys, kind, value),
            (_, kind) => {
                let Some(fitting) = fits(kind, value) else { return false };
                self.append(&keys.column, &fitting);
                true
            }
        }
    }

    fn put_classic(&mut self, keys: &Keys, kind: ValueType, value: &str) -> bool {
        let Some(fitting) = fits(kind, value) else { return false };
        if kind == ValueType::Whole && !value::is_exact_real(&fitting) {
            return false;
        }
        match if kind == ValueType::Guid { value::dashed(&fitting) } else { None } {
            Some(guid) => self.append(&keys.guid, &guid),
            None => self.append(&keys.column, &fitting),
        }
        true
    }

    /// Puts each part of an object into its column. Parts without a column, and values that do not fit theirs, go to
    /// the extras under the object's own name.
    fn put_parts(
        &mut self,
        path: &'static str,
        parts: &'static [ObjectPart],
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
            self.put_extra(path, &String::from_utf8_lossy(&left));
        }
        true
    }

    fn put_extra(&mut self, name: &str, value: &str) {
        if self.extras.is_empty() {
            self.extras.push(b'{');
        }
        append_name(&mut self.extras, name);
        append_compact(&mut self.extras, value);
    }

    /// Appends a column. The first one, behind the opening brace, has no comma before it.
    fn append(&mut self, key: &str, value: &str) {
        let text = &mut self.shaped.text;
        text.extend_from_slice(&key.as_bytes()[usize::from(text.len() == 1)..]);
        append_value(text, self.record, value, self.containers);
    }

    fn finish(mut self) -> Shaped {
        if !self.extras.is_empty()
            && let Some(column) = schema::extras(self.shape)
        {
            self.extras.push(b'}');
            let extras = String::from_utf8_lossy(&self.extras).into_owned();
            self.append(&key(column), &extras);
        }
        self.shaped.text.push(b'}');
        self.shaped
    }
}

#[cfg(test)]
mod tests;
