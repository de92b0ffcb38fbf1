//! The columns of a table, by the shape of its records.

use std::{borrow::Cow, sync::LazyLock};

use super::{FIELDS, ObjectPart, RecordField, Shape, TIME_GENERATED, ValueType};

/// The type of a column, as tables and data collection rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `string`
    String,
    /// `long`
    Long,
    /// `real`
    Real,
    /// `boolean`
    Boolean,
    /// `datetime`
    DateTime,
    /// `dynamic`
    Dynamic,
}

impl ColumnType {
    /// The name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Long => "long",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::DateTime => "datetime",
            Self::Dynamic => "dynamic",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its type.
    pub kind: ColumnType,
    /// Where its values come from: `alert.id`, `machine.vmMetadata.vmId`.
    pub source: String,
    /// What it means.
    pub meaning: &'static str,
}

/// Returns the columns of a shape, in the order in which records are written. The union has none: its columns are
/// whatever members a record has.
pub fn columns(shape: Shape) -> &'static [Column] {
    static NATIVE: LazyLock<Vec<Column>> = LazyLock::new(|| with_extras(Shape::Native, native));
    static CLASSIC: LazyLock<Vec<Column>> = LazyLock::new(|| with_extras(Shape::Classic, classic));
    match shape {
        Shape::Union => &[],
        Shape::Native => &NATIVE,
        Shape::Classic => &CLASSIC,
    }
}

/// Returns the name of the column for members without a column, and for values that do not fit theirs. Returns `None`
/// for the union, which has no columns.
pub fn extras(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::Union => None,
        Shape::Native => Some("AdditionalFields"),
        Shape::Classic => Some("additionalFields_s"),
    }
}

/// Returns the name of the column of `member`, one of [`FIELDS`] that is not an object. A GUID of the classic shape has
/// one column more.
pub fn column_name(shape: Shape, member: &'static str) -> &'static str {
    let field = || FIELDS.iter().find(|field| field.name == member);
    let column = match shape {
        Shape::Union => Some(member),
        Shape::Native => field().map(|field| field.native),
        Shape::Classic if member == TIME_GENERATED => Some(member),
        Shape::Classic => field().and_then(|field| {
            let name = classic_name(member, field.kind.classic_suffix());
            columns(shape).iter().find(|column| column.name == name).map(|column| &*column.name)
        }),
    };
    column.unwrap_or_else(|| panic!("{member} has no column"))
}

/// Returns the name that the Data Collector API gave a column: the member's, and a suffix for its value's type.
pub fn classic_name(path: &str, suffix: &str) -> String {
    format!("{path}_{suffix}")
}

/// The suffix of the columns with strings that are GUIDs.
pub const GUID_SUFFIX: &str = "g";

impl ValueType {
    /// The suffix that the Data Collector API gave the columns of such values, and of strings that are not GUIDs.
    pub const fn classic_suffix(self) -> &'static str {
        match self {
            Self::Text | Self::Guid | Self::List | Self::Object(_) => "s",
            Self::Whole => "d",
            Self::Boolean => "b",
            Self::Time => "t",
        }
    }
}

fn with_extras(shape: Shape, of_field: fn(&RecordField) -> Vec<Column>) -> Vec<Column> {
    let mut columns: Vec<Column> = FIELDS.iter().flat_map(of_field).collect();
    let kind = if shape == Shape::Native { ColumnType::Dynamic } else { ColumnType::String };
    columns.extend(extras(shape).map(|name| Column {
        name: name.into(),
        kind,
        source: "all others".to_owned(),
        meaning: "members without a column, and values that do not fit theirs",
    }));
    columns
}

fn native(field: &RecordField) -> Vec<Column> {
    let kind = match field.kind {
        ValueType::Text | ValueType::Guid => ColumnType::String,
        ValueType::Whole => ColumnType::Long,
        ValueType::Boolean => ColumnType::Boolean,
        ValueType::Time => ColumnType::DateTime,
        ValueType::List | ValueType::Object(_) => ColumnType::Dynamic,
    };
    let (name, meaning) = (field.native.into(), field.meaning);
    vec![Column { name, kind, source: field.source(None), meaning }]
}

fn classic(field: &RecordField) -> Vec<Column> {
    let column = |path: &str, suffix, kind, part: Option<&ObjectPart>| Column {
        name: classic_name(path, suffix).into(),
        kind,
        source: field.source(part.map(|part| part.name)),
        meaning: part.map_or(field.meaning, |part| part.meaning),
    };
    let columns = |path: &str, value: ValueType, part: Option<&ObjectPart>| {
        let kind = match value {
            ValueType::Text | ValueType::Guid | ValueType::List | ValueType::Object(_) => ColumnType::String,
            ValueType::Whole => ColumnType::Real,
            ValueType::Boolean => ColumnType::Boolean,
            ValueType::Time => ColumnType::DateTime,
        };
        let guid = (value == ValueType::Guid).then_some(GUID_SUFFIX);
        let suffixes = guid.into_iter().chain([value.classic_suffix()]);
        suffixes.map(|suffix| column(path, suffix, kind, part)).collect::<Vec<_>>()
    };
    match field.kind {
        _ if field.name == TIME_GENERATED => native(field),
        ValueType::Object(parts) => parts
            .iter()
            .flat_map(|part| columns(&format!("{}_{}", field.name, part.name), part.kind, Some(part)))
            .collect(),
        kind => columns(field.name, kind, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ALERT_CREATION_TIME, ID, TITLE};

    #[test]
    fn a_member_is_found_under_its_name_in_each_shape() {
        for (member, native, classic) in [
            (TIME_GENERATED, "TimeGenerated", "TimeGenerated"),
            (ID, "AlertId", "id_s"),
            (TITLE, "AlertTitle", "title_s"),
            (ALERT_CREATION_TIME, "AlertCreationTime", "alertCreationTime_t"),
        ] {
            let names = [Shape::Union, Shape::Native, Shape::Classic].map(|shape| column_name(shape, member));
            assert_eq!(names, [member, native, classic]);
        }
    }
}
