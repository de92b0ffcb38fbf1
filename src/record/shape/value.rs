//! Whether a value fits its column, and how it is written there.

use std::borrow::Cow;

use azure_core::time::{parse_rfc3339, to_rfc3339};

use crate::{
    record::{json::text_of, timestamp},
    schema::Kind,
};

/// The value as a column of that kind takes it; none when it does not fit. A number or truth that comes as a
/// text is taken for what it says, as the Data Collector API took it: the documents and the service disagree
/// about some (`rbacGroupId` is said to be a text, and is a number). So is a whole number that is written as a
/// fraction or a power of ten, which is how a program that knows only one kind of number writes one.
pub fn fits(kind: Kind, value: &str) -> Option<Cow<'_, str>> {
    let as_it_is = |fits: bool| fits.then_some(Cow::Borrowed(value));
    match kind {
        Kind::Text | Kind::Guid => as_it_is(value.starts_with('"')),
        Kind::List | Kind::Object(_) => as_it_is(is_container(value)),
        Kind::Time => as_it_is(is_plain_time(value) || is_time(value)).or_else(|| time(value)),
        Kind::Boolean => truth(&said(value)?).map(Cow::Borrowed),
        Kind::Whole => said(value)
            .and_then(|said| if is_whole(&said) { Some(said) } else { whole(&said).map(Cow::Owned) }),
    }
}

/// True for lists and objects.
pub fn is_container(value: &str) -> bool {
    matches!(value.as_bytes(), [b'[' | b'{', ..])
}

/// What a text says; any other value is what it is.
fn said(value: &str) -> Option<Cow<'_, str>> {
    match value.starts_with('"') {
        true => text_of(value),
        false => Some(value.into()),
    }
}

/// A truth in whatever case: .NET writes `True`.
fn truth(text: &str) -> Option<&'static str> {
    ["true", "false"].into_iter().find(|truth| truth.eq_ignore_ascii_case(text))
}

/// The most digits of a `long`.
const MOST_DIGITS: usize = 19;

/// The digits of a whole number that a `long` holds and that JSON writes otherwise, such as `1.126093E6` or
/// `400.0`; none for any other text. It goes by the digits, so that not one of them is rounded.
fn whole(text: &str) -> Option<String> {
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (digits, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = [digits, fraction, power]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && (digits == "0" || !digits.starts_with('0'));
    if !is_number {
        return None;
    }
    let all = [digits, fraction].concat();
    let significant = all.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // How many zeros follow the digits, or how many of the digits stand behind the point.
    let shift = exponent.parse::<i32>().ok()?.checked_sub(fraction.len().try_into().ok()?)?;
    let whole = match usize::try_from(shift) {
        Ok(zeros) if zeros < MOST_DIGITS => [sign, significant, &"0".repeat(zeros)].concat(),
        Ok(_) => return None,
        Err(_) => {
            let behind = usize::try_from(shift.unsigned_abs()).ok()?;
            let (whole, rest) = significant.split_at(significant.len().checked_sub(behind)?);
            match rest.bytes().all(|digit| digit == b'0') {
                true => [sign, whole].concat(),
                false => return None,
            }
        }
    };
    whole.parse::<i64>().is_ok().then_some(whole)
}

/// A number of JSON that a `long` holds. Rust's reader also takes `+1` and `01`, which are no JSON.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && ((1..=18).contains(&digits.len()) || text.parse::<i64>().is_ok())
}

/// True when a `real` holds the whole number `text` to its last digit.
pub fn is_exact_real(text: &str) -> bool {
    const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
    // With fewer digits it is so for certain.
    text.len() <= f64::DIGITS as usize
        || text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= MOST)
}

/// A time as the service nearly always writes it, which can be seen without reading the calendar: at most
/// seven digits of a second, UTC, and a day that its month has every year.
fn is_plain_time(value: &str) -> bool {
    const FORM: [u8; 19] = *b"0000-00-00T00:00:00";
    // What is the last day of February cannot be seen from its month alone.
    const DAYS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let [b'"', time @ .., b'Z', b'"'] = value.as_bytes() else { return false };
    let Some((head, fraction)) = time.split_first_chunk::<19>() else { return false };
    let is_as_form = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        mark => byte == mark,
    };
    if !all(head.iter().zip(&FORM).map(is_as_form)) {
        return false;
    }
    let number = |place: usize| (head[place] - b'0') * 10 + (head[place + 1] - b'0');
    let last_day = number(5).checked_sub(1).and_then(|place| DAYS.get(usize::from(place)));
    (19..=20).contains(&number(0))
        && last_day.is_some_and(|last| (1..=*last).contains(&number(8)))
        && (number(11) <= 23 && number(14) <= 59 && number(17) <= 59)
        && match fraction {
            [] => true,
            [b'.', digits @ ..] => matches!(digits.len(), 1..=7) && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

/// True when all are. Every one is looked at: the compiler takes many at a time then.
fn all(are: impl Iterator<Item = bool>) -> bool {
    are.fold(true, |all, is| all & is)
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

/// A time in another spelling than RFC 3339, as far as a `datetime` holds all of it.
fn time(value: &str) -> Option<Cow<'_, str>> {
    let text = text_of(value).filter(|_| value.starts_with('"'))?;
    let is_rfc_3339 = matches!(text.as_bytes().get(10), Some(b'T' | b't')) && parse_rfc3339(&text).is_ok();
    let time = timestamp::parse(&text).filter(|_| !is_rfc_3339)?;
    let is_kept = time == timestamp::floor(time) && (1..=9999).contains(&time.year());
    is_kept.then(|| format!("\"{}\"", to_rfc3339(&time)).into())
}

/// A GUID in the form in which the Data Collector API kept them: 32 hex digits with dashes, whether they came
/// with dashes or without. None for any other text.
pub fn dashed(value: &str) -> Option<Cow<'_, str>> {
    const FORM: &[u8; 36] = b"00000000-0000-0000-0000-000000000000";
    let text = match value.contains('\\') {
        true => text_of(value)?,
        false => value.strip_prefix('"')?.strip_suffix('"')?.into(),
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() | matches!(byte | 0x20, b'a'..=b'f');
    let is_as_form = |(byte, form): (&u8, &u8)| if *form == b'-' { *byte == b'-' } else { is_hex(*byte) };
    match text.as_bytes() {
        bytes if bytes.len() == 32 && all(bytes.iter().map(|byte| is_hex(*byte))) => {
            let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &text[range]);
            Some(format!("\"{}\"", groups.join("-")).into())
        }
        bytes if bytes.len() == FORM.len() && all(bytes.iter().zip(FORM).map(is_as_form)) => {
            Some(if value.len() == text.len() + 2 { value.into() } else { format!("\"{text}\"").into() })
        }
        _ => None,
    }
}
