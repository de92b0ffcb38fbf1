//! The texts that .NET makes of JSON values. Pure.

use azure_core::time::{OffsetDateTime, parse_rfc3339};

/// Returns the text of a number: the digits of a whole number, the shortest text that reads back as the same value for any
/// other.
pub(super) fn number(word: &str) -> Option<String> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(|whole| whole.to_string());
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return if digits == word { radix(hex, 16) } else { None };
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() && digits == word => radix(octal, 8),
            _ if digits == "0" => Some(digits.to_owned()),
            _ => Some(word.to_owned()),
        };
    }
    let real: f64 = word.parse().ok().filter(|real: &f64| real.is_finite())?;
    let scientific = format!("{real:E}");
    let (mantissa, exponent) = scientific.split_once('E')?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(match exponent {
        -4..15 => real.to_string(),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}E{sign}{:02}", exponent.unsigned_abs())
        }
    })
}

/// Returns the text of a string that looks like a time, which .NET reads as one: month first, without fraction and zone.
///
/// A time with an offset becomes the developer's local time there. Here it becomes UTC, which is the same on a machine
/// whose time zone is UTC.
pub(super) fn time(text: &str) -> Option<String> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 19..=40;
    let is_candidate = LENGTHS.contains(&text.len()) && text.as_bytes()[10] == b'T';
    if !is_candidate {
        return None;
    }
    let time = parse_rfc3339(text).or_else(|_| parse_rfc3339(&format!("{text}Z"))).ok()?;
    let time = time.checked_to_offset(OffsetDateTime::UNIX_EPOCH.offset())?;
    let (month, day, year) = (u8::from(time.month()), time.day(), time.year());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}"))
}
