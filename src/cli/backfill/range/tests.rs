use super::*;

fn at(text: &str) -> OffsetDateTime {
    time(text).expect(text)
}

/// A timer that began on the 20th, with its watermark at the 24th.
fn timer() -> Checkpoint {
    let mut timer = Checkpoint::starting_at(at("2026-11-20"));
    timer.advance(at("2026-11-24"), std::time::Duration::from_secs(3_600));
    timer
}

fn earlier(from: &str, until: &str, watermark: &str) -> EarlierBackfill {
    let mut checkpoint = Checkpoint::starting_at(at(from));
    checkpoint.until = Some(at(until));
    checkpoint.watermark = at(watermark);
    EarlierBackfill { name: name(at(from)), checkpoint }
}

fn request(from: &str, to: Option<&str>) -> BackfillRequest {
    BackfillRequest { from: at(from), to: to.map(at) }
}

fn planned(request: BackfillRequest, backfills: &[EarlierBackfill]) -> (Window, OffsetDateTime, bool) {
    let plan = plan(request, Some(&timer()), backfills).expect("a plan");
    assert_eq!((plan.checkpoint.start, plan.checkpoint.until), (Some(plan.range.from), Some(plan.range.to)));
    (plan.range, plan.checkpoint.watermark, plan.is_cut)
}

#[track_caller]
fn rejected(request: BackfillRequest, timer: Option<&Checkpoint>, backfills: &[EarlierBackfill]) -> String {
    plan(request, timer, backfills).expect_err("rejected").to_string()
}

fn window(from: &str, to: &str) -> Window {
    Window { from: at(from), to: at(to) }
}

#[test]
fn a_backfill_ends_where_the_timer_began_at_the_latest() {
    for (to, end, is_cut) in [
        (None, "2026-11-20", false),
        (Some("2026-11-20"), "2026-11-20", false),
        (Some("2026-11-20T00:00:00.0000001Z"), "2026-11-20", true),
        (Some("2027-01-01"), "2026-11-20", true),
        (Some("2026-11-10"), "2026-11-10", false),
    ] {
        let expected = (window("2026-11-01", end), at("2026-11-01"), is_cut);
        assert_eq!(planned(request("2026-11-01", to), &[]), expected, "{to:?}");
    }
    for from in ["2026-11-20", "2026-11-21"] {
        let message = rejected(request(from, None), Some(&timer()), &[]);
        assert!(message.contains("the timer sends everything from 2026-11-20T00:00:00Z on"), "{message}");
    }
    let message = rejected(request("2026-11-02", Some("2026-11-02")), Some(&timer()), &[]);
    assert!(message.contains("--to is not after --from"), "{message}");
}

#[test]
fn without_the_timers_start_the_end_must_be_given() {
    let message = rejected(request("2026-11-01", None), None, &[]);
    assert!(message.contains("has not run yet"), "{message}");

    let mut timer = timer();
    timer.start = None;
    let message = rejected(request("2026-11-01", None), Some(&timer), &[]);
    assert!(message.contains("--to TIME") && message.contains("2026-11-23T23:00:00Z"), "{message}");
    let given = plan(request("2026-11-01", Some("2026-11-15")), Some(&timer), &[]).expect("a plan");
    assert_eq!(given.range, window("2026-11-01", "2026-11-15"));
    // What the timer is known to have sent stays the timer's.
    let late = plan(request("2026-11-01", Some("2026-11-24")), Some(&timer), &[]).expect("a plan");
    assert_eq!((late.range, late.is_cut), (window("2026-11-01", "2026-11-23T23:00:00Z"), true));
}

#[test]
fn a_backfill_with_the_same_start_continues_and_may_end_later() {
    let (all, half) = (window("2026-11-01", "2026-11-20"), at("2026-11-05"));
    let whole = earlier("2026-11-01", "2026-11-20", "2026-11-05");
    assert_eq!(planned(request("2026-11-01", None), &[whole]), (all, half, false));
    let short = earlier("2026-11-01", "2026-11-05", "2026-11-05");
    assert_eq!(planned(request("2026-11-01", None), &[short]), (all, half, false));
    let done = earlier("2026-11-01", "2026-11-20", "2026-11-20");
    assert_eq!(planned(request("2026-11-01", None), &[done]), (all, at("2026-11-20"), false));

    let whole = earlier("2026-11-01", "2026-11-20", "2026-11-05");
    let message = rejected(request("2026-11-01", Some("2026-11-19")), Some(&timer()), &[whole]);
    assert!(message.contains("with the end 2026-11-20T00:00:00Z"), "{message}");
}

#[test]
fn a_timer_that_was_reset_to_an_earlier_time_takes_the_rest() {
    let whole = || earlier("2026-11-01", "2026-11-25", "2026-11-05");
    assert_eq!(planned(request("2026-11-01", None), &[whole()]).0, window("2026-11-01", "2026-11-20"));
    let further = earlier("2026-11-01", "2026-11-25", "2026-11-22");
    let (range, position, _) = planned(request("2026-11-01", Some("2026-11-25")), &[further]);
    assert_eq!((range, position), (window("2026-11-01", "2026-11-22"), at("2026-11-22")));
}

#[test]
fn no_time_is_sent_by_two_backfills() {
    let middle = |watermark| [earlier("2026-11-05", "2026-11-10", watermark)];
    let timer = Some(&timer());
    let message = rejected(request("2026-11-01", None), timer, &middle("2026-11-07"));
    for words in [
        "is not done",
        "backfill --from 2026-11-05T00:00:00Z --to 2026-11-10T00:00:00Z",
        "remove backfill/20261105T000000Z.json",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let message = rejected(request("2026-11-01", None), timer, &middle("2026-11-10"));
    for words in [
        "has sent 2026-11-05T00:00:00Z to 2026-11-10T00:00:00Z",
        "backfill --from 2026-11-01T00:00:00Z --to 2026-11-05T00:00:00Z",
        "backfill --from 2026-11-10T00:00:00Z --to 2026-11-20T00:00:00Z",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let inside = rejected(request("2026-11-06", Some("2026-11-07")), timer, &middle("2026-11-10"));
    assert!(!inside.contains("Not sent yet"), "{inside}");
    for (from, to) in [("2026-11-01", "2026-11-05"), ("2026-11-10", "2026-11-20")] {
        assert_eq!(planned(request(from, Some(to)), &middle("2026-11-07")).0, window(from, to));
    }
}

#[test]
fn times_and_shares_are_read_or_rejected() {
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
    // Exact, so that no call is lost.
    let beside = [0.8, 0.5, 0.999, 1.0].map(|timer| format!("{}", share_beside(timer)));
    assert_eq!(beside, ["0.2", "0.5", "0.05", "0.05"]);
}
