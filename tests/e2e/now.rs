//! The HTTP trigger: a run within seconds, and what its caller is told of the alerts it names.

use std::time::Duration;

use azure_core::time::{Duration as Span, OffsetDateTime};
use serde_json::{Value, json};
use simulator::{
    Fault, Service, Sink,
    functions_host::{FunctionsHost, HttpCall, HttpReply, KEY, Payload},
};

use crate::stage::{BOTH_SINKS, Stage, alert, minutes_ago, now, succeed};

async fn call(host: &FunctionsHost, call: HttpCall) -> (u16, Value) {
    let (HttpReply { status, content_type, body }, invocation) =
        host.call("MdatpNow", "alerts/now", &call).await;
    assert!(invocation.succeeded(), "the host got a success: {invocation:#?}");
    assert_eq!(content_type, "application/json");
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// A nudge for these alerts, in the form of the Logic App's trigger, or of several.
async fn nudge(host: &FunctionsHost, ids: &[&str]) -> (u16, Value) {
    let one = |id: &&str| json!({ "id": id, "machineId": "m" });
    let body = match ids {
        [id] => one(id),
        ids => ids.iter().map(one).collect(),
    };
    call(host, HttpCall::post(&body.to_string())).await
}

fn service(sink: Sink) -> Service {
    match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    }
}

fn lists(stage: &Stage) -> usize {
    stage.cloud.requests().iter().filter(|seen| seen.path_and_query.starts_with("/api/alerts")).count()
}

#[tokio::test]
async fn a_nudge_delivers_its_alert_and_says_so_in_both_modes_and_to_both_sinks() {
    for sink in BOTH_SINKS {
        for mode in ["created", "updated"] {
            let mut stage = Stage::new(sink).await;
            stage.set("MDATP_MODE", mode);
            let host = stage.host().await;
            stage.cloud.add_alert(&alert("one", None, &minutes_ago(3)));
            assert_eq!(nudge(&host, &["one"]).await, (200, json!({ "delivered": ["one"] })), "{mode}");
            assert_eq!(stage.sent_ids(), ["one"]);

            // An alert that an earlier run delivered is delivered, and is not sent again.
            stage.cloud.add_alert(&alert("two", None, &minutes_ago(2)));
            assert_eq!(
                nudge(&host, &["two", "one"]).await,
                (200, json!({ "delivered": ["two", "one"] })),
                "{mode}"
            );
            stage.assert_all_sent_once();

            // So does the timer after it.
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 0);
        }
    }
}

#[tokio::test]
async fn a_nudge_without_ids_is_a_run_whatever_the_host_left_out() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let host = stage.host().await;
    for (number, request) in [
        HttpCall::post(""),
        HttpCall::post(" \n"),
        HttpCall::post("[]"),
        HttpCall::post(r#"{"id":"left out"}"#).chunked(),
        HttpCall::post("").key_in_query(),
    ]
    .into_iter()
    .enumerate()
    {
        stage.cloud.add_alert(&alert(&format!("a{number}"), None, &minutes_ago(3)));
        assert_eq!(call(&host, request).await, (200, json!({ "delivered": [] })));
        assert_eq!(stage.sent_ids().len(), number + 1);
    }
}

#[tokio::test]
async fn a_bad_body_is_rejected_with_the_reason_and_nothing_of_the_request_is_logged() {
    let stage = Stage::with_alerts(Sink::DataCollector, 3, 1).await;
    let host = stage.host().await;
    let many: Value = (0..101).map(|number| json!({ "id": format!("a{number}") })).collect();
    for body in [
        "{",
        "7",
        r#"{"machineId":"m-secret"}"#,
        r#"{"id":"with blank"}"#,
        r#"[{"id":7}]"#,
        &many.to_string(),
    ] {
        for request in [HttpCall::post(body), HttpCall::post(body).key_in_query()] {
            let (status, reply) = call(&host, request).await;
            assert_eq!(status, 400, "{body}");
            assert!(
                reply["error"]
                    .as_str()
                    .is_some_and(|reason| reason.contains("body") || reason.contains("object")),
                "{reply}"
            );
        }
    }
    let (status, reply) =
        call(&host, HttpCall::post(&format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 20)))).await;
    assert_eq!((status, reply["error"].as_str().is_some()), (413, true));
    assert_eq!(lists(&stage), 0, "nothing ran");

    nudge(&host, &["unknown-alert"]).await;
    host.kill().await;
    let log = format!("{:?}", host.log());
    for secret in [KEY, "m-secret", "with blank", "x-functions-key"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn an_alert_that_the_list_has_only_seconds_later_is_found_by_the_second_try() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let appear = async {
        // After the first try has listed.
        let before = lists(&stage);
        while lists(&stage) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.cloud.add_alert(&alert("late", None, &minutes_ago(1)));
    };
    let (reply, ()) = tokio::join!(nudge(&host, &["late"]), appear);
    assert_eq!(reply, (200, json!({ "delivered": ["late"] })));
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn what_is_not_delivered_is_pending_and_the_timer_delivers_it_later() {
    for sink in BOTH_SINKS {
        let stage = Stage::new(sink).await;
        let host = stage.host().await;
        stage.cloud.add_alert(&alert("one", None, &minutes_ago(3)));
        stage.cloud.fault(Fault::status(403).on(service(sink)).always());
        assert_eq!(nudge(&host, &["one"]).await, (202, json!({ "pending": ["one"] })));
        assert_eq!(stage.sent_ids().len(), 0);
        stage.cloud.clear_faults();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 1);
        stage.assert_all_sent_once();

        // One that is delivered, and one that Defender does not have.
        assert_eq!(
            nudge(&host, &["one", "never"]).await,
            (202, json!({ "delivered": ["one"], "pending": ["never"] }))
        );
    }
}

