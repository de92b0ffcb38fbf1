//! The walk through the list, by the real server's habits and bad ones.

use serde_json::json;
use simulator::{Quirk, Sink, functions_host::Payload};

use crate::stage::{Stage, alert, minutes_ago, now, succeed};

#[tokio::test]
async fn pages_of_every_size_bring_every_alert_once() {
    for (alerts, page_size) in [(30, "1"), (300, "7"), (300, "100"), (300, "300"), (300, "10000")] {
        let mut stage = Stage::with_alerts(Sink::DataCollector, alerts, 3).await;
        stage.set("MDATP_PAGE_SIZE", page_size);
        let report = stage.tick().await;
        assert_eq!(
            (&report["alertsRead"], &report["complete"]),
            (&json!(alerts), &json!(true)),
            "{page_size}"
        );
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn ten_thousand_alerts_take_ten_calls_of_the_list() {
    let stage = Stage::with_alerts(Sink::DataCollector, 10_000, 3).await;
    assert_eq!(stage.tick().await["alertsSent"], 10_000);
    assert_eq!(stage.cloud.counts().alert_lists, 10);
    stage.assert_all_sent_once();
}

/// 500 of 1,300 were sent, with `complete: true`, and no later run brought the rest.
#[tokio::test]
async fn a_server_that_caps_its_pages_in_silence_is_read_to_its_end() {
    for (cap, page_size) in [(500, "1000"), (1, "1000"), (499, "500"), (100, "10000"), (650, "1000")] {
        let alerts = if cap == 1 { 25 } else { 1_300 };
        let mut stage = Stage::with_alerts(Sink::DataCollector, alerts, 3).await;
        stage.cloud.cap_pages(Some(cap));
        stage.set("MDATP_PAGE_SIZE", page_size);
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::FirstRun).await);
        assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(alerts), &json!(true)), "{cap}");
        // What comes later hides behind as many known ones.
        stage.cloud.add_alert(&alert("later", None, &minutes_ago(0)));
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 1, "{cap}");
        stage.assert_all_sent_once();
    }
}

/// In each the page would look the same if it were known and all.
#[tokio::test]
async fn what_is_new_behind_a_page_as_long_as_the_cap_is_found_in_the_next_run() {
    for (known, cap) in [(500, 500), (50, 50), (1, 1), (501, 500), (499, 500)] {
        for late in [false, true] {
            let stage = Stage::with_alerts(Sink::DataCollector, known, 3).await;
            stage.cloud.cap_pages(Some(cap));
            stage.tick().await;
            stage.cloud.add_alert(&alert("new", None, &minutes_ago(if late { 55 } else { 0 })));
            let report = stage.tick().await;
            assert_eq!(
                (&report["alertsSent"], &report["complete"]),
                (&json!(1), &json!(true)),
                "{known} {cap}"
            );
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
async fn a_cap_that_comes_later_hides_nothing() {
    let stage = Stage::with_alerts(Sink::DataCollector, 1_200, 3).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::FirstRun).await);
    stage.cloud.cap_pages(Some(300));
    stage.generate(700, 0);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 700);
    stage.assert_all_sent_once();
}

/// Each run may be another process, which knows what the checkpoint knows.
#[tokio::test]
async fn a_quiet_tick_takes_one_call_however_many_alerts_the_look_back_holds() {
    for alerts in [0, 2, 50, 1_000, 1_009] {
        let stage = Stage::with_alerts(Sink::DataCollector, alerts, 3).await;
        stage.tick().await;
        let before = stage.cloud.counts().alert_lists;
        let saved = std::fs::read(stage.state_file("checkpoint.json")).expect("a checkpoint");
        for _ in 0..3 {
            assert_eq!(stage.tick().await["complete"], true);
        }
        assert_eq!(stage.cloud.counts().alert_lists, before + 3, "{alerts}");
        assert_eq!(std::fs::read(stage.state_file("checkpoint.json")).expect("a checkpoint"), saved);
    }
}

/// In place of the one state that is known there may be another.
#[tokio::test]
async fn an_update_of_the_only_alert_is_seen_though_the_list_is_as_long_as_before() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_MODE", "updated");
    stage.cloud.add_alert(&alert("only", None, &minutes_ago(30)));
    stage.tick().await;
    for minutes in [20, 10] {
        stage.cloud.update_alert("only", &minutes_ago(minutes));
        assert_eq!(stage.tick().await["alertsSent"], 1);
    }
}

