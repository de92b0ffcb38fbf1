//! An interval between runs, a `TimeSpan` of .NET, which App Service plans accept as a schedule. Pure.

/// Returns the seconds of `d`, `hh:mm`, `hh:mm:ss` or `d.hh:mm:ss`; `None` for any other text. If the first of three numbers
/// is not an hour, it is a number of days, so `24:00:00` is 24 days (documentation page "Timer trigger for Azure
/// Functions").
pub(super) fn seconds(text: &str) -> Option<u64> {
    let number = |text: &str, most: u64| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number <= most)
    };
    // The largest number of days of a TimeSpan.
    let days = |text| number(text, 10_675_199);
    let (day, rest) = match text.split_once('.') {
        Some((day, rest)) if rest.contains(':') => (days(day)?, rest),
        _ => (0, text),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let (day, hours, minutes, seconds) = match parts[..] {
        [only] if day == 0 => (days(only)?, 0, 0, 0),
        [hours, minutes] => (day, number(hours, 23)?, number(minutes, 59)?, 0),
        [first, second, third] => match number(first, 23) {
            Some(hours) => (day, hours, number(second, 59)?, number(third, 59)?),
            None if day == 0 => (days(first)?, number(second, 23)?, number(third, 59)?, 0),
            None => return None,
        },
        _ => return None,
    };
    Some(((day * 24 + hours) * 60 + minutes) * 60 + seconds)
}
