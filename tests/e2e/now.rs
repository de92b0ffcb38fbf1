//! The HTTP trigger: a run within seconds, and what its caller is told of the alerts that it names.

use std::time::Duration;

use azure_core::time::Duration as Span;
use futures::future::{join, join_all};
use serde_json::{Value, json};
use simulator::{
    Fault, Service, Sink,
    functions_host::{Category, FunctionsHost, HttpCall, HttpResponse, Invocation, KEY, Payload},
};

use crate::stage::{BOTH_SINKS, Stage, alert, minutes_ago, now, succeed};

/// What the real host sent (tests/fixtures/README.md).
macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../fixtures/host/http-", $name, ".json"))
    };
}

/// The status and the body of a response, whose invocation must be a success for the host.
#[track_caller]
fn answer((response, invocation): (HttpResponse, Invocation)) -> (u16, Value) {
    assert!(invocation.succeeded(), "{invocation:#?}");
    let HttpResponse { status, content_type, body } = response;
    assert_eq!(content_type, "application/json");
    (status, serde_json::from_str(&body).expect("JSON"))
}

async fn call(host: &FunctionsHost, call: HttpCall) -> (u16, Value) {
    answer(Box::pin(host.call("MdatpNow", "alerts/now", &call)).await)
}

/// A nudge for these alerts, in the form of the Logic App's trigger or an array of them.
fn nudge(ids: &[&str]) -> HttpCall {
    let one = |id: &&str| json!({ "id": id, "machineId": "m" });
    let body = match ids {
        [id] => one(id),
        ids => ids.iter().map(one).collect(),
    };
    HttpCall::post(&body.to_string())
}

fn delivered(ids: &[&str]) -> (u16, Value) {
    (200, json!({ "delivered": ids }))
}

fn pending(ids: &[&str]) -> (u16, Value) {
    (202, json!({ "pending": ids }))
}

fn service(sink: Sink) -> Service {
    match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    }
}

