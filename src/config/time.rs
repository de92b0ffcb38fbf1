//! Times and durations as settings and options of the command line give them. Pure.

use std::time::Duration;

use azure_core::time::{OffsetDateTime, parse_rfc3339};

use crate::checkpoint::FIRST_YEAR;

/// The longest duration: a hundred years, which is for ever here. Without a bound, times reckoned with it are in
/// no calendar.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Where the very first run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A fixed time.
    At(OffsetDateTime),
    /// So long before the first run.
    Ago(Duration),
}

impl Start {
    /// The longest time back, three years: Defender keeps alerts for 180 days, and began in [`FIRST_YEAR`].
    const FARTHEST: Duration = Duration::from_secs(3 * 365 * 24 * 3_600);

    /// A time or a duration, as `MDATP_START` has it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (time(text), duration(text)) {
            (Some(time), _) => not_too_early(time).map(Self::At),
            (None, Ok(ago)) if ago <= Self::FARTHEST => Ok(Self::Ago(ago)),
            (None, Ok(_)) => Err("must not be longer ago than 3 years (1095d)".to_owned()),
            (None, Err(_)) => Err("must be an RFC 3339 time (2026-11-24T00:00:00Z), the same with the month first \
                                   (11/24/2026 00:00:00, in UTC), or a duration (24h), not longer than 3 years"
                .to_owned()),
        }
    }
}

/// The time that `text` says; in UTC where it names no zone. Core Tools and the host, which are written in .NET,
/// rewrite a time in `local.settings.json` with the month first (`11/24/2026 00:00:00`).
pub fn time(text: &str) -> Option<OffsetDateTime> {
    let read = |text: &str| parse_rfc3339(text).or_else(|_| parse_rfc3339(&format!("{text}Z"))).ok();
    read(text).or_else(|| read(&year_first(text)?))
}

/// A time no earlier than Defender's first alert.
pub fn not_too_early(time: OffsetDateTime) -> Result<OffsetDateTime, String> {
    match time.year() {
        ..FIRST_YEAR => Err(format!("must not be before {FIRST_YEAR}, when Defender for Endpoint came")),
        _ => Ok(time),
    }
}

/// `11/24/2026 00:00:00` as `2026-11-24T00:00:00`.
fn year_first(text: &str) -> Option<String> {
    let (date, time_of_day) = text.split_once(' ')?;
    let (month, rest) = date.split_once('/')?;
    let (day, year) = rest.split_once('/')?;
    Some(format!("{year}-{month:0>2}-{day:0>2}T{time_of_day}"))
}

/// A duration such as `90s`, `8m`, `1h` or `7d`, at most a hundred years.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("must not be longer than 100 years".to_owned()),
        Err(_) => Err("must be a duration such as 90s, 8m, 1h or 7d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::to_rfc3339;

    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written_and_as_core_tools_rewrites_it() {
        for (text, says) in [
            ("2026-11-27T10:00:00Z", "2026-11-27T10:00:00Z"),
            ("2026-11-27T10:00:00.5+01:00", "2026-11-27T09:00:00.5Z"),
            ("2026-11-27T10:00:00", "2026-11-27T10:00:00Z"),
            ("2026-11-27 10:00:00", "2026-11-27T10:00:00Z"),
            ("11/27/2026 10:00:00", "2026-11-27T10:00:00Z"),
            ("1/5/2026 23:59:59", "2026-01-05T23:59:59Z"),
        ] {
            let read = time(text).expect(text).to_offset(OffsetDateTime::UNIX_EPOCH.offset());
            assert_eq!(to_rfc3339(&read), says, "{text}");
        }
        for text in [
            "",
            "now",
            "2026-11-27",
            "27/11/2026 10:00:00",
            "11/27/2026",
            "11/27/26 10:00:00",
            "11/27/2026 25:00:00",
            "2026/11/27 10:00:00",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_start_lies_where_there_can_be_alerts() {
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
