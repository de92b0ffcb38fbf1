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
        stage.cloud.honour(Quirk::IgnoreOrderBy, true);
        stage.set("MDATP_PAGE_SIZE", page_size);
        assert_eq!(stage.tick().await["alertsSent"], 300);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_server_that_sends_more_than_was_asked_for_loses_nothing() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 120, 3).await;
    stage.cloud.honour(Quirk::IgnoreTop, true);
    stage.set("MDATP_PAGE_SIZE", "50");
    assert_eq!(stage.tick().await["alertsSent"], 120);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_server_that_repeats_a_page_for_ever_ends_the_run_with_a_warning() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 300, 3).await;
    stage.cloud.honour(Quirk::RepeatPage, true);
    stage.set("MDATP_PAGE_SIZE", "100");
    let host = stage.host().await;
    let report = succeed(&host.fire(Payload::regular()).await);
    // A page of 100 is asked for one alert more.
    assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(101), &json!(false)));
    host.line_with("warning").await;
    stage.cloud.honour(Quirk::RepeatPage, false);
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
