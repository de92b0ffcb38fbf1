//! `mdatp-forward tenants`, and the commands about one tenant of many, by `--tenant`, or all, by `status --all`.

use std::{fs, path::PathBuf, process::Output};

use futures::future::join_all;
use serde_json::{Value, json};
use simulator::{
    Fault, Route, Service,
    Sink::LogsIngestion,
    azurite::{Azurite, AzuriteQueues},
    queue::Queues as _,
    tenant::{OTHER_TENANT_ID, SHARED_CLIENT_ID, SHARED_CLIENT_SECRET, TENANT_ID},
};

use crate::stage::{Stage, alert, minutes_ago};

/// A tenant of which nothing exists.
const NOWHERE: &str = "99999999-2222-3333-4444-555555555555";

/// The app setting with the secret of the app registration.
const SECRET: &str = "CONTOSO_SECRET";

/// A shell beside an app for many tenants, of which the cloud's own is one.
async fn stage() -> Stage {
    let mut stage = Stage::with_route(LogsIngestion, Route::ClientSecret).await;
    stage.set("MDATP_CLIENT_ID", SHARED_CLIENT_ID);
    stage.set(SECRET, SHARED_CLIENT_SECRET);
    stage
}

/// The same with the cloud's tenant on the list, and 20 alerts in it.
async fn with_tenant() -> Stage {
    let stage = stage().await;
    stage.generate(20, 3);
    succeeds(&stage, &["tenants", "add", TENANT_ID, "--name", "Contoso", "--secret-setting", SECRET]).await;
    stage
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    format!("{out}{err}")
}

/// What a command prints that succeeds.
async fn succeeds(stage: &Stage, arguments: &[&str]) -> String {
    text(&stage.command(arguments).await, 0)
}

async fn fails(stage: &Stage, code: i32, arguments: &[&str]) -> String {
    text(&stage.command(arguments).await, code)
}

fn list(stage: &Stage) -> Value {
    let text = fs::read(stage.state_file("tenants.json")).expect("a list");
    serde_json::from_slice(&text).expect("JSON")
}

/// A document in the state of a tenant.
fn of_tenant(stage: &Stage, tenant: &str, name: &str) -> PathBuf {
    stage.state_file("tenants").join(tenant).join(name)
}

#[tokio::test]
async fn a_tenant_is_added_disabled_enabled_and_removed_and_the_list_says_so() {
    let stage = stage().await;
    assert!(succeeds(&stage, &["tenants", "list"]).await.starts_with("tenant  "));
    let upper = OTHER_TENANT_ID.to_uppercase();
    let add = ["tenants", "add", &upper, "--name", "Contoso"];
    assert!(succeeds(&stage, &add).await.contains("is added"));
    let entry = json!({
        "id": OTHER_TENANT_ID, "name": "Contoso", "enabled": true, "credential": "federated",
        "sink": {
            "endpoint": stage.settings["MDATP_INGESTION_ENDPOINT"], "dcr": stage.settings["MDATP_DCR_ID"],
            "tokenFrom": "home"
        }
    });
    assert_eq!(list(&stage), json!({"version": 1, "tenants": [entry]}));

    // The same again changes nothing, anything else only on request.
    assert!(succeeds(&stage, &add).await.contains("already"));
    let other = [&add[..], &["--token-from", "tenant", "--start", "3h", "--client-id", "c1"]].concat();
    assert!(fails(&stage, 64, &other).await.contains("--replace"));
    assert_eq!(list(&stage)["tenants"], json!([entry]));
    succeeds(&stage, &[&other[..], &["--replace"]].concat()).await;
    let replaced = &list(&stage)["tenants"][0];
    assert_eq!(
        (&replaced["sink"]["tokenFrom"], &replaced["start"], &replaced["clientId"]),
        (&json!("tenant"), &json!("3h"), &json!("c1"))
    );

    succeeds(&stage, &["tenants", "disable", OTHER_TENANT_ID]).await;
    assert_eq!(list(&stage)["tenants"][0]["enabled"], false);
    let shown = succeeds(&stage, &["tenants", "list"]).await;
    let line = shown.lines().find(|line| line.starts_with(OTHER_TENANT_ID)).expect("a line");
    assert!(line.contains("Contoso") && line.contains("disabled"), "{line}");
    let shown: Value = serde_json::from_str(&succeeds(&stage, &["tenants", "list", "--json"]).await)
        .expect("one line of JSON");
    assert_eq!(&shown, &list(&stage)["tenants"][0]);
    succeeds(&stage, &["tenants", "enable", OTHER_TENANT_ID]).await;
    assert_eq!(list(&stage)["tenants"][0]["enabled"], true);
    assert!(succeeds(&stage, &["tenants", "remove", OTHER_TENANT_ID]).await.contains("its state stays"));
    assert_eq!(list(&stage)["tenants"], json!([]));
}

