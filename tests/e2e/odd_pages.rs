//! Pages that are not what the documentation says: bytes, times and sizes that come from the world.

use serde_json::json;
use simulator::{Fault, Route, Service, Sink, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, succeed};

fn on_alerts(fault: Fault) -> Fault {
    fault.on(Service::Defender).matching("/api/alerts")
}

/// An alert with a command line in it that somebody else chose.
fn with_command_line(id: &str, command_line: &str, created: &str) -> String {
    format!(
        r#"{{"id":"{id}","severity":"High","alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":null,"evidence":[{{"entityType":"Process","processCommandLine":"{command_line}"}}]}}"#
    )
}

/// Each made the page, and with it the forwarder, blind for ever.
#[tokio::test]
async fn bytes_that_no_json_has_cost_no_alert() {
    for sink in BOTH_SINKS {
        for fetch in ["list", "by-id"] {
            for (bytes, kept) in [
                (&b"x\xff\xfey"[..], "x\u{fffd}\u{fffd}y"),
                (b"caf\xe9", "caf\u{fffd}"),
                (b"x\x01y", "x\u{1}y"),
                (b"two\r\nlines\ttabbed\0", "two\r\nlines\ttabbed\0"),
                (br"C:\Users\x41", r"C:\Users\x41"),
            ] {
                let mut stage = Stage::with_alerts(sink, 30, 3).await;
                stage.set("MDATP_ALERT_FETCH", fetch);
                stage.cloud.add_alert(&with_command_line("odd", "CHOSEN", &minutes_ago(20)));
                stage.cloud.fault(on_alerts(Fault::garbled("CHOSEN", bytes)).always());
                let report = stage.tick().await;
                assert_eq!(
                    (&report["alertsSent"], &report["complete"]),
                    (&json!(31), &json!(true)),
                    "{kept:?}"
                );
                stage.assert_all_sent_once();
                let records = stage.cloud.records();
                let texts: Vec<_> = records.iter().map(ToString::to_string).collect();
                let kept = json!(kept).to_string();
                assert!(texts.iter().any(|text| text.contains(kept.trim_matches('"'))), "{kept}");
                // The same bytes make the same record.
                assert_eq!(stage.tick().await["alertsSent"], 0);
            }
        }
    }
}

#[tokio::test]
async fn an_alert_that_cannot_be_read_is_kept_whole_and_all_others_are_sent() {
    for (bytes, part) in [
        (&b"5\" disk"[..], "5\\\" disk"),
        (b"\"},{\"", "\\\"},{\\\""),
        (b"say \"hi\"", "say \\\"hi\\\""),
        (b"\",\"n\":NaN,\"m\":\"", "NaN"),
        (b"\",\"n\":01,\"m\":\"", ":01,"),
        (b"\"]]]]", "]]]]"),
    ] {
        let stage = Stage::with_alerts(Sink::DataCollector, 300, 3).await;
        stage.cloud.add_alert(&with_command_line("odd", "CHOSEN", &minutes_ago(25)));
        stage.cloud.fault(on_alerts(Fault::garbled("CHOSEN", bytes)).always());
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::FirstRun).await);
        assert_eq!(
            (&report["alertsSent"], &report["alertsSetAside"], &report["complete"]),
            (&json!(300), &json!(1), &json!(true)),
            "{part}: {report}"
        );
        let sent = stage.sent_ids();
        assert!(sent.len() == 300 && !sent.contains(&"odd".to_owned()));
        let [kept] = &stage.set_aside_texts()[..] else { panic!("one alert is set aside") };
        assert!(kept.contains("odd") && kept.contains(part), "{kept}");
        // Nothing is kept twice, and what comes later is found.
        stage.generate(20, 0);
        let report = succeed(&host.fire(Payload::regular()).await);
        assert_eq!((&report["alertsSent"], &report["alertsSetAside"]), (&json!(20), &json!(0)), "{report}");
        assert_eq!(stage.set_aside_texts().len(), 1);
    }
}

