//! `mdatp-forward set-aside`: what could not be delivered is there, says why, and can be sent again.

use std::{fs, process::Output, time::Duration};

use serde_json::{Value, json};
use simulator::{Fault, Service, Sink, azurite::Azurite};
use tokio::process::Command;

use crate::stage::{BOTH_SINKS, Stage, alert, minutes_ago};

fn service(sink: Sink) -> Service {
    match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    }
}

/// Sets a record aside as a run would have done.
fn put(stage: &Stage, name: &str, id: &str, record: &str) {
    let folder = stage.state_file("set-aside");
    fs::create_dir_all(&folder).expect("a folder");
    let text = format!(r#"{{"id":"{id}","reason":"refused: on purpose","record":{record}}}"#);
    fs::write(folder.join(format!("{name}.json")), text).expect("written");
}

fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.state_file("set-aside")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn what_a_run_sets_aside_is_listed_shown_and_sent_once_the_sink_takes_it() {
    let stage = Stage::with_alerts(Sink::DataCollector, 20, 2).await;
    // The Data Collector refuses a property with such a name.
    let created = minutes_ago(5);
    stage.cloud.add_alert(&format!(
        r#"{{"id":"odd/1","a-b":1.50,"alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":null,"evidence":[]}}"#
    ));
    stage.tick().await;
    assert_eq!(stage.sent_ids().len(), 20);

    let listed = stage.command(&["set-aside", "list", "--json"]).await;
    ended(&listed, 0);
    let [row] = &lines(&listed)[..] else { panic!("one line: {listed:?}") };
    assert_eq!(row["id"], "odd/1");
    assert!(row["name"].as_str().expect("a name").starts_with("odd_1."), "{row}");
    assert!(row["reason"].as_str().expect("a reason").contains("Data Collector"), "{row}");
    assert!(row["when"].as_str().expect("a time") > created.as_str(), "{row}");

    let table = stage.command(&["set-aside", "list"]).await;
    let table = String::from_utf8_lossy(&table.stdout);
    let name = row["name"].as_str().expect("a name");
    assert!(
        table.lines().count() == 2 && table.contains(name) && table.contains("Data Collector"),
        "{table}"
    );

    for id in ["odd/1", name] {
        let shown = stage.command(&["set-aside", "show", id]).await;
        ended(&shown, 0);
        assert_eq!(shown.stdout.len() as u64, row["bytes"].as_u64().expect("bytes") + 1);
        assert_eq!(lines(&shown)[0]["record"]["a-b"], json!(1.5));
    }

    // Still refused: it stays, and the reason is told.
    let refused = ended(&stage.command(&["set-aside", "replay"]).await, 1);
    assert!(refused.contains(name) && refused.contains("400"), "{refused}");
    assert_eq!((names(&stage).len(), stage.sent_ids().len()), (1, 20));

    // The Logs Ingestion API has no such rule.
    let mut other = Stage::new(Sink::LogsIngestion).await;
    other.set("MDATP_STATE", &stage.settings["MDATP_STATE"]);
    ended(&other.command(&["set-aside", "replay", "odd/1"]).await, 0);
    assert_eq!((names(&stage).len(), other.sent_ids()), (0, vec!["odd/1".to_owned()]));
    assert!(other.cloud.received()[0].body.contains(r#""a-b":1.50"#));
}

#[tokio::test]
async fn a_record_set_aside_for_one_sink_is_sent_as_the_other_wants_it() {
    for sink in BOTH_SINKS {
        let stage = Stage::new(sink).await;
        let plain = alert("plain", None, &minutes_ago(9));
        put(&stage, "plain.1", "plain", &plain);
        let stamped = alert("stamped", None, &minutes_ago(8));
        let stamped = stamped.replacen('{', &format!(r#"{{"TimeGenerated":"{}","#, minutes_ago(8)), 1);
        put(&stage, "stamped.1", "stamped", &stamped);
        ended(&stage.command(&["set-aside", "replay"]).await, 0);
        let mut sent = stage.sent_ids();
        sent.sort();
        assert_eq!((sent, names(&stage).len()), (vec!["plain".to_owned(), "stamped".to_owned()], 0));
        assert_eq!(stage.cloud.counts().without_time, 0);
        assert!(stage.cloud.rejected().is_empty(), "{:?}", stage.cloud.rejected());
        let is_stamped = |record: &Value| record.get("TimeGenerated").is_some();
        assert!(
            stage.cloud.records().iter().all(|record| is_stamped(record) == (sink == Sink::LogsIngestion))
        );
    }
}

#[tokio::test]
async fn only_what_is_accepted_goes_and_an_unknown_id_sends_nothing() {
    let stage = Stage::new(Sink::DataCollector).await;
    for number in 0..10 {
        put(
            &stage,
            &format!("a{number}.1"),
            &format!("a{number}"),
            &alert(&format!("a{number}"), None, &minutes_ago(9)),
        );
    }
    put(&stage, "a3.2", "a3", r#"{"id":"a3","again":true}"#);
    put(&stage, "bad.1", "bad", r#"{"id":"bad","a-b":1}"#);
    put(&stage, "text.1", "text", r#""{\"id\":""#);
    put(&stage, "foreign", "foreign", "{");

    let unknown = ended(&stage.command(&["set-aside", "replay", "a1", "a", "bad"]).await, 64);
    assert!(unknown.contains("document a is"), "{unknown}");
    assert_eq!(stage.cloud.counts().posts, 0);
    ended(&stage.command(&["set-aside", "show", "../checkpoint"]).await, 64);

    let both = stage.command(&["set-aside", "show", "a3"]).await;
    assert_eq!(lines(&both).len(), 2);
    ended(&stage.command(&["set-aside", "replay", "a3", "a4.1"]).await, 0);
    let mut sent = stage.sent_ids();
    sent.sort();
    assert_eq!(sent, ["a3", "a3", "a4"]);

    // The rest is one batch, in which one record is refused.
    let told = ended(&stage.command(&["set-aside", "replay"]).await, 1);
    for (name, reason) in [("bad", "400"), ("text.1", "not a JSON object"), ("foreign", "cannot be read")] {
        assert!(told.lines().any(|line| line.contains(name) && line.contains(reason)), "{name}: {told}");
    }
    assert!(told.contains("accepted 8 records, 3 are still not delivered"), "{told}");
    assert_eq!(names(&stage), ["bad.1.json", "foreign.json", "text.1.json"]);
    assert_eq!(stage.sent_ids().len(), 3 + 8);
    let listed = stage.command(&["set-aside", "list"]).await;
    assert!(
        ended(&listed, 0).is_empty() && String::from_utf8_lossy(&listed.stdout).contains("cannot be read")
    );
}

#[tokio::test]
async fn a_sink_that_takes_nothing_leaves_everything_where_it_is() {
    for sink in BOTH_SINKS {
        let stage = Stage::new(sink).await;
        for number in 0..5 {
            let id = format!("a{number}");
            put(&stage, &format!("{id}.1"), &id, &alert(&id, None, &minutes_ago(9)));
        }
        let before = names(&stage);
        for (status, advice) in [(403, "answered 403"), (400, "answered 400")] {
            stage.cloud.fault(Fault::status(status).on(service(sink)).always());
            let told = ended(&stage.command(&["set-aside", "replay"]).await, 1);
            assert!(told.contains(advice), "{told}");
            assert_eq!((names(&stage), stage.sent_ids().len()), (before.clone(), 0));
            stage.cloud.clear_faults();
        }
        stage.cloud.fault(Fault::status(503).on(service(sink)).times(2));
        ended(&stage.command(&["set-aside", "replay"]).await, 0);
        assert_eq!((names(&stage).len(), stage.sent_ids().len()), (0, 5));
    }
}

#[tokio::test]
async fn a_replay_killed_in_the_middle_repeats_nothing_it_had_finished() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let field = "x".repeat(60_000);
    for number in 0..6 {
        let fields: Vec<String> =
            ["title", "status", "category", "threatName", "determination", "riskScore", "version"]
                .iter()
                .map(|name| format!(r#""{name}":"{field}""#))
                .collect();
        let id = format!("big{number}");
        put(&stage, &format!("{id}.1"), &id, &format!(r#"{{"id":"{id}",{}}}"#, fields.join(",")));
    }
    // Two records fill a post.
    stage.cloud.fault(Fault::hang().on(Service::LogsIngestion).after(1));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdatp-forward"));
    command.args(["set-aside", "replay"]).env_clear().envs(&stage.settings).kill_on_drop(true);
    let second_post = async {
        while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        output = command.output() => panic!("it ended by itself: {output:?}"),
        () = second_post => {}
    }
    assert_eq!((stage.sent_ids().len(), names(&stage).len()), (2, 4));
    ended(&stage.command(&["set-aside", "replay"]).await, 0);
    let mut sent = stage.sent_ids();
    sent.sort();
    assert_eq!(sent, ["big0", "big1", "big2", "big3", "big4", "big5"]);
    assert_eq!(names(&stage).len(), 0);
}

#[tokio::test]
async fn a_record_that_goes_shortened_stays_here_until_a_sink_takes_it_whole() {
    let collector = Stage::new(Sink::DataCollector).await;
    let text = "x".repeat(40_000);
    put(&collector, "long.1", "long", &format!(r#"{{"id":"long","description":"{text}"}}"#));
    for _ in 0..2 {
        ended(&collector.command(&["set-aside", "replay"]).await, 0);
        let [sent] = &collector.cloud.records()[..] else { panic!("it is sent once") };
        assert!(sent["description"].as_str().expect("a text").len() < 33_000);
        assert_eq!(sent["truncatedFields"], json!(["description"]));
        let kept = &collector.set_aside()[0];
        assert_eq!(kept["record"]["description"], text);
        assert!(kept["reason"].as_str().expect("a reason").starts_with("sent shortened"));
    }

    let mut ingestion = Stage::new(Sink::LogsIngestion).await;
    ingestion.set("MDATP_STATE", &collector.settings["MDATP_STATE"]);
    ended(&ingestion.command(&["set-aside", "replay"]).await, 0);
    assert_eq!(ingestion.cloud.records()[0]["Description"], text);
    assert_eq!(names(&collector).len(), 0);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn in_blob_storage_it_is_the_same() {
    let azurite = Azurite::start().await;
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_STATE", "blob:forward/some/prefix");
    stage.set("AzureWebJobsStorage", &azurite.connection_string());
    let nothing = stage.command(&["set-aside", "list"]).await;
    assert!(ended(&nothing, 0).contains("nothing is set aside") && nothing.stdout.is_empty());
    ended(&stage.command(&["set-aside", "replay"]).await, 0);

    let page = r#"{"value":[{"id":7,"n":1},8]}"#;
    stage.cloud.fault(Fault::body(200, page).on(Service::Defender).matching("/api/alerts"));
    assert_eq!(stage.tick().await["alertsSetAside"], 2);
    let listed = lines(&stage.command(&["set-aside", "list", "--json"]).await);
    assert_eq!(listed.len(), 2);
    let name = |row: &Value| row["name"].as_str().expect("a name").to_owned();
    let shown = lines(&stage.command(&["set-aside", "show", &name(&listed[0])]).await);
    assert_eq!((shown[0]["id"].is_null(), shown.len()), (true, 1));

    ended(&stage.command(&["set-aside", "replay"]).await, 1);
    assert_eq!(stage.cloud.records(), [json!({"id": 7, "n": 1})]);
    let left = lines(&stage.command(&["set-aside", "list", "--json"]).await);
    let blobs = azurite.list_blobs("forward").await;
    let expected = format!("some/prefix/set-aside/{}.json", name(&left[0]));
    assert!(left.len() == 1 && blobs.contains(&expected), "{left:?} {blobs:?}");
}
