//! Log lines in JSON form (`MDATP_LOG_FORMAT=json`): the name, type and value of each member, against what the
//! simulated services counted.

use std::collections::BTreeSet;

use azure_core::time::parse_rfc3339;
use serde_json::{Value, json};
use simulator::{
    Fault, Service, Sink,
    functions_host::{Category, FunctionsHost, Level, Payload},
};

use crate::{
    queries::{
        parser::QueryText,
        workspace::{Workspace, columns},
    },
    stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, succeed},
};

/// The members of a run's line, sorted.
const MEMBERS: [&str; 22] = [
    "alertsAlreadySent",
    "alertsRead",
    "alertsSent",
    "alertsSetAside",
    "bytesSent",
    "complete",
    "durationMs",
    "error",
    "errorKind",
    "from",
    "invocationId",
    "lagSeconds",
    "level",
    "machinesNotFound",
    "machinesRead",
    "message",
    "requests",
    "result",
    "skipped",
    "timestamp",
    "to",
    "valuesMisfit",
];

/// The queries of docs/operate.md that read JSON lines: each run, and why runs failed.
fn documented() -> [String; 2] {
    let blocks = include_str!("../../docs/operate.md").split("```kusto\n").skip(1);
    let queries = blocks.filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()));
    let reading: Vec<_> = queries.filter(|query| query.contains("parse_json")).collect();
    reading.try_into().expect("two queries")
}

