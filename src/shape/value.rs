//! Whether a value fits its column, and how it is written there.

use std::borrow::Cow;

use azure_core::time::parse_rfc3339;

use crate::{object::text_of, schema::Kind};

/// The value as a column of that kind takes it; none when it does not fit. A number or truth that comes as a
/// text is taken for what it says, as the Data Collector API took it: the documents and the service disagree
/// about some (`rbacGroupId` is said to be a text, and is a number).
pub fn fits(kind: Kind, value: &str) -> Option<Cow<'_, str>> {
    let is_container = value.starts_with(['[', '{']);
    let as_it_is = |fits: bool| fits.then_some(Cow::Borrowed(value));
    match kind {
        Kind::Text | Kind::Guid => as_it_is(value.starts_with('"')),
        Kind::List | Kind::Object(_) => as_it_is(is_container),
        Kind::Time => as_it_is(is_time(value)),
        Kind::Boolean => said(value).filter(|said| matches!(said.as_ref(), "true" | "false")),
        Kind::Whole => said(value).filter(|said| is_whole(said)),
    }
}

/// What a text says; any other value is what it is.
fn said(value: &str) -> Option<Cow<'_, str>> {
    match value.starts_with('"') {
        true => text_of(value),
        false => Some(value.into()),
    }
}

/// A number of JSON that a `long` holds. Rust's reader also takes `+1` and `01`, which are no JSON.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text.parse::<i64>().is_ok()
}

/// True when a `real` holds the whole number `text` to its last digit.
pub fn is_exact_real(text: &str) -> bool {
    const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
    text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= MOST)
}

/// A `datetime` counts in 100 ns, so more than seven digits of a second would be lost; a leap second and the
/// year 0 are not known to it.
fn is_time(value: &str) -> bool {
    const MOST_DIGITS: usize = 7;
    let Some(text) = text_of(value).filter(|_| value.starts_with('"')) else { return false };
    let is_leap_second = text.get(17..19).is_none_or(|second| second == "60");
    let digits = text.get(20..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit).count();
    let has_fraction = text.as_bytes().get(19) == Some(&b'.');
    // The parser takes any separator between date and time, and times that in UTC are in no year of four digits.
    let in_utc = || parse_rfc3339(&text).ok()?.checked_to_utc();
    matches!(text.as_bytes().get(10), Some(b'T' | b't'))
        && !is_leap_second
        && (!has_fraction || digits <= MOST_DIGITS)
        && in_utc().is_some_and(|time| (1..=9999).contains(&time.year()))
}

/// A GUID in the form in which the Data Collector API kept them: 32 hex digits with dashes, whether they came
/// with dashes or without. None for any other text.
pub fn dashed(value: &str) -> Option<Cow<'_, str>> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let text = &*text_of(value)?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() == 36 {
        let groups = text.split('-').map(|group| if is_hex(group) { group.len() } else { 0 });
        return groups.eq(GROUPS).then(|| format!("\"{text}\"").into());
    }
    if text.len() != 32 || !is_hex(text) {
        return None;
    }
    let mut rest = text;
    let groups = GROUPS.map(|length| {
        let (group, after) = rest.split_at(length);
        rest = after;
        group
    });
    Some(format!("\"{}\"", groups.join("-")).into())
}
