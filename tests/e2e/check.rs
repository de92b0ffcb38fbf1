//! `mdatp-forward check`: each finding is reached by the mistake it is about.

mod row;

use std::{fs, process::Output};

use azure_core::time::{Duration, to_rfc3339};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use simulator::{
    Fault, Role,
    Route::{ClientSecret, ManagedIdentity, WorkloadIdentity},
    Service,
    Sink::{DataCollector, LogsIngestion},
    Volume,
    azurite::Azurite,
};

use crate::stage::{BOTH_SINKS, Stage, alert, now};
use row::{ROWS, Row};

/// The exit code and the findings of `check --json`.
async fn findings(stage: &Stage, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = stage.command(&[&["check", "--json"], arguments].concat()).await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let code = output.status.code().expect("an exit code");
    let worst = ["ok", "warning", "failure"].iter().position(|result| document["result"] == *result);
    assert_eq!(worst, usize::try_from(code).ok(), "{document}");
    (code, document["findings"].as_array().expect("a list").clone())
}

#[track_caller]
fn of<'a>(check: &str, findings: &'a [Value]) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("nothing about {check}: {findings:#?}"))
}

fn text<'a>(finding: &'a Value, member: &str) -> &'a str {
    finding[member].as_str().unwrap_or_default()
}

impl Row {
    /// None when the finding is as it must be.
    async fn problem(&self) -> Option<String> {
        let mut stage = Stage::with_route(self.sink, self.route).await;
        (self.make)(&mut stage);
        let (_, findings) = findings(&stage, &[]).await;
        let found = of(self.check, &findings);
        let is_right = found["result"] == self.result
            && text(found, "message").contains(self.says)
            && found["fix"].is_null() == self.fix.is_empty()
            && text(found, "fix").contains(self.fix);
        (!is_right).then(|| format!("{} {:?}, {:?}: {found}", self.result, self.says, self.fix))
    }
}

/// What is checked, in order.
pub const CHECKS: [&str; 14] = [
    "settings",
    "credentials",
    "defender-token",
    "defender-alerts",
    "defender-machines",
    "sources",
    "sink-token",
    "sink",
    "state",
    "checkpoint",
    "clock",
    "support",
    "proxy",
    "schedule",
];

