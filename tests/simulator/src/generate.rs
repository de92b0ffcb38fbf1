//! Seeded data in the shape of real alerts and machines: every documented member in the captured
//! order, in values as varied as those that broke other forwarders. The same seed gives the same data.

mod alert;
mod evidence;
mod machine;
mod vocabulary;

use std::fmt::Write;

use azure_core::time::{Duration, OffsetDateTime};
use fastrand::Rng;
use serde::Serialize;

use self::machine::Host;

/// How much to generate.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// Alerts, spread over the span and listed from their creation on.
    pub alerts: usize,
    /// Machines, in addition to those generated before.
    pub machines: usize,
    /// The earliest creation time.
    pub since: OffsetDateTime,
    /// The end of the span.
    pub until: OffsetDateTime,
}

/// A generated alert.
pub(crate) struct Generated {
    pub text: String,
    pub created: OffsetDateTime,
}

/// Makes alerts of the machines it made before.
pub(crate) struct Generator {
    rng: Rng,
    hosts: Vec<Host>,
    serial: u32,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), hosts: Vec::new(), serial: 0 }
    }

    /// The JSON of one more machine.
    pub fn machine(&mut self, now: OffsetDateTime) -> String {
        self.serial += 1;
        let (host, body) = machine::make(&mut self.rng, self.serial, now);
        self.hosts.push(host);
        json(&body)
    }

    /// Alerts within a span. Bursts share one creation time now and then, as real ones do.
    pub fn alerts(&mut self, volume: &Volume) -> Vec<Generated> {
        let mut created = Vec::with_capacity(volume.alerts);
        for _ in 0..volume.alerts {
            created.push(match created.last() {
                Some(last) if self.rng.u8(..) < 8 => *last,
                _ => moment(&mut self.rng, volume.since, volume.until),
            });
        }
        let alert = |created| self.alert(created, volume.until);
        created.into_iter().map(alert).collect()
    }

    fn alert(&mut self, created: OffsetDateTime, until: OffsetDateTime) -> Generated {
        self.serial += 1;
        // About one alert in a hundred belongs to no machine.
        let host = match self.rng.u8(..) {
            0..=2 => None,
            _ => self.rng.choice(&self.hosts),
        };
        let body = alert::make(&mut self.rng, self.serial, host, created, until);
        let text = json(&body);
        // Some serializers escape what is not ASCII; both forms mean the same.
        let text = match self.rng.u8(..4) {
            0 => escaped(&text),
            _ => text,
        };
        Generated { text, created }
    }
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("plain structs serialize")
}

fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(text, "\\u{unit:04x}").expect("writing to a String cannot fail");
        }
    }
    text
}

/// A time within a span, on a 100 ns tick as all times of these services are.
fn moment(rng: &mut Rng, since: OffsetDateTime, until: OffsetDateTime) -> OffsetDateTime {
    let ticks = (until - since).whole_nanoseconds().max(100) / 100;
    let tick = rng.i128(0..ticks);
    after(since, tick * 100)
}

fn after(start: OffsetDateTime, nanoseconds: i128) -> OffsetDateTime {
    let nanoseconds = i64::try_from(nanoseconds).expect("a span of less than 292 years");
    let tick = i64::from(start.nanosecond() % 100);
    start + Duration::nanoseconds(nanoseconds - tick)
}