#[tokio::test]
async fn alerts_that_cannot_be_read_at_both_ends_of_the_list_hold_nothing_up() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 20, 3).await;
    stage.set("MDATP_PAGE_SIZE", "10");
    for (id, minutes) in [("first", 58), ("second", 57), ("last", 0)] {
        stage.cloud.add_alert(&with_command_line(id, "CHOSEN", &minutes_ago(minutes)));
    }
    stage.cloud.fault(on_alerts(Fault::garbled("CHOSEN", b"5\" disk")).always());
    let report = stage.tick().await;
    assert_eq!(
        (&report["alertsSent"], &report["alertsSetAside"], &report["complete"]),
        (&json!(20), &json!(3), &json!(true))
    );
}

/// A web page, or replies that are all broken, are no alerts: nothing is set aside for them.
#[tokio::test]
async fn a_server_that_cannot_be_read_at_all_fails_the_run_and_loses_nothing() {
    for fault in [Fault::html(), Fault::bad_json(), Fault::garbled("alertCreationTime", b"\"")] {
        let stage = Stage::with_alerts(Sink::DataCollector, 40, 3).await;
        stage.cloud.fault(on_alerts(fault).always());
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::FirstRun).await);
        assert!(error.contains("GET /api/alerts"), "{error}");
        assert_eq!((stage.cloud.counts().records, stage.set_aside().len()), (0, 0));
        stage.cloud.clear_faults();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 40);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn machines_with_bytes_that_no_json_has_are_merged_all_the_same() {
    for alerts in [1, 5] {
        let stage = Stage::new(Sink::DataCollector).await;
        for number in 0..alerts {
            stage
                .cloud
                .add_machine(&format!(r#"{{"id":"m{number}","computerDnsName":"CHOSEN","osBuild":7}}"#));
            stage.cloud.add_alert(&alert(
                &format!("a{number}"),
                Some(&format!("m{number}")),
                &minutes_ago(5),
            ));
        }
        let garbled = Fault::garbled("CHOSEN", b"ws-\xff\x02");
        stage.cloud.fault(garbled.on(Service::Defender).matching("/api/machines").always());
        assert_eq!(stage.tick().await["alertsSent"], alerts);
        assert!(stage.cloud.records().iter().all(|record| record["computerDnsName"] == "ws-\u{fffd}\u{2}"));
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_service_that_fails_at_large_pages_is_asked_for_small_ones() {
    let unavailable = || Fault::body(502, "<html>Bad gateway</html>");
    for (fault, most) in [
        (Fault::status(504), 300),
        (Fault::status(504), 7),
        (Fault::status(504), 1),
        (Fault::status(500), 300),
        (unavailable(), 300),
        (Fault::reset(), 300),
        (Fault::cut_body(3_000), 300),
    ] {
        let alerts = [(1, 12), (7, 60), (300, 400)]
            .into_iter()
            .find_map(|(cap, alerts)| (cap == most).then_some(alerts))
            .expect("a number");
        let stage = Stage::with_alerts(Sink::DataCollector, alerts, 3).await;
        stage.cloud.fault(on_alerts(fault.clone()).when_top_is_above(most).always());
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::FirstRun).await);
        assert_eq!(
            (&report["alertsSent"], &report["complete"]),
            (&json!(alerts), &json!(true)),
            "{fault:?} {most}"
        );
        stage.assert_all_sent_once();
        // The next run, another process perhaps, begins with what has worked.
        stage.cloud.add_alert(&alert("later", None, &minutes_ago(0)));
        let before = tops(&stage).len();
        assert_eq!(stage.tick().await["alertsSent"], 1);
        let first: usize = tops(&stage)[before].parse().expect("a number");
        assert!(first <= most, "{first}");
    }
}

/// The `$top` of each page that was asked for.
fn tops(stage: &Stage) -> Vec<String> {
    let paths = stage.cloud.requests().into_iter().map(|seen| seen.path_and_query);
    let top = |path: String| {
        Some(path.strip_prefix("/api/alerts?")?.split("$top=").nth(1)?.split('&').next()?.to_owned())
    };
    paths.filter_map(top).collect()
}

#[tokio::test]
async fn pages_grow_again_when_the_service_is_well() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 300, 3).await;
    stage.set("MDATP_PAGE_SIZE", "100");
    stage.cloud.fault(on_alerts(Fault::status(504)).when_top_is_above(30).always());
    let host = stage.host().await;
    succeed(&host.fire(Payload::FirstRun).await);
    assert!(tops(&stage).iter().any(|top| top == "25"), "{:?}", tops(&stage));
    stage.cloud.clear_faults();
    stage.generate(500, 0);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 500);
    assert_eq!(tops(&stage).last().map(String::as_str), Some("101"));
    stage.assert_all_sent_once();
}

