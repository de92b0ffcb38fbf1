//! A data collection rule as it is deployed: its document, which is checked as Azure checks it, and its streams. A rule
//! drops columns that it does not declare and nulls values of another type, without an error to the sender, so that a
//! disagreement between forwarder and rule shows only in the table. The simulator reports it.
//!
//! The checks are those of the documentation pages "Structure of a data collection rule" and "Logs Ingestion API in
//! Azure Monitor". Where a table was made ([`Cloud::create_table`](crate::Cloud::create_table)), the types of what a
//! flow returns must be its own, as the service demands (`InvalidTransformOutput` in Azure/Azure-Sentinel#12384), and
//! it drops what it has no column for (Azure/Azure-Sentinel#15084). Any other is taken to be what the flow returns.

mod column;
mod lost_value;
mod stream;
mod table;
mod transform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use self::column::{Columns, Declared, TIME, Type, is_name};
pub use self::lost_value::{LostValue, Why};
pub(crate) use self::stream::Stream;
pub(crate) use self::table::Table;
use self::transform::Transform;

/// The tables of the workspace, by name.
pub(crate) type Tables = BTreeMap<String, Arc<Table>>;

/// The parts of the document that affect data; the others are not read.
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
pub(crate) fn streams(document: &str, tables: &Tables) -> Result<BTreeMap<String, Stream>, String> {
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
    rule.streams(tables)
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
            let reject = |message: &str| Err(invalid(&format!("dataFlows[{at}]"), message));
            let is_declared = |stream: &&String| self.stream_declarations.contains_key(*stream);
            if let Some(stream) = flow.streams.iter().find(|stream| !is_declared(stream)) {
                return reject(&format!("the stream '{stream}' is not declared"));
            }
            let [destination] = &flow.destinations[..] else {
                return reject("a stream goes to one workspace");
            };
            if !self.destinations.log_analytics.iter().any(|workspace| workspace.name == *destination) {
                return reject(&format!("the destination '{destination}' is not declared"));
            }
            let output = flow.output_stream.as_deref().unwrap_or_default();
            let table = output.strip_prefix("Custom-").and_then(|table| table.strip_suffix("_CL"));
            if !table.is_some_and(is_name) {
                return reject(&format!("the output stream '{output}' is not 'Custom-<table>_CL'"));
            }
        }
        Ok(())
    }

    fn streams(&self, tables: &Tables) -> Result<BTreeMap<String, Stream>, String> {
        let stream = |(name, declaration): (&String, &Declaration)| {
            let target = format!("streamDeclarations['{name}']");
            if name.strip_prefix("Custom-").is_none_or(str::is_empty) {
                return Err(invalid(&target, "the name of a stream begins with 'Custom-'"));
            }
            let columns =
                Columns::checked(&declaration.columns).map_err(|problem| invalid(&target, &problem))?;
            let flows: Vec<_> = self.data_flows.iter().filter(|flow| flow.streams.contains(name)).collect();
            let (transform, table) = match flows[..] {
                [flow] => {
                    let output = flow.output_stream.as_deref().and_then(|name| name.strip_prefix("Custom-"));
                    let table = output.and_then(|name| tables.get_key_value(name));
                    (Transform::parse(flow.transform_kql.as_deref())?, table)
                }
                [] => return Err(invalid(&target, "no data flow takes this stream")),
                _ => return Err(invalid(&target, "the simulator knows one data flow a stream")),
            };
            if let Some(rejection) = table.and_then(|(name, table)| table.rejection(name)) {
                return Err(rejection);
            }
            let table = table.map(|(_, table)| Arc::clone(table));
            check_output(&columns, &transform, table.as_deref())?;
            Ok((name.clone(), Stream::new(columns, transform, table)))
        };
        if self.stream_declarations.is_empty() {
            return Err(invalid("streamDeclarations", "no stream is declared"));
        }
        self.stream_declarations.iter().map(stream).collect()
    }
}

/// Checks that the table can take the output of a transformation: the service compares the types, and names every
/// column that differs.
fn check_output(columns: &Columns, transform: &Transform, table: Option<&Table>) -> Result<(), String> {
    if let Some(unknown) = transform.columns().find(|name| columns.get(name).is_none()) {
        return Err(format!("InvalidTransformQuery: the query has no column '{unknown}'"));
    }
    if columns.get(TIME).is_none() {
        return Err(format!("InvalidTransformOutput: the transform output has no column '{TIME}'"));
    }
    let mismatch = |(name, declared): (&str, Type)| {
        let produced = transform.output(name, declared);
        let own = table.map_or((name == TIME).then_some(Type::DateTime), |table| table.get(name));
        own.filter(|own| *own != produced)
            .map(|own| format!("{name} [produced:'{produced:?}', output:'{own:?}']"))
    };
    let mismatches: Vec<_> = columns.iter().filter_map(mismatch).collect();
    match mismatches[..] {
        [] => Ok(()),
        _ => Err(format!(
            "InvalidTransformOutput: Types of transform output columns do not match the ones defined by the output \
             stream: {}",
            mismatches.join(", ")
        )),
    }
}

fn invalid(target: &str, message: &str) -> String {
    format!("InvalidPayload: Data collection rule is invalid: {message} (properties.{target})")
}

#[cfg(test)]
mod tests;
