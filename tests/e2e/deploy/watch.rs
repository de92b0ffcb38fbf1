//! The workbook, the analytics rules and the alert rules: their queries are right in every workspace, and what is
//! built on a query's columns finds them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{
    deployment::{check_versions, file},
    template::{Resource, Template},
    way::{ENDPOINT, EXISTING, RULE_ID, Way, deployed},
};
use crate::queries::{
    parser::{Checked, QueryText},
    workspace::Workspace,
    workspaces,
};

/// Where a Function App's log lines are, seen from the workspace and from Application Insights, what befell the
/// workspace, and what a rule dropped; the columns that matter here.
const APP_TRACES: [(&str, &str); 5] = [
    ("TimeGenerated", "datetime"),
    ("Message", "string"),
    ("SeverityLevel", "int"),
    ("AppRoleName", "string"),
    ("Properties", "dynamic"),
];
const TRACES: [(&str, &str); 4] = [
    ("timestamp", "datetime"),
    ("message", "string"),
    ("severityLevel", "int"),
    ("cloud_RoleName", "string"),
];
const LOG_OPERATION: [(&str, &str); 5] = [
    ("TimeGenerated", "datetime"),
    ("Category", "string"),
    ("Operation", "string"),
    ("Level", "string"),
    ("Detail", "string"),
];
const DCR_LOG_ERRORS: [(&str, &str); 5] = [
    ("TimeGenerated", "datetime"),
    ("ClientRequestId", "string"),
    ("OperationName", "string"),
    ("InputStreamId", "string"),
    ("Message", "string"),
];

/// The names in the line that a run ends with.
const KEYS: [&str; 16] = [
    "result",
    "tenant",
    "read",
    "sent",
    "before",
    "set_aside",
    "misfit",
    "machines",
    "machines_missing",
    "requests",
    "bytes",
    "ms",
    "lag_s",
    "from",
    "to",
    "error",
];

/// A Sentinel rule: its file and what it says.
struct Rule {
    file: String,
    name: String,
    properties: Value,
}

fn rules() -> Vec<Rule> {
    let mut files: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rules"))
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|name| {
            let (file, document) =
                (format!("deploy/rules/{name}"), document(&format!("deploy/rules/{name}")));
            let resource = resource(&document, &file);
            Rule { file, name: resource.name().to_owned(), properties: resource.properties().clone() }
        })
        .collect()
}

fn document(name: &str) -> Value {
    serde_json::from_str(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The one resource of a template for a workspace, its id the one that its name makes.
fn resource(document: &Value, name: &str) -> Resource {
    let given = [("workspace", Value::from("sentinel"))];
    let existing = [EXISTING[0], "Microsoft.OperationalInsights/workspaces/providers"];
    let template = Template::new(document, &given, &existing, Value::Null).expect("a template");
    let resources = template.resources().unwrap_or_else(|problem| panic!("{name}: {problem}"));
    check_versions(&resources).expect("versions that exist");
    assert_eq!(template.unused(), Vec::<String>::new(), "{name}");
    let Ok([resource]) = <[_; 1]>::try_from(resources) else { panic!("{name}: not one resource") };
    if let Some(id) = resource.body.get("id") {
        assert_eq!(*id, resource.id, "{name}");
    }
    resource
}

/// The queries of the workbook, with a time range chosen.
fn workbook() -> Vec<QueryText> {
    let resource = resource(&document("deploy/workbook.json"), "deploy/workbook.json");
    let text = resource.properties()["serializedData"].as_str().expect("a workbook as text");
    let workbook: Value = serde_json::from_str(text).expect("JSON in JSON");
    let items = workbook["items"].as_array().expect("items").iter();
    let items = items.filter(|item| item["content"].get("query").is_some());
    items
        .map(|item| QueryText {
            file: format!("workbook: {}", item["name"]),
            text: item["content"]["query"]
                .as_str()
                .expect("a query")
                .replace("{TimeRange:grain}", "1h")
                .replace("{TimeRange}", "> ago(1d)"),
        })
        .collect()
}

/// The queries of the alert rules for the forwarder itself.
fn alert_rules() -> Vec<QueryText> {
    let document = document("deploy/azuredeploy.json");
    let parameters = Way::Flex.parameters();
    let template =
        Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT)).expect("a template");
    let resources = template.resources().expect("resources").into_iter();
    resources
        .filter(|resource| resource.kind == "Microsoft.Insights/scheduledQueryRules")
        .map(|resource| QueryText {
            file: resource.name().to_owned(),
            text: resource.properties()["criteria"]["allOf"][0]["query"]
                .as_str()
                .expect("a query")
                .to_owned(),
        })
        .collect()
}

fn queries() -> Vec<QueryText> {
    let rules = rules().into_iter().map(|rule| QueryText {
        file: rule.file,
        text: rule.properties["query"].as_str().expect("a query").to_owned(),
    });
    rules.chain(workbook()).chain(alert_rules()).collect()
}

