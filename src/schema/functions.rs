//! The saved functions: one that reads a table in either shape under the native names, and one with the
//! newest row of each alert.

use super::{FIELDS, Field, Kind, Part, Shape, TIME_GENERATED, classic_name, extras, table};

/// Both functions as text, each begun by `// Function: NAME`. `also` names further tables to read with.
pub fn document(log_name: &str, also: &[String]) -> String {
    format!("{}\n{}", alerts(log_name, also), latest(log_name))
}

fn alerts(log_name: &str, also: &[String]) -> String {
    let table = table::name(log_name);
    let source = match also {
        [] => table,
        also => format!("union isfuzzy=true {table}, {}", also.join(", ")),
    };
    let columns: Vec<String> = FIELDS.iter().map(column).chain([rest()]).collect();
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
        newest(&["AlertId"])
    )
}

/// What leaves the newest of the rows that agree in the columns `by`.
pub(super) fn newest(by: &[&str]) -> String {
    format!(
        "| extend Newest = coalesce(LastUpdateTime, AlertCreationTime, TimeGenerated)\n\
         | summarize arg_max(Newest, *) by {}\n\
         | project-away Newest\n",
        by.join(", ")
    )
}

fn column(field: &Field) -> String {
    if field.name == TIME_GENERATED {
        return TIME_GENERATED.to_owned();
    }
    let value = match field.kind {
        Kind::Object(parts) => either(&exists(field.native, "dynamic(null)"), &packed(field.name, parts)),
        kind => either(&exists(field.native, null(kind)), &classic(field.name, kind)),
    };
    format!("{} = {value}", field.native)
}

/// The column for all the rest.
fn rest() -> String {
    let name = |shape| extras(shape).unwrap_or_default();
    let (native, classic) = (name(Shape::Native), name(Shape::Classic));
    let value = either(&exists(native, "dynamic(null)"), &json(&exists(classic, "\"\"")));
    format!("{native} = {value}")
}

/// The value of a classic column, as the type of its native one.
fn classic(path: &str, kind: Kind) -> String {
    let named = |suffix, null| exists(&classic_name(path, suffix), null);
    match kind {
        Kind::Text => named("s", "\"\""),
        // Old tables can have such a column as a guid.
        Kind::Guid => either(&format!("tostring({})", named("g", "\"\"")), &named("s", "\"\"")),
        Kind::Whole => format!("tolong({})", named("d", "real(null)")),
        Kind::Boolean => named("b", "bool(null)"),
        Kind::Time => named("t", "datetime(null)"),
        Kind::List | Kind::Object(_) => json(&named("s", "\"\"")),
    }
}

/// An object put together again from the columns of its parts; null when all of them are empty.
fn packed(path: &str, parts: &[Part]) -> String {
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

fn null(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Guid => "\"\"",
        Kind::Whole => "long(null)",
        Kind::Boolean => "bool(null)",
        Kind::Time => "datetime(null)",
        Kind::List | Kind::Object(_) => "dynamic(null)",
    }
}
