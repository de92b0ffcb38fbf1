//! A data collection rule as it is deployed: its document, refused as Azure refuses it, and the streams it
//! makes. A rule drops what it does not declare and nulls what does not fit, without a word to the sender; so
//! a forwarder and a rule that disagree show nowhere but in the table. Here they show.
//!
//! The checks are those of the documentation pages "Structure of a data collection rule" and "Logs Ingestion
//! API in Azure Monitor". The table is taken to be what the flow puts out: a table of its own, whose types
//! could differ, is not known here.

mod column;
mod lost_value;
mod stream;
mod transform;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use self::column::{Columns, Declared, is_name};
pub use self::lost_value::{LostValue, Why};
pub(crate) use self::stream::Stream;
use self::transform::Transform;

/// The parts of the document that decide over data; whatever else it has is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    stream_declarations: BTreeMap<String, Declaration>,
    data_flows: Vec<Flow>,
    destinations: Destinations,
}

#[derive(Deserialize)]
struct Declaration {
    columns: Vec<Declared>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flow {
    streams: Vec<String>,
    destinations: Vec<String>,
    transform_kql: Option<String>,
    output_stream: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destinations {
    log_analytics: Vec<Workspace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    name: String,
    workspace_resource_id: String,
}

/// The streams of a rule's document, which is a resource as a template has it, or as the command line prints
/// it: without `properties` around its parts.
pub(crate) fn streams(document: &str) -> Result<BTreeMap<String, Stream>, String> {
    let content = |error| format!("InvalidRequestContent: the request content could not be read: {error}");
    let mut resource: Value = serde_json::from_str(document).map_err(content)?;
    if resource["kind"] != "Direct" {
        let kind = &resource["kind"];
        return Err(invalid("kind", &format!("only a rule of kind 'Direct' has an endpoint, not {kind}")));
    }
    let parts = match resource["properties"].is_null() {
        true => resource,
        false => resource["properties"].take(),
    };
    let rule: Rule = serde_json::from_value(parts).map_err(content)?;
    rule.check_destinations()?;
    rule.check_flows()?;
    rule.streams()
}

impl Rule {
    fn check_destinations(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for (Workspace { name, workspace_resource_id: id }, at) in
            self.destinations.log_analytics.iter().zip(0..)
        {
            let target = format!("destinations.logAnalytics[{at}]");
            // A template has an expression in brackets here, and the id once it is deployed.
            if !id.starts_with("/subscriptions/") && !id.starts_with('[') {
                return Err(format!(
                    "LinkedInvalidPropertyId: Property id '{id}' at path \
                     'properties.{target}.workspaceResourceId' is invalid. Expect fully qualified resource Id \
                     that start with '/subscriptions/{{subscriptionId}}'"
                ));
            }
            if !names.insert(name) {
                return Err(invalid(&target, &format!("the destination '{name}' is there twice")));
            }
        }
        Ok(())
    }

    fn check_flows(&self) -> Result<(), String> {
        for (flow, at) in self.data_flows.iter().zip(0..) {
            let refuse = |message: &str| Err(invalid(&format!("dataFlows[{at}]"), message));
            let is_declared = |stream: &&String| self.stream_declarations.contains_key(*stream);
            if let Some(stream) = flow.streams.iter().find(|stream| !is_declared(stream)) {
                return refuse(&format!("the stream '{stream}' is not declared"));
            }
            let [destination] = &flow.destinations[..] else {
                return refuse("a stream goes to one workspace");
            };
            if !self.destinations.log_analytics.iter().any(|workspace| workspace.name == *destination) {
                return refuse(&format!("the destination '{destination}' is not declared"));
            }
            let output = flow.output_stream.as_deref().unwrap_or_default();
            let table = output.strip_prefix("Custom-").and_then(|table| table.strip_suffix("_CL"));
            if !table.is_some_and(is_name) {
                return refuse(&format!("the output stream '{output}' is not 'Custom-<table>_CL'"));
            }
        }
        Ok(())
    }

    fn streams(&self) -> Result<BTreeMap<String, Stream>, String> {
        let stream = |(name, declaration): (&String, &Declaration)| {
            let target = format!("streamDeclarations['{name}']");
            if name.strip_prefix("Custom-").is_none_or(str::is_empty) {
                return Err(invalid(&target, "the name of a stream begins with 'Custom-'"));
            }
            let columns =
                Columns::checked(&declaration.columns).map_err(|problem| invalid(&target, &problem))?;
            let flows: Vec<_> = self.data_flows.iter().filter(|flow| flow.streams.contains(name)).collect();
            let transform = match flows[..] {
                [flow] => Transform::parse(flow.transform_kql.as_deref())?,
                [] => return Err(invalid(&target, "no data flow takes this stream")),
                _ => return Err(invalid(&target, "the simulator knows one data flow a stream")),
            };
            columns.check_output()?;
            Ok((name.clone(), Stream::new(columns, transform)))
        };
        if self.stream_declarations.is_empty() {
            return Err(invalid("streamDeclarations", "no stream is declared"));
        }
        self.stream_declarations.iter().map(stream).collect()
    }
}

fn invalid(target: &str, message: &str) -> String {
    format!("InvalidPayload: Data collection rule is invalid: {message} (properties.{target})")
}

#[cfg(test)]
mod tests;
