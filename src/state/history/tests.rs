use azure_core::time::{Duration, OffsetDateTime, parse_rfc3339};

use super::*;
use crate::report::{RunReport, Skip};

fn at(minute: i64) -> OffsetDateTime {
    parse_rfc3339("2026-11-24T00:00:00Z").expect("a time") + Duration::minutes(minute)
}

fn quiet(minute: i64) -> HistoryEntry {
    let report = RunReport { complete: true, lag_seconds: Some(1), ..RunReport::default() };
    HistoryEntry::of(at(minute), &report)
}

fn busy(minute: i64) -> HistoryEntry {
    HistoryEntry { sent: 3, ..quiet(minute) }
}

fn failed(minute: i64, error: &str) -> HistoryEntry {
    HistoryEntry::of(at(minute), &RunReport { error: Some(error.to_owned()), ..RunReport::default() })
}

fn history(entries: impl IntoIterator<Item = HistoryEntry>) -> History {
    let mut history = History::default();
    for entry in entries {
        history.add(entry);
    }
    history
}

/// When each entry begins and ends, in minutes, and how many runs it is.
fn shape(history: &History) -> Vec<(i64, i64, u64)> {
    let minute = |time: OffsetDateTime| (time - at(0)).whole_minutes();
    let shape = |entry: &HistoryEntry| (minute(entry.start), minute(entry.last_start()), entry.runs);
    history.entries().iter().map(shape).collect()
}

#[test]
fn quiet_runs_in_a_row_are_one_entry_with_the_values_of_the_last() {
    let last = HistoryEntry { ms: 7, read: 4, lag_seconds: Some(9), ..quiet(10) };
    let runs = history([quiet(0), quiet(5), last, failed(15, "no"), quiet(20), busy(25), quiet(30)]);
    assert_eq!(
        shape(&runs),
        [(0, 10, 3), (15, 15, 1), (20, 20, 1), (25, 25, 1), (30, 30, 1)],
        "{:#?}",
        runs.entries()
    );
    let folded = &runs.entries()[0];
    assert_eq!((folded.ms, folded.read, folded.lag_seconds), (7, 4, Some(9)));
}

#[test]
fn a_run_that_sent_nothing_but_did_not_succeed_is_not_quiet() {
    let incomplete = HistoryEntry::of(at(0), &RunReport::default());
    let aside = HistoryEntry { set_aside: 1, ..quiet(0) };
    let skipped = RunReport { skipped: Some(Skip::AlreadyRunning), ..RunReport::default() };
    for entry in [incomplete.clone(), aside, busy(0), failed(0, "no"), HistoryEntry::of(at(0), &skipped)] {
        assert!(!entry.is_quiet(), "{entry:?}");
    }
    assert!(quiet(0).is_success() && incomplete.is_success());
    assert!(!failed(0, "no").is_success() && !HistoryEntry::of(at(0), &skipped).is_success());
}

