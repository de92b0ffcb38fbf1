use super::*;

fn at(text: &str) -> OffsetDateTime {
    time(text).expect(text)
}

/// A timer that began on the 20th, and has come to the 24th.
fn timer() -> Checkpoint {
    let mut timer = Checkpoint::starting_at(at("2026-11-20"));
    timer.advance(at("2026-11-24"), std::time::Duration::from_secs(3_600));
    timer
}

fn past(from: &str, until: &str, watermark: &str) -> EarlierBackfill {
    let mut checkpoint = Checkpoint::starting_at(at(from));
    checkpoint.until = Some(at(until));
    checkpoint.watermark = at(watermark);
    EarlierBackfill { name: name(at(from)), checkpoint }
}

fn wish(from: &str, to: Option<&str>) -> BackfillRequest {
    BackfillRequest { from: at(from), to: to.map(at) }
}

fn planned(wish: BackfillRequest, backfills: &[EarlierBackfill]) -> (Window, OffsetDateTime, bool) {
    let plan = plan(wish, Some(&timer()), backfills).expect("a plan");
    assert_eq!((plan.checkpoint.start, plan.checkpoint.until), (Some(plan.range.from), Some(plan.range.to)));
    (plan.range, plan.checkpoint.watermark, plan.is_cut)
}

#[track_caller]
fn refused(wish: BackfillRequest, timer: Option<&Checkpoint>, backfills: &[EarlierBackfill]) -> String {
    plan(wish, timer, backfills).expect_err("refused").to_string()
}

fn window(from: &str, to: &str) -> Window {
    Window { from: at(from), to: at(to) }
}

#[test]
fn it_ends_where_the_timer_began_at_the_latest() {
    for (to, end, is_cut) in [
        (None, "2026-11-20", false),
        (Some("2026-11-20"), "2026-11-20", false),
        (Some("2026-11-20T00:00:00.0000001Z"), "2026-11-20", true),
        (Some("2027-01-01"), "2026-11-20", true),
        (Some("2026-11-10"), "2026-11-10", false),
    ] {
        let expected = (window("2026-11-01", end), at("2026-11-01"), is_cut);
        assert_eq!(planned(wish("2026-11-01", to), &[]), expected, "{to:?}");
    }
    for from in ["2026-11-20", "2026-11-21"] {
        let told = refused(wish(from, None), Some(&timer()), &[]);
        assert!(told.contains("from 2026-11-20T00:00:00Z on everything is the timer's"), "{told}");
    }
    let told = refused(wish("2026-11-02", Some("2026-11-02")), Some(&timer()), &[]);
    assert!(told.contains("--to is not after --from"), "{told}");
}

#[test]
fn without_the_timers_beginning_the_end_must_be_given() {
    let told = refused(wish("2026-11-01", None), None, &[]);
    assert!(told.contains("has not run yet"), "{told}");

    let mut timer = timer();
    timer.start = None;
    let told = refused(wish("2026-11-01", None), Some(&timer), &[]);
    assert!(told.contains("--to TIME") && told.contains("2026-11-23T23:00:00Z"), "{told}");
    let given = plan(wish("2026-11-01", Some("2026-11-15")), Some(&timer), &[]).expect("a plan");
    assert_eq!(given.range, window("2026-11-01", "2026-11-15"));
    // What the timer is known to have sent is its own in any case.
    let late = plan(wish("2026-11-01", Some("2026-11-24")), Some(&timer), &[]).expect("a plan");
    assert_eq!((late.range, late.is_cut), (window("2026-11-01", "2026-11-23T23:00:00Z"), true));
}

#[test]
fn the_same_beginning_goes_on_and_may_go_further() {
    let (all, half) = (window("2026-11-01", "2026-11-20"), at("2026-11-05"));
    let whole = past("2026-11-01", "2026-11-20", "2026-11-05");
    assert_eq!(planned(wish("2026-11-01", None), &[whole]), (all, half, false));
    let short = past("2026-11-01", "2026-11-05", "2026-11-05");
    assert_eq!(planned(wish("2026-11-01", None), &[short]), (all, half, false));
    let done = past("2026-11-01", "2026-11-20", "2026-11-20");
    assert_eq!(planned(wish("2026-11-01", None), &[done]), (all, at("2026-11-20"), false));

    let whole = past("2026-11-01", "2026-11-20", "2026-11-05");
    let told = refused(wish("2026-11-01", Some("2026-11-19")), Some(&timer()), &[whole]);
    assert!(told.contains("to go to 2026-11-20T00:00:00Z"), "{told}");
}

#[test]
fn a_timer_that_was_told_to_begin_earlier_takes_the_rest() {
    let whole = || past("2026-11-01", "2026-11-25", "2026-11-05");
    assert_eq!(planned(wish("2026-11-01", None), &[whole()]).0, window("2026-11-01", "2026-11-20"));
    let further = past("2026-11-01", "2026-11-25", "2026-11-22");
    let (range, position, _) = planned(wish("2026-11-01", Some("2026-11-25")), &[further]);
    assert_eq!((range, position), (window("2026-11-01", "2026-11-22"), at("2026-11-22")));
}

#[test]
fn no_time_is_sent_by_two_backfills() {
    let middle = |watermark| [past("2026-11-05", "2026-11-10", watermark)];
    let timer = Some(&timer());
    let told = refused(wish("2026-11-01", None), timer, &middle("2026-11-07"));
    for words in [
        "is not done",
        "backfill --from 2026-11-05T00:00:00Z --to 2026-11-10T00:00:00Z",
        "remove backfill/20261105T000000Z.json",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let told = refused(wish("2026-11-01", None), timer, &middle("2026-11-10"));
    for words in [
        "has sent 2026-11-05T00:00:00Z to 2026-11-10T00:00:00Z",
        "backfill --from 2026-11-01T00:00:00Z --to 2026-11-05T00:00:00Z",
        "backfill --from 2026-11-10T00:00:00Z --to 2026-11-20T00:00:00Z",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let inside = refused(wish("2026-11-06", Some("2026-11-07")), timer, &middle("2026-11-10"));
    assert!(!inside.contains("What is left"), "{inside}");
    for (from, to) in [("2026-11-01", "2026-11-05"), ("2026-11-10", "2026-11-20")] {
        assert_eq!(planned(wish(from, Some(to)), &middle("2026-11-07")).0, window(from, to));
    }
}

#[test]
fn times_and_shares_are_read_or_refused() {
    assert_eq!(time("2026-11-01"), Ok(at("2026-11-01T00:00:00Z")));
    // Defender's times are multiples of 100 nanoseconds.
    let elsewhere = time("2026-11-01T02:00:00.123456789+02:00").expect("a time");
    assert_eq!(to_rfc3339(&elsewhere), "2026-11-01T00:00:00.1234567Z");
    assert_eq!(name(at("2026-11-01T00:00:00.5Z")), "backfill/20261101T0000005Z");
    for text in ["", "24h", "yesterday", "2015-12-31", "2026-13-01"] {
        assert!(time(text).is_err(), "{text}");
    }
    assert_eq!(share("0.5"), Ok(0.5));
    for text in ["0", "-1", "1.1", "NaN", "half"] {
        assert!(share(text).is_err(), "{text}");
    }
    // Of a hundred calls, as the quota counts them: not one less for want of exactness.
    let beside = [0.8, 0.5, 0.999, 1.0].map(|timer| format!("{}", share_beside(timer)));
    assert_eq!(beside, ["0.2", "0.5", "0.05", "0.05"]);
}
