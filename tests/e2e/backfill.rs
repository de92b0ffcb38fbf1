//! `mdatp-forward backfill`: the past, beside the timer and without doubling what that sends.

mod killed;

use std::{process::Output, time::Duration as Limit};

use azure_core::time::{Duration, OffsetDateTime, parse_rfc3339, to_rfc3339};
use serde_json::{Value, json};
use simulator::{Fault, Quirk, Service, Sink, azurite::Azurite};
use tokio::process::Child;

use crate::stage::{BOTH_SINKS, Stage, alert, now};

const TICK: Duration = Duration::nanoseconds(100);

/// A stage whose timer began at the time returned, with nothing in it.
async fn begun(sink: Sink, ago: Duration) -> (Stage, OffsetDateTime) {
    let mut stage = Stage::new(sink).await;
    let start = now() - ago;
    stage.set("MDATP_START", &to_rfc3339(&start));
    stage.tick().await;
    (stage, start)
}

/// Adds so many alerts, the first at `from` and the others as far apart as `apart`.
fn add(stage: &Stage, count: i32, from: OffsetDateTime, apart: Duration) {
    for number in 0..count {
        let created = to_rfc3339(&(from + apart * number));
        stage.cloud.add_alert(&alert(&format!("past-{number}"), None, &created));
    }
}

#[track_caller]
fn told(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("the report is all there is on stdout")
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Limit::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Limit::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn interrupt(mut child: Child) -> Output {
    let pid = child.id().expect("it runs").to_string();
    // The shell's own `kill`: a small system has no program of that name.
    let mut shell = tokio::process::Command::new("sh");
    let sent = shell.args(["-c", "kill -INT \"$0\"", &pid]).status().await.expect("a shell");
    assert!(sent.success());
    let ended = tokio::time::timeout(Limit::from_secs(20), child.wait()).await;
    ended.expect("it ends when asked to").expect("it ends");
    child.wait_with_output().await.expect("its output")
}

#[tokio::test]
async fn before_the_timer_has_run_nothing_is_sent() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let text = told(&stage.command(&["backfill", "--from", "2026-01-01"]).await, 64);
    assert!(text.contains("the timer has not run yet"), "{text}");
    assert_eq!(stage.cloud.counts().posts, 0);
    for arguments in
        [&["backfill"][..], &["backfill", "--from", "30d"], &["backfill", "--from", "2015-01-01"]]
    {
        told(&stage.command(arguments).await, 64);
    }
}

#[tokio::test]
async fn the_border_to_the_timer_is_exact() {
    for (sink, mode, fetch) in [
        (Sink::DataCollector, "created", "list"),
        (Sink::LogsIngestion, "created", "by-id"),
        (Sink::LogsIngestion, "updated", "list"),
        (Sink::DataCollector, "updated", "by-id"),
    ] {
        let mut stage = Stage::new(sink).await;
        stage.set("MDATP_MODE", mode);
        stage.set("MDATP_ALERT_FETCH", fetch);
        let start = now() - Duration::hours(30);
        stage.set("MDATP_START", &to_rfc3339(&start));
        for (id, time) in [("last", start - TICK), ("first", start), ("old", start - Duration::days(3))] {
            let created = to_rfc3339(&(if mode == "created" { time } else { start - Duration::days(4) }));
            stage.cloud.add_alert(&alert(id, None, &created));
            if mode == "updated" {
                stage.cloud.update_alert(id, &to_rfc3339(&time));
            }
        }
        stage.tick().await;
        assert_eq!(stage.sent_ids(), ["first"], "{mode}");
        let from = to_rfc3339(&(start - Duration::days(3)));
        let output = stage.command(&["backfill", "--from", &from, "--json"]).await;
        told(&output, 0);
        let report = report(&output);
        assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(2), &json!(true)), "{mode}");
        assert_eq!((&report["from"], &report["to"]), (&json!(from), &json!(to_rfc3339(&start))));
        stage.tick().await;
        assert_eq!(stage.sent_ids(), ["first", "old", "last"], "{mode}");
        stage.assert_all_sent_once();
    }
}

/// The list names a state from before the timer began, and by the time the alert is fetched it has a newer
/// one, which the timer sends.
#[tokio::test]
async fn a_state_that_came_after_the_list_was_read_is_the_timers() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_MODE", "updated");
    stage.set("MDATP_ALERT_FETCH", "by-id");
    stage.set("MDATP_START", "2h");
    stage.tick().await;
    let old = now() - Duration::days(1);
    stage.cloud.add_alert(&alert("moving", None, &to_rfc3339(&old)));
    // Late enough that the alert can be changed in between.
    let late = Duration::seconds(2);
    stage.cloud.fault(Fault::slow(late).on(Service::Defender).matching("/api/alerts?"));
    let child = stage.start(&["backfill", "--from", &to_rfc3339(&(old - Duration::hours(1)))]);
    until("the list is asked for", || stage.cloud.requests().iter().any(|seen| seen.fault.is_some())).await;
    stage.cloud.update_alert("moving", &to_rfc3339(&now()));
    told(&child.wait_with_output().await.expect("it ends"), 0);
    stage.tick().await;
    assert_eq!(stage.sent_ids(), ["moving"]);
}