async fn stage(sink: Sink) -> Stage {
    let mut stage = Stage::with_alerts(sink, 40, 3).await;
    stage.set("MDATP_LOG_FORMAT", "json");
    stage
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The lines of the runs so far, each with where the host has it from.
fn run_lines(host: &FunctionsHost) -> Vec<(Category, Level, Value)> {
    let lines = host.log().into_iter().filter(|log| log.line.contains("run result="));
    lines.map(|log| (log.category, log.level, json(&log.line))).collect()
}

/// The members are all there, and those of the run's report have its values.
#[track_caller]
fn assert_is_report(line: &Value, report: &Value) {
    let line = line.as_object().expect("an object");
    assert_eq!(line.keys().collect::<Vec<_>>(), MEMBERS);
    for (name, value) in report.as_object().expect("an object") {
        assert_eq!(&line[name], value, "{name}");
    }
    for name in ["timestamp", "from", "to"] {
        let time = line[name].as_str().expect("a text");
        assert!(parse_rfc3339(time).is_ok(), "{name} is {time}");
    }
}

#[tokio::test]
async fn a_run_has_the_same_members_in_the_reply_of_a_success_and_on_stderr_of_a_failure() {
    for sink in BOTH_SINKS {
        let stage = stage(sink).await;
        let host = stage.host().await;
        let success = host.fire(Payload::regular()).await;
        let report = succeed(&success);
        let [(Category::User, Level::Information, line)] = &run_lines(&host)[..] else {
            panic!("{:?}", host.log())
        };
        assert_is_report(line, &report);
        let counts = stage.cloud.counts();
        let calls = counts.alert_lists + counts.machine_lists + counts.machine_gets + counts.posts;
        for (name, value) in [
            ("level", json!("info")),
            ("invocationId", json!(success.id)),
            ("result", json!("ok")),
            ("errorKind", Value::Null),
            ("error", Value::Null),
            ("alertsRead", json!(stage.cloud.alert_ids().len())),
            ("alertsSent", json!(counts.records)),
            ("alertsAlreadySent", json!(0)),
            ("bytesSent", json!(counts.wire_bytes)),
            ("machinesRead", json!(3)),
            ("requests", json!(calls)),
            ("complete", json!(true)),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
        assert!(line["lagSeconds"].is_u64() && line["durationMs"].is_u64(), "{line}");
        let message = line["message"].as_str().expect("a text");
        assert!(message.starts_with("run result=ok read=40 sent=40 before=0 "), "{message}");

        stage.cloud.fault(Fault::status(403).on(Service::Defender).matching("/api/alerts").always());
        let failure = host.fire(Payload::regular()).await;
        let error = fail(&failure);
        host.line_with("run result=failed").await;
        let (Category::Console, Level::Error, line) = &run_lines(&host)[1] else {
            panic!("{:?}", host.log())
        };
        let body = json(&failure.body);
        assert_is_report(line, &body["ReturnValue"]);
        for (name, value) in [
            ("level", json!("error")),
            ("invocationId", json!(failure.id)),
            ("result", json!("failed")),
            ("errorKind", json!("requestRejected")),
            ("error", json!(error)),
            ("alertsRead", json!(0)),
            ("complete", json!(false)),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
    }
}

#[tokio::test]
async fn the_line_of_a_batch_has_what_the_sink_received() {
    for sink in BOTH_SINKS {
        let stage = stage(sink).await;
        let host = stage.host().await;
        let invocation = host.fire(Payload::regular()).await;
        succeed(&invocation);
        let line = json(&host.line_with("sent a batch of").await);
        let [post] = &stage.cloud.received()[..] else { panic!("one post") };
        assert_eq!(line["records"], json!(post.records.len()));
        assert_eq!(line["bytes"], json!(stage.cloud.counts().wire_bytes));
        assert_eq!(line["requestId"].as_str(), post.request_id());
        assert_eq!(line["invocationId"], json!(invocation.id));
        assert_eq!(line["level"], "info");
    }
}

#[tokio::test]
async fn a_run_at_a_shell_has_the_members_too_and_no_invocation() {
    let stage = stage(Sink::DataCollector).await;
    let output = stage.command(&["run", "--json"]).await;
    let report = json(&String::from_utf8_lossy(&output.stdout));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().find(|line| line.contains("run result=ok")).expect("a line");
    let line = json(line);
    let names: Vec<_> = line.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected: Vec<_> = MEMBERS.into_iter().filter(|name| *name != "invocationId").collect();
    assert_eq!(names, expected);
    assert_eq!((&line["alertsSent"], &line["bytesSent"]), (&report["alertsSent"], &report["bytesSent"]));
}

#[tokio::test]
async fn the_last_line_of_a_backfill_has_the_members_of_its_report() {
    let stage = stage(Sink::DataCollector).await;
    stage.tick().await;
    // Before the timer's start, which is a day ago.
    stage.cloud.add_alert(&alert("old", None, &minutes_ago(2 * 24 * 60)));
    let from = minutes_ago(3 * 24 * 60);
    let output = stage.command(&["backfill", "--from", &from, "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = json(&String::from_utf8_lossy(&output.stdout));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().find(|line| line.contains("backfill result=ok")).expect("a line");
    let line = json(line);
    for (name, value) in report.as_object().expect("an object") {
        assert_eq!(line[name], *value, "{name}");
    }
    for (name, value) in [
        ("result", json!("ok")),
        ("errorKind", Value::Null),
        ("level", json!("info")),
        ("alertsSent", json!(1)),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
}

#[tokio::test]
async fn the_kind_of_an_error_has_a_name() {
    type Case = (&'static str, fn(&mut Stage));
    let cases: [Case; 7] = [
        ("settings", |stage| stage.set("MDATP_MODE", "sideways")),
        ("token", |stage| stage.cloud.fault(Fault::status(400).on(Service::Identity).always())),
        ("requestRejected", |stage| stage.cloud.fault(Fault::status(403).on(Service::Defender).always())),
        ("serviceUnreachable", |stage| stage.set("MDATP_API_URL", "http://127.0.0.1:9")),
        ("stateFolder", |stage| stage.set("MDATP_STATE", "file:/proc/none")),
        ("checkpointDamaged", |stage| {
            std::fs::create_dir_all(stage.state_file("")).expect("made");
            std::fs::write(stage.state_file("checkpoint.json"), "{").expect("written");
        }),
        ("alertsHeldBack", |stage| {
            stage.cloud.add_machine(r#"{"id":"bad","osPlatform":"Linux"}"#);
            stage.cloud.add_alert(&alert("young", Some("bad"), &minutes_ago(1)));
            stage.cloud.fault(Fault::status(400).on(Service::Defender).matching("bad").always());
        }),
    ];
    for (kind, break_it) in cases {
        let mut stage = stage(Sink::DataCollector).await;
        break_it(&mut stage);
        let host = stage.host().await;
        fail(&host.fire(Payload::regular()).await);
        let line = json(&host.line_with("run result=failed").await);
        assert_eq!(line["errorKind"], kind, "{line}");
        assert!(line["error"].is_string(), "{line}");
    }
}

/// Each name that the code has for a kind of error is in the table of docs/operate.md, and no other.
#[test]
fn every_kind_of_error_is_documented() {
    let code = include_str!("../../src/pipeline/error.rs");
    let (_, body) = code.split_once("pub fn kind(&self)").expect("the function of the names");
    let (body, _) = body.split_once("\n    }\n").expect("its end");
    let names = body.split("=> \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    // A run that finds another process at work is skipped, and does not fail.
    let names: BTreeSet<_> = names.filter(|name| *name != "busyElsewhere").collect();
    let document = include_str!("../../docs/operate.md");
    let (_, table) = document.split_once("| `errorKind` | the run failed because |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(names.len() >= 15, "{names:?}");
    assert_eq!(documented, names);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn the_documents_queries_read_the_members() {
    let stage = stage(Sink::DataCollector).await;
    let host = stage.host().await;
    let success = host.fire(Payload::regular()).await;
    succeed(&success);
    stage.cloud.fault(Fault::status(403).on(Service::Defender).always());
    let failure = host.fire(Payload::regular()).await;
    let error = fail(&failure);
    host.line_with("run result=failed").await;
    let rows = host.log().into_iter().enumerate().map(
        |(second, log)| json!({"timestamp": format!("2026-11-24T06:00:{second:02}Z"), "message": log.line}),
    );
    let rows: Vec<_> = rows.collect();

    let native = columns("native");
    let workspace = Workspace::new(&[("MDATPAlerts_CL", &native)])
        .with_table("traces", &[("timestamp", "datetime"), ("message", "string")]);
    let [runs, failures] = documented();
    let text = |query: &String| QueryText { file: "docs/operate.md".to_owned(), text: query.clone() };
    for query in workspace.check(&[text(&runs), text(&failures)]).queries {
        assert!(query.diagnostics.is_empty() && !query.open, "{:#?}", query.diagnostics);
    }

    // The evaluator has neither `ago` nor aggregates.
    let runs = runs.replace("timestamp > ago(1d) and message has", "message contains");
    let failures = failures.replace("timestamp > ago(7d) and message has", "message contains");
    let (failures, _) = failures.split_once("| summarize").expect("an aggregate");
    let failures =
        format!("{failures}| project errorKind = tostring(run.errorKind), error = tostring(run.error)");
    let [runs, failures] = &workspace.run(&[("traces", rows)], &[&runs, &failures])[..] else {
        panic!("two queries")
    };
    let of_run = |row: &serde_json::Map<String, Value>| {
        ["result", "read", "sent", "setAside", "errorKind", "error", "invocationId"]
            .map(|name| row[name].clone())
    };
    assert_eq!(
        runs.iter().map(of_run).collect::<Vec<_>>(),
        [
            [
                json!("failed"),
                json!(0),
                json!(0),
                json!(0),
                json!("requestRejected"),
                json!(error),
                json!(failure.id)
            ],
            [json!("ok"), json!(40), json!(40), json!(0), json!(""), json!(""), json!(success.id)],
        ]
    );
    assert!(runs.iter().all(|row| row["lagSeconds"].is_u64()), "{runs:?}");
    assert_eq!(json!(failures), json!([{"errorKind": "requestRejected", "error": error}]));
}
