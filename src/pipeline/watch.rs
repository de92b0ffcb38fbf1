//! What becomes of the alerts that a caller asks about, by their ids. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::record::{
    alert::{Fingerprint, Mode},
    batch::Ack,
    fingerprints::Fingerprints,
};

/// The alerts that a caller waits for, while a run works on them.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    alerts: BTreeMap<String, Progress>,
    /// The ids by the fingerprints under which the run meets their alerts.
    ids: HashMap<Fingerprint, String>,
}

/// How far an alert has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// It has not been listed, or the sink has not accepted it yet.
    Pending,
    /// An earlier run delivered it or set it aside: the checkpoint does not say which.
    Known,
    /// The sink has accepted it.
    Delivered,
}

impl Watch {
    /// Adds alerts, before the run begins.
    pub fn add(&self, ids: &[String]) {
        let mut watched = self.lock();
        for id in ids {
            watched.alerts.entry(id.clone()).or_insert(Progress::Pending);
        }
    }

    /// Notes what earlier runs delivered. In created mode the id alone is enough, even for an alert that the run need not list.
    pub(super) fn begin(&self, mode: Mode, delivered: &Fingerprints) {
        if mode == Mode::Created {
            let ids: Vec<String> = self.lock().alerts.keys().cloned().collect();
            for id in ids {
                self.note_listed(&id, Fingerprint::of_id(&id), delivered);
            }
        }
    }

    /// Notes that the alert `id` is on the list with this fingerprint.
    pub(super) fn note_listed(&self, id: &str, fingerprint: Fingerprint, delivered: &Fingerprints) {
        let mut watched = self.lock();
        if let Some(progress) = watched.alerts.get_mut(id) {
            if delivered.contains(fingerprint) {
                *progress = Progress::Known.max(*progress);
            }
            watched.ids.insert(fingerprint, id.to_owned());
        }
    }

    /// Notes that the sink has accepted records, and that this is saved.
    pub(super) fn note_acknowledged(&self, acks: &[Ack]) {
        let Watched { alerts, ids } = &mut *self.lock();
        for id in acks.iter().filter_map(|ack| ids.get(&ack.fingerprint)) {
            alerts.insert(id.clone(), Progress::Delivered);
        }
    }

    /// Returns the alerts that an earlier run delivered or set aside.
    pub fn known(&self) -> Vec<String> {
        let watched = self.lock();
        let known = watched.alerts.iter().filter(|(_, progress)| **progress == Progress::Known);
        known.map(|(id, _)| id.clone()).collect()
    }

    /// Decides about the known alerts: all were delivered but those in `set_aside`.
    pub fn resolve_known(&self, set_aside: &HashSet<String>) {
        for (id, progress) in &mut self.lock().alerts {
            if *progress == Progress::Known {
                *progress = if set_aside.contains(id) { Progress::Pending } else { Progress::Delivered };
            }
        }
    }

    /// Returns true when the alert `id` is delivered.
    pub fn is_delivered(&self, id: &str) -> bool {
        self.lock().alerts.get(id) == Some(&Progress::Delivered)
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::OffsetDateTime;

    use super::*;
    use crate::record::alert::Alert;

    fn fingerprint(id: &str, updated: u8) -> Fingerprint {
        let text = format!(r#"{{"id":"{id}","lastUpdateTime":"2026-11-27T10:00:{updated:02}Z"}}"#);
        Alert::parse(text.into()).expect("an alert").fingerprint(Mode::Updated)
    }

    fn watch(ids: &[&str]) -> Watch {
        let watch = Watch::default();
        watch.add(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        watch
    }

    fn delivered(fingerprints: &[Fingerprint]) -> Fingerprints {
        let mut delivered = Fingerprints::default();
        for fingerprint in fingerprints {
            delivered.insert(*fingerprint, OffsetDateTime::UNIX_EPOCH);
        }
        delivered
    }

    #[test]
    fn an_alert_is_delivered_once_the_sink_has_accepted_it_and_no_other_is() {
        let watch = watch(&["a", "b", "c"]);
        watch.begin(Mode::Updated, &Fingerprints::default());
        for id in ["a", "b", "other"] {
            watch.note_listed(id, fingerprint(id, 1), &Fingerprints::default());
        }
        watch.note_acknowledged(&["a", "other", "c"].map(|id| Ack::of(fingerprint(id, 1))));
        let is_delivered = ["a", "b", "c", "other"].map(|id| watch.is_delivered(id));
        assert_eq!(is_delivered, [true, false, false, false]);
        assert!(watch.known().is_empty());
    }

    #[test]
    fn in_created_mode_an_alert_of_an_earlier_run_is_known_without_being_listed() {
        let watch = watch(&["a", "b"]);
        watch.begin(Mode::Created, &delivered(&[Fingerprint::of_id("a")]));
        assert_eq!(watch.known(), ["a"]);
        watch.note_acknowledged(&[Ack::of(Fingerprint::of_id("b"))]);
        assert!(watch.is_delivered("b") && !watch.is_delivered("a"));
    }

    #[test]
    fn in_updated_mode_only_the_listed_state_counts() {
        let earlier = delivered(&[fingerprint("a", 1), fingerprint("b", 1)]);
        let watch = watch(&["a", "b"]);
        watch.begin(Mode::Updated, &earlier);
        watch.note_listed("a", fingerprint("a", 1), &earlier);
        watch.note_listed("b", fingerprint("b", 2), &earlier);
        assert_eq!(watch.known(), ["a"]);
        watch.note_acknowledged(&[Ack::of(fingerprint("b", 2))]);
        assert!(watch.is_delivered("b"));
    }

    #[test]
    fn a_known_alert_is_delivered_unless_it_is_set_aside() {
        let watch = watch(&["a", "b"]);
        watch.begin(Mode::Created, &delivered(&["a", "b"].map(Fingerprint::of_id)));
        watch.resolve_known(&HashSet::from(["b".to_owned()]));
        assert!(watch.is_delivered("a") && !watch.is_delivered("b"));
        assert!(watch.known().is_empty());
    }
}
