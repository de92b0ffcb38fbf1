//! How the alerts of Defender's own API and of Microsoft Graph differ. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value};

use super::finding::Finding;
use crate::{
    config::AlertSource,
    record::{alert::Alert, timestamp},
};

/// The name of the check.
pub const CHECK: &str = "sources";

/// The most ids of each kind in a summary.
const MOST_IDS: usize = 5;

/// The alerts of both sources, compared by id.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    both: usize,
    only_defender: Vec<String>,
    only_graph: Vec<String>,
    /// The members that differ, each with the ids of the alerts in which it does.
    differing: BTreeMap<String, Vec<String>>,
}

impl Comparison {
    /// Compares the alerts of one time.
    pub fn of(defender: &[Alert], graph: &[Alert]) -> Self {
        let by_id = |alerts: &'_ [Alert]| -> BTreeMap<String, Map<String, Value>> {
            let members = |alert: &Alert| serde_json::from_str(&alert.text).unwrap_or_default();
            alerts.iter().map(|alert| (alert.id.clone(), members(alert))).collect()
        };
        let (defender, graph) = (by_id(defender), by_id(graph));
        let mut comparison = Self::default();
        for (id, members) in &defender {
            let Some(others) = graph.get(id) else {
                comparison.only_defender.push(id.clone());
                continue;
            };
            comparison.both += 1;
            for name in members.keys().collect::<BTreeSet<_>>() {
                let other = others.get(name).unwrap_or(&Value::Null);
                if !is_same(&members[name], other) {
                    comparison.differing.entry(name.clone()).or_default().push(id.clone());
                }
            }
        }
        let missing = graph.into_keys().filter(|id| !defender.contains_key(id));
        comparison.only_graph = missing.collect();
        comparison
    }

    /// Returns a finding for each difference.
    pub fn details(&self) -> Vec<Finding> {
        let only = |ids: &[String], service: &str| -> Vec<Finding> {
            ids.iter().map(|id| Finding::ok(CHECK, format!("{id}: only {service} has it"))).collect()
        };
        let mut findings = only(&self.only_defender, "Defender's own API");
        findings.extend(only(&self.only_graph, "Microsoft Graph"));
        for (name, ids) in &self.differing {
            findings.extend(ids.iter().map(|id| Finding::ok(CHECK, format!("{id}: {name} differs"))));
        }
        findings
    }

    /// Returns the finding about the alerts of the last `span`: it needs attention if the source in use lacks alerts.
    pub fn finding(&self, in_use: AlertSource, span: Duration) -> Finding {
        let members: Vec<_> = self
            .differing
            .iter()
            .map(|(name, ids)| format!("{name} ({}, as in {})", ids.len(), ids.first().map_or("", |id| id)))
            .collect();
        let members = if members.is_empty() { "none".to_owned() } else { members.join(", ") };
        let message = format!(
            "of the alerts of {}, {} are in both sources, {} only in Defender's own API{}, {} only in Microsoft \
             Graph{}; members that differ: {members}",
            humantime::format_duration(span),
            self.both,
            self.only_defender.len(),
            some(&self.only_defender),
            self.only_graph.len(),
            some(&self.only_graph),
        );
        let (lacking, other) = match in_use {
            AlertSource::Defender => (&self.only_graph, "graph"),
            AlertSource::Graph => (&self.only_defender, "defender"),
        };
        match lacking.is_empty() {
            true => Finding::ok(CHECK, message),
            false => Finding::warning(
                CHECK,
                message,
                format!(
                    "look at these alerts in the Defender portal; if they matter, MDATP_SOURCE={other} has them (docs/sources.md)"
                ),
            ),
        }
    }
}

fn some(ids: &[String]) -> String {
    let shown = ids.iter().take(MOST_IDS).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if ids.len() > MOST_IDS { ", …" } else { "" };
    if ids.is_empty() { String::new() } else { format!(" ({shown}{more})") }
}

/// True if Graph's value has all that Defender's has, and has something only if that has. Nulls and empty lists are
/// nothing.
fn is_same(defender: &Value, graph: &Value) -> bool {
    is_nothing(defender) == is_nothing(graph) && has_all_of(defender, graph)
}

fn has_all_of(defender: &Value, graph: &Value) -> bool {
    match (defender, graph) {
        (defender, _) if is_nothing(defender) => true,
        (Value::Object(members), Value::Object(others)) => {
            members.iter().all(|(name, value)| has_all_of(value, others.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(elements), Value::Array(others)) => {
            elements.len() == others.len()
                && elements.iter().zip(others).all(|(element, other)| has_all_of(element, other))
        }
        (Value::String(text), Value::String(other)) => {
            // A time may be written with more digits.
            text == other || timestamp::parse(text).is_some_and(|time| timestamp::parse(other) == Some(time))
        }
        (value, other) => value == other,
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    const DAY: Duration = Duration::from_secs(86_400);

    fn alerts(texts: &[&str]) -> Vec<Alert> {
        texts.iter().map(|text| Alert::parse((*text).to_owned().into()).expect(text)).collect()
    }

    #[test]
    fn alerts_are_compared_by_id_and_what_only_graph_says_is_no_difference() {
        let defender = alerts(&[
            r#"{"id":"a","status":"New","title":"x","lastUpdateTime":"2026-11-20T09:14:28.3Z","domains":[],"resolvedTime":null}"#,
            r#"{"id":"b","status":"New","investigationId":7,"evidence":[{"sha1":"1","url":null}]}"#,
            r#"{"id":"c"}"#,
        ]);
        let graph = alerts(&[
            r#"{"id":"a","status":"Resolved","title":"x","lastUpdateTime":"2026-11-20T09:14:28.3000000Z","serviceSource":"s"}"#,
            r#"{"id":"b","status":"New","evidence":[{"sha1":"1","verdict":"x"}],"relatedUser":{}}"#,
            r#"{"id":"d"}"#,
        ]);
        let comparison = Comparison::of(&defender, &graph);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let differing = [("investigationId", ids(&["b"])), ("status", ids(&["a"]))];
        assert_eq!(
            comparison,
            Comparison {
                both: 2,
                only_defender: ids(&["c"]),
                only_graph: ids(&["d"]),
                differing: differing.map(|(name, ids)| (name.to_owned(), ids)).into(),
            }
        );
        let finding = comparison.finding(AlertSource::Defender, DAY);
        assert_eq!(
            (finding.result, finding.message.as_str()),
            (
                CheckResult::Warning,
                "of the alerts of 1day, 2 are in both sources, 1 only in Defender's own API (c), 1 only in Microsoft \
                 Graph (d); members that differ: investigationId (1, as in b), status (1, as in a)"
            )
        );
        assert!(finding.fix.is_some_and(|fix| fix.contains("MDATP_SOURCE=graph")));
        let details: Vec<_> = comparison.details().into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            details,
            [
                "c: only Defender's own API has it",
                "d: only Microsoft Graph has it",
                "b: investigationId differs",
                "a: status differs",
            ]
        );
    }

    #[test]
    fn a_source_in_use_that_lacks_nothing_needs_no_attention() {
        let comparison =
            Comparison::of(&alerts(&[r#"{"id":"a"}"#, r#"{"id":"b"}"#]), &alerts(&[r#"{"id":"a"}"#]));
        assert_eq!(comparison.finding(AlertSource::Defender, DAY).result, CheckResult::Ok);
        assert_eq!(comparison.finding(AlertSource::Graph, DAY).result, CheckResult::Warning);
    }
}
