//! The fields a list can be filtered and sorted by, read once when a row is stored: a query then
//! compares values and parses no JSON.

use azure_core::time::{OffsetDateTime, parse_rfc3339};

use crate::members::Member;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Time,
}

/// A field's value in one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Time(OffsetDateTime),
    Text(String),
}

/// A row of a list.
pub(crate) trait Row {
    fn value(&self, field: usize) -> &Value;
}

/// The fields by name; a row holds its values in the same order.
pub(crate) struct Schema(pub &'static [(&'static str, Kind)]);

impl Schema {
    pub fn field(&self, name: &str) -> Result<(usize, Kind), String> {
        let at = self.0.iter().position(|(known, _)| *known == name);
        let at = at.ok_or_else(|| format!("{name} cannot be filtered or sorted by"))?;
        Ok((at, self.0[at].1))
    }

    /// The values of one object; a member that is missing or of another type counts as null.
    pub fn read(&self, members: &[Member]) -> Vec<Value> {
        let value = |(name, kind): &(&str, Kind)| {
            let member = members.iter().find(|member| member.name == *name)?;
            kind.read(member.value.get())
        };
        self.0.iter().map(|field| value(field).unwrap_or(Value::Null)).collect()
    }
}

impl Kind {
    fn read(self, json: &str) -> Option<Value> {
        if self == Kind::Number {
            return serde_json::from_str(json).ok().map(Value::Number);
        }
        let text: String = serde_json::from_str(json).ok()?;
        match self {
            Kind::Time => parse_rfc3339(&text).ok().map(Value::Time),
            _ => Some(Value::Text(text)),
        }
    }
}

#[cfg(test)]
impl Row for Vec<Value> {
    fn value(&self, field: usize) -> &Value {
        &self[field]
    }
}
