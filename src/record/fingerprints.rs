//! The fingerprints of the alerts that are known, by the minute of their time, so that old ones can be removed.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use azure_core::time::OffsetDateTime;

use crate::record::alert::Fingerprint;

/// A set of fingerprints of alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprints {
    all: HashSet<Fingerprint>,
    by_minute: BTreeMap<i64, Vec<Fingerprint>>,
}

impl Fingerprints {
    /// Returns the number of fingerprints.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All fingerprints.
    pub fn all(&self) -> &HashSet<Fingerprint> {
        &self.all
    }

    /// True if `fingerprint` is among them.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.all.contains(&fingerprint)
    }

    /// Adds the fingerprint of an alert of `time`. Returns false if it is known already.
    pub fn insert(&mut self, fingerprint: Fingerprint, time: OffsetDateTime) -> bool {
        let is_new = self.all.insert(fingerprint);
        if is_new {
            self.by_minute.entry(minute_of(time)).or_default().push(fingerprint);
        }
        is_new
    }

    /// Returns how many fingerprints there are from the minute of `time` on, and those of the earliest of these
    /// minutes.
    pub fn since(&self, time: OffsetDateTime) -> (usize, &[Fingerprint]) {
        let mut minutes = self.by_minute.range(minute_of(time)..).map(|(_, minute)| minute.as_slice());
        let earliest = minutes.next().unwrap_or_default();
        (earliest.len() + minutes.map(<[Fingerprint]>::len).sum::<usize>(), earliest)
    }

    /// Removes the minutes before that of `time`.
    pub fn remove_before(&mut self, time: OffsetDateTime) {
        let kept = self.by_minute.split_off(&minute_of(time));
        for fingerprint in std::mem::replace(&mut self.by_minute, kept).into_values().flatten() {
            self.all.remove(&fingerprint);
        }
    }

    /// The fingerprints of each minute, which is counted from 1970.
    pub fn by_minute(&self) -> &BTreeMap<i64, Vec<Fingerprint>> {
        &self.by_minute
    }
}

/// Returns the minute of `time`, counted from 1970.
fn minute_of(time: OffsetDateTime) -> i64 {
    time.unix_timestamp().div_euclid(60)
}

/// Returns the start of the minute of `time`.
pub fn start_of_minute(time: OffsetDateTime) -> OffsetDateTime {
    let into = Duration::new(u64::from(time.second()), time.nanosecond());
    time - into
}
