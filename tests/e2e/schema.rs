//! `mdatp-forward schema` and `migrate`: what they print is what the services take and what is sent.

use std::path::PathBuf;

use serde_json::{Value, json};
use simulator::Sink;
use tempfile::TempDir;

use crate::stage::{Stage, WORKSPACE, succeed};
use simulator::functions_host::Payload;

/// The binary without any setting.
struct Shell {
    folder: TempDir,
}

struct Printed {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Shell {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn run(arguments: &[&str]) -> Printed {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mdatp-forward"));
        let output = command.args(arguments).env_clear().output().expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Printed { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(arguments: &[&str]) -> Value {
        let printed = Self::run(arguments);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        serde_json::from_str(&printed.out).expect("JSON is all there is on stdout")
    }

    fn check(&self, shape: &str, document: &Value) -> Printed {
        let file = self.file(&document.to_string());
        Self::run(&["schema", "--shape", shape, "--check", file.to_str().expect("text")])
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("document.json");
        std::fs::write(&path, text).expect("written");
        path
    }
}

#[tokio::test]
async fn in_both_shapes_the_printed_rule_takes_every_value_that_is_sent() {
    for shape in ["native", "classic"] {
        let mut stage = Stage::with_alerts(Sink::LogsIngestion, 400, 30).await;
        let rule = {
            let arguments = ["schema", "--shape", shape, "--format", "dcr", "--workspace", WORKSPACE];
            Shell::run(&arguments).out
        };
        stage.cloud.deploy_rule(&rule).expect("a rule that the service takes");
        stage.set("MDATP_RECORD_SHAPE", shape);
        assert_eq!(stage.tick().await["valuesMisfit"], 0);
        stage.assert_all_sent_once();
        let rows = stage.cloud.rows();
        assert_eq!(rows.len(), 400);
        let (id, evidence) = if shape == "native" { ("AlertId", "Evidence") } else { ("id_s", "evidence_s") };
        assert!(rows.iter().all(|row| row[id].is_string() && !row[evidence].is_null()));
        assert!(rows.iter().all(|row| row["TimeGenerated"].is_string()));
    }
}

#[tokio::test]
async fn a_value_of_an_unexpected_type_is_kept_counted_and_told_once_a_run() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let created = crate::stage::minutes_ago(5);
    for id in ["a", "b"] {
        stage.cloud.add_alert(&format!(
            r#"{{"id":"{id}","severity":5,"incidentId":"x","new":[1],"alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":null,"evidence":[]}}"#
        ));
    }
    let host = stage.host().await;
    let report = succeed(&host.fire(Payload::regular()).await);
    assert_eq!((&report["alertsSent"], &report["valuesMisfit"]), (&json!(2), &json!(4)));
    let told: Vec<_> = [host.stdout(), host.stderr()]
        .concat()
        .into_iter()
        .filter(|line| line.contains("AdditionalFields"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("incidentId (2), severity (2)"), "{told:?}");
    for row in stage.cloud.rows() {
        assert_eq!(row["AdditionalFields"], json!({"severity": 5, "incidentId": "x", "new": [1]}));
    }
    assert!(stage.cloud.lost_values().is_empty());
}

/// Programs that know one kind of number only write whole ones so (pandas and JavaScript among them), and tables of
/// others hold such incidents.
#[tokio::test]
async fn a_whole_number_fills_its_column_in_whatever_spelling() {
    for (shape, incident, build) in
        [("native", "IncidentId", "OsBuild"), ("classic", "incidentId_d", "osBuild_d")]
    {
        let mut stage = Stage::new(Sink::LogsIngestion).await;
        let arguments = ["schema", "--shape", shape, "--format", "dcr", "--workspace", WORKSPACE];
        stage.cloud.deploy_rule(&Shell::run(&arguments).out).expect("a rule that the service takes");
        stage.set("MDATP_RECORD_SHAPE", shape);
        let created = crate::stage::minutes_ago(5);
        stage.cloud.add_machine(r#"{"id":"m","osBuild":"2.2631e4","isExcluded":"True"}"#);
        for spelling in ["1.126093E6", "1126093.0", "\"1126093\"", "\"1.126093e+06\"", "1126093"] {
            stage.cloud.add_alert(&format!(
                r#"{{"id":{},"incidentId":{spelling},"alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":"m","evidence":[]}}"#,
                json!(spelling)
            ));
        }
        let report = stage.tick().await;
        assert_eq!((&report["alertsSent"], &report["valuesMisfit"]), (&json!(5), &json!(0)), "{report}");
        for row in stage.cloud.rows() {
            assert_eq!(
                (row[incident].as_f64(), row[build].as_f64()),
                (Some(1_126_093.0), Some(22_631.0)),
                "{row:?}"
            );
        }
        let sent = stage.cloud.received()[0].body.clone();
        assert_eq!(
            sent.matches(&format!("\"{incident}\":1126093,")).count(),
            5,
            "digits, not powers: {sent}"
        );
        assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
    }
}

#[tokio::test]
async fn the_union_can_be_sent_through_a_rule_of_ones_own() {
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    let stream = json!({"columns": [
        {"name": "TimeGenerated", "type": "datetime"}, {"name": "severity", "type": "string"},
        {"name": "machineRisk", "type": "string"}
    ]});
    let rule = json!({"kind": "Direct", "location": "x", "properties": {
        "streamDeclarations": {"Custom-MDATPAlerts_CL": stream},
        "destinations": {"logAnalytics": [{"workspaceResourceId": WORKSPACE, "name": "w"}]},
        "dataFlows": [{"streams": ["Custom-MDATPAlerts_CL"], "destinations": ["w"], "transformKql": "source",
            "outputStream": "Custom-MDATPAlerts_CL"}]
    }});
    stage.cloud.deploy_rule(&rule.to_string()).expect("a rule");
    stage.set("MDATP_RECORD_SHAPE", "union");
    stage.cloud.add_alert(&crate::stage::alert("a", None, &crate::stage::minutes_ago(5)));
    stage.tick().await;
    assert_eq!(stage.cloud.records()[0]["id"], "a");
    assert_eq!(stage.cloud.rows()[0]["severity"], "High");
}

#[test]
fn what_this_build_prints_loses_nothing_of_what_it_sends() {
    let shell = Shell::new();
    for shape in ["native", "classic"] {
        for format in ["table", "dcr"] {
            let document = Shell::json(&["schema", "--shape", shape, "--format", format]);
            let printed = shell.check(shape, &document);
            assert_eq!((printed.code, printed.out.as_str()), (Some(0), ""), "{}", printed.err);
            // The other shape's columns are all missing, but the time.
            let other = if shape == "native" { "classic" } else { "native" };
            assert_eq!(shell.check(other, &document).code, Some(1));
        }
    }
}

#[test]
fn a_check_says_what_is_missing_too_narrow_or_extra() {
    let shell = Shell::new();
    let rule = Shell::json(&["schema", "--format", "dcr"]);
    let table = Shell::json(&["schema", "--format", "table"]);
    let stream = "/properties/streamDeclarations/Custom-MDATPAlerts_CL/columns";
    let flow = "/properties/dataFlows/0";
    let with = |document: &Value, place: &str, change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(document.pointer_mut(place).expect("the place is there"));
        document
    };
    let column = |columns: &Value, name: &str| {
        columns
            .as_array()
            .expect("a list")
            .iter()
            .position(|column| column["name"] == name)
            .expect("a column")
    };
    let retype = |name: &'static str, kind: &'static str| {
        move |columns: &mut Value| {
            let at = column(columns, name);
            columns[at]["type"] = json!(kind);
        }
    };
    let without = |name: &'static str| {
        move |columns: &mut Value| {
            let at = column(columns, name);
            columns.as_array_mut().expect("a list").remove(at);
        }
    };
    let add = |columns: &mut Value| {
        columns.as_array_mut().expect("a list").push(json!({"name": "Mine", "type": "string"}));
    };
    let columns = "/properties/schema/columns";
    for (document, code, line) in [
        (with(&rule, stream, &without("Evidence")), 1, "missing: Evidence, to be declared as dynamic"),
        (with(&table, columns, &without("Evidence")), 1, "missing: Evidence, to be declared as dynamic"),
        (with(&rule, stream, &retype("OsBuild", "int")), 1, "too narrow: OsBuild is int, and must be long"),
        (
            with(&table, columns, &retype("OsBuild", "real")),
            1,
            "too narrow: OsBuild is real, and must be long",
        ),
        (with(&table, columns, &retype("AlertCreationTime", "DateTime")), 0, ""),
        (
            with(&table, columns, &retype("Severity", "dynamic")),
            0,
            "to be converted: Severity is dynamic, and string is sent",
        ),
        (with(&rule, stream, &add), 0, "extra: Mine, which is not filled"),
        (with(&table, columns, &add), 0, "extra: Mine, which is not filled"),
        (
            with(&rule, "/properties/dataFlows", &|flows| *flows = json!([])),
            1,
            "missing: no data flow of the rule reads the stream Custom-MDATPAlerts_CL",
        ),
        (
            with(&rule, flow, &|flow| flow["transformKql"] = json!("source | where Severity == 'High'")),
            0,
            "transformed: the rule's transformKql",
        ),
        (
            with(&rule, "/properties/streamDeclarations", &|streams| *streams = json!({})),
            1,
            "missing: the rule declares no stream Custom-MDATPAlerts_CL (MDATP_STREAM)",
        ),
        // As az prints them, without `properties`.
        (with(&table["properties"], "/schema/columns", &without("Status")), 1, "missing: Status"),
        (table["properties"].clone(), 0, ""),
        (rule["properties"].clone(), 0, ""),
    ] {
        let printed = shell.check("native", &document);
        assert_eq!(printed.code, Some(code), "{line}: {} {}", printed.out, printed.err);
        assert!(printed.out.starts_with(line) && printed.out.lines().count() <= 1, "{line}: {}", printed.out);
    }
    for text in ["", "{}", "[]", r#"{"schema":7}"#] {
        let file = shell.file(text);
        let printed = Shell::run(&["schema", "--check", file.to_str().expect("text")]);
        assert_eq!((printed.code, printed.out.as_str()), (Some(64), ""), "{text}");
        assert!(printed.err.contains("document.json"), "{}", printed.err);
    }
    assert_eq!(Shell::run(&["schema", "--check", "nowhere.json"]).code, Some(64));
}

#[test]
fn the_rule_names_the_workspace_the_region_and_the_log_that_are_asked_for() {
    let arguments = [
        "schema",
        "--format",
        "dcr",
        "--log-name",
        "Mine",
        "--workspace",
        "/subscriptions/s",
        "--location",
        "westeurope",
    ];
    let rule = Shell::json(&arguments);
    assert_eq!((&rule["kind"], &rule["location"]), (&json!("Direct"), &json!("westeurope")));
    assert_eq!(
        rule["properties"]["destinations"]["logAnalytics"][0]["workspaceResourceId"],
        "/subscriptions/s"
    );
    assert_eq!(rule["properties"]["dataFlows"][0]["outputStream"], "Custom-Mine_CL");
    let table = Shell::json(&["schema", "--format", "table", "--log-name", "Mine"]);
    assert_eq!(table["properties"]["schema"]["name"], "Mine_CL");
    let refused = Shell::run(&["schema", "--log-name", "Mine_CL"]);
    assert_eq!(refused.code, Some(64));
}

#[test]
fn the_columns_are_told_with_type_source_and_meaning() {
    let text = Shell::run(&["schema"]).out;
    let line = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("no line for {name} in {text}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("column"), ["column", "type", "source", "meaning"]);
    assert_eq!(line("AlertId")[1..3], ["string", "alert.id"]);
    assert_eq!(line("OsBuild")[1..3], ["long", "machine.osBuild"]);
    assert!(line("Severity").ends_with(&["Medium", "or", "High"]));
    assert!(text.lines().all(|line| line.split_whitespace().count() >= 4), "{text}");
}

/// An old table of the Data Collector API, as `az` shows it.
fn old_table() -> Value {
    let columns: Vec<_> = [
        ("id_s", "string"),
        ("severity_s", "string"),
        ("aadTenantId_g", "guid"),
        ("osBuild_d", "real"),
        ("osBuild_s", "string"),
        ("alertCreationTime_t", "datetime"),
        ("workflowRun_s", "string"),
    ]
    .iter()
    .map(|(name, kind)| json!({"name": name, "type": kind}))
    .collect();
    json!({"name": "MDATPAlerts_CL", "schema": {
        "name": "MDATPAlerts_CL", "tableSubType": "Classic", "columns": columns,
        "standardColumns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "TenantId", "type": "guid"}]
    }})
}

#[test]
fn the_plan_of_a_migration_names_every_step_and_what_is_no_longer_filled() {
    let shell = Shell::new();
    let plan = |table: &Value| {
        let file = shell.file(&table.to_string());
        let printed = Shell::run(&["migrate", "--plan", file.to_str().expect("text")]);
        assert_eq!(printed.code, Some(0), "{}", printed.err);
        printed.out
    };
    let text = plan(&old_table());
    for part in [
        "2. Migrate the table to data collection rules. This cannot be undone.",
        "table migrate --resource-group GROUP --workspace-name WORKSPACE --table-name MDATPAlerts_CL",
        "--columns id_s=string severity_s=string aadTenantId_g=guid osBuild_d=real",
        "title_s=string",
        "schema --shape classic --format dcr --table table.json",
        "Monitoring Metrics Publisher",
        "MDATP_RECORD_SHAPE=classic",
        "osBuild_s; such values are in osBuild_d",
        "workflowRun_s; such values are in additionalFields_s",
        "id_s holds the alert's id",
        "wrote the machine's id there",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    for filled in ["severity_s; such", "   id_s; such", " TenantId"] {
        assert!(!text.contains(filled), "{filled} in {text}");
    }

    let mut migrated = old_table();
    migrated["schema"]["tableSubType"] = json!("DataCollectionRuleBased");
    let text = plan(&migrated);
    assert!(!text.contains("cannot be undone") && text.contains("migrated already"), "{text}");

    for no_table in ["{}", r#"{"schema":{"name":"Heartbeat","columns":[]}}"#, "x"] {
        let file = shell.file(no_table);
        let printed = Shell::run(&["migrate", "--plan", file.to_str().expect("text")]);
        assert_eq!((printed.code, printed.out.as_str()), (Some(64), ""), "{no_table}");
    }
}

/// PowerShell 5 writes UTF-16 (PowerShell documentation, `about_Character_Encoding`), and `list` is what one finds
/// first.
#[test]
fn documents_are_read_as_powershell_and_the_lists_of_az_leave_them() {
    let shell = Shell::new();
    let rule = Shell::json(&["schema", "--format", "dcr"]).to_string();
    let table = old_table().to_string();
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}\r\n").encode_utf16().flat_map(bytes).collect()
    };
    let path = shell.folder.path().join("document.json");
    let path = path.to_str().expect("text");
    for (arguments, text) in [(["schema", "--check", path], &rule), (["migrate", "--plan", path], &table)] {
        let listed = format!("[{text}]");
        for bytes in [
            format!("\u{feff}{text}").into_bytes(),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
            listed.clone().into_bytes(),
            utf16(&listed, u16::to_le_bytes),
            format!("{{\"value\":[{text}]}}").into_bytes(),
        ] {
            std::fs::write(path, &bytes).expect("written");
            let printed = Shell::run(&arguments);
            assert_eq!(printed.code, Some(0), "{arguments:?} {:?}: {}", &bytes[..4], printed.err);
        }
        for (list, told) in
            [("[]".to_owned(), "this is a list of 0"), (format!("[{text},{text}]"), "this is a list of 2")]
        {
            std::fs::write(path, list).expect("written");
            let printed = Shell::run(&arguments);
            assert_eq!((printed.code, printed.out.as_str()), (Some(64), ""), "{arguments:?}");
            assert!(printed.err.contains(told) && printed.err.contains("show"), "{}", printed.err);
        }
    }
}

#[tokio::test]
async fn a_shape_with_columns_is_not_for_the_data_collector() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_RECORD_SHAPE", "native");
    let output = stage.command(&["run"]).await;
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("MDATP_RECORD_SHAPE native is for the Logs Ingestion API"), "{text}");
}
