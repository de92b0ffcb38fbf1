//! The data collection rule: a stream of the Logs Ingestion API into the table.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Column, Shape, columns, health,
    table::{self, Declared},
};

/// The API version that the documentation deploys rules with.
pub const API_VERSION: &str = "2023-03-11";

/// What stands for the workspace and its region where none is named: expressions of a deployment template.
pub const TEMPLATE_WORKSPACE: &str =
    "[resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspaceName'))]";
/// See [`TEMPLATE_WORKSPACE`].
pub const TEMPLATE_LOCATION: &str = "[resourceGroup().location]";

/// Records come in the table's own columns. Only an alert without a creation time has no `TimeGenerated`. The
/// functions are among the few that a transformation may use.
const TRANSFORM: &str = "source | extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)";

const DESTINATION: &str = "workspace";

/// Where a rule is to be.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The resource id of the workspace.
    pub workspace: &'a str,
    /// The workspace's region, which must be the rule's too.
    pub location: &'a str,
}

/// The whole resource, as the management API takes it. `kind` Direct gives it an endpoint of its own.
pub fn document(log_name: &str, stream: &str, shape: Shape, place: Place<'_>) -> Value {
    json!({
        "type": "Microsoft.Insights/dataCollectionRules",
        "name": "mdatp-forward",
        "location": place.location,
        "kind": "Direct",
        "properties": {
            "description": "Microsoft Defender for Endpoint alerts with their machines, by mdatp-forward",
            "streamDeclarations": { stream: declaration(columns(shape)) },
            "destinations": {
                "logAnalytics": [{ "workspaceResourceId": place.workspace, "name": DESTINATION }],
            },
            "dataFlows": [flow(stream, log_name)],
        },
    })
}

/// Adds the way of the rows about runs to the `rule` of a log.
pub fn add_health(rule: &mut Value, log_name: &str) {
    let (name, own) = (health::stream(log_name), &mut rule["properties"]);
    own["streamDeclarations"][&name] = declaration(health::columns());
    if let Some(flows) = own["dataFlows"].as_array_mut() {
        flows.push(flow(&name, &health::log_name(log_name)));
    }
}

fn declaration(columns: &[Column]) -> Value {
    let column = |column: &Column| json!({ "name": column.name, "type": column.kind.name() });
    json!({ "columns": columns.iter().map(column).collect::<Vec<_>>() })
}

/// From a stream into the table of a log.
fn flow(stream: &str, log_name: &str) -> Value {
    json!({
        "streams": [stream],
        "destinations": [DESTINATION],
        "transformKql": TRANSFORM,
        "outputStream": self::stream(log_name),
    })
}

/// The default name of the stream.
pub fn stream(log_name: &str) -> String {
    format!("Custom-{}", table::name(log_name))
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

    /// True when the flow hands on records as they are, or only gives them a time.
    pub fn is_plain(flow: &Flow) -> bool {
        let text = flow.transform_kql.as_deref().unwrap_or("source");
        [TRANSFORM, "source"].contains(&text.trim())
    }
}
