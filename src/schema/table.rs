//! The table: as the Tables API takes it, and as `az` shows one.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Column;

/// The body with which the Tables API (`PUT …/workspaces/{name}/tables/{table}`) makes the table of a log.
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

/// The table's name, to which the service appends `_CL`.
pub fn name(log_name: &str) -> String {
    format!("{log_name}_CL")
}

/// The default name of the stream of the Logs Ingestion API into the table.
pub fn stream(log_name: &str) -> String {
    format!("Custom-{}", name(log_name))
}

/// A column that a table or a data collection rule declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its type, in whatever case.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A table as `az monitor log-analytics workspace table show` prints it, or as the API does, with
/// `properties` around.
#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    /// What is in it.
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
    pub columns: Option<Vec<Declared>>,
    /// Those that every table has.
    #[serde(default)]
    pub standard_columns: Option<Vec<Declared>>,
}

impl Table {
    /// Reads a table's document.
    pub fn from_json(mut document: Value) -> Result<Self, serde_json::Error> {
        if let Some(properties) = document.get_mut("properties") {
            document = properties.take();
        }
        serde_json::from_value(document)
    }

    /// The name of its log.
    ///
    /// # Errors
    ///
    /// The table is not that of a custom log.
    pub fn log_name(&self) -> Result<&str, String> {
        let name = self.schema.name.strip_suffix("_CL").filter(|name| !name.is_empty());
        name.ok_or_else(|| "schema.name is not that of a custom log, which ends in _CL".to_owned())
    }

    /// True for a table of the Data Collector API that is not migrated: no rule can send to it, and its columns cannot
    /// be changed.
    pub fn is_classic(&self) -> bool {
        self.schema.table_sub_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("Classic"))
    }

    /// Its own columns.
    pub fn columns(&self) -> &[Declared] {
        self.schema.columns.as_deref().unwrap_or_default()
    }

    /// All columns, those of every table too.
    pub fn all_columns(&self) -> impl Iterator<Item = &Declared> {
        self.columns().iter().chain(self.schema.standard_columns.as_deref().unwrap_or_default())
    }
}
