//! A table of the workspace, as far as a rule depends on it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::column::Type;

/// The columns of a table, its own and those that every table has.
#[derive(Debug)]
pub(crate) struct Table {
    columns: BTreeMap<String, Type>,
    /// Made by the Data Collector API and not migrated.
    is_classic: bool,
}

impl Table {
    /// A table's name and columns, from its document as the Tables API or `az … table show` has it.
    pub fn parse(document: &str) -> Result<(String, Self), String> {
        let document: Value = serde_json::from_str(document).map_err(|error| format!("no JSON: {error}"))?;
        let properties = if document["properties"].is_null() { &document } else { &document["properties"] };
        let schema = &properties["schema"];
        let name = schema["name"].as_str().ok_or("schema.name is missing")?.to_owned();
        let mut columns = BTreeMap::from([("TimeGenerated".to_owned(), Type::DateTime)]);
        let lists = [&schema["columns"], &schema["standardColumns"]];
        for column in lists.into_iter().filter_map(Value::as_array).flatten() {
            let text = |member: &str| column[member].as_str().ok_or(format!("a column without {member}"));
            let (column, kind) = (text("name")?, text("type")?);
            let kind = Type::of_table(kind).ok_or(format!("the column '{column}' has the type '{kind}'"))?;
            columns.insert(column.to_owned(), kind);
        }
        Ok((name, Self { columns, is_classic: schema["tableSubType"] == "Classic" }))
    }

    pub(super) fn get(&self, name: &str) -> Option<Type> {
        self.columns.get(name).copied()
    }

    /// Why no rule may send to it (documentation page "Migrate from the HTTP Data Collector API to the Log Ingestion
    /// API": a table is migrated before a rule can send to it; code and message as in Azure/Azure-Sentinel#10510).
    pub fn rejection(&self, name: &str) -> Option<String> {
        self.is_classic.then(|| {
            format!(
                "InvalidOutputTable: Table for output stream 'Custom-{name}' is not available for destination"
            )
        })
    }
}
