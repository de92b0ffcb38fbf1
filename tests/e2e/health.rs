//! `MDATP_HEALTH`: after each run a row about it, in a table of its own.

use azure_core::time::parse_rfc3339;
use serde_json::{Value, json};
use simulator::{Fault, Role, Service, Sink, functions_host::Payload};

use crate::{
    queries::{
        parser::QueryText,
        workspace::{Workspace, columns},
    },
    stage::{BOTH_SINKS, Stage, WORKSPACE, fail, now, succeed},
};

const STREAM: &str = "Custom-MDATPAlertsHealth_CL";

/// A stage on which runs are told, with the rule that the binary prints for that.
async fn stage(sink: Sink) -> Stage {
    let mut stage = Stage::with_alerts(sink, 20, 3).await;
    stage.set("MDATP_HEALTH", "on");
    let rule = schema(&stage, &["--format", "dcr", "--workspace", WORKSPACE], 0).await;
    stage.cloud.deploy_rule(&rule).expect("a rule that the service takes");
    stage
}

async fn schema(stage: &Stage, arguments: &[&str], code: i32) -> String {
    let output = stage.command(&[&["schema", "--health"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The rows about runs that have arrived.
fn rows(stage: &Stage) -> Vec<Value> {
    let posts = stage.cloud.received();
    let own = posts.iter().filter(|post| [STREAM, "MDATPAlertsHealth"].contains(&&*post.log_type_or_stream));
    own.flat_map(|post| &post.records).map(|row| serde_json::from_str(row).expect("JSON")).collect()
}

#[tokio::test]
async fn each_run_is_told_in_a_row_on_both_sinks() {
    for sink in BOTH_SINKS {
        let stage = stage(sink).await;
        let host = stage.host().await;
        let before = now();
        let report = succeed(&host.fire(Payload::regular()).await);
        let [row] = &rows(&stage)[..] else { panic!("{:?}", rows(&stage)) };
        for (column, member) in [
            ("Read", "alertsRead"),
            ("Sent", "alertsSent"),
            ("Before", "alertsAlreadySent"),
            ("SetAside", "alertsSetAside"),
            ("Misfit", "valuesMisfit"),
            ("Machines", "machinesRead"),
            ("MachinesMissing", "machinesNotFound"),
            ("Requests", "requests"),
            ("Bytes", "bytesSent"),
            ("DurationMs", "durationMs"),
            ("LagSeconds", "lagSeconds"),
        ] {
            assert_eq!(row[column], report[member], "{column}");
        }
        assert_eq!((&row["Result"], &row["Sent"], row.get("Error")), (&json!("ok"), &json!(20), None));
        // The Data Collector gives the time itself, and refuses a record that has one.
        let time = row["TimeGenerated"].as_str().map(|text| parse_rfc3339(text).expect("a time"));
        assert_eq!(time.is_some_and(|time| time >= before), sink == Sink::LogsIngestion, "{row}");

        stage.cloud.deny_role(Role::AlertRead);
        stage.cloud.revoke_tokens();
        let error = fail(&host.fire(Payload::regular()).await);
        let rows = rows(&stage);
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[1]["Result"], &rows[1]["Error"]), (&json!("failed"), &json!(error)));
        assert!(stage.cloud.rejected().is_empty() && stage.cloud.lost_values().is_empty());
    }
}

#[tokio::test]
async fn a_rule_without_the_stream_costs_a_warning_that_says_what_to_deploy() {
    let mut stage = Stage::with_alerts(Sink::LogsIngestion, 20, 3).await;
    stage.set("MDATP_HEALTH", "on");
    let output = stage.command(&["run", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(20), &json!(true)));
    let told = String::from_utf8_lossy(&output.stderr);
    let warnings: Vec<_> = told.lines().filter(|line| line.contains("MDATP_HEALTH")).collect();
    let [warning] = &warnings[..] else { panic!("one warning: {told}") };
    assert!(warning.contains("schema --health") && warning.contains(STREAM), "{warning}");
    // One post, refused for good: it is not tried again.
    let tried = stage.cloud.requests().iter().filter(|seen| seen.path_and_query.contains(STREAM)).count();
    assert_eq!((tried, stage.sent_ids().len()), (1, 20));
}

#[tokio::test]
async fn a_sink_that_asks_for_patience_is_not_waited_for() {
    let stage = stage(Sink::LogsIngestion).await;
    let fault = Fault::status(429).retry_after("60").on(Service::LogsIngestion).matching(STREAM);
    stage.cloud.fault(fault.always());
    assert_eq!(stage.tick().await["alertsSent"], 20);
    assert_eq!((rows(&stage).len(), stage.sent_ids().len()), (0, 20));
    let tried = stage.cloud.requests().iter().filter(|seen| seen.path_and_query.contains(STREAM)).count();
    assert_eq!(tried, 1);
}

#[tokio::test]
async fn a_dry_run_is_not_told() {
    let stage = stage(Sink::DataCollector).await;
    let output = stage.command(&["run", "--dry-run"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stage.cloud.counts().posts, 0);
}

#[tokio::test]
async fn the_schema_has_a_table_for_it_and_a_rule_for_both() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let listed = schema(&stage, &[], 0).await;
    let listed: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((listed.len(), listed[0], listed[1]), (15, "TimeGenerated", "Result"));

    let table: Value = serde_json::from_str(&schema(&stage, &["--format", "table"], 0).await).expect("JSON");
    let table = &table["properties"]["schema"];
    assert_eq!(table["name"], "MDATPAlertsHealth_CL");
    let columns = table["columns"].as_array().expect("columns");
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().expect("a name")).collect();
    assert_eq!(names, listed);

    for (arguments, streams) in [
        (&["schema", "--format", "dcr"][..], &["Custom-MDATPAlerts_CL"][..]),
        (
            &["schema", "--format", "dcr", "--health"],
            &["Custom-MDATPAlertsHealth_CL", "Custom-MDATPAlerts_CL"],
        ),
    ] {
        let rule: Value = serde_json::from_slice(&stage.command(arguments).await.stdout).expect("JSON");
        let rule = &rule["properties"];
        let declared = rule["streamDeclarations"].as_object().expect("streams");
        assert_eq!(declared.keys().collect::<Vec<_>>(), streams);
        assert_eq!(rule["dataFlows"].as_array().map(Vec::len), Some(streams.len()));
    }
    schema(&stage, &["--format", "kql"], 64).await;
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_query_in_the_documents_is_right_for_the_table() {
    let document = include_str!("../../docs/operate.md");
    let mut queries = document.split("```kusto\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let (query, _) = queries.find(|(query, _)| query.starts_with("MDATPAlertsHealth_CL")).expect("a query");
    let workspace = Workspace::new(&[("MDATPAlerts_CL", &columns("native"))]).with_health();
    let query = QueryText { file: "docs/operate.md".to_owned(), text: query.to_owned() };
    let answer = &workspace.check(&[query]).queries[0];
    assert!(answer.diagnostics.is_empty() && !answer.open, "{:#?}", answer.diagnostics);
    let names: Vec<_> = answer.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["TimeGenerated", "Runs", "Failed", "Sent", "MostLag"]);
}
