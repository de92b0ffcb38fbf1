//! Records that do not fit the sink. The services cut a long field wherever the limit falls, in the
//! middle of its JSON, and refuse a record that is too long; here the record stays valid JSON, gives up
//! as little as it can, and names what it gave up. The whole record is kept elsewhere (`set_aside`).

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::record::json::scan;
use level::{Length, level};

mod level;
mod value;

/// What a sink holds.
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
    /// Only with less in it.
    Truncated {
        /// What is left: one JSON object within the limits.
        record: Vec<u8>,
        /// The members of the record that lost something, in its order.
        fields: Vec<String>,
    },
    /// Not at all: there is too much besides the values, or the record is no JSON object.
    DoesNotFit,
}

/// The members that a record's shape gives a part in this.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The one that names what was cut.
    pub list: &'a str,
    /// By these an alert is found, told from others and dated: cut only when nothing else is left to cut.
    pub identifying: &'a [&'a str],
}

/// The most bytes of a name in the list; a longer one is said in short. No column's name is as long.
const NAME: usize = 256;

/// The least that any value can be cut to: `null`. Texts, arrays and objects can be shorter still.
const LEAST: usize = 4;

/// Makes `record`, the text of one JSON object, fit the limits.
pub fn fit(record: &[u8], limits: Limits, names: &Names<'_>) -> Fit {
    if record.len() <= limits.field.min(limits.record) {
        return Fit::Whole;
    }
    // `parts` reads valid JSON only. Asked for as it stands, a value is checked without recursion.
    let text = serde_json::from_slice::<&RawValue>(record).map_or("", RawValue::get);
    if !text.starts_with('{') {
        return Fit::DoesNotFit;
    }
    let Some(mut members) = members(text, limits) else { return Fit::DoesNotFit };
    if record.len() <= limits.record && members.iter().all(|member| member.fits(limits)) {
        return Fit::Whole;
    }
    if limits.field < LEAST {
        return Fit::DoesNotFit;
    }
    for member in &mut members {
        if is_name_too_long(member.name, limits) || member.is(&[names.list]) {
            (member.value, member.is_cut) = (None, true);
        } else if !member.fits(limits) {
            member.cut(limits.field);
        }
    }
    let mut text = render(&members, names.list, limits.field);
    for is_identifying in [false, true] {
        if text.len() > limits.record {
            squeeze(&mut members, names.identifying, is_identifying, text.len() - limits.record);
            text = render(&members, names.list, limits.field);
        }
    }
    if text.len() > limits.record {
        return Fit::DoesNotFit;
    }
    let fields = members.iter().filter(|member| member.is_cut).map(|m| plain(&m.listed()).into()).collect();
    Fit::Truncated { record: text.into_bytes(), fields }
}

/// A member of the record.
struct Member<'a> {
    /// The name's own text, with its quotes: written again as it was.
    name: &'a str,
    /// None when the member is left out.
    value: Option<Cow<'a, str>>,
    is_cut: bool,
}

impl Member<'_> {
    fn len(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.len())
    }

    fn fits(&self, limits: Limits) -> bool {
        self.len() <= limits.field && !is_name_too_long(self.name, limits)
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&plain(self.name).as_ref())
    }

    fn cut(&mut self, limit: usize) {
        self.value = self.value.take().map(|value| value::cut(&value, limit).into());
        self.is_cut = true;
    }

    /// The name as the list has it.
    fn listed(&self) -> Cow<'_, str> {
        match self.name.len() > NAME {
            true => value::cut(self.name, NAME).into(),
            false => self.name.into(),
        }
    }

    /// What it costs to name this member in the list, if it is not there yet.
    fn cost(&self) -> usize {
        if self.is_cut { 0 } else { self.listed().len() + 1 }
    }
}

/// A name without quotes and escapes; as it is when it is no Unicode text (a lone surrogate).
fn plain(name: &str) -> Cow<'_, str> {
    match name.contains('\\') {
        true => serde_json::from_str(name).map_or(name.into(), Cow::Owned),
        false => name[1..name.len() - 1].into(),
    }
}

/// A member with a name longer than a field cannot be helped: it is left out.
fn is_name_too_long(name: &str, limits: Limits) -> bool {
    name.len() > limits.field.max(NAME)
}

/// The members of a record; none as soon as even their shortest form is too long, so that millions of
/// tiny ones are not collected to no purpose.
fn members(record: &str, limits: Limits) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    let mut least = 1;
    for (name, value) in scan::members(record) {
        if !is_name_too_long(name, limits) {
            least += name.len() + 2 + value.len().min(LEAST);
        }
        if least > limits.record {
            return None;
        }
        members.push(Member { name, value: Some(value.into()), is_cut: false });
    }
    Some(members)
}

/// The record's text, with the list as its last member.
fn render(members: &[Member<'_>], list_name: &str, field: usize) -> String {
    let mut record = String::from("{");
    for member in members {
        if let Some(value) = &member.value {
            record.extend([member.name, ":", value, ","]);
        }
    }
    let names: Vec<_> = members.iter().filter(|member| member.is_cut).map(Member::listed).collect();
    let list = format!("[{}]", names.join(","));
    record.extend(["\"", list_name, "\":", &value::cut(&list, field), "}"]);
    record
}

/// Cuts the longest of the identifying, or of the other, members until `over` bytes are gone; all of
/// them as far as possible when that is not enough.
fn squeeze(members: &mut [Member<'_>], identifying: &[&str], is_identifying: bool, over: usize) {
    let mut longest: Vec<_> = members
        .iter_mut()
        .filter(|member| member.is(identifying) == is_identifying && member.len() > LEAST + member.cost())
        .collect();
    let lengths = longest.iter().map(|member| Length { bytes: member.len(), cost: member.cost() }).collect();
    let level = level(lengths, over).unwrap_or(LEAST);
    for member in longest.iter_mut().filter(|member| member.len() > level) {
        member.cut(level);
    }
}

#[cfg(test)]
mod tests;
