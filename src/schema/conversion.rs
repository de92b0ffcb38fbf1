//! How values get into a table's column that has another type than this program gives its own. Pure.
//!
//! When a rule is deployed, the service compares the type of each column that the transformation puts out with the
//! table's, and rejects the rule where they differ (`InvalidTransformOutput`, as in Azure/Azure-Sentinel#12384). The
//! Data Collector API made `guid` columns of texts, and a stream cannot declare that type: it takes `toguid()`.

use super::{Column, ColumnType, TIME_GENERATED};

/// A function of transformations that makes another type of a value (documentation page "Supported KQL features in
/// Azure Monitor transformations").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `toguid`, null for a text that is no GUID.
    ToGuid,
    /// `tostring`.
    ToString,
}

impl Function {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToGuid => "toguid",
            Self::ToString => "tostring",
        }
    }

    /// The function of that name, if it is one of these.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ToGuid, Self::ToString].into_iter().find(|function| function.name() == name)
    }

    /// The type that it makes.
    pub fn output(self) -> &'static str {
        match self {
            Self::ToGuid => GUID,
            Self::ToString => ColumnType::String.name(),
        }
    }

    /// Whether it keeps every value of a column.
    pub fn keeps(self, column: &Column) -> bool {
        self == Self::ToString || holds_only_guids(column)
    }
}

/// The type that only tables have.
const GUID: &str = "guid";

/// What a rule does with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// The type that the stream declares.
    pub declared: ColumnType,
    /// What makes the table's type of that; none where it is the table's.
    pub function: Option<Function>,
}

impl Conversion {
    /// The values go on as they are sent.
    pub fn none(column: &Column) -> Self {
        Self { declared: column.kind, function: None }
    }

    /// The way of all values of `column` into a table's column of the type `table`; none where some would be lost.
    pub fn into_table(column: &Column, table: &str) -> Option<Self> {
        use ColumnType::{Boolean, DateTime, Dynamic, Long, Real, String};
        let table = normalized(table);
        let as_declared = |declared| Some(Self { declared, function: None });
        let by = |declared, function| Some(Self { declared, function: Some(function) });
        match (column.kind, table.as_str()) {
            (kind, table) if table == kind.name() => as_declared(kind),
            // What every table has its own time in, and the transformation fills.
            _ if column.name == TIME_GENERATED => None,
            (_, "dynamic") => as_declared(Dynamic),
            (String, GUID) if holds_only_guids(column) => by(String, Function::ToGuid),
            // A column is `real` because the Data Collector API knew no other numbers: what is sent are whole ones.
            (Real, "long") => as_declared(Long),
            (Real | Long, "string") => by(Long, Function::ToString),
            (kind @ (Boolean | Dynamic), "string") => by(kind, Function::ToString),
            // As the text that is sent.
            (DateTime, "string") => as_declared(String),
            _ => None,
        }
    }
}

/// Whether a stream that declares `declared` takes every value that is sent in `column`.
pub fn stream_takes(declared: &str, column: &Column) -> bool {
    match (column.kind, normalized(declared).as_str()) {
        (_, "dynamic") | (ColumnType::Real, "long") | (ColumnType::DateTime, "string") => true,
        (kind, declared) => declared == kind.name(),
    }
}

/// A type's name in one spelling: documents write them in any case, and `boolean` also as `bool`.
pub fn normalized(name: &str) -> String {
    match name.to_ascii_lowercase() {
        name if name == "bool" => ColumnType::Boolean.name().to_owned(),
        name => name,
    }
}

/// Only the classic shape has such columns: a text that is no GUID is in the one with `_s` beside it.
fn holds_only_guids(column: &Column) -> bool {
    column.kind == ColumnType::String && column.name.ends_with("_g")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Shape, columns};

    fn column(shape: Shape, name: &str) -> &'static Column {
        columns(shape).iter().find(|column| column.name == name).expect(name)
    }

    #[test]
    fn a_value_gets_into_another_type_where_nothing_of_it_is_lost() {
        use ColumnType::{Boolean, DateTime, Dynamic, Long, Real, String};
        let (native, classic) = (Shape::Native, Shape::Classic);
        for (shape, name, table, expected) in [
            (classic, "aadTenantId_g", "guid", Some((String, Some(Function::ToGuid)))),
            (classic, "aadTenantId_g", "Guid", Some((String, Some(Function::ToGuid)))),
            (classic, "aadTenantId_g", "string", Some((String, None))),
            (classic, "assignedTo_s", "guid", None),
            (native, "AadTenantId", "guid", None),
            (classic, "osBuild_d", "real", Some((Real, None))),
            (classic, "osBuild_d", "long", Some((Long, None))),
            (classic, "osBuild_d", "int", None),
            (classic, "osBuild_d", "string", Some((Long, Some(Function::ToString)))),
            (native, "OsBuild", "real", None),
            (native, "OsBuild", "string", Some((Long, Some(Function::ToString)))),
            (classic, "isAadJoined_b", "bool", Some((Boolean, None))),
            (classic, "isAadJoined_b", "string", Some((Boolean, Some(Function::ToString)))),
            (classic, "alertCreationTime_t", "dateTime", Some((DateTime, None))),
            (classic, "alertCreationTime_t", "string", Some((String, None))),
            (classic, "alertCreationTime_t", "long", None),
            (classic, "title_s", "datetime", None),
            (classic, "evidence_s", "dynamic", Some((Dynamic, None))),
            (native, "Evidence", "string", Some((Dynamic, Some(Function::ToString)))),
            (native, "Evidence", "long", None),
            (native, "TimeGenerated", "DateTime", Some((DateTime, None))),
            (native, "TimeGenerated", "string", None),
            (native, "Severity", "timespan", None),
        ] {
            let conversion = Conversion::into_table(column(shape, name), table);
            let expected = expected.map(|(declared, function)| Conversion { declared, function });
            assert_eq!(conversion, expected, "{name} into {table}");
        }
    }
}
