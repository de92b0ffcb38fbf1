//! Times as services write them. Defender's are UTC, whether or not they name a zone.

use std::borrow::Cow;

use azure_core::time::{Duration, OffsetDateTime, parse_rfc3339, parse_rfc7231, to_rfc3339};

use crate::record::json::text_of;

/// The precision of times in Defender, Kusto and Log Analytics: 100 ns.
pub const TICK: Duration = Duration::nanoseconds(100);

/// Reads a time, and returns it in UTC; `None` if `text` is not a valid time. A time without a zone is UTC. The formats
/// are RFC 3339 and its variants (no zone, a space for the T, zones such as `+0100` and `UTC`, no seconds), the
/// month-first format of .NET (`11/27/2026 10:00:00`, also with AM and PM), dates of HTTP, and the time since 1970 in
/// seconds, milliseconds, microseconds or nanoseconds, also as `/Date(…)/`.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    // The parser accepts any separator between date and time.
    let read = parse_rfc3339(text).ok().filter(|_| matches!(text.as_bytes().get(10), Some(b'T' | b't')));
    let read = read.or_else(|| iso(text)).or_else(|| month_first(text)).or_else(|| since_1970(text));
    Some(read.or_else(|| parse_rfc7231(text).ok())?.checked_to_utc()?.into())
}

/// Returns the JSON value `value` as a `TimeGenerated`: unchanged if Log Analytics reads it as it is, and otherwise its
/// time in RFC 3339, rounded down to a [`TICK`]. Returns `None` if it is not a valid time.
pub fn stamp(value: &str) -> Option<Cow<'_, str>> {
    let text = text_of(value)?;
    let time = parse(&text)?;
    let is_unchanged = text.ends_with('Z') && time == floor(time) && parse_rfc3339(&text).is_ok();
    Some(match is_unchanged {
        true => value.into(),
        false => format!("\"{}\"", to_rfc3339(&floor(time))).into(),
    })
}

/// Rounds `time` down to a [`TICK`].
pub fn floor(time: OffsetDateTime) -> OffsetDateTime {
    time - Duration::nanoseconds((time.nanosecond() % 100).into())
}

/// Reads a date, a time of day, and perhaps a zone.
fn iso(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let (rest, zone) = zone(rest.trim_start_matches(['T', 't', ' ', '_']))?;
    clock(date, &rest.replace(',', "."), &zone)
}

/// Reads `M/D/YYYY` with a time of day, which is how .NET writes a time in the invariant culture.
fn month_first(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_once(' ')?;
    let [month, day, year]: [&str; 3] = date.split('/').collect::<Vec<_>>().try_into().ok()?;
    let date = format!("{year}-{month:0>2}-{day:0>2}");
    let (rest, zone) = zone(rest)?;
    let Some((time, half)) = rest.trim_end().rsplit_once(' ') else { return clock(&date, rest, &zone) };
    let (hour, minutes) = time.split_once(':')?;
    let hour = hour.parse::<u8>().ok().filter(|hour| (1..=12).contains(hour))? % 12;
    let afternoon = match half.to_ascii_uppercase().as_str() {
        "AM" => 0,
        "PM" => 12,
        _ => return None,
    };
    clock(&date, &format!("{:02}:{minutes}", hour + afternoon), &zone)
}

fn clock(date: &str, time: &str, zone: &str) -> Option<OffsetDateTime> {
    let time = match time.trim() {
        time if time.len() == 5 => format!("{time}:00"),
        // The hour has one digit.
        time if time.as_bytes().get(1) == Some(&b':') => format!("0{time}"),
        time => time.to_owned(),
    };
    parse_rfc3339(&format!("{date}T{time}{zone}")).ok()
}

/// Returns what precedes the zone at the end of `text`, and the zone as in RFC 3339.
fn zone(text: &str) -> Option<(&str, String)> {
    let upper = text.to_ascii_uppercase();
    for name in ["Z", "UTC", "GMT"] {
        if upper.ends_with(name) {
            return Some((text[..text.len() - name.len()].trim_end(), "Z".to_owned()));
        }
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, "Z".to_owned())) };
    let digits: String = text[at + 1..].chars().filter(|c| *c != ':').collect();
    // A text may be anything: one of other characters cannot be split by bytes.
    let (hours, minutes) = match digits.len() {
        _ if !digits.is_ascii() => return None,
        2 => (digits.as_str(), "00"),
        4 => digits.split_at(2),
        _ => return None,
    };
    Some((text[..at].trim_end(), format!("{}{hours}:{minutes}", &text[at..=at])))
}