#[tokio::test]
async fn what_is_set_aside_is_not_delivered() {
    for mode in ["created", "updated"] {
        let mut stage = Stage::new(Sink::DataCollector).await;
        stage.set("MDATP_MODE", mode);
        let host = stage.host().await;
        stage.cloud.add_alert(&alert("good", None, &minutes_ago(4)));
        assert_eq!(nudge(&host, &["good"]).await.0, 200);
        stage.cloud.add_alert(&alert("bad", None, &minutes_ago(3)));
        stage.cloud.fault(Fault::status(400).on(Service::DataCollector).always());
        assert_eq!(nudge(&host, &["bad"]).await, (202, json!({ "pending": ["bad"] })), "{mode}");
        assert_eq!(stage.set_aside().len(), 1);
        // Nor is it when a later nudge asks.
        stage.cloud.clear_faults();
        assert_eq!(
            nudge(&host, &["bad", "good"]).await,
            (202, json!({ "delivered": ["good"], "pending": ["bad"] }))
        );
    }
}

/// 200 nudges within a second while a backlog is delivered.
#[tokio::test]
async fn a_storm_of_nudges_makes_two_runs_at_most_and_all_are_answered() {
    for sink in BOTH_SINKS {
        let mut stage = Stage::with_alerts(sink, 1_500, 10).await;
        stage.set("MDATP_PAGE_SIZE", "100");
        // The backlog takes longer than the storm.
        stage.cloud.fault(
            Fault::slow(Span::milliseconds(150)).on(Service::Defender).matching("/api/alerts").always(),
        );
        let host = stage.host().await;
        let ids = stage.cloud.alert_ids();
        let storm = async {
            while lists(&stage) == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let wanted: Vec<[&str; 1]> = ids.iter().step_by(7).take(200).map(|id| [id.as_str()]).collect();
            futures::future::join_all(wanted.iter().map(|id| nudge(&host, id))).await
        };
        let (timer, replies) = tokio::join!(host.fire(Payload::regular()), storm);
        succeed(&timer);
        assert_eq!(replies.len(), 200);
        for (status, reply) in replies {
            assert!(
                status == 200 && reply["delivered"].as_array().is_some_and(|ids| ids.len() == 1),
                "{reply}"
            );
        }
        stage.assert_all_sent_once();
        host.kill().await;
        let runs = host.log().iter().filter(|line| line.line.contains("run result=")).count();
        assert!((2..=3).contains(&runs), "the timer's and at most two more: {runs}");
    }
}

#[tokio::test]
async fn a_tick_of_the_timer_during_a_nudge_is_skipped_and_a_nudge_during_a_tick_follows_it() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 2).await;
    let host = stage.host().await;
    stage.cloud.fault(Fault::slow(Span::milliseconds(600)).on(Service::LogsIngestion));
    let tick = async {
        while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        host.fire(Payload::regular()).await
    };
    let (reply, tick) = tokio::join!(call(&host, HttpCall::post("")), tick);
    assert_eq!((reply.0, &succeed(&tick)["skipped"]), (200, &json!("alreadyRunning")));

    stage.cloud.add_alert(&alert("during", None, &minutes_ago(1)));
    stage.cloud.fault(Fault::slow(Span::milliseconds(600)).on(Service::LogsIngestion));
    let late = async {
        while stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stage.cloud.add_alert(&alert("after", None, &minutes_ago(1)));
        nudge(&host, &["after"]).await
    };
    let (tick, reply) = tokio::join!(host.fire(Payload::regular()), late);
    succeed(&tick);
    assert_eq!(reply, (200, json!({ "delivered": ["after"] })));
    stage.assert_all_sent_once();
}

/// Prints how long a nudge takes from POST to the accepted record: `cargo test --release --test e2e latency -- --ignored
/// --nocapture`. What the simulated services take is in it, and nothing is added.
#[tokio::test]
#[ignore = "a measurement, to run by hand"]
async fn latency_of_a_nudge() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let mut latencies = Vec::new();
    // Fewer than the 40 calls a minute that the own budget allows.
    for number in 0..25 {
        stage.cloud.add_alert(&alert(&format!("a{number}"), None, &minutes_ago(1)));
        let posted: OffsetDateTime = now();
        assert_eq!(nudge(&host, &[&format!("a{number}")]).await.0, 200);
        let seen = stage.cloud.requests();
        let accepted = seen.iter().rfind(|seen| seen.service == Service::LogsIngestion).expect("a post").at;
        latencies.push((accepted - posted).whole_microseconds());
    }
    latencies.sort_unstable();
    println!("POST to accepted record: median {} µs, longest {} µs", latencies[12], latencies[24]);
}
