//! A hundred thousand alerts of the past, and a process that is killed again and again while it sends them,
//! beside a timer that goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use azure_core::time::{Duration as Span, to_rfc3339};
use simulator::{
    Fault, Service, Sink,
    functions_host::{FunctionsHost, Payload},
    shape::alert_id,
};

use super::{add, begun, until};
use crate::stage::{Stage, alert, now, succeed};

const ALERTS: i32 = 100_000;

/// What the process is at when it is killed.
#[derive(Clone, Copy)]
enum Moment {
    /// A post has been accepted, and its reply is on its way.
    PostInFlight,
    /// A page of the list is on its way.
    ListInFlight,
    /// Whatever it is.
    Any,
}

/// How many records must have been accepted, and what the process is at then. The last is far from the end: on a busy
/// machine thousands are sent until it is noticed.
const KILLS: [(u64, Moment); 5] = [
    (3_000, Moment::PostInFlight),
    (13_000, Moment::Any),
    (23_000, Moment::ListInFlight),
    (33_000, Moment::PostInFlight),
    (43_000, Moment::Any),
];

/// The timer's ticks are at least so far apart, since its share of the quota is 50 calls a minute.
const APART: Duration = Duration::from_millis(1_200);

/// A timer, and a world in which there is something new at each of its ticks.
struct Timer {
    host: FunctionsHost,
    new: usize,
    next: Instant,
}

impl Timer {
    /// Ticks when it is time to, and whenever it is, until `is_enough`.
    async fn go_on(&mut self, stage: &Stage, mut is_enough: impl FnMut() -> bool) {
        while !is_enough() {
            if Instant::now() >= self.next {
                self.tick(stage).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn tick(&mut self, stage: &Stage) {
        self.next = Instant::now() + APART;
        for _ in 0..10 {
            self.new += 1;
            stage.cloud.add_alert(&alert(&format!("new-{}", self.new), None, &to_rfc3339(&now())));
        }
        succeed(&self.host.fire(Payload::regular()).await);
    }
}

/// The alerts of the last post of the backfill's.
fn last_of_the_past(stage: &Stage) -> BTreeSet<String> {
    let ids = |records: &[String]| records.iter().map(|record| id(record)).collect::<BTreeSet<_>>();
    let posts = stage.cloud.received();
    posts.iter().rev().map(|post| ids(&post.records)).find(is_past).unwrap_or_default()
}

fn is_past(ids: &BTreeSet<String>) -> bool {
    ids.iter().all(|id| id.starts_with("past-"))
}

fn id(record: &str) -> String {
    let record = serde_json::from_str(record).expect("a record");
    alert_id(&record).expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_five_times_beside_the_timer_it_loses_nothing_and_repeats_only_what_was_in_flight() {
    let (mut stage, start) = begun(Sink::LogsIngestion, Span::hours(1)).await;
    stage.set("MDATP_PAGE_SIZE", "10000");
    // Half of the quota for each.
    stage.set("MDATP_QUOTA_SHARE", "0.5");
    let from = start - Span::days(10);
    // 8.64 s apart, the last of them 8.64 s before the timer began.
    add(&stage, ALERTS, from, Span::milliseconds(8_640));
    let command = ["backfill", "--from", &to_rfc3339(&from), "--json"];
    let mut timer = Timer { host: stage.host().await, new: 0, next: Instant::now() };

    let mut certain = BTreeSet::new();
    for (records, moment) in KILLS {
        let mut child = stage.start(&command);
        timer.tick(&stage).await;
        timer.go_on(&stage, || stage.cloud.counts().records >= records).await;
        // The timer is quiet now, so what is slow is what the backfill does.
        let slow = match moment {
            Moment::PostInFlight => Some(Fault::slow(Span::minutes(5)).on(Service::LogsIngestion)),
            Moment::ListInFlight => Some(Fault::slow(Span::minutes(5)).on(Service::Defender)),
            Moment::Any => None,
        };
        if let Some(slow) = slow {
            let faults = stage.cloud.counts().faults;
            stage.cloud.fault(slow);
            until("it is struck", || stage.cloud.counts().faults > faults).await;
        }
        assert!(child.try_wait().expect("known").is_none(), "it is in the middle");
        child.kill().await.expect("killed");
        stage.cloud.clear_faults();
        assert!(stage.cloud.counts().records < 99_000, "it was in the middle");
        if let Moment::PostInFlight = moment {
            certain.extend(last_of_the_past(&stage));
        }
    }
    let mut child = stage.start(&command);
    timer.go_on(&stage, || child.try_wait().expect("known").is_some()).await;
    assert_eq!(child.wait().await.expect("ended").code(), Some(0));
    timer.tick(&stage).await;

    let (mut sent, mut repeated, mut in_flight) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for (post, received) in stage.cloud.received().iter().enumerate() {
        for record in &received.records {
            let id = id(record);
            if let Some((first, before)) = sent.insert(id.clone(), (post, record.clone())) {
                assert_eq!(before, *record, "a repeat is the same");
                assert!(repeated.insert(id), "and comes once");
                in_flight.insert(first);
            }
        }
    }
    let wanted = stage.cloud.alert_ids();
    assert_eq!(sent.keys().collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>(), "lost or made up");
    assert_eq!(wanted.len(), 100_000 + timer.new);
    assert!(certain.is_subset(&repeated), "what was in flight is not known to have been accepted");
    assert!(in_flight.len() <= KILLS.len(), "more than one batch for each time it was killed");
    assert!(certain.len() > 100, "there were batches in flight");
    assert!(stage.cloud.rejected().is_empty() && stage.cloud.lost_values().is_empty());
    println!("{} kills, {} repeats, {} new alerts beside", KILLS.len(), repeated.len(), timer.new);
}