/// Reads a time since 1970. The unit follows from the number of digits, which is the same for all times from 2001 to
/// 2286.
fn since_1970(text: &str) -> Option<OffsetDateTime> {
    let digits = match text.strip_prefix("/Date(").and_then(|text| text.strip_suffix(")/")) {
        Some(inner) => inner.split(['+', '-']).next()?,
        None => text,
    };
    let unit = match digits.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i128>().ok())??;
    OffsetDateTime::from_unix_timestamp_nanos(number * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_usual_format() {
        for (text, time) in [
            ("2026-11-27T10:00:00.1234567Z", "2026-11-27T10:00:00.1234567Z"),
            ("2026-11-27T10:00:00.1234567", "2026-11-27T10:00:00.1234567Z"),
            ("2026-11-27T10:00:00", "2026-11-27T10:00:00Z"),
            ("2026-11-27t10:00:00z", "2026-11-27T10:00:00Z"),
            ("2026-11-27 10:00:00Z", "2026-11-27T10:00:00Z"),
            ("2026-11-27 10:00:00", "2026-11-27T10:00:00Z"),
            (" 2026-11-27T10:00:00,5 ", "2026-11-27T10:00:00.5Z"),
            ("2026-11-27T12:00:00+02:00", "2026-11-27T10:00:00Z"),
            ("2026-11-27T12:00:00+0200", "2026-11-27T10:00:00Z"),
            ("2026-11-27 08:00:00 -02", "2026-11-27T10:00:00Z"),
            ("2026-11-27 10:00:00 UTC", "2026-11-27T10:00:00Z"),
            ("2026-11-27T10:00Z", "2026-11-27T10:00:00Z"),
            ("2026-11-27T10:00", "2026-11-27T10:00:00Z"),
            ("2026-11-27T10:00:00.123456789Z", "2026-11-27T10:00:00.123456789Z"),
            ("2026-11-27T10:00:00.1234567891Z", "2026-11-27T10:00:00.123456789Z"),
            ("11/27/2026 10:00:00", "2026-11-27T10:00:00Z"),
            ("9/4/2026 1:02:03 PM", "2026-09-04T13:02:03Z"),
            ("9/4/2026 12:02:03 AM +00:00", "2026-09-04T00:02:03Z"),
            ("09/14/2026 00:00:00 +00:00", "2026-09-14T00:00:00Z"),
            ("Fri, 27 Nov 2026 10:00:00 GMT", "2026-11-27T10:00:00Z"),
            ("1795773600", "2026-11-27T10:00:00Z"),
            ("1795773600123", "2026-11-27T10:00:00.123Z"),
            ("/Date(1795773600123)/", "2026-11-27T10:00:00.123Z"),
            ("/Date(1795773600123+0100)/", "2026-11-27T10:00:00.123Z"),
        ] {
            assert_eq!(parse(text).map(|time| to_rfc3339(&time)).as_deref(), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_valid_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-13-45T00:00:00Z",
            "27/11/2026 10:00:00",
            "13:00 PM",
            "9/4/2026 13:00:00 PM",
            "2026",
            "2026-11-27",
            "2026-11-27x10:00:00Z",
            "11/27/2026",
            "20261127",
            "2026-11-27T25:00:00",
            "2026-11-27T10:00:00+1",
            "ä2026-11-2",
            "/Date(x)/",
            "-795773600",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_stamp_is_the_time_as_it_is_written_if_log_analytics_reads_that() {
        for (value, stamp) in [
            (r#""2026-11-27T10:00:00.1234567Z""#, Some(r#""2026-11-27T10:00:00.1234567Z""#)),
            (r#""2026-11-27T10:00:00.50Z""#, Some(r#""2026-11-27T10:00:00.50Z""#)),
            (r#""2026-11-27T10:00:00""#, Some(r#""2026-11-27T10:00:00Z""#)),
            (r#""2026-11-27T12:00:00+02:00""#, Some(r#""2026-11-27T10:00:00Z""#)),
            (r#""2026-11-27T10:00:00.123456789Z""#, Some(r#""2026-11-27T10:00:00.1234567Z""#)),
            (r#""soon""#, None),
            ("null", None),
        ] {
            assert_eq!(super::stamp(value).as_deref(), stamp, "{value}");
        }
    }

    #[test]
    fn a_time_is_rounded_down_to_a_tick() {
        let time = parse("2026-11-27T10:00:00.123456789Z").expect("a time");
        assert_eq!(to_rfc3339(&floor(time)), "2026-11-27T10:00:00.1234567Z");
    }
}
