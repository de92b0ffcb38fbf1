//! The table: as the Tables API accepts it, and as `az` prints one.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Column;

/// Returns the body with which the Tables API (`PUT …/workspaces/{name}/tables/{table}`) creates the table of a log.
pub fn document(log_name: &str, columns: &[Column]) -> Value {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| {
            let description = format!("{}: {}", column.source, column.meaning);
            json!({ "name": column.name, "type": column.kind.name(), "description": description })
        })
        .collect();
    json!({
        "properties": {
            "plan": "Analytics",
            "schema": { "name": name(log_name), "columns": columns },
        },
    })
}

/// The table's name: the log's, with `_CL` at the end.
pub fn name(log_name: &str) -> String {
    format!("{log_name}_CL")
}

/// How the name of a stream into a custom table begins.
pub const STREAM_PREFIX: &str = "Custom-";

/// The default name of the stream of the Logs Ingestion API into the table.
pub fn stream(log_name: &str) -> String {
    format!("{STREAM_PREFIX}{}", name(log_name))
}

/// A column that a table or a data collection rule declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeclaredColumn {
    /// Its name.
    pub name: String,
    /// Its type, in any case.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An existing table, as `az monitor log-analytics workspace table show` prints it, or as the API returns it, within
/// `properties`.
#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    /// Its name and columns.
    pub schema: TableSchema,
    /// `Analytics`, `Basic` or `Auxiliary`.
    #[serde(default)]
    pub plan: Option<String>,
}

/// The schema of a [`Table`].
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSchema {
    /// The table's name.
    #[serde(default)]
    pub name: String,
    /// `Classic` for a table of the Data Collector API, `DataCollectionRuleBased` for a migrated one.
    #[serde(default)]
    pub table_sub_type: Option<String>,
    /// Its own columns.
    #[serde(default)]
    pub columns: Option<Vec<DeclaredColumn>>,
    /// The columns that every table has.
    #[serde(default)]
    pub standard_columns: Option<Vec<DeclaredColumn>>,
}

impl Table {
    /// Reads a table's document.
    ///
    /// # Errors
    ///
    /// It is not a table.
    pub fn from_json(mut document: Value) -> Result<Self, serde_json::Error> {
        if let Some(properties) = document.get_mut("properties") {
            document = properties.take();
        }
        serde_json::from_value(document)
    }

    /// Returns the name of its log.
    ///
    /// # Errors
    ///
    /// It is not the table of a custom log.
    pub fn log_name(&self) -> Result<&str, String> {
        let name = self.schema.name.strip_suffix("_CL").filter(|name| !name.is_empty());
        name.ok_or_else(|| "schema.name is not that of a custom log: it does not end in _CL".to_owned())
    }

    /// True for a table of the Data Collector API that has not been migrated: no rule can send to it, and its columns
    /// cannot be changed.
    pub fn is_classic(&self) -> bool {
        self.schema.table_sub_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("Classic"))
    }

    /// Its own columns.
    pub fn columns(&self) -> &[DeclaredColumn] {
        self.schema.columns.as_deref().unwrap_or_default()
    }

    /// All columns, including those that every table has.
    pub fn all_columns(&self) -> impl Iterator<Item = &DeclaredColumn> {
        self.columns().iter().chain(self.schema.standard_columns.as_deref().unwrap_or_default())
    }
}
