//! What the forwarder is for.

use serde_json::{Value, json};
use simulator::{Quirk, Role, Route, Sink, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, succeed};

#[tokio::test]
async fn two_ticks_send_every_alert_once_on_both_sinks() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 1_500, 100).await;
        let host = stage.host().await;
        let first = succeed(&host.fire(Payload::FirstRun).await);
        assert_eq!((&first["alertsRead"], &first["alertsSent"]), (&json!(1_500), &json!(1_500)));
        assert_eq!((&first["complete"], &first["error"]), (&json!(true), &Value::Null));

        stage.generate(500, 0);
        let second = succeed(&host.fire(Payload::regular()).await);
        assert_eq!(second["alertsSent"], 500);
        stage.assert_all_sent_once();

        let counts = stage.cloud.counts();
        // A hundred machines at thirty a call, known from then on.
        assert_eq!((counts.machine_lists, counts.machine_gets), (4, 0));
        assert_eq!(
            first["bytesSent"].as_u64().zip(second["bytesSent"].as_u64()).map(|(a, b)| a + b),
            Some(counts.wire_bytes)
        );
        assert_eq!(counts.without_time, 0);
    }
}

#[tokio::test]
async fn a_tick_with_nothing_new_makes_one_call_and_saves_nothing() {
    let stage = Stage::with_alerts(Sink::DataCollector, 50, 5).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let saved = std::fs::read(stage.state_file("checkpoint.json")).expect("a checkpoint");
    let before = stage.cloud.counts();

    let report = succeed(&host.fire(Payload::regular()).await);
    assert_eq!(
        (&report["alertsSent"], &report["complete"], &report["requests"]),
        (&json!(0), &json!(true), &json!(1))
    );
    let after = stage.cloud.counts();
    assert_eq!((after.alert_lists, after.posts), (before.alert_lists + 1, before.posts));
    assert_eq!(std::fs::read(stage.state_file("checkpoint.json")).expect("a checkpoint"), saved);
}