#[tokio::test]
async fn what_cannot_work_is_not_added_and_a_tenant_that_is_not_there_is_named() {
    let mut stage = stage().await;
    let add = ["tenants", "add", OTHER_TENANT_ID, "--name", "Contoso"];
    for (more, told) in [
        (&["--endpoint", "http://elsewhere.example"][..], "MDATP_INGESTION_ENDPOINT"),
        (&["--start", "yesterday"], "MDATP_START"),
        (&["--secret-setting", "MDATP_STATE"], "--secret-setting"),
        (&["--token-from", "mine"], "must be tenant or home"),
    ] {
        let told_so = fails(&stage, 64, &[&add[..], more].concat()).await;
        assert!(told_so.contains(told), "{more:?}: {told_so}");
    }
    assert!(
        fails(&stage, 64, &["tenants", "add", "contoso", "--name", "C"]).await.contains("a GUID such as")
    );
    for command in ["remove", "enable", "disable", "check"] {
        let told = fails(&stage, 64, &["tenants", command, NOWHERE]).await;
        assert!(told.contains(NOWHERE) && told.contains("mdatp-forward tenants list"), "{told}");
    }
    for command in [&["status"][..], &["run"], &["check"], &["state", "release"], &["set-aside", "list"]] {
        let told = fails(&stage, 64, &[command, &["--tenant", NOWHERE]].concat()).await;
        assert!(told.contains(&format!("there is no tenant {NOWHERE}")), "{told}");
    }
    assert!(!stage.state_file("tenants.json").exists());

    stage.unset("MDATP_DCR_ID");
    assert!(fails(&stage, 64, &add).await.contains("Fix: give --dcr"));
    assert!(
        fails(&stage, 64, &["status", "--all", "--tenant", NOWHERE]).await.contains("cannot be used with")
    );
}

/// Every writer compares and swaps, and begins again on the newest list.
#[tokio::test]
async fn changes_at_the_same_time_are_all_in_the_list() {
    let stage = stage().await;
    let ids: Vec<String> = (0..8).map(|n| format!("{n}1111111-2222-3333-4444-555555555555")).collect();
    let adding = ids.iter().map(async |id| succeeds(&stage, &["tenants", "add", id, "--name", id]).await);
    join_all(adding).await;
    let mut listed: Vec<String> = list(&stage)["tenants"]
        .as_array()
        .expect("tenants")
        .iter()
        .map(|entry| entry["id"].as_str().expect("an id").to_owned())
        .collect();
    listed.sort();
    assert_eq!(listed, ids);

    let (gone, kept) = ids.split_at(4);
    let removing = gone.iter().map(async |id| succeeds(&stage, &["tenants", "remove", id]).await);
    let disabling = kept.iter().map(async |id| succeeds(&stage, &["tenants", "disable", id]).await);
    futures::future::join(join_all(removing), join_all(disabling)).await;
    let left = list(&stage)["tenants"].clone();
    let left = left.as_array().expect("tenants");
    assert!(left.len() == 4 && left.iter().all(|entry| entry["enabled"] == false), "{left:?}");
}

#[tokio::test]
async fn a_damaged_list_is_left_as_it_is_and_named_with_its_place() {
    let stage = with_tenant().await;
    let damaged = list(&stage).to_string().replace("federated", "x").replace(TENANT_ID, "contoso");
    fs::write(stage.state_file("tenants.json"), &damaged).expect("written");
    for (code, command) in [
        (1, &["tenants", "list"][..]),
        (1, &["tenants", "add", OTHER_TENANT_ID, "--name", "Fabrikam"]),
        (1, &["tenants", "disable", TENANT_ID]),
        (2, &["tenants", "check"]),
        (1, &["status", "--all"]),
        (1, &["run", "--tenant", TENANT_ID]),
    ] {
        let told = fails(&stage, code, command).await;
        assert!(told.contains("tenant 1") && told.contains("id must be"), "{command:?}: {told}");
    }
    assert_eq!(fs::read_to_string(stage.state_file("tenants.json")).expect("a list"), damaged);
}

