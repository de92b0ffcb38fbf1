//! What the host does when its handler's process ends by itself.
//!
//! Exit code 0 is the trap: the host takes it for an intended end and neither restarts the process nor logs anything,
//! so every later invocation is rejected.

use azure_core::time::{Duration, OffsetDateTime};

/// What the host does about a process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostVerdict {
    /// Exit code 0: nothing happens and later invocations are rejected.
    StaysDown,
    /// Exit code 200, which asks for a restart: restarted at once, and not counted.
    Restarts,
    /// Any other code: restarted at once, and counted.
    RestartsCounted(usize),
    /// The third counted exit, each within 30 minutes of the one before: the whole host stops.
    HostStops,
}

/// The counted exits so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Crashes(Vec<OffsetDateTime>);

impl Crashes {
    /// Decides on an exit at `now` by the earlier ones, and counts it.
    pub(super) fn judge(&mut self, exit_code: i32, now: OffsetDateTime) -> HostVerdict {
        match exit_code {
            0 => return HostVerdict::StaysDown,
            200 => return HostVerdict::Restarts,
            _ => {}
        }
        if self.0.last().is_some_and(|latest| now - *latest > Duration::minutes(30)) {
            self.0.clear();
        }
        self.0.push(now);
        match self.0.len() {
            count @ (1 | 2) => HostVerdict::RestartsCounted(count),
            _ => HostVerdict::HostStops,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::minutes(minute)
    }

    #[test]
    fn exit_0_leaves_it_down_and_200_restarts_without_counting() {
        let mut crashes = Crashes::default();
        assert_eq!(crashes.judge(0, minute(0)), HostVerdict::StaysDown);
        assert_eq!(crashes.judge(200, minute(1)), HostVerdict::Restarts);
        assert_eq!(crashes.judge(1, minute(2)), HostVerdict::RestartsCounted(1));
    }

    #[test]
    fn the_third_crash_stops_the_host() {
        let mut crashes = Crashes::default();
        assert_eq!(crashes.judge(101, minute(0)), HostVerdict::RestartsCounted(1));
        assert_eq!(crashes.judge(137, minute(30)), HostVerdict::RestartsCounted(2));
        assert_eq!(crashes.judge(64, minute(60)), HostVerdict::HostStops);
    }

    #[test]
    fn more_than_half_an_hour_of_peace_forgives() {
        let mut crashes = Crashes::default();
        crashes.judge(1, minute(0));
        crashes.judge(1, minute(1));
        assert_eq!(crashes.judge(1, minute(32)), HostVerdict::RestartsCounted(1));
    }
}