/// An alert with a member that the Data Collector API takes from nobody.
fn unacceptable(id: &str) -> String {
    alert(id, None, &minutes_ago(3)).replacen('{', r#"{"a-b":1,"#, 1)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it is so within a minute");
}

/// Waits until a fault has struck so many times.
async fn struck(stage: &Stage, times: usize) {
    until(|| stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count() >= times).await;
}

/// The lines about runs in the host's log.
async fn run_lines(host: &FunctionsHost) -> Vec<(Category, String)> {
    // All output is read then.
    host.kill().await;
    let log = host.log().into_iter().filter(|log| log.line.contains("run result="));
    log.map(|log| (log.category, log.line)).collect()
}

#[tokio::test]
async fn a_nudge_delivers_its_alert_and_says_so_in_both_modes_and_to_both_sinks() {
    for sink in BOTH_SINKS {
        for (mode, fetch) in
            [("created", "list"), ("updated", "list"), ("created", "by-id"), ("updated", "by-id")]
        {
            let mut stage = Stage::new(sink).await;
            stage.set("MDATP_MODE", mode);
            stage.set("MDATP_ALERT_FETCH", fetch);
            let host = stage.host().await;
            stage.cloud.add_alert(&alert("one", None, &minutes_ago(3)));
            assert_eq!(call(&host, nudge(&["one"])).await, delivered(&["one"]), "{mode} {fetch}");
            assert_eq!(stage.sent_ids(), ["one"]);

            // What an earlier run delivered is delivered, and is not sent again.
            stage.cloud.add_alert(&alert("two", None, &minutes_ago(2)));
            let (status, mut reply) = call(&host, nudge(&["two", "one"])).await;
            reply["delivered"].as_array_mut().expect("a list").sort_by_key(Value::to_string);
            assert_eq!((status, reply), delivered(&["one", "two"]), "{mode} {fetch}");
            assert_eq!(call(&host, nudge(&["one"])).await, delivered(&["one"]), "{mode} {fetch}");
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 0);
            stage.assert_all_sent_once();
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
        HttpCall::post(r#"{"id":"left-out"}"#).chunked(),
        HttpCall::post("").key_in_query(),
        HttpCall::post("").without_key(),
    ]
    .into_iter()
    .enumerate()
    {
        stage.cloud.add_alert(&alert(&format!("a{number}"), None, &minutes_ago(3)));
        assert_eq!(call(&host, request).await, delivered(&[]));
        assert_eq!(stage.sent_ids().len(), number + 1);
    }
}

#[tokio::test]
async fn every_recorded_invocation_of_an_http_trigger_is_answered() {
    let stage = Stage::new(Sink::DataCollector).await;
    let host = stage.host().await;
    for (invocation, status) in [
        (recorded!("get"), 200),
        (recorded!("post-empty"), 200),
        (recorded!("post-json-chunked"), 200),
        (recorded!("post-json"), 400),
        (recorded!("post-bad-json"), 400),
        (recorded!("post-text"), 400),
        (recorded!("post-bytes"), 400),
        (recorded!("function-key-header"), 400),
        (recorded!("function-key-query"), 400),
    ] {
        let (answered, reply) = answer(host.call_with("MdatpNow", invocation.into()).await);
        assert_eq!(answered, status, "{invocation}: {reply}");
    }
    assert_eq!(stage.cloud.counts().alert_lists, 3);
}

#[tokio::test]
async fn a_bad_body_is_rejected_with_the_reason_and_nothing_of_a_request_is_logged() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 3, 1).await;
    stage.set("MDATP_LOG_LEVEL", "debug");
    let host = stage.host().await;
    let many: Value = (0..101).map(|number| json!({ "id": format!("a{number}") })).collect();
    for (body, reason) in [
        (r#"{"a-secret":"#, "not JSON"),
        ("7", "neither empty nor"),
        (r#"["a-secret"]"#, "neither empty nor"),
        ("{}", "no \"id\""),
        (r#"{"machineId":"a-secret"}"#, "no \"id\""),
        (r#"[{"id":7}]"#, "no \"id\""),
        (r#"{"id":"a-secret "}"#, "does not match"),
        (&many.to_string(), "101 alerts"),
    ] {
        for request in [HttpCall::post(body), HttpCall::post(body).key_in_query()] {
            let (status, reply) = call(&host, request).await;
            assert_eq!(status, 400, "{body}");
            assert!(reply["error"].as_str().is_some_and(|text| text.contains(reason)), "{reply}");
            assert!(!reply.to_string().contains("a-secret"), "{reply}");
        }
    }
    for body in ["", "a-secret", r#"{"Data":"a-secret"}"#] {
        assert_eq!(answer(host.call_with("MdatpNow", body.into()).await).0, 400, "{body}");
    }
    let oversized = format!(r#"{{"id":"a-secret{}"}}"#, "x".repeat(1 << 20));
    let (status, reply) = call(&host, HttpCall::post(&oversized)).await;
    assert_eq!((status, reply["error"].is_string()), (413, true));
    assert_eq!(stage.cloud.counts().requests, 0, "nothing was run");

    // Nor is it when there is more to say: two runs of which the second fails.
    assert_eq!(call(&host, nudge(&[]).key_in_query()).await.0, 200);
    stage.cloud.fault(Fault::status(403).on(Service::Defender).always());
    assert_eq!(call(&host, nudge(&["known-by-id"])).await.0, 202);
    host.kill().await;
    let log = format!("{:?}", host.log());
    assert!(log.contains("run result=failed"));
    for secret in [KEY, "a-secret", "x-functions-key", "WebJobsAuthLevel", "127.0.0.1:7071"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn an_alert_that_the_list_has_only_seconds_later_is_found_by_the_second_run() {
    join_all(BOTH_SINKS.map(|sink| async move {
        let stage = Stage::new(sink).await;
        let host = stage.host().await;
        let appear = async {
            until(|| stage.cloud.counts().alert_lists > 0).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            stage.cloud.add_alert(&alert("late", None, &minutes_ago(1)));
        };
        let (reply, ()) = join(call(&host, nudge(&["late"])), appear).await;
        assert_eq!(reply, delivered(&["late"]));
        stage.assert_all_sent_once();
        let lines = run_lines(&host).await;
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|(category, _)| *category == Category::User), "{lines:?}");
    }))
    .await;
}

#[tokio::test]
async fn what_a_failing_sink_does_not_take_is_pending_and_the_timer_delivers_it_later() {
    join_all(BOTH_SINKS.map(|sink| async move {
        let stage = Stage::new(sink).await;
        let host = stage.host().await;
        stage.cloud.add_alert(&alert("one", None, &minutes_ago(3)));
        stage.cloud.fault(Fault::status(403).on(service(sink)).always());
        let replies = join(call(&host, nudge(&["one"])), call(&host, HttpCall::post(""))).await;
        assert_eq!(replies, (pending(&["one"]), pending(&[])));
        assert!(stage.sent_ids().is_empty());
        stage.cloud.clear_faults();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 1);
        stage.assert_all_sent_once();
        // Each failed run is reported once, however many wait for it.
        let lines = run_lines(&host).await;
        let (failed, other): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|(category, _)| *category == Category::Console);
        assert_eq!(other.len(), 1, "{other:?}");
        assert!((2..=4).contains(&failed.len()), "{failed:?}");
        assert!(failed.iter().all(|(_, line)| line.contains("result=failed")), "{failed:?}");
    }))
    .await;
}

#[tokio::test]
async fn of_two_alerts_of_which_one_is_unknown_the_other_is_delivered() {
    let stage = Stage::new(Sink::LogsIngestion).await;
    let host = stage.host().await;
    stage.cloud.add_alert(&alert("one", None, &minutes_ago(3)));
    let reply = call(&host, nudge(&["never", "one"])).await;
    assert_eq!(reply, (202, json!({ "pending": ["never"], "delivered": ["one"] })));
}

#[tokio::test]
async fn what_is_set_aside_is_not_delivered_and_what_is_sent_truncated_is() {
    let of_mode = |mode| async move {
        let mut stage = Stage::new(Sink::DataCollector).await;
        stage.set("MDATP_MODE", mode);
        let host = stage.host().await;
        let long = format!(r#"{{"description":"{}","#, "x".repeat(40_000));
        stage.cloud.add_alert(&alert("long", None, &minutes_ago(4)).replacen('{', &long, 1));
        stage.cloud.add_alert(&unacceptable("bad"));
        let expected = (202, json!({ "pending": ["bad"], "delivered": ["long"] }));
        // Now, and when another process asks after it.
        assert_eq!(call(&host, nudge(&["bad", "long"])).await, expected, "{mode}");
        assert_eq!(stage.set_aside().len(), 2);
        host.restart().await.expect("started again");
        assert_eq!(call(&host, nudge(&["bad", "long"])).await, expected, "{mode}");
        assert_eq!(stage.sent_ids(), ["long"]);
    };
    join(of_mode("created"), of_mode("updated")).await;
}

#[tokio::test]
async fn a_nudge_while_another_process_is_at_work_is_answered_by_what_that_delivers() {
    join_all(BOTH_SINKS.map(|sink| async move {
        let stage = Stage::new(sink).await;
        let [here, elsewhere] = [stage.host().await, stage.host().await];
        stage.cloud.add_alert(&alert("one", None, &minutes_ago(3)));
        stage.cloud.fault(Fault::slow(Span::seconds(3)).on(service(sink)));
        let nudged = async {
            struck(&stage, 1).await;
            call(&here, nudge(&["one"])).await
        };
        let (tick, reply) = join(elsewhere.fire(Payload::regular()), nudged).await;
        assert_eq!((&succeed(&tick)["alertsSent"], reply), (&json!(1), delivered(&["one"])));
        stage.assert_all_sent_once();
        let lines = run_lines(&here).await;
        assert!(lines.len() == 2 && lines[0].1.contains("result=skipped"), "{lines:?}");
    }))
    .await;
}

/// 200 nudges within a second while a backlog is delivered, with their alerts in it.
#[tokio::test]
async fn a_storm_of_nudges_makes_two_runs_at_most_and_all_are_answered() {
    for sink in BOTH_SINKS {
        let mut stage = Stage::with_alerts(sink, 1_500, 10).await;
        stage.set("MDATP_PAGE_SIZE", "100");
        stage.cloud.fault(
            Fault::slow(Span::milliseconds(150)).on(Service::Defender).matching("/api/alerts").always(),
        );
        let host = stage.host().await;
        let ids = stage.cloud.alert_ids();
        let storm = async {
            until(|| stage.cloud.counts().alert_lists > 0).await;
            join_all(ids.iter().step_by(7).take(200).map(|id| async {
                let id = &**id;
                (id, call(&host, nudge(&[id])).await)
            }))
            .await
        };
        let (tick, replies) = join(host.fire(Payload::regular()), storm).await;
        assert_eq!(succeed(&tick)["alertsSent"], 1_500);
        assert_eq!(replies.len(), 200);
        for (id, reply) in replies {
            assert_eq!(reply, delivered(&[id]));
        }
        stage.assert_all_sent_once();
        let lines = run_lines(&host).await;
        assert!((2..=3).contains(&lines.len()), "the timer's and at most two more: {lines:?}");
    }
}

#[tokio::test]
async fn nudges_at_once_without_a_run_in_progress_make_two_runs_at_most() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 300, 5).await;
    stage.cloud.fault(Fault::slow(Span::milliseconds(500)).on(Service::LogsIngestion));
    let host = stage.host().await;
    let replies = join_all((0..200).map(|_| call(&host, HttpCall::post("")))).await;
    assert!(replies.iter().all(|reply| *reply == delivered(&[])), "{replies:?}");
    stage.assert_all_sent_once();
    let lines = run_lines(&host).await;
    assert!(lines.len() <= 2, "{lines:?}");
}

#[tokio::test]
async fn the_timer_skips_during_a_nudge_and_a_nudge_during_the_timers_run_follows_it() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 2).await;
    let host = stage.host().await;
    let slow = || Fault::slow(Span::milliseconds(600)).on(Service::LogsIngestion);
    stage.cloud.fault(slow());
    let tick = async {
        struck(&stage, 1).await;
        host.fire(Payload::regular()).await
    };
    let (reply, tick) = join(call(&host, HttpCall::post("")), tick).await;
    assert_eq!((reply, &succeed(&tick)["skipped"]), (delivered(&[]), &json!("alreadyRunning")));

    stage.cloud.add_alert(&alert("before", None, &minutes_ago(1)));
    stage.cloud.fault(slow());
    let late = async {
        struck(&stage, 2).await;
        stage.cloud.add_alert(&alert("after", None, &minutes_ago(1)));
        call(&host, nudge(&["before", "after"])).await
    };
    let (tick, (status, mut reply)) = join(host.fire(Payload::regular()), late).await;
    assert_eq!(succeed(&tick)["alertsSent"], 1);
    reply["delivered"].as_array_mut().expect("a list").sort_by_key(Value::to_string);
    assert_eq!((status, reply), delivered(&["after", "before"]));
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_run_goes_on_when_its_caller_has_gone_and_is_reported_on_stdout() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 2).await;
    let host = stage.host().await;
    stage.cloud.fault(Fault::slow(Span::seconds(1)).on(Service::LogsIngestion));
    tokio::select! {
        reply = call(&host, HttpCall::post("")) => panic!("{reply:?}"),
        () = struck(&stage, 1) => {}
    }
    host.line_with("run result=ok").await;
    stage.assert_all_sent_once();
    assert!(matches!(&run_lines(&host).await[..], [(Category::Console, line)] if line.contains("sent=20")));
}

