//! What goes on in Defender while the forwarder lives: alerts come, some of them late, and change.

use std::collections::BTreeMap;

use azure_core::time::{Duration, OffsetDateTime};
use fastrand::Rng;
use simulator::Cloud;

use crate::{
    alert::{Alert, State, with_digits},
    setup::Setup,
};

/// How many machines there are, and how many of them Defender does not know any more.
const MACHINES: usize = 6;
const FORGOTTEN: usize = 2;

/// So many alerts at most have a member that the Data Collector refuses.
const MOST_POISONED: usize = 3;

/// Everything that happens by itself.
#[derive(Debug)]
pub struct World {
    pub alerts: Vec<Alert>,
    /// True where alerts are so large that one post cannot hold them all.
    is_large: bool,
    /// What is still to come, by time; the number keeps two things of one moment apart.
    upcoming: BTreeMap<(OffsetDateTime, usize), Event>,
}

#[derive(Debug)]
enum Event {
    /// Somebody takes up the alert of this number.
    Update { alert: usize, updated: OffsetDateTime, text: String },
    /// All tokens become worthless.
    Revoke,
}

impl World {
    /// Fills `cloud` with alerts created between `earliest` and `latest`. Each is listed at the latest
    /// `setup.lookback` after the time it is listed by: that is what the forwarder counts on.
    pub fn draw(
        rng: &mut Rng,
        cloud: &Cloud,
        setup: &Setup,
        earliest: OffsetDateTime,
        latest: OffsetDateTime,
    ) -> Self {
        for machine in FORGOTTEN..MACHINES {
            cloud.add_machine(&format!(r#"{{"id":"m{machine}","computerDnsName":"host{machine}"}}"#));
        }
        let mut world = Self { alerts: Vec::new(), is_large: rng.u8(0..40) == 0, upcoming: BTreeMap::new() };
        let most = [6, 25, 60, 120][rng.usize(0..4)];
        let tied = rng.u32(0..4) * 30;
        let mut created = earliest;
        let poisoned = if rng.u8(0..4) == 0 { rng.usize(1..=MOST_POISONED) } else { 0 };
        for number in 0..rng.usize(1..=most) {
            if rng.u32(0..100) >= tied {
                created = moment(rng, earliest, latest);
            }
            world.add_alert(rng, cloud, setup, created, latest, number < poisoned);
        }
        world
    }

    /// Adds an alert that may change until `latest`; one that is poisoned will be refused by the Data
    /// Collector.
    pub fn add_alert(
        &mut self,
        rng: &mut Rng,
        cloud: &Cloud,
        setup: &Setup,
        created: OffsetDateTime,
        latest: OffsetDateTime,
        is_poisoned: bool,
    ) {
        let number = self.alerts.len();
        let (created, text) = with_digits(created, rng.u32(0..=7));
        let visible = created + late(rng, setup);
        // The list's own order is that of the ids: not that of the times.
        let id = format!("da{:03}_{number}", rng.u32(0..1000));
        let machine = rng.usize(0..=MACHINES);
        let machine_id = match machine {
            MACHINES => ["null", r#""""#][number % 2].to_owned(),
            _ => format!(r#""m{machine}""#),
        };
        let padding = "x".repeat(if self.is_large { rng.usize(1..30_000) } else { 0 });
        let poison = if is_poisoned { r#""tenant":"a name that is the service's own","# } else { "" };
        let text = format!(
            r#"{{{poison}"id":"{id}","title":"alert {number}{padding}","status":"New","machineId":{machine_id},"evidence":[{{"sha1":"{number}"}}],"alertCreationTime":"{text}","lastUpdateTime":"{text}"}}"#
        );
        cloud.add_alert_visible_from(&text, visible);
        let known = (FORGOTTEN..MACHINES).contains(&machine);
        let members = serde_json::from_str(&text).expect("an object");
        self.alerts.push(Alert {
            id,
            created,
            machine_name: known.then(|| format!("host{machine}")),
            states: vec![State { updated: created, members, visible }],
        });
        let mut last = created;
        while rng.u8(0..3) == 0 {
            let at = moment(rng, visible, latest.max(visible));
            let (updated, text) = with_digits(at - late(rng, setup), rng.u32(0..=7));
            // Cutting digits off makes it later still, which must not be beyond the look-back.
            if updated > last && at - updated <= setup.lookback {
                self.plan(at, Event::Update { alert: number, updated, text });
                last = updated;
            }
        }
    }

    /// Has all tokens revoked at `at`.
    pub fn revoke_at(&mut self, at: OffsetDateTime) {
        self.plan(at, Event::Revoke);
    }

    fn plan(&mut self, at: OffsetDateTime, event: Event) {
        let mut number = 0;
        while self.upcoming.contains_key(&(at, number)) {
            number += 1;
        }
        self.upcoming.insert((at, number), event);
    }

    /// Lets happen what is due.
    pub fn pass(&mut self, cloud: &Cloud, now: OffsetDateTime) {
        while let Some(next) = self.upcoming.first_entry().filter(|next| next.key().0 <= now) {
            let ((at, _), event) = next.remove_entry();
            match event {
                Event::Revoke => cloud.revoke_tokens(),
                Event::Update { alert, updated, text } => {
                    let alert = &mut self.alerts[alert];
                    // Updates were planned in no order.
                    if alert.states.iter().all(|state| state.updated < updated) {
                        cloud.update_alert(&alert.id, &text);
                        let text = cloud.alert_json(&alert.id).expect("an alert just updated");
                        let members = serde_json::from_str(&text).expect("an object");
                        alert.states.push(State { updated, members, visible: at });
                    }
                }
            }
        }
    }

    /// The states that are listed at `now`, as numbers of alert and state.
    pub fn listed(&self, now: OffsetDateTime) -> Vec<(usize, usize)> {
        let listed = self.alerts.iter().enumerate().filter(|(_, alert)| alert.states[0].visible <= now);
        listed.map(|(number, alert)| (number, alert.states.len() - 1)).collect()
    }

    /// When the last thing happens.
    pub fn end(&self) -> Option<OffsetDateTime> {
        let visible = self.alerts.iter().map(|alert| alert.states[0].visible).max();
        visible.max(self.upcoming.keys().last().map(|(at, _)| *at))
    }
}

fn moment(rng: &mut Rng, from: OffsetDateTime, to: OffsetDateTime) -> OffsetDateTime {
    let ticks = i64::try_from((to - from).whole_nanoseconds() / 100).expect("some days at most");
    from + Duration::nanoseconds(rng.i64(0..=ticks) * 100)
}

/// How much later than its time an alert is listed: mostly not at all.
fn late(rng: &mut Rng, setup: &Setup) -> Duration {
    let longest = Duration::try_from(setup.lookback).expect("hours at most");
    match rng.u8(0..4) {
        0 => Duration::nanoseconds(
            rng.i64(0..=i64::try_from(longest.whole_nanoseconds()).expect("hours")) / 100 * 100,
        ),
        1 => longest.min(Duration::seconds(2)),
        _ => Duration::ZERO,
    }
}
