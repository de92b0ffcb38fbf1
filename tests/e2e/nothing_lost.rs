//! Records, services and stores that make trouble: what can be delivered is, and the rest is kept.

use std::os::unix::fs::PermissionsExt;

use azure_core::time::{Duration, to_rfc3339};
use serde_json::{Value, json};
use simulator::shape::alert_id;
use simulator::{
    Fault, Service, Sink,
    functions_host::{Level, Payload},
};

use crate::stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, now, succeed};

fn service(sink: Sink) -> Service {
    match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    }
}

#[tokio::test]
async fn a_record_or_field_beyond_the_sinks_limits_goes_shortened_and_is_kept_whole() {
    for (sink, length) in
        [(Sink::LogsIngestion, 1_000_000), (Sink::LogsIngestion, 70_000), (Sink::DataCollector, 40_000)]
    {
        let stage = Stage::with_alerts(sink, 20, 2).await;
        let (created, long) = (minutes_ago(5), "ż".repeat(length / 2));
        stage.cloud.add_alert(&format!(
            r#"{{"id":"giant","alertCreationTime":"{created}","lastUpdateTime":"{created}","description":"{long}","evidence":[]}}"#
        ));
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::regular()).await);
        assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(21), &json!(true)));
        stage.assert_all_sent_once();
        assert_eq!(stage.cloud.counts().truncated_fields, 0, "the service had nothing to cut");
        let sent = stage.cloud.records().into_iter().find(|record| alert_id(record) == Some("giant"));
        let sent = sent.expect("sent");
        let (list, description) = match sink {
            Sink::DataCollector => ("truncatedFields", "description"),
            Sink::LogsIngestion => ("TruncatedFields", "Description"),
        };
        assert_eq!(sent[list], json!([description]));
        let text = sent[description].as_str().expect("a text");
        assert!(text.len() > 30_000 && long.starts_with(text));
        let aside = stage.set_aside();
        assert_eq!(
            (aside.len(), &aside[0]["id"], &aside[0]["record"]["description"]),
            (1, &json!("giant"), &json!(long))
        );
        host.line_with("giant").await;
        let again = succeed(&host.fire(Payload::regular()).await);
        assert_eq!((&again["alertsSent"], &again["alertsAlreadySent"]), (&json!(0), &json!(21)));
    }
}

#[tokio::test]
async fn a_post_that_is_too_large_is_sent_in_halves() {
    for (sink, status) in [(Sink::LogsIngestion, 413), (Sink::DataCollector, 413), (Sink::DataCollector, 404)]
    {
        let stage = Stage::with_alerts(sink, 400, 5).await;
        stage.cloud.fault(Fault::status(status).on(service(sink)));
        assert_eq!(stage.tick().await["alertsSent"], 400, "{status}");
        stage.assert_all_sent_once();
        assert!(stage.cloud.counts().posts >= 2);
    }
}

#[tokio::test]
async fn a_record_that_the_sink_refuses_is_found_and_set_aside_with_its_reason_and_the_rest_is_sent() {
    let stage = Stage::with_alerts(Sink::DataCollector, 100, 5).await;
    let created = minutes_ago(20);
    // The Data Collector takes no such name of a member.
    // The second is too long besides, so that what is refused is less than what must be kept.
    let long = "x".repeat(40_000);
    for (id, description) in [("poison-1", ""), ("poison-2", long.as_str())] {
        stage.cloud.add_alert(&format!(
            r#"{{"id":"{id}","alertCreationTime":"{created}","lastUpdateTime":"{created}","not a name":1,"description":"{description}","evidence":[]}}"#
        ));
    }
    let host = stage.host().await;
    let report = succeed(&host.fire(Payload::regular()).await);
    assert_eq!(
        (&report["alertsSent"], &report["alertsSetAside"], &report["complete"]),
        (&json!(100), &json!(2), &json!(true))
    );
    assert_eq!(stage.sent_ids().len(), 100);
    for aside in stage.set_aside() {
        assert!(aside["reason"].as_str().is_some_and(|reason| reason.contains("answered 400")), "{aside}");
        assert_eq!(aside["record"]["not a name"], 1);
        let whole = if aside["id"] == "poison-2" { long.as_str() } else { "" };
        assert_eq!(aside["record"]["description"], whole);
    }
    let again = succeed(&host.fire(Payload::regular()).await);
    assert_eq!((&again["alertsSetAside"], &again["alertsAlreadySent"]), (&json!(0), &json!(102)));
}

