//! A stream of a deployed rule: how a record becomes a row of the table.

use std::sync::Arc;

use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde_json::{Map, Value};

use super::column::{Columns, TIME, Type, is_reserved};
use super::lost_value::Why;
use super::table::Table;
use super::transform::Transform;
use crate::logs_ingestion::MOST_FIELD_BYTES;
use crate::post::{Record, width};

/// The columns of a stream, and the flow it takes.
pub(crate) struct Stream {
    columns: Columns,
    transform: Transform,
    /// Where it ends, if that was made.
    table: Option<Arc<Table>>,
}

/// A record as the table has it.
pub(crate) struct Row {
    /// The columns that are not null.
    pub values: Map<String, Value>,
    /// The members of the record whose values are not in them. A null is not lost.
    pub lost: Vec<(String, Why)>,
}

impl Stream {
    pub(super) fn new(columns: Columns, transform: Transform, table: Option<Arc<Table>>) -> Self {
        Self { columns, transform, table }
    }

    /// The row for a record that came at this time.
    pub fn row(&self, record: &Record, at: OffsetDateTime) -> Row {
        let mut row = Row { values: Map::new(), lost: Vec::new() };
        for member in record.members() {
            let (name, json) = (&member.name, member.value.get());
            if json == "null" {
                continue;
            }
            let (value, lost) = match self.columns.get(name) {
                Some(column) => self.converted(name, stored(column, json)),
                None if is_reserved(name) => (None, Some(Why::Reserved)),
                None => (None, Some(Why::NotDeclared)),
            };
            row.values.extend(value.map(|value| (name.clone(), value)));
            row.lost.extend(lost.map(|why| (name.clone(), why)));
        }
        if self.transform.fills_time() && !row.values.contains_key(TIME) {
            row.values.insert(TIME.to_owned(), to_rfc3339(&at).into());
        }
        row
    }

    /// The value after the transformation, if the table has a column for it.
    fn converted(
        &self,
        name: &str,
        (value, lost): (Option<Value>, Option<Why>),
    ) -> (Option<Value>, Option<Why>) {
        let Some(value) = value else { return (None, lost) };
        match self.transform.apply(name, value) {
            None => (None, Some(Why::NotConverted)),
            Some(_) if self.table.as_ref().is_some_and(|table| table.get(name).is_none()) => {
                (None, Some(Why::NotInTable))
            }
            value => (value, lost),
        }
    }
}

/// The value as the column holds it, and why it is not whole.
fn stored(column: Type, json: &str) -> (Option<Value>, Option<Why>) {
    let Some(value) = column.hold(json) else { return (None, Some(Why::WrongType)) };
    let is_text = matches!(column, Type::String | Type::Dynamic);
    if !is_text || width(json, MOST_FIELD_BYTES) <= MOST_FIELD_BYTES {
        return (Some(value), None);
    }
    // JSON without its end is a text like any other.
    let mut text = match value {
        Value::String(text) => text,
        _ => json.to_owned(),
    };
    let end = (0..=MOST_FIELD_BYTES).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    (Some(text.into()), Some(Why::TooLong))
}

#[cfg(test)]
mod tests;
