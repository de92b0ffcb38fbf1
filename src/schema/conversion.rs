//! How values are converted for a table's column that has another type than this program gives its own. Pure.
//!
//! When a rule is deployed, the service compares the type of each column that the transformation outputs with the
//! table's, and rejects the rule if they differ (`InvalidTransformOutput`, as in Azure/Azure-Sentinel#12384). The Data
//! Collector API made `guid` columns for strings, and a stream cannot declare that type: the rule has to call
//! `toguid()`.

use super::{Column, ColumnType, GUID_SUFFIX, TIME_GENERATED};

/// A function of transformations that converts a value to another type (documentation page "Supported KQL features in
/// Azure Monitor transformations").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// `toguid`, which returns null for a string that is not a GUID.
    ToGuid,
    /// `tostring`.
    ToString,
}

impl Function {
    /// The name of the function.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToGuid => "toguid",
            Self::ToString => "tostring",
        }
    }

    /// Returns the function with this name; `None` for any other function.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ToGuid, Self::ToString].into_iter().find(|function| function.name() == name)
    }

    /// The type that it returns.
    pub fn output(self) -> &'static str {
        match self {
            Self::ToGuid => GUID,
            Self::ToString => ColumnType::String.name(),
        }
    }

    /// True if it keeps every value of a column.
    pub fn keeps(self, column: &Column) -> bool {
        self == Self::ToString || has_only_guids(column)
    }
}

/// The type that a table's column can have, and a stream's cannot.
const GUID: &str = "guid";

/// What a rule does with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// The type that the stream declares.
    pub declared: ColumnType,
    /// What converts that to the table's type; `None` if it is the table's type.
    pub function: Option<Function>,
}

impl Conversion {
    /// Leaves the values as they are sent.
    pub fn none(column: &Column) -> Self {
        Self { declared: column.kind, function: None }
    }

    /// Converts the values of `column` to the type `table` of a table's column. Returns `None` if some of them would be
    /// lost.
    pub fn into_table(column: &Column, table: &str) -> Option<Self> {
        use ColumnType::{Boolean, DateTime, Dynamic, Long, Real, String};
        let table = normalized(table);
        let as_declared = |declared| Some(Self { declared, function: None });
        let by = |declared, function| Some(Self { declared, function: Some(function) });
        match (column.kind, table.as_str()) {
            (kind, table) if table == kind.name() => as_declared(kind),
            // Every table has this column, and the transformation fills it.
            _ if column.name == TIME_GENERATED => None,
            (_, "dynamic") => as_declared(Dynamic),
            (String, GUID) if has_only_guids(column) => by(String, Function::ToGuid),
            // Such a column is `real` because the Data Collector API had no other numbers; the values sent are whole.
            (Real, "long") => as_declared(Long),
            (Real | Long, "string") => by(Long, Function::ToString),
            (kind @ (Boolean | Dynamic), "string") => by(kind, Function::ToString),
            // As the string that is sent.
            (DateTime, "string") => as_declared(String),
            _ => None,
        }
    }
}

/// True if a stream whose column has the type `declared` accepts every value that is sent in `column`.
pub fn stream_takes(declared: &str, column: &Column) -> bool {
    match (column.kind, normalized(declared).as_str()) {
        (_, "dynamic") | (ColumnType::Real, "long") | (ColumnType::DateTime, "string") => true,
        (kind, declared) => declared == kind.name(),
    }
}

/// Returns a type's name in one spelling: documents write it in any case, and `boolean` also as `bool`.
pub fn normalized(name: &str) -> String {
    match name.to_ascii_lowercase() {
        name if name == "bool" => ColumnType::Boolean.name().to_owned(),
        name => name,
    }
}

/// True for a column of GUIDs, which only the classic shape has: strings that are not GUIDs are in the column with
/// `_s`.
fn has_only_guids(column: &Column) -> bool {
    let suffix = column.name.rsplit_once('_').map(|(_, suffix)| suffix);
    column.kind == ColumnType::String && suffix == Some(GUID_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Shape, columns};

    fn column(shape: Shape, name: &str) -> &'static Column {
        columns(shape).iter().find(|column| column.name == name).expect(name)
    }

    #[test]
    fn a_value_is_converted_to_another_type_if_nothing_of_it_is_lost() {
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