#[tokio::test]
async fn one_that_is_interrupted_finishes_what_it_has_in_hand_and_the_same_command_goes_on() {
    for sink in BOTH_SINKS {
        let (mut stage, start) = begun(sink, Duration::hours(30)).await;
        stage.set("MDATP_PAGE_SIZE", "100");
        add(&stage, 3_000, start - Duration::days(30), Duration::minutes(14));
        let service =
            if sink == Sink::DataCollector { Service::DataCollector } else { Service::LogsIngestion };
        stage.cloud.fault(Fault::slow(Duration::milliseconds(200)).on(service).always());
        let from = to_rfc3339(&(start - Duration::days(30)));
        let child = stage.start(&["backfill", "--from", &from, "--share", "1", "--json"]);
        until("two posts", || stage.cloud.counts().posts >= 2).await;
        let output = interrupt(child).await;
        let text = told(&output, 1);
        let stopped = report(&output);
        assert!(
            text.contains(&format!("continues at {}", stopped["position"].as_str().expect("a time"))),
            "{text}"
        );
        assert!(text.contains("MDATP_QUOTA_SHARE"), "more than there is: {text}");
        let sent = stage.sent_ids().len();
        assert!((1..3_000).contains(&sent), "{sent}");
        assert_eq!((&stopped["alertsSent"], &stopped["complete"]), (&json!(sent), &json!(false)));
        stage.cloud.clear_faults();

        let output = stage.command(&["backfill", "--from", &from, "--share", "1", "--json"]).await;
        let text = told(&output, 0);
        assert!(text.contains(" % ") || text.contains(" %: "), "a line of progress: {text}");
        assert_eq!(report(&output)["alertsSent"], 3_000 - sent);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn it_keeps_to_what_the_timer_leaves_of_the_quota_and_can_be_stopped_while_it_waits() {
    let (mut stage, start) = begun(Sink::DataCollector, Duration::hours(30)).await;
    stage.cloud.enforce_rate_limits(true);
    stage.set("MDATP_PAGE_SIZE", "1");
    add(&stage, 40, start - Duration::hours(20), Duration::minutes(1));
    let before = stage.cloud.counts().alert_lists;
    let from = to_rfc3339(&(start - Duration::hours(21)));
    let child = stage.start(&["backfill", "--from", &from, "--json"]);
    // 0.2 of 100 calls a minute.
    until("its share is used up", || stage.cloud.counts().alert_lists == before + 20).await;
    let output = interrupt(child).await;
    told(&output, 1);
    let sent = stage.sent_ids().len();
    assert!(sent >= 9, "what was read is sent, {sent}");
    assert_eq!(report(&output)["alertsSent"], sent);
    assert_eq!(stage.cloud.counts().alert_lists, before + 20);

    stage.set("MDATP_PAGE_SIZE", "1000");
    told(&stage.command(&["backfill", "--from", &from, "--share", "0.9"]).await, 0);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn no_time_is_sent_by_two_backfills_and_one_that_is_done_finds_only_what_is_late() {
    let (stage, start) = begun(Sink::LogsIngestion, Duration::minutes(30)).await;
    let day = |days: i64| to_rfc3339(&(start - Duration::days(days)));
    add(&stage, 50, start - Duration::days(5), Duration::hours(2));
    let output = stage.command(&["backfill", "--from", &day(4), "--to", &day(2), "--json"]).await;
    assert_eq!(told(&output, 0).matches("result=ok").count(), 1);
    assert_eq!(report(&output)["alertsSent"], 24);

    let text = told(&stage.command(&["backfill", "--from", &day(5)]).await, 64);
    for (from, to) in [(day(5), day(4)), (day(2), to_rfc3339(&start))] {
        let command = format!("backfill --from {from} --to {to}");
        assert!(text.contains(&command), "{command}: {text}");
        let words: Vec<_> = command.split(' ').collect();
        told(&stage.command(&words).await, 0);
    }
    stage.assert_all_sent_once();

    let again = stage.command(&["backfill", "--from", &day(2), "--json"]).await;
    let text = told(&again, 0);
    assert!(text.contains("may still appear late"), "{text}");
    assert_eq!(report(&again)["alertsSent"], 0);
    stage.cloud.add_alert(&alert("late", None, &to_rfc3339(&(start - Duration::minutes(1)))));
    assert_eq!(report(&stage.command(&["backfill", "--from", &day(2), "--json"]).await)["alertsSent"], 1);
    stage.tick().await;
    stage.assert_all_sent_once();
    // What ended long ago is not even asked for.
    let before = stage.cloud.counts().alert_lists;
    told(&stage.command(&["backfill", "--from", &day(4), "--to", &day(2)]).await, 0);
    assert_eq!(stage.cloud.counts().alert_lists, before);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn its_checkpoint_lies_beside_the_timers_in_blob_storage_too() {
    let azurite = Azurite::start().await;
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_STATE", "blob:forward/some/prefix");
    stage.set("AzureWebJobsStorage", &azurite.connection_string());
    let text = told(&stage.command(&["backfill", "--from", "2026-01-01"]).await, 64);
    assert!(text.contains("the timer has not run yet"), "{text}");
    let start = now() - Duration::hours(30);
    stage.set("MDATP_START", &to_rfc3339(&start));
    stage.tick().await;
    add(&stage, 20, start - Duration::hours(40), Duration::hours(2));
    let [from, middle] = [48, 20].map(|hours| to_rfc3339(&(start - Duration::hours(hours))));
    for (to, sent) in [(&middle, 10), (&to_rfc3339(&start), 10)] {
        let output = stage.command(&["backfill", "--from", &from, "--to", to, "--json"]).await;
        told(&output, 0);
        assert_eq!(report(&output)["alertsSent"], sent);
    }
    stage.assert_all_sent_once();
    let name = format!("some/prefix/backfill/{}.json", from.replace(['-', ':', '.'], ""));
    let mut blobs = azurite.list_blobs("forward").await;
    blobs.sort();
    assert_eq!(blobs, [name, "some/prefix/checkpoint.json".to_owned()]);
    let text = told(&stage.command(&["backfill", "--from", &middle]).await, 64);
    assert!(text.contains("a backfill has sent"), "{text}");
}

#[tokio::test]
async fn a_sink_that_minds_the_time_a_post_spans_refuses_one_only() {
    let (stage, start) = begun(Sink::LogsIngestion, Duration::hours(30)).await;
    stage.cloud.set_quirk(Quirk::LimitTimeRange, true);
    // More than a post's megabyte in the first slice, and some in the next.
    let minute = |number: i64| if number < 6_000 { number / 5 } else { 1_500 + 10 * (number - 6_000) };
    let from = start - Duration::hours(60);
    for number in 0..6_100 {
        let created = from + Duration::minutes(minute(number)) + Duration::seconds(number % 5 * 12);
        stage.cloud.add_alert(&alert(&number.to_string(), None, &to_rfc3339(&created)));
    }
    let text = told(&stage.command(&["backfill", "--from", &to_rfc3339(&from)]).await, 0);
    assert!(
        text.contains("span more than 30 minutes") && text.contains("2 days are older than 2 days"),
        "{text}"
    );
    let refused = stage.cloud.rejected();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].reason.starts_with("RecordsTimeRangeIsMoreThan30Minutes"), "{refused:?}");
    let sent: Vec<i64> = stage.sent_ids().iter().map(|id| id.parse().expect("a number")).collect();
    assert_eq!(sent, (0..6_100).collect::<Vec<_>>());
    // 150 a post where they are 12 seconds apart, 4 where they are 10 minutes apart, and some that are cut
    // because they are full.
    let posts = stage.cloud.counts().posts;
    assert!((40 + 25..40 + 25 + 5).contains(&posts), "{posts} posts");
}

/// For the timer they would be old enough to go without; of the past all are.
#[tokio::test]
async fn old_alerts_wait_for_a_machine_that_cannot_be_read_for_a_while() {
    let (stage, start) = begun(Sink::DataCollector, Duration::hours(30)).await;
    stage.cloud.add_machine(r#"{"id":"m1","osPlatform":"Windows11"}"#);
    let created = to_rfc3339(&(start - Duration::hours(5)));
    stage.cloud.add_alert(&alert("waits", Some("m1"), &created));
    // As often as a call is tried.
    stage.cloud.fault(Fault::status(503).on(Service::Defender).matching("/api/machines").times(6));
    let from = to_rfc3339(&(start - Duration::hours(6)));
    let text = told(&stage.command(&["backfill", "--from", &from]).await, 0);
    assert!(text.contains("1 alert waits for its machine") && text.contains("continuing in 10 s"), "{text}");
    stage.assert_all_sent_once();
    assert_eq!(stage.cloud.records()[0]["osPlatform"], "Windows11");
}

#[tokio::test]
async fn the_checkpoint_of_before_the_beginning_was_noted_needs_an_end() {
    let (stage, start) = begun(Sink::DataCollector, Duration::hours(30)).await;
    add(&stage, 3, start - Duration::hours(3), Duration::hours(1));
    let path = stage.state_file("checkpoint.json");
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
    assert_eq!(document["start"], json!(to_rfc3339(&start)));
    document.as_object_mut().expect("an object").remove("start");
    std::fs::write(&path, document.to_string()).expect("written");
    stage.tick().await;

    let from = to_rfc3339(&(start - Duration::days(1)));
    let text = told(&stage.command(&["backfill", "--from", &from]).await, 64);
    assert!(text.contains("give --to TIME"), "{text}");
    told(&stage.command(&["backfill", "--from", &from, "--to", &to_rfc3339(&start)]).await, 0);
    stage.assert_all_sent_once();
    let known: Value = serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
    parse_rfc3339(known["knownFrom"].as_str().expect("a text")).expect("a time");
}