#[tokio::test]
async fn a_post_that_is_on_its_way_when_the_run_fails_is_remembered() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 1_000, 5).await;
        // Cannot be kept whole, since a file is where the folder for that would be.
        let (created, long) = (to_rfc3339(&now()), "x".repeat(1_000_000));
        stage.cloud.add_alert(&format!(
            r#"{{"id":"giant","alertCreationTime":"{created}","lastUpdateTime":"{created}","description":"{long}","evidence":[]}}"#
        ));
        let in_the_way = stage.state_file("set-aside");
        std::fs::create_dir_all(stage.state_file("")).expect("a folder");
        std::fs::write(&in_the_way, "").expect("a file");
        stage.cloud.fault(Fault::slow(Duration::milliseconds(500)).on(service(sink)).always());
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("set-aside"), "{error}");
        let sent = stage.sent_ids().len();
        assert!((1..1_000).contains(&sent), "{sent} sent by then");
        std::fs::remove_file(in_the_way).expect("the file");
        stage.cloud.clear_faults();
        let report = succeed(&host.fire(Payload::regular()).await);
        assert_eq!(report["alertsSent"], 1_001 - sent);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_machine_that_cannot_be_read_holds_back_its_own_alerts_only_and_not_for_ever() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    for id in ["good", "bad"] {
        stage.cloud.add_machine(&format!(r#"{{"id":"{id}","osPlatform":"Linux"}}"#));
    }
    stage.cloud.add_alert(&alert("old", Some("bad"), &minutes_ago(50)));
    stage.cloud.add_alert(&alert("young", Some("bad"), &minutes_ago(10)));
    stage.cloud.add_alert(&alert("other", Some("good"), &minutes_ago(5)));
    stage.cloud.fault(Fault::status(500).on(Service::Defender).matching("bad").always());
    let host = stage.host().await;
    let error = fail(&host.fire(Payload::regular()).await);
    assert!(error.contains("1 alert waits") && error.contains("MDATP_ENRICH_PATIENCE"), "{error}");
    assert_eq!(stage.sent_ids(), ["old", "other"]);
    assert!(stage.cloud.records()[0].get("osPlatform").is_none());

    // Restarted with less patience, the alert goes without its machine.
    drop(host);
    stage.set("MDATP_ENRICH_PATIENCE", "1m");
    assert_eq!(stage.tick().await["complete"], true);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_form_of_bulk_look_up_that_is_refused_is_done_without() {
    let stage = Stage::with_alerts(Sink::DataCollector, 40, 10).await;
    stage.cloud.fault(Fault::status(400).on(Service::Defender).matching("/api/machines?").always());
    assert_eq!(stage.tick().await["alertsSent"], 40);
    stage.assert_all_sent_once();
    let counts = stage.cloud.counts();
    assert!(counts.machine_gets >= 9 && counts.machine_lists == 0, "{counts:?}");
}

#[tokio::test]
async fn a_checkpoint_from_the_future_or_from_nowhere_fails_the_run_and_is_kept() {
    let future = to_rfc3339(&(now() + Duration::hours(1)));
    for (watermark, from, word) in [
        (future.as_str(), "2026-11-01T00:00:00Z", "later than now"),
        ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "before its beginning"),
        ("2026-11-01T00:00:00Z", "1601-01-01T00:00:00Z", "before Defender"),
    ] {
        let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
        let text =
            format!(r#"{{"version":1,"watermark":"{watermark}","knownFrom":"{from}","delivered":{{}}}}"#);
        std::fs::create_dir_all(stage.folder.path().join("state")).expect("a folder");
        std::fs::write(stage.state_file("checkpoint.json"), &text).expect("written");
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        assert!(error.contains(word) && error.contains("state reset --to"), "{error}");
        assert_eq!(stage.cloud.counts().posts, 0);
        for name in ["checkpoint.json", "checkpoint.damaged.json"] {
            assert_eq!(std::fs::read_to_string(stage.state_file(name)).expect("kept"), text);
        }
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_any_more_stops_the_run_before_anything_is_sent() {
    let stage = Stage::with_alerts(Sink::DataCollector, 10, 1).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    stage.generate(5, 0);
    let checkpoint = stage.state_file("checkpoint.json");
    let folder = checkpoint.parent().expect("a folder");
    let refuse =
        |mode| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("changed");
    // The superuser may write everywhere; a folder in the document's place stops everybody.
    let saved = std::fs::read(&checkpoint).expect("a checkpoint");
    refuse(0o555);
    let is_superuser = std::fs::write(folder.join("probe"), "").is_ok();
    if is_superuser {
        std::fs::remove_file(&checkpoint).expect("removed");
        std::fs::create_dir(&checkpoint).expect("made");
    }
    for _ in 0..2 {
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("checkpoint.json"), "{error}");
    }
    assert_eq!(stage.cloud.counts().records, 10, "nothing is sent that could not be remembered");
    if is_superuser {
        std::fs::remove_dir(&checkpoint).expect("removed");
        std::fs::write(&checkpoint, saved).expect("written");
    }
    refuse(0o755);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 5);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_reply_without_end_is_refused_and_asked_for_in_halves() {
    let stage = Stage::with_alerts(Sink::DataCollector, 50, 2).await;
    let endless = format!(r#"{{"value":[],"filler":"{}"}}"#, "x".repeat(65 << 20));
    stage.cloud.fault(Fault::body(200, &endless).on(Service::Defender).matching("/api/alerts"));
    let host = stage.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 50);
    stage.assert_all_sent_once();
    host.line_with("505 alerts a page").await;
}

#[tokio::test]
async fn the_roles_that_a_forbidden_token_holds_are_told_without_the_token() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    stage.cloud.deny_role(simulator::Role::MachineRead);
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("holds the roles Alert.Read.All"), "{error}");
    for secret in stage.served.secrets() {
        assert!(!error.contains(&secret));
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed_and_its_host_gets_no_token() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 5, 1).await;
    for on in [Service::Defender, Service::LogsIngestion] {
        stage.cloud.fault(Fault::status(307).on(on));
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        assert!(error.contains("redirects are not followed"), "{error}");
    }
    assert_eq!(stage.cloud.counts().records, 0);
}

#[tokio::test]
async fn ids_and_messages_cannot_forge_lines_of_the_log() {
    let stage = Stage::new(Sink::DataCollector).await;
    let created = minutes_ago(5);
    let page = format!(
        r#"{{"value":[{{"id":null,"alertCreationTime":"{created}"}},{{"id":"x\n2026 error forged","alertCreationTime":"{created}","bad name":1}},{}]}}"#,
        alert("good", None, &created)
    );
    stage.cloud.fault(Fault::body(200, &page).on(Service::Defender).matching("/api/alerts"));
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    stage.cloud.fault(
        Fault::body(403, "{\"error\":{\"code\":\"X\",\"message\":\"a\\r\\n2026 error forged\"}}")
            .on(Service::Defender),
    );
    fail(&host.fire(Payload::regular()).await);
    host.line_with("answered 403").await;
    let forged: Vec<_> = host.log().into_iter().filter(|log| log.line.starts_with("2026 error")).collect();
    assert!(forged.is_empty(), "{forged:?}");
    assert!(
        host.log().iter().any(|log| log.level == Level::Error && log.line.contains("x 2026 error forged"))
    );
}

#[tokio::test]
async fn two_processes_on_one_folder_of_state_still_keep_the_promises() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 600, 20).await;
        let (one, other) = (stage.host().await, stage.host().await);
        let (first, second) = tokio::join!(one.fire(Payload::regular()), other.fire(Payload::Admin));
        for invocation in [&first, &second] {
            let told: Value = serde_json::from_str(&invocation.body).expect("JSON");
            let error = told["ReturnValue"]["error"].as_str().unwrap_or_default().to_owned();
            assert!(invocation.succeeded() || error.contains("another process"), "{invocation:?}");
        }
        // Whatever the race left, the next tick finds it, and nothing is missing.
        stage.tick().await;
        let mut sent = stage.sent_ids();
        let posts = stage.cloud.received();
        let largest = posts.iter().map(|post| post.records.len()).max().expect("a post");
        sent.sort();
        let all = sent.len();
        sent.dedup();
        assert_eq!(sent.len(), 600);
        assert!(all - 600 <= largest, "{} repeats, and the largest batch has {largest}", all - 600);
    }
}

