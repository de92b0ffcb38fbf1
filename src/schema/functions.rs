//! The saved functions: one that reads a table in either shape under the native names, and one that returns the newest
//! row of each alert.

use super::{
    ALERT_CREATION_TIME, FIELDS, GUID_SUFFIX, ID, LAST_UPDATE_TIME, ObjectPart, RecordField, Shape,
    TIME_GENERATED, ValueType, classic_name, column_name, extras, table,
};

/// Returns both functions as text, each introduced by `// Function: NAME`. `also` names further tables that they read.
pub fn document(log_name: &str, also: &[String]) -> String {
    format!("{}\n{}", alerts(log_name, also), latest(log_name))
}

fn alerts(log_name: &str, also: &[String]) -> String {
    let table = table::name(log_name);
    let source = match also {
        [] => table,
        also => format!("union isfuzzy=true {table}, {}", also.join(", ")),
    };
    let columns: Vec<String> = FIELDS.iter().map(column).chain([extra_column()]).collect();
    format!(
        "// Function: {log_name}\n\
         // Alerts under the native names, from tables whose columns are native, classic, or both. Rows that a\n\
         // Logic App wrote with union(alert, machine) have the machine's id as AlertId: it overwrote the alert's.\n\
         {source}\n\
         | project\n    {}\n",
        columns.join(",\n    ")
    )
}

fn latest(log_name: &str) -> String {
    format!(
        "// Function: {log_name}Latest\n\
         // The newest row of each alert: without the repeats of a batch sent twice, and without older states.\n\
         // It reads all of the query's time range, so set one; a filter after it does not narrow what is read.\n\
         {log_name}\n{}",
        newest(&[native(ID)])
    )
}

/// Returns the steps that keep the newest of the rows that have the same values in the columns `by`.
pub(super) fn newest(by: &[&str]) -> String {
    let times = [LAST_UPDATE_TIME, ALERT_CREATION_TIME, TIME_GENERATED].map(native);
    format!(
        "| extend Newest = coalesce({})\n\
         | summarize arg_max(Newest, *) by {}\n\
         | project-away Newest\n",
        times.join(", "),
        by.join(", ")
    )
}

fn native(member: &'static str) -> &'static str {
    column_name(Shape::Native, member)
}

fn column(field: &RecordField) -> String {
    if field.name == TIME_GENERATED {
        return TIME_GENERATED.to_owned();
    }
    let value = match field.kind {
        ValueType::Object(parts) => {
            either(&exists(field.native, "dynamic(null)"), &packed(field.name, parts))
        }
        kind => either(&exists(field.native, null(kind)), &classic(field.name, kind)),
    };
    format!("{} = {value}", field.native)
}

/// The column for members without one of their own.
fn extra_column() -> String {
    let name = |shape| extras(shape).unwrap_or_default();
    let (native, classic) = (name(Shape::Native), name(Shape::Classic));
    let value = either(&exists(native, "dynamic(null)"), &json(&exists(classic, "\"\"")));
    format!("{native} = {value}")
}

/// The value of a classic column, in the type of the native one.
fn classic(path: &str, kind: ValueType) -> String {
    let named = |suffix, null| exists(&classic_name(path, suffix), null);
    let value = |null| named(kind.classic_suffix(), null);
    match kind {
        ValueType::Text => value("\"\""),
        // Old tables can have such a column as a guid.
        ValueType::Guid => either(&format!("tostring({})", named(GUID_SUFFIX, "\"\"")), &value("\"\"")),
        ValueType::Whole => format!("tolong({})", value("real(null)")),
        ValueType::Boolean => value("bool(null)"),
        ValueType::Time => value("datetime(null)"),
        ValueType::List | ValueType::Object(_) => json(&value("\"\"")),
    }
}

/// An object made again of the columns of its parts; null if all of them are empty.
fn packed(path: &str, parts: &[ObjectPart]) -> String {
    let parts: Vec<_> =
        parts.iter().map(|part| (part.name, classic(&format!("{path}_{}", part.name), part.kind))).collect();
    let values: Vec<_> = parts.iter().map(|(_, value)| value.as_str()).collect();
    let pairs: Vec<_> = parts.iter().map(|(name, value)| format!("\"{name}\", {value}")).collect();
    format!("iff(isempty(strcat({})), dynamic(null), bag_pack({}))", values.join(", "), pairs.join(", "))
}

fn exists(column: &str, otherwise: &str) -> String {
    format!("column_ifexists(\"{column}\", {otherwise})")
}

fn either(first: &str, second: &str) -> String {
    format!("coalesce({first}, {second})")
}

fn json(text: &str) -> String {
    format!("parse_json({text})")
}

fn null(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Text | ValueType::Guid => "\"\"",
        ValueType::Whole => "long(null)",
        ValueType::Boolean => "bool(null)",
        ValueType::Time => "datetime(null)",
        ValueType::List | ValueType::Object(_) => "dynamic(null)",
    }
}
