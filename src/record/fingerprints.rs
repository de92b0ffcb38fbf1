//! Which alerts are known, by the minute of their time, so that those of the past can be forgotten. Pure.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use azure_core::time::OffsetDateTime;

use crate::record::alert::Fingerprint;

/// The fingerprints of alerts, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprints {
    all: HashSet<Fingerprint>,
    by_minute: BTreeMap<i64, Vec<Fingerprint>>,
}

impl Fingerprints {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> &HashSet<Fingerprint> {
        &self.all
    }

    /// True when `fingerprint` is among them.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.all.contains(&fingerprint)
    }

    /// Adds the fingerprint of an alert of `time`. False when it is known already.
    pub fn insert(&mut self, fingerprint: Fingerprint, time: OffsetDateTime) -> bool {
        let is_new = self.all.insert(fingerprint);
        if is_new {
            self.by_minute.entry(minute_of(time)).or_default().push(fingerprint);
        }
        is_new
    }

    /// Of the minutes from that of `time` on: how many fingerprints there are, and those of the earliest minute.
    pub fn since(&self, time: OffsetDateTime) -> (usize, &[Fingerprint]) {
        let mut minutes = self.by_minute.range(minute_of(time)..).map(|(_, minute)| minute.as_slice());
        let earliest = minutes.next().unwrap_or_default();
        (earliest.len() + minutes.map(<[Fingerprint]>::len).sum::<usize>(), earliest)
    }

    /// Forgets the minutes before that of `time`.
    pub fn remove_before(&mut self, time: OffsetDateTime) {
        let kept = self.by_minute.split_off(&minute_of(time));
        for fingerprint in std::mem::replace(&mut self.by_minute, kept).into_values().flatten() {
            self.all.remove(&fingerprint);
        }
    }

    /// Minute by minute: the minutes since 1970, and the fingerprints.
    pub fn by_minute(&self) -> &BTreeMap<i64, Vec<Fingerprint>> {
        &self.by_minute
    }
}

/// The minute in which `time` is, counted from 1970.
fn minute_of(time: OffsetDateTime) -> i64 {
    time.unix_timestamp().div_euclid(60)
}

/// The beginning of the minute in which `time` is.
pub fn start_of_minute(time: OffsetDateTime) -> OffsetDateTime {
    let into = Duration::new(u64::from(time.second()), time.nanosecond());
    time - into
}