/// List elements as no list should have them, between two good ones.
#[tokio::test]
async fn of_a_page_full_of_monsters_every_one_is_sent_or_kept_and_the_good_ones_arrive() {
    let created = minutes_ago(5);
    let with = |members: &str| {
        format!(r#"{{{members},"alertCreationTime":"{created}","lastUpdateTime":"{created}"}}"#)
    };
    let (open, close) = ("[".repeat(1_000), "]".repeat(1_000));
    let monsters = [
        "17".to_owned(),
        "null".to_owned(),
        "[[]]".to_owned(),
        r#""text""#.to_owned(),
        "{}".to_owned(),
        with(r#""id":null"#),
        with(r#""id":7"#),
        with(r#""id":{"a":1}"#),
        with(r#""id":"\ud800""#),
        with(r#""id":"twice","title":"a","title":"b""#),
        with(r#""id":"digits","n":123456789012345678901234567890,"m":1e999,"o":-0.0"#),
        with(r#""id":"surrogate","title":"\ud800 alone""#),
        with(&format!(r#""id":"deep","domains":{open}{close}"#)),
        with(r#""id":"nul\u0000","title":"a\u0000b""#),
        with(&format!(r#""id":"long","description":"{}""#, "x".repeat(5_000_000))),
        with(r#""id":"odd time","firstEventTime":"yesterday""#),
        r#"{"id":"no time at all"}"#.to_owned(),
        r#"{"id":"bad time","alertCreationTime":"2026-13-45T00:00:00Z"}"#.to_owned(),
    ];
    let page = format!(
        r#"{{"value":[{},{},{}]}}"#,
        alert("first", None, &created),
        monsters.join(","),
        alert("last", None, &created)
    );
    for sink in BOTH_SINKS {
        let stage = Stage::new(sink).await;
        stage.cloud.fault(Fault::body(200, &page).on(Service::Defender).matching("/api/alerts"));
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::regular()).await);
        let count = |name: &str| report[name].as_u64().expect("a count");
        assert_eq!(count("alertsRead"), 20);
        assert_eq!(count("alertsSent") + count("alertsSetAside"), 20, "{report}");
        assert_eq!(report["complete"], true);
        let sent = stage.sent_ids();
        for id in ["first", "last", "twice", "digits", "long", "odd time"] {
            assert!(sent.iter().any(|sent| sent == id), "{id} is sent");
        }
        // What is no alert is kept, and so is the whole of what went shortened.
        let whole = stage.set_aside_texts();
        assert!(whole.iter().any(|aside| aside.starts_with(r#"{"id":"long","#)));
        assert!(whole.len() as u64 > count("alertsSetAside"));
        let peak = host.peak_bytes().expect("Linux");
        assert!(peak < 200 << 20, "{peak} bytes");
        // The next tick does not begin all over with them.
        stage.cloud.fault(Fault::body(200, &page).on(Service::Defender).matching("/api/alerts"));
        let again = succeed(&host.fire(Payload::regular()).await);
        assert_eq!((&again["alertsSent"], &again["alertsSetAside"]), (&json!(0), &json!(0)), "{again}");
    }
}

#[tokio::test]
async fn an_alert_of_a_time_to_come_does_not_move_the_watermark_past_what_can_have_been_listed() {
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    stage.set("MDATP_LOOKBACK", "60s");
    // This machine's clock is ahead of Defender's, so the window reaches into Defender's future.
    stage.cloud.set_clocks_ahead(Duration::minutes(-14));
    let answered = now() - Duration::minutes(14);
    // Enough for the order of the list to be trusted.
    for number in 0..20 {
        let created = to_rfc3339(&(answered - Duration::minutes(5) + Duration::seconds(number)));
        stage.cloud.add_alert(&alert(&format!("a{number}"), None, &created));
    }
    stage.cloud.add_alert(&alert("ahead", None, &to_rfc3339(&(answered + Duration::minutes(10)))));
    // The run ends after its first page, which is delivered.
    let second = Fault::status(403).on(Service::Defender).matching("/api/alerts").after(1);
    stage.cloud.fault(second.always());
    fail(&stage.host().await.fire(Payload::regular()).await);
    assert_eq!(stage.sent_ids().len(), 21);
    stage.cloud.clear_faults();

    let late = answered - Duration::seconds(30);
    stage.cloud.add_alert(&alert("late", None, &to_rfc3339(&late)));
    stage.tick().await;
    stage.assert_all_sent_once();
}