/// A time as a SQL datetime keeps it: on a 1/300 s, of which seven digits are shown.
fn sql_time(time: OffsetDateTime) -> OffsetDateTime {
    let third = (i64::from(time.nanosecond()) * 300 + 500_000_000) / 1_000_000_000;
    let ticks = (third * 10_000_000 + 150) / 300;
    time - Duration::nanoseconds(time.nanosecond().into()) + Duration::nanoseconds(ticks * 100)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use azure_core::time::{parse_rfc3339, to_rfc3339};
    use serde_json::Value;

    use super::*;
    use crate::members::members;

    fn volume(alerts: usize) -> Volume {
        let time = |text| parse_rfc3339(text).expect("a time");
        Volume {
            alerts,
            machines: 20,
            since: time("2026-11-23T06:00:00Z"),
            until: time("2026-11-24T06:00:00Z"),
        }
    }

    fn generate(seed: u64, alerts: usize) -> (Vec<String>, Vec<Generated>) {
        let volume = volume(alerts);
        let mut generator = Generator::new(seed);
        let machines = (0..volume.machines).map(|_| generator.machine(volume.until));
        let machines = machines.collect();
        (machines, generator.alerts(&volume))
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn the_same_seed_gives_the_same_data_and_another_other_data() {
        let texts = |seed| {
            let (machines, alerts) = generate(seed, 50);
            let alerts = alerts.into_iter().map(|alert| alert.text);
            machines.into_iter().chain(alerts).collect::<Vec<_>>()
        };
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }

    #[test]
    fn ids_are_unique_and_times_lie_in_the_span_with_ties() {
        let (_, alerts) = generate(3, 2000);
        let ids: BTreeSet<_> = alerts.iter().map(|a| parsed(&a.text)["id"].to_string()).collect();
        assert_eq!(ids.len(), 2000);
        let Volume { since, until, .. } = volume(0);
        assert!(alerts.iter().all(|alert| since <= alert.created && alert.created < until));
        let times: BTreeSet<_> = alerts.iter().map(|alert| alert.created).collect();
        assert!((1800..2000).contains(&times.len()), "{} times", times.len());
        for alert in &alerts {
            let shown = &parsed(&alert.text)["alertCreationTime"];
            assert_eq!(shown, &to_rfc3339(&alert.created));
        }
    }

    #[test]
    fn members_stand_in_the_captured_order() {
        let (machines, alerts) = generate(4, 1);
        let names = |text: &str| -> Vec<String> {
            let members = members(text).expect("an object");
            members.into_iter().map(|member| member.name).collect()
        };
        let alert = names(&alerts[0].text);
        assert_eq!(alert.len(), 31);
        assert_eq!(alert[..4], ["id", "incidentId", "investigationId", "assignedTo"]);
        assert_eq!(alert[27..], ["loggedOnUsers", "comments", "evidence", "domains"]);
        let machine = names(&machines[0]);
        assert_eq!(machine[..2], ["id", "mergedIntoMachineId"]);
        assert_eq!(machine[machine.len() - 2..], ["ipAddresses", "vmMetadata"]);
    }

    #[test]
    fn the_data_is_as_varied_as_the_real_one() {
        let (machines, alerts) = generate(5, 2000);
        let total: usize = alerts.iter().map(|alert| alert.text.len()).sum();
        let average = total / alerts.len();
        assert!((2500..4500).contains(&average), "{average} bytes an alert");
        let alerts: Vec<_> = alerts.iter().map(|alert| parsed(&alert.text)).collect();
        let machines: Vec<_> = machines.iter().map(|text| parsed(text)).collect();

        let homeless = alerts.iter().filter(|alert| alert["machineId"].is_null());
        assert!((5..60).contains(&homeless.count()));
        for name in ["computerDnsName", "rbacGroupName"] {
            let differs = |alert: &&Value| {
                let machine = machines.iter().find(|m| m["id"] == alert["machineId"]);
                machine.is_some_and(|machine| machine[name] != alert[name])
            };
            assert!(alerts.iter().filter(differs).count() > 20, "{name}");
        }
        let kinds: BTreeSet<_> = alerts
            .iter()
            .flat_map(|alert| alert["evidence"].as_array().expect("evidence"))
            .map(|entry| {
                assert_eq!(entry.as_object().expect("an entry").len(), 26);
                entry["entityType"].to_string()
            })
            .collect();
        assert_eq!(kinds.len(), 6, "{kinds:?}");
    }

    #[test]
    fn no_time_is_finer_than_a_tick_whatever_the_span_ends_with() {
        let mut volume = volume(500);
        volume.until += Duration::nanoseconds(6_824);
        let alerts = Generator::new(6).alerts(&volume);
        for text in alerts.iter().map(|alert| &alert.text) {
            for (name, value) in parsed(text).as_object().expect("an object") {
                let fraction =
                    value.as_str().filter(|_| name.ends_with("Time")).and_then(|t| t.split_once('.'));
                assert!(
                    fraction.is_none_or(|(_, digits)| digits.len() <= "1234567Z".len()),
                    "{name} {value}"
                );
            }
        }
    }

    #[test]
    fn sql_times_lie_on_thirds_of_ten_milliseconds() {
        for (time, rounded) in [
            ("2026-11-24T06:00:00.3133Z", "2026-11-24T06:00:00.3133333Z"),
            ("2026-11-24T06:00:00.8570Z", "2026-11-24T06:00:00.8566667Z"),
            ("2026-11-24T06:00:00.2001Z", "2026-11-24T06:00:00.2Z"),
            ("2026-11-24T06:00:00.9999Z", "2026-11-24T06:00:01Z"),
        ] {
            let time = parse_rfc3339(time).expect("a time");
            assert_eq!(to_rfc3339(&sql_time(time)), rounded);
        }
    }
}
