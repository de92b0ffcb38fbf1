//! When a tenant whose runs fail is tried again. Most causes, such as a consent that was withdrawn, last until somebody
//! acts, so trying at each tick would only cost. Pure.

use std::time::Duration;

use azure_core::time::OffsetDateTime;

/// The times from the first, the second and each later failed run in a row to the next try.
const DELAYS: [Duration; 3] =
    [Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), Duration::from_secs(60 * 60)];

/// How much earlier a try may be: a tick that comes a moment sooner after a run than the last one did is not to be left
/// out.
const TOLERANCE: Duration = Duration::from_secs(30);

/// Returns the time before which a tenant is not tried again, after `failures` failed runs in a row, at least one, of
/// which the last began at `last`.
pub fn next_try(failures: u64, last: OffsetDateTime) -> OffsetDateTime {
    let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    last + DELAYS[place.min(DELAYS.len() - 1)] - TOLERANCE
}

#[cfg(test)]
mod tests {
    use azure_core::time::Duration as Span;

    use super::*;

    #[test]
    fn a_tenant_that_fails_is_tried_after_five_fifteen_and_then_every_sixty_minutes() {
        let last = OffsetDateTime::UNIX_EPOCH + Span::minutes(3);
        for (failures, minutes) in [(1, 5), (2, 15), (3, 60), (4, 60), (u64::MAX, 60)] {
            let next = next_try(failures, last);
            let tick = last + Span::minutes(minutes);
            assert!(next <= tick, "the tick {minutes} minutes later, failure {failures}");
            assert!(next <= tick - Span::seconds(29), "also when that comes a little early");
            assert!(next > tick - Span::minutes(1), "and no minute before, failure {failures}");
        }
    }
}
