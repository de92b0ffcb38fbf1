//! `mdatp-forward status` and `state reset`: how far delivery has come, what the last runs came to, and the way out
//! when the checkpoint is damaged.

use std::process::Output;

use azure_core::time::{Duration, parse_rfc3339, to_rfc3339};
use serde_json::{Value, json};
use simulator::{Fault, Role, Service, Sink, azurite::Azurite, functions_host::Payload};

use crate::stage::{Stage, alert, fail, minutes_ago, now, succeed};

#[track_caller]
fn told(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(if code == 64 { &output.stderr } else { &output.stdout }).into_owned()
}

/// The status as JSON. The exit code says whether there are problems.
async fn show(stage: &Stage) -> Value {
    let output = stage.command(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    told(&output, i32::from(status["problems"] != json!([])));
    status
}

/// The result of each entry of the history, the oldest first, and how many runs it is.
fn runs(status: &Value) -> Vec<(String, u64)> {
    let entries = status["runs"].as_array().expect("runs").iter();
    let run = |entry: &Value| {
        let result = entry["result"].as_str().expect("a result").to_owned();
        (result, entry.get("runs").map_or(1, |runs| runs.as_u64().expect("a number")))
    };
    entries.map(run).collect()
}

fn results<const N: usize>(results: [&str; N]) -> Vec<(String, u64)> {
    results.map(|result| (result.to_owned(), 1)).to_vec()
}

/// A stage for each kind of store, and the Azurite that must outlive the second.
async fn both_stores(alerts: usize) -> (Azurite, [Stage; 2]) {
    let azurite = Azurite::start().await;
    let folder = Stage::with_alerts(Sink::DataCollector, alerts, 3).await;
    let mut blob = Stage::with_alerts(Sink::DataCollector, alerts, 3).await;
    blob.set("MDATP_STATE", "blob:forward/some/prefix");
    blob.set("AzureWebJobsStorage", &azurite.connection_string());
    (azurite, [folder, blob])
}

/// The names of the documents beside the checkpoint.
async fn beside(stage: &Stage, azurite: &Azurite) -> Vec<(String, Vec<u8>)> {
    let mut documents = Vec::new();
    if stage.settings["MDATP_STATE"].starts_with("file:") {
        for entry in std::fs::read_dir(stage.state_file("")).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name");
            documents.push((name, std::fs::read(entry.path()).expect("a document")));
        }
    } else {
        for name in azurite.list_blobs("forward").await {
            let (_, text) = azurite.get_blob("forward", &name).await.expect("a blob");
            documents.push((name.trim_start_matches("some/prefix/").to_owned(), text.to_vec()));
        }
    }
    documents.retain(|(name, _)| name.starts_with("checkpoint.before-reset-"));
    documents
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn show_tells_how_far_delivery_has_come() {
    let (_azurite, stages) = both_stores(40).await;
    for stage in stages {
        let before = show(&stage).await;
        assert_eq!((&before["watermark"], &before["damage"]), (&Value::Null, &Value::Null));
        let text = told(&stage.command(&["status"]).await, 1);
        assert!(text.contains("MDATP_START"), "{text}");

        let report = stage.tick().await;
        let after = show(&stage).await;
        assert_eq!(after["remembered"], 40);
        let time = |text: &Value| parse_rfc3339(text.as_str().expect("a text")).expect("a time");
        let watermark = time(&after["watermark"]);
        assert!(time(&report["from"]) < watermark && watermark <= time(&report["to"]), "{after} {report}");
        assert!((0..60).contains(&after["lagSeconds"].as_i64().expect("a lag")), "{after}");
        assert_eq!(
            after["quota"]["alertList"],
            json!({"lastMinute": 2, "lastHour": 2}),
            "a page, and a look behind it"
        );

        assert_eq!((&after["problems"], runs(&after)), (&json!([]), results(["ok"])));
        let run = &after["runs"][0];
        for (name, in_report) in [
            ("read", "alertsRead"),
            ("sent", "alertsSent"),
            ("machines", "machinesRead"),
            ("ms", "durationMs"),
        ] {
            assert_eq!(run[name], report[in_report], "{name}");
        }
        assert_eq!((&after["lastRun"], &after["lastSuccess"]), (&run["start"], &run["start"]));
        assert_eq!(after["setAside"], json!({"count": 0, "newest": []}));

        let text = told(&stage.command(&["status"]).await, 0);
        let watermark = after["watermark"].as_str().expect("a text");
        for word in
            ["checkpoint.json", watermark, "40 alerts", "GET /api/alerts: 2 in the last minute", "took ms"]
        {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_damaged_checkpoint_is_told_and_reset_is_the_way_out() {
    let (azurite, stages) = both_stores(0).await;
    for stage in stages {
        stage.cloud.add_alert(&alert("old", None, &minutes_ago(30)));
        stage.cloud.add_alert(&alert("new", None, &minutes_ago(10)));
        assert_eq!(stage.tick().await["alertsSent"], 2);
        let damaged = br#"{"version":1,"watermark":"20"#.to_vec();
        match stage.settings["MDATP_STATE"].starts_with("file:") {
            true => std::fs::write(stage.state_file("checkpoint.json"), &damaged).expect("written"),
            false => drop(azurite.put_blob("forward", "some/prefix/checkpoint.json", damaged.clone()).await),
        }
        let text = told(&stage.command(&["status"]).await, 1);
        assert!(text.contains("not the expected JSON") && text.contains("state reset --to"), "{text}");
        let text = told(&stage.command(&["status", "--json"]).await, 1);
        let shown: Value = serde_json::from_str(&text).expect("JSON");
        assert!(shown["damage"].is_string() && shown["watermark"].is_null() && shown["remembered"].is_null());

        let text = told(&stage.command(&["state", "reset", "--to", "20m"]).await, 0);
        let kept = beside(&stage, &azurite).await;
        let [(name, content)] = &kept[..] else { panic!("one document: {kept:?}") };
        assert_eq!(content, &damaged);
        assert!(text.contains(name) && text.contains("checkpoint.json"), "{text}");
        assert_eq!(show(&stage).await["remembered"], 0);
        assert_eq!(stage.tick().await["alertsSent"], 1);
        assert_eq!(stage.sent_ids()[2..], ["new"]);
        assert_eq!(runs(&show(&stage).await), results(["ok"]));

        // To an exact time, over a sound checkpoint, whose calls still count.
        let calls = show(&stage).await["quota"]["alertList"]["lastHour"].clone();
        assert!(calls.as_u64() > Some(0));
        let to = minutes_ago(40);
        told(&stage.command(&["state", "reset", "--to", &to]).await, 0);
        let shown = show(&stage).await;
        assert_eq!((&shown["watermark"], &shown["knownFrom"]), (&json!(to), &json!(to)));
        assert_eq!((&shown["quota"]["alertList"]["lastHour"], runs(&shown)), (&calls, results(["ok"])));
        assert_eq!(beside(&stage, &azurite).await.len(), 2);
        assert_eq!(stage.tick().await["alertsSent"], 2);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_reset_before_the_first_run_sets_its_start() {
    let (azurite, stages) = both_stores(0).await;
    for stage in stages {
        stage.cloud.add_alert(&alert("old", None, &minutes_ago(30)));
        stage.cloud.add_alert(&alert("new", None, &minutes_ago(10)));
        let text = told(&stage.command(&["state", "reset", "--to", "20m"]).await, 0);
        assert!(text.contains("none before"), "{text}");
        assert_eq!(beside(&stage, &azurite).await.len(), 0);
        stage.tick().await;
        assert_eq!(stage.sent_ids(), ["new"]);
    }
}

#[tokio::test]
async fn a_reset_that_makes_no_sense_changes_nothing() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    stage.tick().await;
    let before = std::fs::read(stage.state_file("checkpoint.json")).expect("a checkpoint");
    let tomorrow = to_rfc3339(&(now() + Duration::days(1)));
    for arguments in [
        &["state", "reset"][..],
        &["state", "reset", "--to", "yesterday"],
        &["state", "reset", "--to", &tomorrow],
        &["state", "reset", "--to", "1999-12-31T00:00:00Z"],
        &["state", "reset", "--to", "100000years"],
    ] {
        told(&stage.command(arguments).await, 64);
    }
    assert_eq!(std::fs::read(stage.state_file("checkpoint.json")).expect("a checkpoint"), before);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_reset_stops_a_run_that_is_under_way_and_the_next_one_begins_there() {
    let (_azurite, stages) = both_stores(30).await;
    for stage in stages {
        let host = stage.host().await;
        let late = Duration::milliseconds(1_500);
        stage.cloud.fault(Fault::slow(late).on(Service::DataCollector));
        let run = host.fire(Payload::regular());
        let reset = async {
            while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
                tokio::task::yield_now().await;
            }
            told(&stage.command(&["state", "reset", "--to", "2h"]).await, 0);
        };
        let (invocation, ()) = tokio::join!(run, reset);
        assert!(fail(&invocation).contains("another process"), "{invocation:#?}");
        assert_eq!(show(&stage).await["remembered"], 0);
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 30);
    }
}

#[tokio::test]
async fn every_run_is_in_the_history_and_a_quiet_one_waits_for_the_next_save() {
    let stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    succeed(&host.fire(Payload::regular()).await);
    succeed(&host.fire(Payload::regular()).await);
    assert_eq!(runs(&show(&stage).await), results(["ok"]));

    stage.cloud.deny_role(Role::AlertRead);
    stage.cloud.revoke_tokens();
    let error = fail(&host.fire(Payload::regular()).await);
    let status = show(&stage).await;
    let after = [results(["ok"]), vec![("ok".to_owned(), 2)], results(["failed"])].concat();
    assert_eq!(runs(&status), after);
    let kept = status["runs"][2]["error"].as_str().expect("an error").trim_end_matches('…');
    assert!(kept.len() > 50 && error.starts_with(kept), "{kept} of {error}");
    let problem = status["problems"][0].as_str().expect("a problem");
    assert!(problem.contains("the last run failed") && problem.contains("Alert.Read.All"), "{problem}");
    assert_ne!(status["lastRun"], status["lastSuccess"]);

    stage.cloud.grant_role(Role::AlertRead);
    stage.cloud.revoke_tokens();
    stage.generate(3, 0);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 3);
    let status = show(&stage).await;
    assert_eq!(runs(&status), [after, results(["ok"])].concat());
    assert_eq!(status["problems"], json!([]));
}

#[tokio::test]
async fn a_tick_during_a_run_is_in_the_history_once_that_run_is_over() {
    let stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    let host = stage.host().await;
    stage.cloud.fault(Fault::slow(Duration::milliseconds(700)).on(Service::DataCollector));
    let second = async {
        while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["skipped"], "alreadyRunning");
    };
    let (first, ()) = tokio::join!(host.fire(Payload::regular()), second);
    succeed(&first);
    let status = show(&stage).await;
    assert_eq!((runs(&status), &status["problems"]), (results(["ok", "skipped"]), &json!([])));
}

/// Writes the checkpoint anew, with other members.
fn edit(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let file = stage.state_file("checkpoint.json");
    let mut document = serde_json::from_slice(&std::fs::read(&file).expect("a checkpoint")).expect("JSON");
    change(&mut document);
    std::fs::write(file, document.to_string()).expect("written");
}

#[tokio::test]
async fn an_hour_after_the_last_save_a_quiet_run_gives_a_sign_of_life() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    // Otherwise the watermark alone is a reason to save.
    stage.set("MDATP_LOOKBACK", "24h");
    stage.tick().await;
    let watermark = minutes_ago(70);
    for (minutes, runs_after, has_moved) in [(59, results(["ok"]), false), (61, results(["ok", "ok"]), true)]
    {
        edit(&stage, |document| {
            document["watermark"] = json!(watermark);
            document["history"][0]["start"] = json!(minutes_ago(minutes));
            document["history"][0]["sent"] = json!(7);
        });
        stage.tick().await;
        let status = show(&stage).await;
        assert_eq!((runs(&status), status["watermark"] != watermark), (runs_after, has_moved));
    }
}

#[tokio::test]
async fn a_checkpoint_of_before_there_was_a_history_is_good_and_gets_one() {
    let stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    stage.tick().await;
    edit(&stage, |document| drop(document.as_object_mut().expect("an object").remove("history")));
    let status = show(&stage).await;
    assert_eq!(
        (&status["problems"], &status["remembered"]),
        (&json!(["no run is recorded yet"]), &json!(20))
    );
    assert_eq!(stage.tick().await["alertsAlreadySent"], 20);
    assert_eq!(runs(&show(&stage).await), results(["ok"]));
}

#[tokio::test]
async fn two_hours_without_a_success_are_a_problem() {
    let stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    stage.tick().await;
    edit(&stage, |document| document["history"][0]["start"] = json!(minutes_ago(121)));
    let text = told(&stage.command(&["status"]).await, 1);
    assert!(text.contains("problem       no run has succeeded within the last 2 hours"), "{text}");
}

#[tokio::test]
async fn a_run_that_cannot_save_is_written_down_by_the_next_one_that_can() {
    let stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let file = stage.state_file("checkpoint.json");
    let sound = std::fs::read(&file).expect("a checkpoint");
    std::fs::write(&file, "{").expect("written");
    fail(&host.fire(Payload::regular()).await);
    std::fs::write(&file, &sound).expect("written");
    // Nothing new: it waits.
    succeed(&host.fire(Payload::regular()).await);
    assert_eq!(runs(&show(&stage).await), results(["ok"]));
    stage.generate(1, 0);
    succeed(&host.fire(Payload::regular()).await);
    let status = show(&stage).await;
    assert_eq!(runs(&status), results(["ok", "failed", "ok", "ok"]));
    assert!(
        status["runs"][1]["error"].as_str().is_some_and(|error| error.contains("cannot be used")),
        "{status}"
    );
}
