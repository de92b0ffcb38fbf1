//! Who is at work on a checkpoint, and until when. Pure.
//!
//! The lease stands in the checkpoint's document, so it is taken, renewed and given up by the same compare-and-swap as
//! everything else in there. It is taken before a run's first batch and renewed while the run goes on; a run that finds
//! another's ends at once. It only saves work and repeats: that two processes never both save is up to the store.

use std::{fmt, time::Duration};

use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::holder::Holder;

/// How long a lease is valid from its last renewal on: what a killed process costs at most.
pub const PERIOD: Duration = Duration::from_secs(90);

/// The time from one renewal to the next. With clocks that differ by [`CLOCK_SKEW`], a lease of [`PERIOD`] that is renewed
/// so often never looks expired.
pub const RENEWAL: Duration = Duration::from_secs(20);

/// The difference between two machines' clocks that a lease allows for. Azure's machines differ by far less.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A lease on a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The process at work.
    pub holder: Holder,
    /// The end of its validity, by the holder's clock.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub until: OffsetDateTime,
}

impl Lease {
    /// The lease of `holder` as of `now`.
    pub fn of(holder: &Holder, now: OffsetDateTime) -> Self {
        Self { holder: holder.clone(), until: now + PERIOD }
    }

    /// True while the holder may be at work, by the reader's clock. A lease that ends later than any holder could have set
    /// it is from a clock that was wrong, and must not stop delivery for as long.
    pub fn is_valid(&self, now: OffsetDateTime) -> bool {
        now < self.until && self.until - now <= PERIOD + CLOCK_SKEW
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (until {})", self.holder, to_rfc3339(&self.until))
    }
}

fn write_time<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    to_rfc3339(time).serialize(serializer)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_renewed_in_time_excludes_a_reader_whose_clock_differs_by_a_minute() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let lease = Lease::of(&Holder::named("a"), start);
        for skew in [-60, 0, 60] {
            let reader = start + azure_core::time::Duration::seconds(skew);
            assert!(lease.is_valid(reader), "{skew}");
            assert!(lease.is_valid(reader + RENEWAL), "{skew}, just before the renewal");
        }
    }

    #[test]
    fn a_lease_ends_after_ninety_seconds_and_one_of_the_far_future_is_void() {
        let start = OffsetDateTime::UNIX_EPOCH;
        let lease = Lease::of(&Holder::named("a"), start);
        let seconds = |seconds| start + Duration::from_secs(seconds);
        assert!(lease.is_valid(seconds(89)) && !lease.is_valid(seconds(90)));
        let wrong = Lease::of(&Holder::named("a"), seconds(3_600));
        assert!(!wrong.is_valid(start), "a holder whose clock is an hour ahead");
    }
}