#[tokio::test]
async fn every_credential_route_leads_to_a_token() {
    for route in [Route::ClientSecret, Route::WorkloadIdentity, Route::ManagedIdentity] {
        let stage = Stage::with_route(Sink::LogsIngestion, route).await;
        stage.generate(20, 3);
        assert_eq!(stage.tick().await["alertsSent"], 20, "{route:?}");
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn alerts_fetched_by_id_arrive_as_those_from_the_list() {
    let mut bodies = Vec::new();
    for fetch in ["list", "by-id"] {
        let mut stage = Stage::with_alerts(Sink::DataCollector, 30, 4).await;
        stage.set("MDATP_ALERT_FETCH", fetch);
        assert_eq!(stage.tick().await["alertsSent"], 30);
        stage.assert_all_sent_once();
        assert_eq!(stage.cloud.counts().alert_gets, if fetch == "list" { 0 } else { 30 });
        assert!(stage.cloud.records().iter().all(|record| record["evidence"] != json!([])));
        bodies.push(stage.sent_ids().len());
    }
    assert_eq!(bodies, [30, 30]);
}

#[tokio::test]
async fn a_record_holds_the_alert_and_its_machine_byte_for_byte() {
    let stage = Stage::new(Sink::DataCollector).await;
    let created = minutes_ago(5);
    stage.cloud.add_machine(r#"{"id":"m-1","computerDnsName":"WS-1","osBuild":26100,"riskScore":null,"machineTags":["α","\u00e9"]}"#);
    stage.cloud.add_alert(&format!(
        r#"{{"id":"da1_-2","n":1.50,"title":"Zażółć \"–\" \ud83d\ude00","alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":"m-1","computerDnsName":"ws-1","evidence":[{{"entityType":"File"}}]}}"#
    ));
    stage.tick().await;
    assert_eq!(
        stage.cloud.received()[0].records,
        [format!(
            r#"{{"id":"da1_-2","n":1.50,"title":"Zażółć \"–\" \ud83d\ude00","alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":"m-1","computerDnsName":"ws-1","evidence":[{{"entityType":"File"}}],"machineComputerDnsName":"WS-1","osBuild":26100,"riskScore":null,"machineTags":["α","\u00e9"]}}"#
        )]
    );
}

#[tokio::test]
async fn logs_ingestion_records_carry_the_creation_time_as_time_generated() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let created = minutes_ago(5);
    stage.cloud.add_alert(&alert("a", None, &created));
    stage.tick().await;
    assert_eq!(stage.cloud.records()[0]["TimeGenerated"], created.as_str());
}

/// A row of a state is of the time at which the alert came into that state. The Data Collector is told by its
/// header which member that is; where it says no time, the creation is the best that is known.
#[tokio::test]
async fn in_updated_mode_a_row_is_of_the_time_of_the_change() {
    for fetch in ["list", "by-id"] {
        let mut stage = Stage::new(Sink::LogsIngestion).await;
        stage.set("MDATP_MODE", "updated");
        stage.set("MDATP_ALERT_FETCH", fetch);
        let (created, changed) = (minutes_ago(20 * 60), minutes_ago(2));
        stage.cloud.add_alert(&alert("raised", None, &created));
        stage.cloud.update_alert("raised", &changed);
        stage.tick().await;
        let records = stage.cloud.records();
        assert_eq!(records.len(), 1, "{fetch}");
        assert_eq!(records[0]["TimeGenerated"], changed.as_str(), "{fetch}");
        assert_eq!(records[0]["AlertCreationTime"], created.as_str(), "{fetch}");
    }
    for (mode, member) in [("updated", "lastUpdateTime"), ("created", "alertCreationTime")] {
        let mut stage = Stage::with_alerts(Sink::DataCollector, 3, 1).await;
        stage.set("MDATP_MODE", mode);
        stage.tick().await;
        assert_eq!(stage.cloud.received()[0].headers["time-generated-field"], member);
    }
}

/// What may stand in a post together goes by the time of the rows, whatever time the list is walked by.
#[tokio::test]
async fn in_updated_mode_posts_keep_within_half_an_hour_of_changes() {
    // Minutes of the creation and of the change of each alert, and the posts that makes.
    type Minute = fn(i64) -> i64;
    let cases: [(Minute, Minute, usize); 3] = [
        (|_| 0, |_| 400, 1),
        // One change of many alerts, such as closing an incident.
        (|number| number * 20, |_| 400, 1),
        (|_| 0, |number| 100 + number * 20, 8),
    ];
    let times = |minutes: i64| minutes_ago(12 * 60 - minutes);
    for (created, changed, posts) in cases {
        let mut stage = Stage::new(Sink::LogsIngestion).await;
        stage.set("MDATP_MODE", "updated");
        stage.cloud.set_quirk(Quirk::LimitTimeRange, true);
        for number in 0..15 {
            let id = format!("a{number}");
            stage.cloud.add_alert(&alert(&id, None, &times(created(number))));
            stage.cloud.update_alert(&id, &times(changed(number)));
        }
        let report = stage.tick().await;
        assert_eq!(report["alertsSent"], 15, "{report}");
        assert_eq!(stage.cloud.received().len(), posts);
    }
}

#[tokio::test]
async fn an_alert_whose_machine_is_unknown_or_not_named_is_sent_all_the_same() {
    let stage = Stage::new(Sink::DataCollector).await;
    let created = minutes_ago(5);
    stage.cloud.add_machine(r#"{"id":"here","osPlatform":"Linux"}"#);
    for (id, machine) in [
        ("a", Some("gone")),
        ("b", None),
        ("c", Some("")),
        ("d", Some("here")),
        ("e", Some("..")),
        ("f", Some("x/../y?z#w %")),
    ] {
        stage.cloud.add_alert(&alert(id, machine, &created));
    }
    let report = stage.tick().await;
    assert_eq!(
        (&report["alertsSent"], &report["machinesRead"], &report["machinesNotFound"]),
        (&json!(6), &json!(1), &json!(3))
    );
    stage.assert_all_sent_once();
    let enriched: Vec<_> =
        stage.cloud.records().into_iter().filter(|record| record.get("osPlatform").is_some()).collect();
    assert_eq!(enriched.len(), 1);
    assert_eq!(enriched[0]["id"], "d");
    // Hostile ids stay inside one part of the path.
    assert!(
        stage
            .cloud
            .requests()
            .iter()
            .any(|seen| seen.path_and_query == "/api/machines/x%2F..%2Fy%3Fz%23w%20%25")
    );
}

#[tokio::test]
async fn in_updated_mode_an_alert_is_sent_again_at_each_update() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_MODE", "updated");
    stage.cloud.add_alert(&alert("a", None, &minutes_ago(30)));
    stage.cloud.add_alert(&alert("b", None, &minutes_ago(20)));
    let host = stage.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 2);
    stage.cloud.update_alert("a", &minutes_ago(1));
    let second = succeed(&host.fire(Payload::regular()).await);
    assert_eq!((&second["alertsSent"], &second["alertsAlreadySent"]), (&json!(1), &json!(1)));
    assert_eq!(stage.sent_ids(), ["a", "b", "a"]);
    assert_eq!(stage.cloud.records()[2]["status"], "InProgress");
}

#[tokio::test]
async fn a_missing_role_is_named_with_the_mend() {
    for (role, sink, words) in [
        (Role::AlertRead, Sink::DataCollector, "Alert.Read.All"),
        (Role::MachineRead, Sink::DataCollector, "Machine.Read.All"),
        (Role::MetricsPublisher, Sink::LogsIngestion, "Monitoring Metrics Publisher"),
    ] {
        let stage = Stage::with_alerts(sink, 5, 2).await;
        stage.cloud.deny_role(role);
        let invocation = stage.host().await.fire(Payload::regular()).await;
        assert!(fail(&invocation).contains(words), "{invocation:#?}");
        assert_eq!(stage.cloud.counts().records, 0);
        // Granted, the next tick delivers everything.
        stage.cloud.grant_role(role);
        stage.tick().await;
        assert_eq!(stage.sent_ids().len(), 5);
    }
}

/// The signature that arrived, computed once more by a program that is not ours.
#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs OpenSSL: left to tests/run")]
async fn openssl_recomputes_a_captured_signature() {
    let stage = Stage::with_alerts(Sink::DataCollector, 25, 3).await;
    stage.tick().await;
    let post = &stage.cloud.received()[0];
    let header = |name| post.headers[name].to_str().expect("ASCII");
    let script = r#"printf 'POST\n%s\napplication/json\nx-ms-date:%s\n/api/logs' "$LENGTH" "$DATE" |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(printf %s "$KEY" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')" -binary |
        openssl base64 -A"#;
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .env("LENGTH", post.body.len().to_string())
        .env("DATE", header("x-ms-date"))
        .env("KEY", simulator::tenant::WORKSPACE_KEY)
        .output()
        .expect("a shell");
    let signature = String::from_utf8(output.stdout).expect("text");
    assert_eq!(signature.len(), 44, "openssl is needed: {}", String::from_utf8_lossy(&output.stderr));
    let expected = format!("SharedKey {}:{signature}", simulator::tenant::WORKSPACE_ID);
    assert_eq!(header("authorization"), expected);
}
