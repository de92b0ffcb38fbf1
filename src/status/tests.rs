use azure_core::time::{Duration, parse_rfc3339};

use super::*;
use crate::report::{RunReport, Skip};

fn now() -> OffsetDateTime {
    parse_rfc3339("2026-11-24T06:00:00Z").expect("a time")
}

fn before(minutes: i64) -> OffsetDateTime {
    now() - Duration::minutes(minutes)
}

/// A run so many minutes ago.
fn run(minutes: i64, report: &RunReport) -> HistoryEntry {
    HistoryEntry::of(before(minutes), report)
}

fn ok(lag_seconds: u64) -> RunReport {
    RunReport {
        complete: true,
        lag_seconds: Some(lag_seconds),
        duration_ms: 2_000,
        alerts_read: 7,
        alerts_sent: 3,
        ..RunReport::default()
    }
}

fn failed(error: &str) -> RunReport {
    RunReport { error: Some(error.to_owned()), lag_seconds: Some(5), ..RunReport::default() }
}

fn skipped() -> RunReport {
    RunReport { skipped: Some(Skip::AlreadyRunning), ..RunReport::default() }
}

/// The status of a checkpoint whose watermark is so many minutes ago.
fn status(watermark: i64, runs: Vec<HistoryEntry>) -> Status {
    let mut checkpoint = Checkpoint::starting_at(before(watermark));
    for run in runs {
        checkpoint.history.add(run);
    }
    let text = checkpoint.to_json();
    Status::new("checkpoint.json in a folder".to_owned(), Some(&text), SetAsideSummary::default(), now())
}

#[test]
fn the_lag_is_counted_from_the_watermark_or_the_newest_complete_run() {
    let lag = |watermark, runs| status(watermark, runs).lag_seconds;
    assert_eq!(lag(30, vec![]), Some(1_800));
    // It began 10 minutes ago, took 2 s, and was 4 s behind at its end: that is 602 s, and one for what was cut.
    assert_eq!(lag(30, vec![run(10, &ok(4))]), Some(603));
    assert_eq!(lag(5, vec![run(10, &ok(4))]), Some(300));
    // A run that failed or was not complete has not seen that there was nothing new.
    let incomplete = RunReport { complete: false, ..ok(0) };
    assert_eq!(lag(30, vec![run(10, &ok(4)), run(5, &incomplete), run(1, &failed("no"))]), Some(603));
    // The clock of another machine was ahead.
    assert_eq!(lag(-2, vec![]), Some(0));
    assert_eq!(
        lag(30, vec![HistoryEntry { ms: u64::MAX, lag_seconds: Some(u64::MAX), ..run(1, &ok(0)) }]),
        Some(1_800)
    );
}

#[test]
fn problems_are_a_failed_last_run_and_no_success_for_two_hours() {
    let problems = |runs| status(0, runs).problems;
    let none: [&str; 0] = [];
    assert_eq!(problems(vec![run(119, &ok(0))]), none);
    assert_eq!(problems(vec![run(2, &RunReport::default()), run(1, &skipped())]), none);
    assert_eq!(problems(vec![run(121, &ok(0))]), ["no run has succeeded within the last 2 hours"]);
    assert_eq!(problems(vec![run(5, &ok(0)), run(1, &failed("no"))]), ["the last run failed: no"]);
    // A skipped run says nothing about the run before.
    assert_eq!(problems(vec![run(3, &failed("no")), run(1, &ok(0))]), none);
    assert_eq!(
        problems(vec![run(3, &failed("no")), run(1, &skipped())]),
        ["the last run failed: no", "none of the recorded runs has succeeded"]
    );
    assert_eq!(problems(vec![run(1, &skipped())]), ["no run is recorded yet"]);
    assert_eq!(problems(vec![]), ["no run is recorded yet"]);
}

#[test]
fn a_missing_and_a_damaged_checkpoint_are_distinguished() {
    let of = |text| Status::new("here".to_owned(), text, SetAsideSummary::default(), now());
    let none = of(None);
    assert!(none.problems[0].contains("no run yet") && none.damage.is_none(), "{none:?}");
    assert!(none.to_string().contains("MDATP_START"), "{none}");
    let damaged = of(Some(b"{\"version\":1"));
    assert!(damaged.problems[0].contains("not the expected JSON"), "{damaged:?}");
    assert!(damaged.to_string().contains("state reset --to"), "{damaged}");
}

#[test]
fn the_text_lines_up() {
    let runs = vec![run(65, &ok(4)), run(10, &failed("Defender answered 503")), run(5, &ok(0))];
    let mut status = status(7, runs);
    status.set_aside.count = 2;
    assert_eq!(
        status.to_string(),
        "\
checkpoint    checkpoint.json in a folder
watermark     2026-11-24T05:53:00Z: everything before is delivered or set aside
known from    2026-11-24T05:53:00Z: nothing earlier is listed again
remembered    0 alerts
lag           4m 59s
last run      2026-11-24T05:55:00Z, 5m ago
last success  2026-11-24T05:55:00Z, 5m ago
set aside     2: see mdatp-forward set-aside list

began                 runs  result      read  sent  set aside  machines  took ms  lag s  error
2026-11-24T04:55:00Z     1  ok             7     3          0         0     2000      4
2026-11-24T05:50:00Z     1  failed         0     0          0         0        0      5  Defender answered 503
2026-11-24T05:55:00Z     1  ok             7     3          0         0     2000      0"
    );
}

#[test]
fn the_text_has_the_last_ten_runs() {
    let text = status(0, (1..=12).map(|minutes| run(minutes, &ok(0))).collect()).to_string();
    assert_eq!(text.lines().filter(|line| line.starts_with("2026")).count(), 10);
    assert!(
        text.contains("2026-11-24T05:59:00Z     1") && !text.contains("2026-11-24T05:49:00Z     1"),
        "{text}"
    );
}

#[test]
fn absurd_runs_do_no_harm() {
    let run = |start: &str, ms: u64| {
        format!(
            r#"{{"start":"{start}","last":"{start}","runs":{m},"ms":{ms},"result":"ok","read":{m},"sent":{m},"setAside":{m},"lagSeconds":{m}}}"#,
            m = u64::MAX
        )
    };
    let runs = [
        run("0000-01-01T00:00:00+23:59", 0),
        run("9999-12-31T23:59:59.999999999-23:59", u64::MAX),
        run("2026-11-24T05:59:00Z", 1),
        run("2026-11-24T05:59:30Z", u64::MAX),
    ];
    let text = format!(
        r#"{{"version":1,"watermark":"2026-11-24T05:00:00Z","knownFrom":"2026-11-24T04:00:00Z","delivered":{{}},"history":[{}]}}"#,
        runs.join(",")
    );
    let status = Status::new("here".to_owned(), Some(text.as_bytes()), SetAsideSummary::default(), now());
    assert_eq!((status.lag_seconds, status.runs.entries().len()), (Some(3_600), 4));
    assert_eq!(status.to_string().lines().filter(|line| line.contains("18446744073709551615")).count(), 4);
    assert!(page::StatusPage(&status).to_string().ends_with("</html>\n"));
}
