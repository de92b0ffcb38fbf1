//! Values that a rule dropped or truncated.

use std::fmt;

/// A value of an accepted record that the table did not get, or not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostValue {
    /// The stream the record came to.
    pub stream: String,
    /// The name it has in the record.
    pub column: String,
    /// Why it was lost.
    pub why: Why,
    /// The id of the record's alert, if it has one.
    pub alert: Option<String>,
}

/// Why a value was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The stream has no such column: it was dropped.
    NotDeclared,
    /// The stream has no such column and cannot have one, since the name is the service's own.
    Reserved,
    /// It is not of the column's type: the column is null.
    WrongType,
    /// It is longer than a column holds: it was truncated.
    TooLong,
    /// The transformation's function cannot convert it: the column is null.
    NotConverted,
    /// The table has no such column: it was dropped.
    NotInTable,
}

impl fmt::Display for LostValue {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { stream, column, why, alert } = self;
        let alert = alert.as_deref().unwrap_or("no id");
        write!(formatter, "{stream}: {column} {why} (alert {alert})")
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotDeclared => "dropped, since it is not declared",
            Self::Reserved => "dropped, since the name is reserved",
            Self::WrongType => "nulled, since it does not fit the column's type",
            Self::TooLong => "cut, since it is too long",
            Self::NotConverted => "nulled, since the transformation makes nothing of it",
            Self::NotInTable => "dropped, since the table has no such column",
        })
    }
}
