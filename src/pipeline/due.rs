//! Whether the run of a tenant that a message asks for is due. Messages come late, twice, or while the tenant's runs fail.
//! Pure.

use azure_core::time::OffsetDateTime;

use crate::{report::Skip, state::history::History, tenants::backoff::next_try};

/// Returns why a run that the timer asked for at `tick` is to be skipped at `now`; `None` when it is due. `saved` is the
/// history in the store, and `unsaved` what this process has yet to add.
///
/// Only saved failures count: one that could not be saved is the store's, and the host sends the message again for that.
/// And only lasting ones: after an outage, and while an alert waits for its machine, each tick counts.
pub(super) fn reason_to_skip(
    tick: OffsetDateTime,
    saved: &History,
    unsaved: &History,
    now: OffsetDateTime,
) -> Option<Skip> {
    let last_success = saved.last_success().max(unsaved.last_success());
    if last_success > Some(tick) {
        return Some(Skip::StaleMessage);
    }
    let (failures, last_failure) = saved.lasting_failures()?;
    let fails = last_success < Some(last_failure);
    (fails && now < next_try(failures, last_failure)).then_some(Skip::BackingOff)
}

#[cfg(test)]
mod tests {
    use azure_core::time::Duration;

    use super::*;
    use crate::{report::RunReport, state::history::HistoryEntry};

    fn at(minute: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::minutes(minute)
    }

    fn history<const N: usize>(runs: [(i64, bool); N]) -> History {
        let mut history = History::default();
        for (minute, has_failed) in runs {
            let error = has_failed.then(|| "no".to_owned());
            history.add(HistoryEntry::of(
                at(minute),
                &RunReport { error, complete: !has_failed, ..RunReport::default() },
            ));
        }
        history
    }

    #[test]
    fn a_message_is_stale_once_a_run_that_began_after_it_has_succeeded() {
        let (none, run) = (history([]), history([(10, false)]));
        for (saved, unsaved) in [(&run, &none), (&none, &run)] {
            assert_eq!(reason_to_skip(at(9), saved, unsaved, at(20)), Some(Skip::StaleMessage));
            assert_eq!(reason_to_skip(at(15), saved, unsaved, at(20)), None);
        }
        assert_eq!(reason_to_skip(at(9), &none, &none, at(20)), None);
        // The host sends a message again after a failure of the process.
        assert_eq!(reason_to_skip(at(9), &none, &history([(10, true)]), at(11)), None);
    }

    #[test]
    fn a_tenant_that_fails_is_left_alone_for_a_while() {
        let none = history([]);
        let once = history([(0, false), (10, true)]);
        assert_eq!(reason_to_skip(at(13), &once, &none, at(13)), Some(Skip::BackingOff));
        assert_eq!(reason_to_skip(at(15), &once, &none, at(15)), None);
        let twice = history([(10, true), (15, true)]);
        assert_eq!(reason_to_skip(at(25), &twice, &none, at(25)), Some(Skip::BackingOff));
        assert_eq!(reason_to_skip(at(30), &twice, &none, at(30)), None);
        let outage =
            RunReport { error: Some("503".to_owned()), is_error_transient: true, ..RunReport::default() };
        let mut passing = history([]);
        passing.add(HistoryEntry::of(at(10), &outage));
        assert_eq!(reason_to_skip(at(11), &passing, &none, at(11)), None, "what may go away by itself");
        // A success that is not saved yet ends it.
        assert_eq!(reason_to_skip(at(25), &twice, &history([(20, false)]), at(25)), None);
    }
}
