//! Times and durations in settings and options of the command line. Pure.

use std::time::Duration;

use azure_core::time::OffsetDateTime;

use crate::record::timestamp;

/// The year in which Defender for Endpoint was introduced, as Windows Defender ATP.
pub const FIRST_YEAR: i32 = 2016;

/// The longest duration: a hundred years. Without a bound, times that are calculated with a duration would be outside the
/// calendar.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// The start of the very first run's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A fixed time.
    At(OffsetDateTime),
    /// A duration before the first run.
    Ago(Duration),
}

impl Start {
    /// The longest duration: three years. Defender keeps alerts for 180 days, unless set otherwise.
    const FARTHEST: Duration = Duration::from_secs(3 * 365 * 24 * 3_600);

    /// Parses a time or a duration, as in `MDATP_START`.
    ///
    /// # Errors
    /// Returns what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (timestamp::parse(text), duration(text)) {
            (Some(time), _) => not_too_early(time).map(Self::At),
            (None, Ok(ago)) if ago <= Self::FARTHEST => Ok(Self::Ago(ago)),
            (None, Ok(_)) => Err("must be at most 3 years ago (1095d)".to_owned()),
            (None, Err(_)) => {
                Err("must be an RFC 3339 time (2026-11-24T00:00:00Z), the same with the month first \
                                   (11/24/2026 00:00:00, in UTC), or a duration (24h) of at most 3 years"
                    .to_owned())
            }
        }
    }
}

/// Returns `time`, unless it is before [`FIRST_YEAR`].
///
/// # Errors
/// Returns what is wrong with `time`.
pub fn not_too_early(time: OffsetDateTime) -> Result<OffsetDateTime, String> {
    match time.year() {
        ..FIRST_YEAR => {
            Err(format!("must not be before {FIRST_YEAR}, when Defender for Endpoint was introduced"))
        }
        _ => Ok(time),
    }
}

/// Parses a duration such as `90s`, `8m`, `1h` or `7d`, of at most a hundred years.
///
/// # Errors
/// Returns what is wrong with `text`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("must be at most 100 years".to_owned()),
        Err(_) => Err("must be a duration such as 90s, 8m, 1h or 7d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_where_there_can_be_alerts() {
        for text in ["24h", "1095d", "2016-01-01T00:00:00Z", "11/27/2026 10:00:00"] {
            assert!(Start::parse(text).is_ok(), "{text}");
        }
        for (text, part) in [
            ("1096d", "3 years"),
            ("500000000000years", "3 years"),
            ("0001-01-01T00:00:00Z", "2016"),
            ("01/01/0001 00:00:00", "2016"),
            ("yesterday", "RFC 3339"),
            ("99999999999999999999y", "RFC 3339"),
        ] {
            let problem = Start::parse(text).expect_err(text);
            assert!(problem.contains(part), "{text}: {problem}");
        }
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert!(duration("36500days").is_ok() && duration("101years").is_err());
    }
}
