//! The data collection rule: a stream of the Logs Ingestion API into the table.

use std::{collections::BTreeMap, fmt::Write};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Column, Shape, TIME_GENERATED, columns,
    conversion::{Conversion, Function, normalized},
    health,
    table::{self, Declared, Table},
};

/// The API version that the documentation deploys rules with.
pub const API_VERSION: &str = "2023-03-11";

/// What stands for the workspace and its region where none is named: expressions of a deployment template.
pub const TEMPLATE_WORKSPACE: &str =
    "[resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspaceName'))]";
/// See [`TEMPLATE_WORKSPACE`].
pub const TEMPLATE_LOCATION: &str = "[resourceGroup().location]";

/// What a transformation reads.
const SOURCE: &str = "source";

/// Only an alert without a creation time has no `TimeGenerated`. The functions are among the few that a
/// transformation may use.
const FILL_TIME: &str = "TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)";

const DESTINATION: &str = "workspace";

/// Where a rule is to be.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    /// The resource id of the workspace.
    pub id: &'a str,
    /// The workspace's region, which must be the rule's too.
    pub location: &'a str,
}

/// What a rule does with each column.
#[derive(Debug, Clone)]
pub struct Conversions(Vec<(&'static Column, Conversion)>);

impl Conversions {
    /// Records go on as they are sent, into a table of their own columns.
    pub fn none(columns: &'static [Column]) -> Self {
        Self(columns.iter().map(|column| (column, Conversion::none(column))).collect())
    }

    /// The ways of what is sent in `shape` into the columns of `table`. Those it lacks are taken to be added with the
    /// types that are this program's own; those that cannot hold all values have no way
    /// ([`Difference::Narrow`](super::check::Difference::Narrow)).
    pub fn into_table(shape: Shape, table: &Table) -> Self {
        let way = |column: &'static Column| {
            let known = table.all_columns().find(|known| known.name == column.name);
            let conversion = match known {
                Some(known) => Conversion::into_table(column, &known.kind)?,
                None => Conversion::none(column),
            };
            Some((column, conversion))
        };
        Self(columns(shape).iter().filter_map(way).collect())
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

/// The whole resource, as the management API takes it. `kind` Direct gives it an endpoint of its own.
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

/// Adds the way of the rows about runs to the `rule` of a log.
pub fn add_health(rule: &mut Value, log_name: &str) {
    let (name, own) = (health::stream(log_name), &mut rule["properties"]);
    let conversions = Conversions::none(health::columns());
    own["streamDeclarations"][&name] = conversions.declaration();
    if let Some(flows) = own["dataFlows"].as_array_mut() {
        flows.push(flow(&name, &health::log_name(log_name), &conversions));
    }
}

/// From a stream into the table of a log.
fn flow(stream: &str, log_name: &str, conversions: &Conversions) -> Value {
    json!({
        "streams": [stream],
        "destinations": [DESTINATION],
        "transformKql": conversions.transform(),
        "outputStream": table::stream(log_name),
    })
}

/// A rule as the API has it, with `properties` around (`az rest --url ID`), or without, as an extension of the Azure CLI
/// prints it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The columns of each stream.
    pub stream_declarations: BTreeMap<String, Stream>,
    /// Where the streams go.
    #[serde(default)]
    pub data_flows: Vec<Flow>,
}

/// A stream that a [`Rule`] declares.
#[derive(Debug, Clone, Deserialize)]
pub struct Stream {
    /// Its columns.
    pub columns: Vec<Declared>,
}

/// The way of streams into a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// The streams.
    #[serde(default)]
    pub streams: Vec<String>,
    /// What is done to each record; nothing, when it is not said.
    #[serde(default)]
    pub transform_kql: Option<String>,
    /// `Custom-` and the table.
    #[serde(default)]
    pub output_stream: Option<String>,
}

impl Rule {
    /// Reads a rule's document.
    pub fn from_json(mut document: Value) -> Result<Self, serde_json::Error> {
        if let Some(properties) = document.get_mut("properties") {
            document = properties.take();
        }
        serde_json::from_value(document)
    }

    /// The flow that takes `stream`.
    pub fn flow(&self, stream: &str) -> Option<&Flow> {
        self.data_flows.iter().find(|flow| flow.streams.iter().any(|known| known == stream))
    }
}

impl Flow {
    /// What the transformation makes of which columns, if it is one that this program prints: it hands records on as
    /// they are, may give them a time, and may convert columns. None for any other.
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

    /// The columns that it puts out of those a stream declares, with their types, where that is known.
    pub fn outputs<'a>(&'a self, declared: &'a [Declared]) -> Option<Vec<(&'a str, String)>> {
        let conversions = self.conversions()?;
        let output = |column: &'a Declared| {
            let function = conversions.iter().find(|(name, _)| *name == column.name);
            let kind = function.map_or_else(|| normalized(&column.kind), |(_, by)| by.output().to_owned());
            (column.name.as_str(), kind)
        };
        Some(declared.iter().map(output).collect())
    }
}

/// The parts between the commas that are in no parentheses.
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

/// However it is spaced.
fn is_fill_time(item: &str) -> bool {
    let letters = |text: &str| text.split_whitespace().collect::<String>();
    item.starts_with(TIME_GENERATED) && letters(item) == letters(FILL_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transformation_of_this_program_is_known_again_and_no_other() {
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