#[test]
fn failures_count_since_the_newest_success_and_skipped_runs_are_none() {
    let skipped = |minute| {
        let report = RunReport { skipped: Some(Skip::AlreadyRunning), ..RunReport::default() };
        HistoryEntry::of(at(minute), &report)
    };
    assert_eq!((History::default().failures(), History::default().last_success()), (None, None));
    let runs = history([failed(0, "no"), failed(5, "no")]);
    assert_eq!((runs.failures(), runs.last_success()), (Some((2, at(5))), None));
    let runs = history([
        failed(0, "no"),
        quiet(5),
        quiet(10),
        failed(15, "no"),
        skipped(20),
        failed(25, "no"),
        skipped(30),
    ]);
    assert_eq!((runs.failures(), runs.last_success()), (Some((2, at(25))), Some(at(10))));
    let transient = |minute| HistoryEntry { transient: true, ..failed(minute, "busy") };
    let runs = history([quiet(0), transient(5), failed(10, "no"), transient(15)]);
    assert_eq!((runs.failures(), runs.lasting_failures()), (Some((3, at(15))), Some((1, at(10)))));
    let text = serde_json::to_string(&runs).expect("JSON");
    assert_eq!(text.matches(r#""error":"busy","transient":true"#).count(), 2, "{text}");
    assert_eq!(serde_json::from_str::<History>(&text).expect("a history"), runs);
    let incomplete = HistoryEntry::of(at(35), &RunReport::default());
    let runs = history([failed(30, "no"), incomplete]);
    assert_eq!((runs.failures(), runs.last_success()), (None, Some(at(35))));
}

#[test]
fn the_oldest_of_more_than_two_hundred_is_dropped() {
    let runs = history((0..203).map(busy));
    assert_eq!(runs.entries().len(), 200);
    assert_eq!(shape(&runs)[0], (3, 3, 1));
    assert_eq!(shape(&runs)[199], (202, 202, 1));
}

#[test]
fn a_saved_entry_is_not_added_a_second_time() {
    let mut stored = history([busy(0), quiet(5), quiet(10), failed(15, "no")]);
    let before = stored.clone();
    // A save whose response was lost: all of them are in the store, and still unsaved here.
    let mut unsaved = history([quiet(10), failed(15, "no"), quiet(20)]);
    unsaved.forget(&stored);
    assert_eq!(shape(&unsaved), [(20, 20, 1)]);
    stored.merge(&before);
    assert_eq!(stored, before);
    stored.merge(&unsaved);
    assert_eq!(shape(&stored), [(0, 0, 1), (5, 10, 2), (15, 15, 1), (20, 20, 1)]);
    unsaved.forget(&stored);
    assert_eq!(unsaved, History::default());
}

#[test]
fn an_entry_too_old_for_a_full_history_is_dropped() {
    let stored = history((1_000..1_200).map(busy));
    let mut unsaved = history([busy(1), busy(2_000)]);
    unsaved.forget(&stored);
    assert_eq!(shape(&unsaved), [(2_000, 2_000, 1)]);
}

#[test]
fn an_entry_of_another_process_takes_its_place_in_time() {
    let mut stored = history([busy(0), busy(20)]);
    stored.merge(&history([failed(10, "no")]));
    assert_eq!(shape(&stored), [(0, 0, 1), (10, 10, 1), (20, 20, 1)]);
}

#[test]
fn an_entry_is_one_line_with_the_members_that_apply() {
    let sent = HistoryEntry::of(
        at(5) + Duration::microseconds(12_345),
        &RunReport {
            alerts_read: 12,
            alerts_sent: 3,
            machines_read: 2,
            duration_ms: 812,
            lag_seconds: Some(0),
            complete: true,
            ..RunReport::default()
        },
    );
    let runs = history([quiet(0), quiet(1), sent, failed(10, "Defender\nanswered \"500\"")]);
    let text = serde_json::to_string_pretty(&runs).expect("JSON");
    assert_eq!(
        text,
        r#"[
  {"start":"2026-11-24T00:00:00Z","last":"2026-11-24T00:01:00Z","runs":2,"ms":0,"result":"ok","read":0,"sent":0,"setAside":0,"lagSeconds":1},
  {"start":"2026-11-24T00:05:00.012Z","ms":812,"result":"ok","read":12,"sent":3,"setAside":0,"machines":2,"lagSeconds":0},
  {"start":"2026-11-24T00:10:00Z","ms":0,"result":"failed","read":0,"sent":0,"setAside":0,"error":"Defender answered \"500\""}
]"#
    );
    assert_eq!(serde_json::from_str::<History>(&text).expect("a history"), runs);
}

#[test]
fn an_entry_that_cannot_be_read_is_dropped() {
    let text = r#"[{"start":"x"},7,{"start":"2026-11-24T00:05:00Z","ms":1,"result":"odd","read":0,"sent":0,"setAside":0},
        {"start":"2026-11-24T00:05:00Z","ms":1,"result":"ok","read":0,"sent":0,"setAside":0,"new":"member"}]"#;
    let runs: History = serde_json::from_str(text).expect("a history");
    assert_eq!(shape(&runs), [(5, 5, 1)]);
}

#[test]
fn two_hundred_entries_without_errors_take_some_25_kilobytes() {
    let entry = |minute| HistoryEntry {
        ms: 12_345,
        read: 1_000,
        machines: 300,
        lag_seconds: Some(300),
        ..busy(minute)
    };
    let bytes = serde_json::to_vec(&history((0..200).map(entry))).expect("JSON").len();
    assert!((20_000..27_000).contains(&bytes), "{bytes} bytes");
    let long = "x".repeat(10_000);
    let bytes =
        serde_json::to_vec(&history((0..200).map(|minute| failed(minute, &long)))).expect("JSON").len();
    assert!(bytes < 90_000, "{bytes} bytes");
}