#[tokio::test]
async fn the_commands_about_one_tenant_use_its_entry_and_its_part_of_the_state() {
    let stage = with_tenant().await;
    let tenant = ["--tenant", TENANT_ID];
    let of = |command: &[&'static str]| [command, &tenant].concat();
    stage.cloud.add_alert(&alert("da-old", None, &minutes_ago(60 * 30)));
    let dry = succeeds(&stage, &of(&["run", "--dry-run"])).await;
    assert_eq!(dry.lines().filter(|line| line.starts_with('{')).count(), 20);
    assert!(!of_tenant(&stage, TENANT_ID, "checkpoint.json").exists());

    let printed = stage.command(&of(&["run", "--json"])).await;
    let report: Value = serde_json::from_slice(&printed.stdout).expect("a report");
    assert_eq!((&report["alertsSent"], &report["tenant"]), (&json!(20), &json!(TENANT_ID)));
    assert!(of_tenant(&stage, TENANT_ID, "checkpoint.json").exists());
    assert!(!stage.state_file("checkpoint.json").exists());

    let status: Value =
        serde_json::from_str(&succeeds(&stage, &of(&["status", "--json"])).await).expect("JSON");
    assert!(
        status["place"].as_str().expect("a place").contains(&format!("tenants/{TENANT_ID}/checkpoint.json"))
    );
    assert_eq!(status["runs"][0]["sent"], 20);
    succeeds(&stage, &of(&["backfill", "--from", "2026-01-01"])).await;
    assert!(stage.sent_ids().contains(&"da-old".to_owned()));
    assert_eq!(stage.sent_ids().len(), 21);
    assert!(succeeds(&stage, &of(&["state", "release"])).await.contains("no process is at work"));
    // The option may stand before the command too.
    let reset = ["state", "--tenant", TENANT_ID, "reset", "--to", "2h"];
    assert!(succeeds(&stage, &reset).await.contains(TENANT_ID));
    succeeds(&stage, &of(&["run"])).await;
    assert_eq!(stage.sent_ids().len(), 21 + 20);

    let aside = of_tenant(&stage, TENANT_ID, "set-aside");
    fs::create_dir_all(&aside).expect("a folder");
    let record = alert("late", None, &minutes_ago(9));
    let document = format!(r#"{{"id":"late","reason":"refused: on purpose","record":{record}}}"#);
    fs::write(aside.join("late.json"), document).expect("written");
    assert!(succeeds(&stage, &of(&["set-aside", "list"])).await.contains("refused: on purpose"));
    assert!(succeeds(&stage, &["set-aside", "show", "late", "--tenant", TENANT_ID]).await.contains("late"));
    succeeds(&stage, &of(&["set-aside", "replay"])).await;
    assert!(stage.sent_ids().contains(&"late".to_owned()) && !aside.join("late.json").exists());

    let checked = text(&stage.command(&of(&["check"])).await, 0);
    assert!(
        checked.contains(&format!("tenants/{TENANT_ID}")) || checked.contains("is delivered"),
        "{checked}"
    );
    assert!(stage.cloud.rejected().is_empty(), "{:?}", stage.cloud.rejected());
}

/// In a shell there is no managed identity, so a secret of the app registration takes its place.
#[tokio::test]
async fn a_federated_tenant_is_read_from_a_shell_with_a_secret_of_the_app_registration() {
    let mut stage = stage().await;
    stage.generate(20, 3);
    succeeds(&stage, &["tenants", "add", TENANT_ID, "--name", "Contoso", "--token-from", "tenant"]).await;
    let run = ["run", "--tenant", TENANT_ID];
    assert!(fails(&stage, 64, &run).await.contains("MDATP_CLIENT_SECRET"));
    // Its state needs no such thing.
    assert!(fails(&stage, 1, &["status", "--tenant", TENANT_ID]).await.contains("no run yet"));
    let checked = fails(&stage, 1, &["tenants", "check", TENANT_ID]).await;
    assert!(checked.contains("not checked: the app registration cannot sign in here"), "{checked}");

    stage.set("MDATP_CLIENT_SECRET", SHARED_CLIENT_SECRET);
    let told = fails(&stage, 1, &run).await;
    assert!(told.contains("403"), "the app registration may not send to this rule: {told}");
    succeeds(&stage, &["tenants", "add", TENANT_ID, "--name", "Contoso", "--replace"]).await;
    succeeds(&stage, &run).await;
    assert_eq!(stage.sent_ids().len(), 20);

    // Where a run has succeeded, nothing is left to check, whoever asks.
    stage.unset("MDATP_CLIENT_SECRET");
    let checked = succeeds(&stage, &["tenants", "check", TENANT_ID]).await;
    assert!(checked.contains("last-run") && !checked.contains("not checked"), "{checked}");
}

#[tokio::test]
async fn the_check_of_a_tenant_has_its_last_run_and_waits_for_the_first_one() {
    let stage = with_tenant().await;
    let told = fails(&stage, 1, &["tenants", "check"]).await;
    assert!(told.contains(TENANT_ID) && told.contains("there has been no run yet"), "{told}");

    let waiting = stage.start(&["tenants", "check", TENANT_ID, "--wait", "100s"]);
    succeeds(&stage, &["run", "--tenant", TENANT_ID]).await;
    let told = text(&waiting.wait_with_output().await.expect("the binary runs"), 0);
    for part in ["last-run", "succeeded", "defender-alerts"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }

    stage.cloud.fault(Fault::status(403).on(Service::Defender));
    fails(&stage, 1, &["run", "--tenant", TENANT_ID]).await;
    stage.cloud.clear_faults();
    let line = fails(&stage, 2, &["tenants", "check", "--json"]).await;
    let found: Value = serde_json::from_str(&line).expect("one line of JSON");
    assert_eq!((&found["tenant"], &found["name"]), (&json!(TENANT_ID), &json!("Contoso")));
    let last = found["findings"].as_array().and_then(|findings| findings.last()).expect("a finding");
    assert_eq!((&last["check"], &last["result"]), (&json!("last-run"), &json!("failure")));
    succeeds(&stage, &["tenants", "disable", TENANT_ID]).await;
    assert!(fails(&stage, 1, &["tenants", "check"]).await.contains("no tenant is enabled"));
}

#[tokio::test]
async fn the_status_of_all_has_the_tenants_that_fail_first() {
    let stage = with_tenant().await;
    succeeds(&stage, &["tenants", "add", NOWHERE, "--name", "<b>Nowhere</b>", "--secret-setting", SECRET])
        .await;
    succeeds(&stage, &["tenants", "add", OTHER_TENANT_ID, "--name", "Asleep", "--disabled"]).await;
    succeeds(&stage, &["run", "--tenant", TENANT_ID]).await;
    for _ in 0..2 {
        fails(&stage, 1, &["run", "--tenant", NOWHERE]).await;
    }
    let page = stage.state_file("all.html");
    let arguments = ["status", "--all", "--json", "--html", page.to_str().expect("text")];
    let output = stage.command(&arguments).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let tenants = status["tenants"].as_array().expect("tenants");
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, [NOWHERE, TENANT_ID, OTHER_TENANT_ID]);
    assert_eq!((&tenants[0]["failedRuns"], &tenants[0]["result"]), (&json!(2), &json!("failed")));
    assert_eq!((&tenants[1]["result"], &tenants[1]["problems"]), (&json!("ok"), &json!([])));
    assert_eq!(
        (&status["poisonMessages"], &status["problems"]),
        (&Value::Null, &json!(["1 of 3 tenants needs attention"]))
    );
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("&lt;b&gt;Nowhere") && page.contains("Asleep") && !page.contains("<b>"), "{page}");

    let shown = fails(&stage, 1, &["status", "--all"]).await;
    assert!(shown.contains("3 tenants: 1 ok, 1 with problems, 1 disabled"), "{shown}");
    succeeds(&stage, &["tenants", "disable", NOWHERE]).await;
    succeeds(&stage, &["status", "--all"]).await;
}

