//! The data collection rule: a stream of the Logs Ingestion API into the table.

use std::{collections::BTreeMap, fmt::Write};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Column, Shape, TIME_GENERATED, columns,
    conversion::{Conversion, Function, normalized},
    health,
    table::{self, DeclaredColumn, Table},
};

/// The API version that the documentation deploys rules with.
pub const API_VERSION: &str = "2023-03-11";

/// The workspace if none is named: an expression of a deployment template.
pub const TEMPLATE_WORKSPACE: &str =
    "[resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspaceName'))]";
/// The region if none is named: an expression of a deployment template.
pub const TEMPLATE_LOCATION: &str = "[resourceGroup().location]";

/// The input of a transformation.
const SOURCE: &str = "source";

/// Fills `TimeGenerated`, which only an alert without a creation time lacks, with functions that a transformation
/// supports.
const FILL_TIME: &str = "TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)";

const DESTINATION: &str = "workspace";

/// The workspace that a rule sends to.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    /// Its resource id.
    pub id: &'a str,
    /// Its region, which the rule must share.
    pub location: &'a str,
}

/// What a rule does with each column.
#[derive(Debug, Clone)]
pub struct Conversions(Vec<(&'static Column, Conversion)>);

impl Conversions {
    /// Leaves records as they are sent, for a table that has their own columns.
    pub fn none(columns: &'static [Column]) -> Self {
        Self(columns.iter().map(|column| (column, Conversion::none(column))).collect())
    }

    /// Converts records of `shape` to the columns of `table`. Columns that it lacks are assumed to be added with this
    /// program's own types; columns that cannot hold all values are left out
    /// ([`Difference::Narrow`](super::check::Difference::Narrow)).
    pub fn into_table(shape: Shape, table: &Table) -> Self {
        let conversion = |column: &'static Column| {
            let known = table.all_columns().find(|known| known.name == column.name);
            let conversion = match known {
                Some(known) => Conversion::into_table(column, &known.kind)?,
                None => Conversion::none(column),
            };
            Some((column, conversion))
        };
        Self(columns(shape).iter().filter_map(conversion).collect())
    }

    fn declaration(&self) -> Value {
        let column = |(column, conversion): &(&Column, Conversion)| json!({ "name": column.name, "type": conversion.declared.name() });
        json!({ "columns": self.0.iter().map(column).collect::<Vec<_>>() })
    }

    fn transform(&self) -> String {
        let mut text = format!("{SOURCE} | extend {FILL_TIME}");
        for (Column { name, .. }, conversion) in &self.0 {
            if let Some(function) = conversion.function {
                // Writing to a String cannot fail.
                let _ = write!(text, ", {name} = {}({name})", function.name());
            }
        }
        text
    }
}

/// Returns the rule as the management API accepts it. `kind` Direct gives it an endpoint of its own.
pub fn document(log_name: &str, stream: &str, conversions: &Conversions, workspace: Workspace<'_>) -> Value {
    json!({
        "type": "Microsoft.Insights/dataCollectionRules",
        "name": "mdatp-forward",
        "location": workspace.location,
        "kind": "Direct",
        "properties": {
            "description": "Microsoft Defender for Endpoint alerts with their machines, by mdatp-forward",
            "streamDeclarations": { stream: conversions.declaration() },
            "destinations": {
                "logAnalytics": [{ "workspaceResourceId": workspace.id, "name": DESTINATION }],
            },
            "dataFlows": [flow(stream, log_name, conversions)],
        },
    })
}

/// Adds the stream of the rows about runs to the `rule` of a log.
pub fn add_health(rule: &mut Value, log_name: &str) {
    let (name, properties) = (health::stream(log_name), &mut rule["properties"]);
    let conversions = Conversions::none(health::columns());
    properties["streamDeclarations"][&name] = conversions.declaration();
    if let Some(flows) = properties["dataFlows"].as_array_mut() {
        flows.push(flow(&name, &health::log_name(log_name), &conversions));
    }
}

/// Returns the data flow from a stream into the table of a log.
fn flow(stream: &str, log_name: &str, conversions: &Conversions) -> Value {
    json!({
        "streams": [stream],
        "destinations": [DESTINATION],
        "transformKql": conversions.transform(),
        "outputStream": table::stream(log_name),
    })
}

/// A deployed rule, as the API returns it within `properties` (`az rest --url ID`), or without, as an extension of the
/// Azure CLI prints it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The columns of each stream.
    pub stream_declarations: BTreeMap<String, Stream>,
    /// Which table each stream is sent to.
    #[serde(default)]
    pub data_flows: Vec<Flow>,
}