/// The checkpoint keeps what helped, not what an outage did.
#[tokio::test]
async fn an_outage_does_not_make_the_pages_after_it_small() {
    let stage = Stage::with_alerts(Sink::DataCollector, 40, 3).await;
    stage.cloud.fault(on_alerts(Fault::status(500)).always());
    let host = stage.host().await;
    fail(&host.fire(Payload::FirstRun).await);
    stage.cloud.clear_faults();
    let before = tops(&stage).len();
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 40);
    assert_eq!(tops(&stage)[before], "1010");
}

/// The change was never sent, with `complete: true`, and the time columns were empty.
#[tokio::test]
async fn times_without_a_zone_or_in_other_spellings_are_utc_and_tell_states_apart() {
    let created = minutes_ago(50);
    let seconds = |minutes| minutes_ago(minutes)[..19].to_owned();
    for (first, second) in [
        (seconds(40), seconds(10)),
        (seconds(40).replace('T', " "), seconds(10).replace('T', " ")),
        (format!("{}+00:00", seconds(40)), format!("{}+0000", seconds(10))),
        ("soon".to_owned(), "later".to_owned()),
        (format!("{}.123456781Z", seconds(40)), format!("{}.123456789Z", seconds(40))),
    ] {
        for sink in BOTH_SINKS {
            let mut stage = Stage::with_route(sink, Route::ManagedIdentity).await;
            stage.set("MDATP_MODE", "updated");
            let written = |status: &str, updated: &str| {
                format!(
                    r#"{{"id":"a","status":"{status}","alertCreationTime":"{created}","firstEventTime":"{}","lastUpdateTime":"{updated}","evidence":[]}}"#,
                    &created[..19]
                )
            };
            let page = |alert: &str| {
                Fault::body(200, &format!(r#"{{"value":[{alert}]}}"#)).matching("/api/alerts").always()
            };
            stage.cloud.fault(page(&written("New", &first)));
            let host = stage.host().await;
            assert_eq!(succeed(&host.fire(Payload::FirstRun).await)["alertsSent"], 1, "{first}");
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 0, "{first}");
            stage.cloud.clear_faults();
            stage.cloud.fault(page(&written("Resolved", &second)));
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 1, "{second}");
            if sink == Sink::LogsIngestion && !first.contains("soon") && !first.contains("123456781") {
                let rows = stage.cloud.rows();
                let utc = |minutes: i64| json!(format!("{}Z", &minutes_ago(minutes)[..19]));
                assert!(
                    rows.iter().all(|row| row["FirstEventTime"] == json!(format!("{}Z", &created[..19]))),
                    "{rows:?}"
                );
                // The minute may turn between two looks at the clock.
                assert!(
                    rows[1]["LastUpdateTime"].as_str().is_some_and(|time| time.ends_with('Z')),
                    "{rows:?} {}",
                    utc(10)
                );
            }
            assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
        }
    }
}

#[tokio::test]
async fn of_two_processes_that_send_at_once_one_sends_and_the_other_is_skipped() {
    let stage = Stage::with_alerts(Sink::DataCollector, 300, 3).await;
    let (one, other) = (stage.host().await, stage.host().await);
    // The first post is on its way when the second process begins.
    let slow = Fault::slow(azure_core::time::Duration::seconds(3)).on(Service::DataCollector);
    stage.cloud.fault(slow);
    let first = one.fire(Payload::FirstRun);
    let second = async {
        while stage.cloud.counts().posts == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        other.fire(Payload::regular()).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(succeed(&second)["skipped"], "busyElsewhere");
    assert_eq!(succeed(&first)["alertsSent"], 300);
    stage.assert_all_sent_once();
}