#[tokio::test]
async fn every_finding_is_reached_by_its_mistake() {
    let problems: Vec<_> = stream::iter(ROWS).map(Row::problem).buffer_unordered(8).collect().await;
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[tokio::test]
async fn all_is_well_with_the_logs_ingestion_api_and_nothing_is_written() {
    let mut stage = Stage::with_alerts(LogsIngestion, 20, 2).await;
    stage.set("MDATP_SCHEDULE", "0 */5 * * * *");
    let (code, found) = findings(&stage, &[]).await;
    assert_eq!(code, 0, "{found:#?}");
    let checks: Vec<_> = found.iter().map(|finding| text(finding, "check")).collect();
    assert_eq!(checks, CHECKS);
    assert_eq!(stage.cloud.counts().records, 0);
    assert_eq!(fs::read_dir(stage.state_file("")).expect("the folder").count(), 0);

    // A person gets the same, a line each.
    let output = stage.command(&["check"]).await;
    let lines = String::from_utf8(output.stdout).expect("text");
    let starts: Vec<_> = lines.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!((output.status.code(), starts), (Some(0), checks));
    assert!(lines.lines().all(|line| line.starts_with("ok ")), "{lines}");

    // And after a run, how far it has come.
    stage.tick().await;
    let (_, found) = findings(&stage, &[]).await;
    assert!(text(of("checkpoint", &found), "message").contains("is delivered"), "{found:#?}");
}

#[tokio::test]
async fn with_send_one_marked_record_arrives_where_the_message_says() {
    for sink in BOTH_SINKS {
        let stage = Stage::new(sink).await;
        let (_, found) = findings(&stage, &["--send"]).await;
        let sink_finding = of("sink", &found);
        assert_eq!(sink_finding["result"], "ok", "{sink_finding}");
        let records = stage.cloud.records();
        let [record] = &records[..] else { panic!("one record: {records:?}") };
        let (column, member) = if sink == LogsIngestion { ("AlertId", "AlertId") } else { ("id_s", "id") };
        let query = format!("MDATPAlerts_CL | where {column} == {}", record[member]);
        assert!(text(sink_finding, "message").contains(&query), "{sink_finding}");
        assert!(text(record, member).starts_with("mdatp-forward-check-"), "{record}");
        assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
        // The run after it takes it for nothing.
        assert_eq!(stage.tick().await["alertsSent"], 0);
    }
    // What an empty post leaves open, a record decides.
    let stage = Stage::new(LogsIngestion).await;
    stage.cloud.fault(Fault::status(400).on(Service::LogsIngestion));
    let (code, found) = findings(&stage, &["--send"]).await;
    assert_eq!((code, &of("sink", &found)["result"]), (2, &json!("failure")));
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn the_state_in_blob_storage_is_checked_with_a_real_store() {
    let azurite = Azurite::start().await;
    let mut stage = Stage::new(DataCollector).await;
    stage.unset("MDATP_STATE");
    for storage in [azurite.connection_string(), azurite.sas_connection_string()] {
        stage.set("AzureWebJobsStorage", &storage);
        let (code, found) = findings(&stage, &[]).await;
        assert_eq!((code, &of("state", &found)["result"]), (1, &json!("ok")), "{found:#?}");
        assert!(azurite.list_blobs("mdatp-forward").await.is_empty());
    }
    let wrong = azurite.connection_string().replacen("AccountKey=Eby8", "AccountKey=Abc8", 1);
    stage.set("AzureWebJobsStorage", &wrong);
    let (code, found) = findings(&stage, &[]).await;
    let told = of("state", &found);
    assert_eq!((code, &told["result"]), (2, &json!("failure")), "{told}");
    let fix = text(told, "fix");
    assert!(fix.contains("az storage account show-connection-string --name devstoreaccount1"), "{fix}");

    // A role that is missing is named with the account it is missing on.
    stage.unset("AzureWebJobsStorage");
    stage.set("AzureWebJobsStorage__blobServiceUri", &azurite.account_url());
    let (code, found) = findings(&stage, &[]).await;
    let told = of("state", &found);
    assert_eq!((code, &told["result"]), (2, &json!("failure")), "{told}");
    let fix = text(told, "fix");
    assert!(fix.contains("--role \"Storage Blob Data Owner\"") && fix.contains("devstoreaccount1"), "{told}");
}

#[tokio::test]
async fn all_bad_settings_are_told_and_what_does_not_need_them_is_checked() {
    let mut stage = Stage::new(LogsIngestion).await;
    stage.set("MDATP_PAGE_SIZE", "0");
    stage.unset("MDATP_DCR_ID");
    let (code, found) = findings(&stage, &[]).await;
    let settings: Vec<_> = found.iter().filter(|finding| finding["check"] == "settings").collect();
    assert_eq!((code, settings.len()), (2, 2), "{found:#?}");
    for (check, result) in [
        ("defender-alerts", "ok"),
        ("defender-machines", "ok"),
        ("sink", "warning"),
        ("state", "ok"),
        ("clock", "ok"),
    ] {
        assert_eq!(of(check, &found)["result"], result, "{found:#?}");
    }
}

/// Writes a `local.settings.json` with these members of Values, a line each, in a folder of its own.
fn local_settings(stage: &Stage, members: &str) -> String {
    let file = stage.folder.path().join("app/local.settings.json");
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    // As people write it, and as Core Tools read it.
    let text = format!("// mine\n{{'IsEncrypted': false, \"Values\": {{\n{members}\n}}, /* end */}}");
    fs::write(&file, text).expect("written");
    file.display().to_string()
}

/// Moves the stage's settings into a `local.settings.json`.
fn move_settings(stage: &mut Stage) -> String {
    let members = stage.settings.iter().map(|(name, value)| format!("{}: {},", json!(name), json!(value)));
    let file = local_settings(stage, &members.collect::<Vec<_>>().join("\n"));
    // Trust in the simulated Entra is this machine's.
    stage.settings.retain(|name, _| name == "SSL_CERT_FILE");
    file
}

#[tokio::test]
async fn the_values_of_local_settings_are_settings_and_what_the_shell_has_set_goes_before_them() {
    for route in [ManagedIdentity, ClientSecret] {
        let mut stage = Stage::with_route(LogsIngestion, route).await;
        stage.set("FUNCTIONS_WORKER_RUNTIME", "custom");
        stage.set("MDATP_SCHEDULE", "0 * * * * *");
        stage.set("MDATP_STATE", "file:.state");
        stage.set("MDATP_MODE", "sideways");
        let file = move_settings(&mut stage);
        let arguments = ["--send", "--local-settings", &file];
        let (code, found) = findings(&stage, &arguments).await;
        assert_eq!((code, text(of("settings", &found), "result")), (2, "failure"), "{found:#?}");
        // One that is empty is as good as not set (Core Tools, EnvironmentHelper).
        stage.set("MDATP_STATE", "");
        stage.set("MDATP_MODE", "created");
        let (code, found) = findings(&stage, &arguments).await;
        assert_eq!(code, 0, "{found:#?}");
        // A relative folder is beside the file.
        assert!(stage.folder.path().join("app/.state").is_dir());
    }
}

/// Core Tools hand on `True` for true, and a time with the month first: Azure/azure-functions-core-tools reads the
/// file with Newtonsoft.Json, whose reader takes such a text for a date.
#[tokio::test]
async fn what_core_tools_make_of_a_value_is_what_is_checked_and_works() {
    let mut stage = Stage::new(LogsIngestion).await;
    let members = "\"MDATP_START\": \"2026-11-27T10:00:00.000Z\", MDATP_HEALTH: true,\n'MDATP_PAGE_SIZE': 5e2, // a few\n\
                   \"MDATP_QUOTA_SHARE\": 0.80, \"MDATP_LOOKBACK\": null, \"MDATP_MODE\": \"Created\",";
    let file = local_settings(&stage, members);
    let (code, found) = findings(&stage, &["--local-settings", &file]).await;
    assert_eq!(code, 0, "{found:#?}");

    // The same as func start sets them, under the host.
    stage.generate(20, 2);
    let start = now() - Duration::minutes(40);
    let (month, day) = (u8::from(start.month()), start.day());
    let time = format!("{:02}:{:02}:{:02}", start.hour(), start.minute(), start.second());
    stage.set("MDATP_START", &format!("{month:02}/{day:02}/{} {time}", start.year()));
    stage.set("MDATP_HEALTH", "False");
    let report = stage.tick().await;
    let from = azure_core::time::parse_rfc3339(text(&report, "from")).expect("a time");
    assert_eq!(from.unix_timestamp(), start.unix_timestamp(), "{report}");
}

#[tokio::test]
async fn a_file_that_core_tools_would_not_take_is_told_with_its_line() {
    let stage = Stage::new(LogsIngestion).await;
    for (members, told) in [
        ("\"A\": \"1\",\n\"MDATP_MODE\": {\"is\": \"created\"}", "line 4: Values.MDATP_MODE is an object"),
        ("\"A\": [1]", "line 3: Values.A is a list"),
        ("\"A\": \"1\"\n\"B\": \"2\"", "line 4: there must be a ','"),
        ("\"A\": \"1\"}}} {", "line 3: there is text after the end"),
    ] {
        let file = local_settings(&stage, members);
        let Output { status, stdout, stderr } = stage.command(&["check", "--local-settings", &file]).await;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!((status.code(), stdout.is_empty()), (Some(64), true), "{stderr}");
        assert!(stderr.contains("local.settings.json") && stderr.contains(told), "{told}: {stderr}");
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_64_and_nothing_is_checked() {
    let stage = Stage::new(LogsIngestion).await;
    let broken = stage.folder.path().join("broken.json");
    fs::write(&broken, "{").expect("written");
    let broken = broken.display().to_string();
    for arguments in [
        &["check", "--fast"][..],
        &["check", "now"],
        &["check", "--local-settings"],
        &["check", "--local-settings", "/nowhere/local.settings.json"],
        &["check", "--local-settings", &broken],
    ] {
        let Output { status, stdout, stderr } = stage.command(arguments).await;
        assert_eq!(status.code(), Some(64), "{arguments:?}");
        assert!(stdout.is_empty() && !stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(stage.cloud.counts().requests, 0);
}

#[tokio::test]
async fn a_machine_without_certificates_is_told_and_the_rest_checked() {
    let mut stage = Stage::new(DataCollector).await;
    let empty = stage.folder.path().join("empty.pem");
    fs::write(&empty, "").expect("written");
    stage.set("SSL_CERT_FILE", &empty.display().to_string());
    stage.set("MDATP_SCHEDULE", "0 * * * * *");
    let (code, found) = findings(&stage, &[]).await;
    let client = of("client", &found);
    assert_eq!((code, &client["result"]), (2, &json!("failure")), "{client}");
    assert!(text(client, "fix").contains("SSL_CERT_FILE"), "{client}");
    assert_eq!(of("schedule", &found)["result"], "ok");
}

#[tokio::test]
async fn no_finding_holds_a_secret() {
    for route in [ClientSecret, WorkloadIdentity, ManagedIdentity] {
        for sink in BOTH_SINKS {
            let mut stage = Stage::with_route(sink, route).await;
            stage.set("MDATP_LOG_LEVEL", "debug");
            let mut texts = Vec::new();
            for fault in [
                None,
                Some(Fault::status(401).on(Service::Defender).times(4)),
                Some(Fault::status(403).on(sink.service())),
                Some(Fault::status(400).on(if route == ManagedIdentity {
                    Service::Identity
                } else {
                    Service::Entra
                })),
            ] {
                stage.cloud.clear_faults();
                if let Some(fault) = fault {
                    stage.cloud.fault(fault);
                }
                texts.push(format!("{:?}", stage.command(&["check", "--send"]).await));
            }
            let secrets = stage.served.secrets();
            assert!(secrets.len() > 5, "there is something to look for");
            for secret in secrets {
                assert!(texts.iter().all(|text| !text.contains(&secret)), "{secret} in {texts:#?}");
            }
        }
    }
}

#[tokio::test]
async fn an_alert_of_long_ago_is_not_looked_for() {
    let stage = Stage::new(LogsIngestion).await;
    stage.cloud.add_alert(&alert("old", None, &to_rfc3339(&(now() - Duration::days(31)))));
    let (_, found) = findings(&stage, &[]).await;
    assert!(text(of("defender-alerts", &found), "message").contains("no alert"), "{found:#?}");
}

/// The findings about the sources, and how they are with these settings.
async fn sources(stage: &Stage, arguments: &[&str]) -> Vec<(String, String)> {
    let (_, found) = findings(stage, arguments).await;
    let sources = found.iter().filter(|finding| finding["check"] == "sources");
    sources.map(|finding| (text(finding, "result").to_owned(), text(finding, "message").to_owned())).collect()
}

#[tokio::test]
async fn where_both_sources_can_be_read_their_alerts_are_compared() {
    let mut stage = Stage::new(LogsIngestion).await;
    let until = now() - Duration::minutes(15);
    stage.cloud.generate(&Volume { alerts: 60, machines: 5, since: until - Duration::hours(20), until });
    let [(result, message)] = &sources(&stage, &[]).await[..] else { panic!("one finding") };
    assert_eq!(result, "ok");
    assert!(
        message.contains("may not read Microsoft Graph") && message.contains("SecurityAlert.Read.All"),
        "{message}"
    );

    stage.cloud.grant_role(Role::SecurityAlertRead);
    let [(result, message)] = &sources(&stage, &[]).await[..] else { panic!("one finding") };
    assert_eq!(result, "ok");
    assert!(message.contains("60 are in both sources, 0 only in Defender's own API, 0 only in"), "{message}");
    assert!(message.contains("investigationId (") && !message.contains("severity"), "{message}");

    // Graph leaves one out, and with Graph in use that needs attention.
    let lost = stage.cloud.alert_ids().remove(7);
    let page = stage.cloud.alert_ids().len();
    stage.cloud.fault(
        Fault::garbled(&format!("\"id\":\"{lost}\""), b"\"id\":\"another\"").on(Service::Graph).always(),
    );
    stage.set("MDATP_SOURCE", "graph");
    let [(result, message)] = &sources(&stage, &[]).await[..] else { panic!("one finding") };
    assert_eq!(result, "warning", "{message}");
    assert!(message.contains(&format!("{} are in both", page - 1)) && message.contains(&lost), "{message}");

    let details = sources(&stage, &["--compare-sources", "21h"]).await;
    let messages: Vec<&str> = details.iter().map(|(_, message)| message.as_str()).collect();
    assert!(messages.contains(&&*format!("{lost}: only Defender's own API has it")), "{messages:?}");
    assert!(messages.contains(&"another: only Microsoft Graph has it"), "{messages:?}");
    assert!(messages.iter().any(|message| message.ends_with(": investigationId differs")), "{messages:?}");
    let (_, all) = findings(&stage, &["--compare-sources", "21h"]).await;
    assert!(all.iter().all(|finding| finding["check"] == "sources"), "{all:#?}");
}

#[tokio::test]
async fn with_graph_in_use_it_is_graph_that_is_checked() {
    let mut stage = Stage::with_alerts(LogsIngestion, 20, 2).await;
    stage.set("MDATP_SOURCE", "graph");
    let (_, found) = findings(&stage, &[]).await;
    let token = of("graph-token", &found);
    assert_eq!(token["result"], "failure", "{token}");
    assert!(
        text(token, "fix").contains("deploy/grant-roles.sh --source graph")
            || text(token, "fix").contains("Graph"),
        "{token}"
    );
    assert_eq!(of("graph-alerts", &found)["result"], "failure");
    stage.cloud.revoke_tokens();
    stage.cloud.grant_role(Role::SecurityAlertRead);
    stage.set("MDATP_MACHINES", "hunting");
    let (_, found) = findings(&stage, &[]).await;
    assert_eq!(of("graph-alerts", &found)["result"], "ok", "{found:#?}");
    let hunting = of("graph-hunting", &found);
    assert!(
        hunting["result"] == "failure" && text(hunting, "message").contains("ThreatHunting.Read.All"),
        "{hunting}"
    );
    stage.cloud.grant_role(Role::ThreatHuntingRead);
    let (_, found) = findings(&stage, &[]).await;
    assert_eq!(of("graph-token", &found)["result"], "ok", "{found:#?}");
    assert_eq!(of("graph-hunting", &found)["result"], "ok", "{found:#?}");
    assert!(found.iter().all(|finding| !text(finding, "check").starts_with("defender-")), "{found:#?}");
}