/// With the tables that the app, Application Insights and the rule's diagnostic setting fill.
pub fn watched(workspace: Workspace) -> Workspace {
    workspace
        .with_table("AppTraces", &APP_TRACES)
        .with_table("traces", &TRACES)
        .with_table("DCRLogErrors", &DCR_LOG_ERRORS)
        .with_table("_LogOperation", &LOG_OPERATION)
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn every_query_is_right_in_every_workspace() {
    let queries = queries();
    assert!(queries.len() >= 20, "{}", queries.len());
    for (name, workspace) in workspaces() {
        for query in watched(workspace.with_health()).check(&queries).queries {
            assert!(query.diagnostics.is_empty(), "{name}: {}: {:#?}", query.name, query.diagnostics);
            assert!(!query.columns.is_empty() && !query.open, "{name}: {}: no definite result", query.name);
        }
    }
    // Where there is no table of the rows about runs, a union does without it, of which the parser warns.
    let [(_, native), ..] = workspaces();
    let fuzzy = "The fuzzy name 'MDATPAlertsHealth_CL' does not refer to any known";
    for query in watched(native).check(&queries).queries {
        let wrong = query.diagnostics.iter().find(|found| !found.message.starts_with(fuzzy));
        assert_eq!(wrong.map(|found| &found.message), None, "{}", query.name);
    }
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn a_column_misspelt_in_a_query_is_found() {
    let [(_, native), ..] = workspaces();
    let native = watched(native.with_health());
    let misspelt = [
        ("Severity", "Severty"),
        ("AppTraces", "AppTrace"),
        ("message", "mesage"),
        ("DCRLogErrors", "DcrErrors"),
        ("_LogOperation", "_LogOperations"),
        ("Detail", "Detial"),
        ("Health_CL", "Helth_CL"),
        ("LagMinutes = LagSeconds", "LagSecs"),
    ];
    let mut wrong = Vec::new();
    for (from, to) in misspelt {
        let with = queries().into_iter().filter(|query| query.text.contains(from));
        let wrong_here: Vec<_> =
            with.map(|query| QueryText { text: query.text.replace(from, to), ..query }).collect();
        assert!(!wrong_here.is_empty(), "{from} is in no query");
        wrong.extend(wrong_here.into_iter().map(|query| (to, query)));
    }
    let (words, wrong): (Vec<_>, Vec<_>) = wrong.into_iter().unzip();
    for (word, Checked { name, diagnostics, .. }) in words.iter().zip(native.check(&wrong).queries) {
        assert!(diagnostics.iter().any(|found| found.message.contains(word)), "{name}: {diagnostics:#?}");
    }
}

const TABLES: [&str; 6] = [
    "MDATPAlerts",
    "MDATPAlerts_CL",
    "MDATPAlertsHealth_CL",
    "MDATPAlertsLatest",
    "AppTraces",
    "DCRLogErrors",
];

/// The tables are large, and an alert rule's window or a workbook's range does not reach into a `let`.
#[test]
fn every_read_of_a_table_begins_with_its_time() {
    for QueryText { file, text } in queries() {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let table = pair[0].rsplit(' ').next().unwrap_or_default();
            if TABLES.contains(&table) {
                assert!(pair[1].starts_with("| where TimeGenerated > ago("), "{file}: {pair:?}");
            }
        }
    }
}

#[test]
fn what_is_taken_from_a_runs_line_is_in_it() {
    let mut taken = BTreeSet::new();
    for QueryText { file, text } in queries() {
        for part in text.split(r"\b").skip(1) {
            let (key, _) = part.split_once('=').unwrap_or_else(|| panic!("{file}: {part}"));
            let key = key.trim_start_matches("run ").trim_start_matches('(');
            assert!(KEYS.contains(&key), "{file}: {key}");
            taken.insert(key.to_owned());
        }
    }
    assert!(["result", "lag_s", "set_aside", "error"].iter().all(|key| taken.contains(*key)), "{taken:?}");
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn a_rule_uses_columns_of_its_query_and_looks_back_as_far_as_it_says() {
    let [(_, native), ..] = workspaces();
    let rules = rules();
    let names: BTreeSet<_> = rules.iter().map(|rule| &rule.name).collect();
    assert_eq!((rules.len(), names.len()), (5, 5));
    let text = |rule: &Rule| rule.properties["query"].as_str().expect("a query").to_owned();
    let queries: Vec<_> =
        rules.iter().map(|rule| QueryText { file: rule.file.clone(), text: text(rule) }).collect();
    let answers = watched(native).check(&queries).queries;
    assert_eq!(answers.len(), rules.len());
    for (rule, checked) in rules.iter().zip(answers) {
        let (Rule { file, properties, .. }, text) = (rule, text(rule));
        let columns: BTreeSet<_> = checked.columns.iter().map(|column| column.name.as_str()).collect();
        let used = columns_used(properties);
        assert!(!used.is_empty(), "{file}");
        assert!(used.iter().all(|name| columns.contains(name.as_str())), "{file}: {used:?} of {columns:?}");

        let span = |name: &str| match properties[name].as_str() {
            Some("PT15M") => "15m",
            Some("PT1H") => "1h",
            Some("P1D") => "1d",
            other => panic!("{file}: {name} is {other:?}"),
        };
        assert!(text.contains(&format!("let lookback = {};", span("queryPeriod"))), "{file}");
        let frequency = span("queryFrequency");
        assert!(
            !text.contains("let frequency") || text.contains(&format!("let frequency = {frequency};")),
            "{file}"
        );

        let grouped = &properties["incidentConfiguration"]["groupingConfiguration"]["groupByCustomDetails"];
        for detail in grouped.as_array().expect("a list") {
            assert!(
                properties["customDetails"].get(detail.as_str().expect("text")).is_some(),
                "{file}: {detail}"
            );
        }
    }
}

/// A scoped analyst sees an alert only where its rule puts out the column of the scope, which a table has once its rows
/// are tagged (documentation page "Configure Microsoft Sentinel scoping (row-level RBAC)").
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
#[test]
fn every_rule_puts_out_the_scope_of_a_row_where_the_table_has_one() {
    let queries: Vec<_> = rules()
        .into_iter()
        .map(|rule| QueryText {
            file: rule.file,
            text: rule.properties["query"].as_str().expect("a query").to_owned(),
        })
        .collect();
    let [(_, native), (_, classic), ..] = workspaces();
    for workspace in [native, classic] {
        for query in watched(workspace.with_health()).check(&queries).queries {
            let scope = query.columns.iter().find(|column| column.name == "SentinelScope_CF");
            assert_eq!(scope.map(|column| column.kind.as_str()), Some("string"), "{}", query.name);
        }
    }
    assert!(queries.iter().all(|query| query.text.contains(r#"column_ifexists("SentinelScope_CF", "")"#)));
}

/// What was accepted and did not arrive is not made up for by rows of a backfill, which no row about a run tells of, nor
/// by a batch that was sent again.
#[test]
fn the_rule_about_what_has_not_arrived_counts_only_what_the_timer_sent() {
    let rule = rules().into_iter().find(|rule| rule.name.ends_with("3c7a9e15-84d2-4b6f-9f0e-27b1c5d8a634"));
    let rule = rule.expect("the rule");
    let query = rule.properties["query"].as_str().expect("a query");
    for part in [
        "let delay = 30m;",
        "Arrival = ingestion_time()",
        "TimeGenerated > Arrival - young",
        "abs(TimeGenerated - Created) < 1s or abs(TimeGenerated - Updated) < 1s",
        "by Id, Updated",
        "where MostLag < young",
        "column_ifexists(\"Sent_d\", real(null))",
        "where Missing > 0",
    ] {
        assert!(query.contains(part), "{part} is not in {query}");
    }
}

/// With `MDATP_MODE=updated` an alert has a row for each of its states: what a rule tells is decided by the newest,
/// and whether it is new by the first row that would have been told, not by the alert's first row.
#[test]
fn the_rules_about_alerts_see_a_state_that_came_later_and_tell_it_once() {
    let query = |name: &str| {
        let rule = rules().into_iter().find(|rule| rule.file.ends_with(name)).expect(name);
        rule.properties["query"].as_str().expect("a query").to_owned()
    };
    let order = |query: &str, parts: &[&str]| {
        let mut from = 0;
        for part in parts {
            let at = query[from..]
                .find(part)
                .unwrap_or_else(|| panic!("{part:?} is not, or not here, in {query}"));
            from += at + part.len();
        }
    };
    order(
        &query("high-severity-alert.json"),
        &[
            "MDATPAlerts_CL",
            "column_ifexists(\"severity_s\", \"\")) == \"High\"",
            "min(ingestion_time())",
            "> ago(frequency)",
            "MDATPAlerts\n",
            "in (fresh)",
            "arg_max(LastUpdateTime, *) by AlertId",
            "where Severity == \"High\"",
            "AlertCreationTime, TimeGenerated) > ago(lookback) or Status != \"Resolved\"",
        ],
    );
    order(
        &query("technique-on-many-machines.json"),
        &[
            "MDATPAlerts_CL",
            "mv-expand Technique",
            "min(Arrived) by Id, Technique",
            "MDATPAlerts\n",
            "arg_max(LastUpdateTime, *) by AlertId",
            "AlertCreationTime, TimeGenerated) > ago(lookback)",
            "mv-expand Technique",
            "$left.Technique == $right.Technique",
        ],
    );
}

/// The columns that a rule's alerts are made of.
fn columns_used(properties: &Value) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    for entity in properties["entityMappings"].as_array().into_iter().flatten() {
        used.extend(
            entity["fieldMappings"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|field| text(&field["columnName"])),
        );
    }
    used.extend(properties["customDetails"].as_object().expect("details").values().map(text));
    for format in properties["alertDetailsOverride"].as_object().expect("formats").values().map(text) {
        used.extend(
            format
                .split("{{")
                .skip(1)
                .filter_map(|part| part.split_once("}}"))
                .map(|(name, _)| name.to_owned()),
        );
    }
    used
}
