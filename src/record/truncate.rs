//! Records that do not fit the sink. The services cut a long field at their limit, in the middle of its JSON, and
//! reject a record that is too long. Here the record stays valid JSON, loses as little as possible, and lists what was
//! cut. The whole record is set aside.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    record::json::{self, text_of},
    schema::{
        ALERT_CREATION_TIME, ID, LAST_UPDATE_TIME, MACHINE_ID, SEVERITY, Shape, TIME_GENERATED, TITLE,
        TRUNCATED_FIELDS, column_name,
    },
};
use level::{Length, level};

mod level;
mod value;

/// What a sink accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one record.
    pub record: usize,
    /// The most bytes of one member's value, as JSON text.
    pub field: usize,
}

/// How a record fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// As it is.
    Whole,
    /// Only if something is cut.
    Truncated {
        /// What is left: one JSON object within the limits.
        record: Vec<u8>,
        /// The members of the record that were cut, in its order.
        fields: Vec<String>,
    },
    /// Not at all: there is too much besides the values, or the record is not a JSON object.
    DoesNotFit,
}

/// The members by which an alert is found, distinguished from others and dated: cut only if nothing else is left to
/// cut.
const IDENTIFYING: [&str; 7] =
    [ID, MACHINE_ID, TIME_GENERATED, ALERT_CREATION_TIME, LAST_UPDATE_TIME, TITLE, SEVERITY];

/// The most bytes of a name in the list; longer ones are cut. No column has a name of this length.
const LONGEST_NAME: usize = 256;

/// The length to which any value can be cut: that of `null`. Strings, arrays and objects can be shorter still.
const LEAST: usize = 4;

/// Makes `record`, the text of one JSON object in `shape`, fit the limits.
pub fn fit(record: &[u8], limits: Limits, shape: Shape) -> Fit {
    if record.len() <= limits.field.min(limits.record) {
        return Fit::Whole;
    }
    // `json::members` needs valid JSON. Read as a `RawValue`, a value is checked without recursion.
    let text = serde_json::from_slice::<&RawValue>(record).map_or("", RawValue::get);
    if !text.starts_with('{') {
        return Fit::DoesNotFit;
    }
    let Some(mut fields) = fields(text, limits) else { return Fit::DoesNotFit };
    if record.len() <= limits.record && fields.iter().all(|field| field.fits(limits)) {
        return Fit::Whole;
    }
    if limits.field < LEAST {
        return Fit::DoesNotFit;
    }
    let (list, identifying) =
        (column_name(shape, TRUNCATED_FIELDS), IDENTIFYING.map(|member| column_name(shape, member)));
    for field in &mut fields {
        if is_name_too_long(field.name, limits) || field.is_one_of(&[list]) {
            (field.value, field.is_cut) = (None, true);
        } else if !field.fits(limits) {
            field.cut(limits.field);
        }
    }
    let mut text = render(&fields, list, limits.field);
    for is_identifying in [false, true] {
        if text.len() > limits.record {
            let are_cut = |field: &FieldToFit<'_>| field.is_one_of(&identifying) == is_identifying;
            cut_longest(&mut fields, are_cut, text.len() - limits.record);
            text = render(&fields, list, limits.field);
        }
    }
    if text.len() > limits.record {
        return Fit::DoesNotFit;
    }
    let cut = fields.iter().filter(|field| field.is_cut);
    Fit::Truncated {
        record: text.into_bytes(),
        fields: cut.map(|field| unquoted(&field.listed()).into()).collect(),
    }
}

/// A member of the record.
struct FieldToFit<'a> {
    /// The name's own text, with its quotes: it is written as it was.
    name: &'a str,
    /// `None` if the member is left out.
    value: Option<Cow<'a, str>>,
    is_cut: bool,
}

impl FieldToFit<'_> {
    fn len(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.len())
    }

    fn fits(&self, limits: Limits) -> bool {
        self.len() <= limits.field && !is_name_too_long(self.name, limits)
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&unquoted(self.name).as_ref())
    }

    fn cut(&mut self, limit: usize) {
        self.value = self.value.take().map(|value| value::cut(&value, limit).into());
        self.is_cut = true;
    }

    /// The name as it is in the list.
    fn listed(&self) -> Cow<'_, str> {
        match self.name.len() > LONGEST_NAME {
            true => value::cut(self.name, LONGEST_NAME).into(),
            false => self.name.into(),
        }
    }

    /// The bytes that it takes to list this member, if it is not yet listed.
    fn cost(&self) -> usize {
        if self.is_cut { 0 } else { self.listed().len() + 1 }
    }
}

/// Returns a name without quotes and escapes; as it is if it is not Unicode text (a lone surrogate).
fn unquoted(name: &str) -> Cow<'_, str> {
    text_of(name).unwrap_or(name.into())
}

/// True if a name is longer than a field. Such a member is left out.
fn is_name_too_long(name: &str, limits: Limits) -> bool {
    name.len() > limits.field.max(LONGEST_NAME)
}

/// Returns the members of a record; `None` as soon as even their shortest form is too long, so that millions of tiny
/// ones are not collected in vain.
fn fields(record: &str, limits: Limits) -> Option<Vec<FieldToFit<'_>>> {
    let mut fields = Vec::new();
    let mut least = 1;
    for (name, value) in json::members(record) {
        if !is_name_too_long(name, limits) {
            least += name.len() + 2 + value.len().min(LEAST);
        }
        if least > limits.record {
            return None;
        }
        fields.push(FieldToFit { name, value: Some(value.into()), is_cut: false });
    }
    Some(fields)
}

/// Returns the record's text, with the list called `list` as its last member.
fn render(fields: &[FieldToFit<'_>], list: &str, limit: usize) -> String {
    let mut record = String::from("{");
    for field in fields {
        if let Some(value) = &field.value {
            record.extend([field.name, ":", value, ","]);
        }
    }
    let names: Vec<_> = fields.iter().filter(|field| field.is_cut).map(FieldToFit::listed).collect();
    let names = format!("[{}]", names.join(","));
    record.extend(["\"", list, "\":", &value::cut(&names, limit), "}"]);
    record
}

/// Cuts the longest of the members that may be cut until the record is shorter by `excess` bytes; all of them as far as
/// possible if that is not enough.
fn cut_longest(fields: &mut [FieldToFit<'_>], may_be_cut: impl Fn(&FieldToFit<'_>) -> bool, excess: usize) {
    let mut longest: Vec<_> =
        fields.iter_mut().filter(|field| may_be_cut(field) && field.len() > LEAST + field.cost()).collect();
    let lengths = longest.iter().map(|field| Length { bytes: field.len(), cost: field.cost() }).collect();
    let level = level(lengths, excess).unwrap_or(LEAST);
    for field in longest.iter_mut().filter(|field| field.len() > level) {
        field.cut(level);
    }
}

#[cfg(test)]
mod tests;