/// The queue is another service of the same account, with the same key.
#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn messages_that_no_invocation_could_handle_are_counted() {
    const POISON: &str = "mdatp-tenants-poison";
    let (azurite, queues) = (Azurite::start().await, AzuriteQueues::start().await);
    let mut stage = stage().await;
    stage.generate(20, 3);
    stage.set("MDATP_STATE", "blob:forward/some/prefix");
    let beside = |blobs: String| format!("{};{}", blobs.trim_end_matches(';'), queues.endpoint());
    stage.set("AzureWebJobsStorage", &beside(azurite.connection_string()));
    succeeds(&stage, &["tenants", "add", TENANT_ID, "--name", "Contoso", "--secret-setting", SECRET]).await;
    succeeds(&stage, &["run", "--tenant", TENANT_ID]).await;
    let of_tenant = format!("some/prefix/tenants/{TENANT_ID}/checkpoint.json");
    assert_eq!(azurite.list_blobs("forward").await, ["some/prefix/tenants.json".to_owned(), of_tenant]);

    let show = async || stage.command(&["status", "--all", "--json"]).await;
    let counted = |output: Output, code| {
        text(&output, code);
        let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        status["poisonMessages"].clone()
    };
    assert_eq!(counted(show().await, 0), 0, "there is no such queue yet");
    queues.create(POISON).await.expect("made");
    for message in ["b25l", "dHdv"] {
        queues.put(POISON, message).await.expect("put");
    }
    assert_eq!(counted(show().await, 1), 2);
    assert!(fails(&stage, 1, &["status", "--all"]).await.contains("poison queue  2 messages"));

    // A signature for blobs alone.
    stage.set("AzureWebJobsStorage", &beside(azurite.sas_connection_string()));
    assert_eq!(counted(stage.command(&["status", "--all", "--json"]).await, 1), Value::Null);
    let told = fails(&stage, 1, &["status", "--all"]).await;
    assert!(told.contains("is not known: ") && told.contains(TENANT_ID), "{told}");
}