/// A stream that a [`Rule`] declares.
#[derive(Debug, Clone, Deserialize)]
pub struct Stream {
    /// Its columns.
    pub columns: Vec<DeclaredColumn>,
}

/// A data flow of a [`Rule`]: from streams into a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// The streams.
    #[serde(default)]
    pub streams: Vec<String>,
    /// The transformation of each record; `None`: records are not changed.
    #[serde(default)]
    pub transform_kql: Option<String>,
    /// `Custom-` and the table.
    #[serde(default)]
    pub output_stream: Option<String>,
}

impl Rule {
    /// Reads a rule's document.
    ///
    /// # Errors
    ///
    /// It is not a rule.
    pub fn from_json(mut document: Value) -> Result<Self, serde_json::Error> {
        if let Some(properties) = document.get_mut("properties") {
            document = properties.take();
        }
        serde_json::from_value(document)
    }

    /// Returns the flow that reads `stream`.
    pub fn flow(&self, stream: &str) -> Option<&Flow> {
        self.data_flows.iter().find(|flow| flow.streams.iter().any(|known| known == stream))
    }
}

impl Flow {
    /// Returns which columns the transformation converts by which function. Returns `None` unless it is one that this
    /// program prints: it may fill the time and convert columns, and leaves records unchanged otherwise.
    pub fn conversions(&self) -> Option<Vec<(&str, Function)>> {
        let mut steps = self.transform_kql.as_deref().unwrap_or(SOURCE).split('|').map(str::trim);
        if steps.next() != Some(SOURCE) {
            return None;
        }
        let mut found = Vec::new();
        for step in steps {
            for item in items(step.strip_prefix("extend")?.strip_prefix(char::is_whitespace)?) {
                if is_fill_time(item) {
                    continue;
                }
                let (name, call) = item.split_once('=')?;
                let (function, argument) = call.trim().strip_suffix(')')?.split_once('(')?;
                if name.trim() != argument.trim() {
                    return None;
                }
                found.push((name.trim(), Function::named(function.trim())?));
            }
        }
        Some(found)
    }

    /// Returns the columns that it outputs for those that a stream declares, with their types; `None` if that is not
    /// known.
    pub fn outputs<'a>(&'a self, declared: &'a [DeclaredColumn]) -> Option<Vec<(&'a str, String)>> {
        let conversions = self.conversions()?;
        let output = |column: &'a DeclaredColumn| {
            let function = conversions.iter().find(|(name, _)| *name == column.name);
            let kind = function.map_or_else(|| normalized(&column.kind), |(_, by)| by.output().to_owned());
            (column.name.as_str(), kind)
        };
        Some(declared.iter().map(output).collect())
    }
}

/// Splits at the commas outside of parentheses.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let between = move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(between).map(str::trim)
}

/// True for [`FILL_TIME`] with any whitespace.
fn is_fill_time(item: &str) -> bool {
    let letters = |text: &str| text.split_whitespace().collect::<String>();
    item.starts_with(TIME_GENERATED) && letters(item) == letters(FILL_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transformation_of_this_program_is_recognized() {
        let conversions = |kql: Option<&str>| {
            let flow = Flow { streams: vec![], transform_kql: kql.map(str::to_owned), output_stream: None };
            let found = flow.conversions();
            found.map(|found| {
                found.iter().map(|(name, by)| format!("{name} {}", by.name())).collect::<Vec<_>>()
            })
        };
        let fill = format!("source | extend {FILL_TIME}");
        for (kql, expected) in [
            (None, vec![]),
            (Some(" source\n"), vec![]),
            (Some(&*fill), vec![]),
            (Some(&*format!("{fill}, a_g = toguid(a_g)")), vec!["a_g toguid"]),
            (
                Some(&*format!("{fill}\n| extend a_g=toguid( a_g ), b = tostring(b)")),
                vec!["a_g toguid", "b tostring"],
            ),
            (Some("source | extend a_g = toguid(a_g)"), vec!["a_g toguid"]),
        ] {
            assert_eq!(conversions(kql).expect("ours"), expected, "{kql:?}");
        }
        for kql in [
            "",
            "source | where true",
            "source | extend a_g = toguid(b_g)",
            "source | extend a_g = toguid(tolower(a_g))",
            "source | extend a_g = a_g",
            "source | extend TimeGenerated = now()",
            "source | extenda_g = toguid(a_g)",
            "source | extend a_g = toguid(a_g) | project a_g",
            "source | project-away a_g",
        ] {
            assert_eq!(conversions(Some(kql)), None, "{kql}");
        }
    }
}