#[tokio::test]
async fn at_a_shutdown_every_nudge_is_answered_at_once() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 2).await;
    let host = stage.host().await;
    // The first waits for its second run, the others for the run in progress and for the one that follows.
    let (patient, begun) = (call(&host, nudge(&["never"])), std::time::Instant::now());
    let others = async {
        host.line_with("sent a batch").await;
        stage.cloud.add_alert(&alert("one", None, &minutes_ago(1)));
        stage.cloud.fault(Fault::slow(Span::seconds(1)).on(Service::LogsIngestion));
        let stop = async {
            struck(&stage, 1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            host.terminate().await
        };
        let late = async {
            struck(&stage, 1).await;
            call(&host, nudge(&["never"])).await
        };
        tokio::join!(call(&host, nudge(&["one"])), late, stop)
    };
    let (patient, (in_progress, following, stopped)) = join(patient, others).await;
    assert_eq!((patient, in_progress), (pending(&["never"]), delivered(&["one"])));
    assert_eq!((following, stopped), (pending(&["never"]), Ok(0)));
    assert!(begun.elapsed() < Duration::from_secs(9), "nobody waited for a second run");
}

/// Prints how long it takes from a nudge's POST to the arrival of the post that the sink accepts, and to the reply:
/// `cargo test --test e2e latency -- --ignored --nocapture`. The simulated services add nothing but their own work.
#[tokio::test]
#[ignore = "a measurement, to run by hand"]
async fn latency_of_a_nudge() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 500, 20).await;
        let host = stage.host().await;
        succeed(&host.fire(Payload::regular()).await);
        let (mut accepted, mut replied) = (Vec::new(), Vec::new());
        // Fewer than the 40 calls a minute that the own budget allows.
        for number in 0..25 {
            let id = format!("a{number}");
            stage.cloud.add_alert(&alert(&id, None, &minutes_ago(1)));
            let posted = now();
            assert_eq!(call(&host, nudge(&[&id])).await, delivered(&[&id]));
            replied.push((now() - posted).whole_microseconds());
            let seen = stage.cloud.requests();
            let post = seen.iter().rfind(|seen| seen.service == service(sink)).expect("a post");
            accepted.push((post.at - posted).whole_microseconds());
        }
        for (what, mut times) in [("the record", accepted), ("the reply", replied)] {
            times.sort_unstable();
            println!("{sink:?}: POST to {what}: median {} µs, longest {} µs", times[12], times[24]);
        }
    }
}