#[tokio::test]
async fn the_past_is_read_to_its_end_from_a_server_that_caps_its_pages() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_START", &minutes_ago(5));
    stage.tick().await;
    stage.cloud.cap_pages(Some(40));
    for number in 0..130 {
        stage.cloud.add_alert(&alert(&format!("past-{number}"), None, &minutes_ago(100 + number)));
    }
    let output = stage.command(&["backfill", "--from", &minutes_ago(600)]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn more_alerts_of_one_moment_than_a_page_holds_are_all_sent() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 40, 3).await;
    stage.set("MDATP_PAGE_SIZE", "20");
    let moment = minutes_ago(30);
    for n in 0..65 {
        stage.cloud.add_alert(&alert(&format!("tie-{n}"), None, &moment));
    }
    assert_eq!(stage.tick().await["alertsSent"], 105);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_server_that_keeps_no_order_loses_nothing() {
    for page_size in ["10", "50"] {
        let mut stage = Stage::with_alerts(Sink::DataCollector, 300, 3).await;
        stage.cloud.set_quirk(Quirk::IgnoreOrderBy, true);
        stage.set("MDATP_PAGE_SIZE", page_size);
        assert_eq!(stage.tick().await["alertsSent"], 300);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_server_that_sends_more_than_was_asked_for_loses_nothing() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 120, 3).await;
    stage.cloud.set_quirk(Quirk::IgnoreTop, true);
    stage.set("MDATP_PAGE_SIZE", "50");
    assert_eq!(stage.tick().await["alertsSent"], 120);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_server_that_repeats_a_page_for_ever_ends_the_run_with_a_warning() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 300, 3).await;
    stage.cloud.set_quirk(Quirk::RepeatPage, true);
    stage.set("MDATP_PAGE_SIZE", "100");
    let host = stage.host().await;
    let report = succeed(&host.fire(Payload::regular()).await);
    // A page of 100 is asked for one alert more.
    assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(101), &json!(false)));
    host.line_with("warning").await;
    stage.cloud.set_quirk(Quirk::RepeatPage, false);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["complete"], true);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn an_alert_that_appears_late_is_sent_by_a_later_tick() {
    let stage = Stage::with_alerts(Sink::DataCollector, 100, 3).await;
    let late = now() + azure_core::time::Duration::seconds(2);
    stage.cloud.add_alert_visible_from(&alert("late", None, &minutes_ago(45)), late);
    let host = stage.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 100);
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    let second = succeed(&host.fire(Payload::regular()).await);
    assert_eq!(second["alertsSent"], 1);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn alerts_from_before_the_start_are_left_alone_even_when_the_look_back_reaches_there() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_START", &minutes_ago(10));
    stage.set("MDATP_LOOKBACK", "1h");
    stage.cloud.add_alert(&alert("old", None, &minutes_ago(30)));
    stage.cloud.add_alert(&alert("new", None, &minutes_ago(5)));
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    succeed(&host.fire(Payload::regular()).await);
    assert_eq!(stage.sent_ids(), ["new"]);
}

#[tokio::test]
async fn elements_that_are_no_alerts_are_set_aside_and_the_good_ones_sent() {
    let stage = Stage::new(Sink::DataCollector).await;
    let created = minutes_ago(5);
    stage.cloud.add_alert(&alert("good", None, &created));
    let bad = format!(
        r#"{{"id":null,"alertCreationTime":"{created}","lastUpdateTime":"{created}","evidence":[]}}"#
    );
    let body = format!(r#"{{"value":[{},{bad},17]}}"#, alert("good", None, &created));
    stage.cloud.fault(simulator::Fault::body(200, &body).matching("/api/alerts").named("a mixed page"));
    let report = stage.tick().await;
    assert_eq!(
        (&report["alertsSent"], &report["alertsSetAside"], &report["complete"]),
        (&json!(1), &json!(2), &json!(true))
    );
    let mut records: Vec<_> =
        stage.set_aside().into_iter().map(|aside| aside["record"].to_string()).collect();
    records.sort();
    assert_eq!(records[0], "17");
    assert!(records[1].contains(r#""id":null"#));
    assert_eq!(stage.sent_ids(), ["good"]);
}
