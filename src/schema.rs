//! The one list of what a record can have: each member of an alert and of a machine, with its type, its column and its
//! meaning. Tables, data collection rules, saved functions and the records themselves are made from it, so they cannot
//! disagree, and no other code names a column. Pure.
//!
//! The members are those of the documentation pages "Alert resource type" and "Machine resource type", and of responses
//! that the API has been seen to give. Members that the API adds later have no column of their own: they go, whole, to
//! [`extras`].
//!
//! It uses [`report`](crate::report), for the rows about runs, and may be used from anywhere.

pub mod asim;
pub mod check;
mod column;
pub mod conversion;
pub mod functions;
pub mod health;
pub mod migration;
mod record_field;
pub mod rule;
pub mod table;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use column::{Column, ColumnType, GUID_SUFFIX, classic_name, column_name, columns, extras};
pub use record_field::{
    ALERT_CREATION_TIME, FIELDS, ID, LAST_UPDATE_TIME, MACHINE_ID, ObjectPart, RecordField, SEVERITY,
    TIME_GENERATED, TITLE, TRUNCATED_FIELDS, ValueType,
};

/// The form in which records are sent, `MDATP_RECORD_SHAPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The merged JSON as it is.
    #[default]
    #[value(skip)]
    Union,
    /// Clean names; lists and objects stay what they are.
    Native,
    /// The flat columns with suffixes that the Data Collector API made of the union.
    Classic,
}

#[cfg(test)]
mod tests;
