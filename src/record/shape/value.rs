//! Whether a value fits its column, and how it is written there.

use std::borrow::Cow;

use azure_core::time::{parse_rfc3339, to_rfc3339};

use crate::{
    record::{json::text_of, timestamp},
    schema::ValueType,
};

/// Returns the value as a column of that type takes it; `None` if it does not fit. A number or boolean in a string is
/// taken for what it says, as by the Data Collector API: for some members the documentation and the service disagree
/// (`rbacGroupId` is documented as a string, and is a number). So is a whole number that is written as a fraction or a
/// power of ten, which is how a program with only one type of number writes it.
pub fn fits(kind: ValueType, value: &str) -> Option<Cow<'_, str>> {
    let unchanged = |fits: bool| fits.then_some(Cow::Borrowed(value));
    match kind {
        ValueType::Text | ValueType::Guid => unchanged(value.starts_with('"')),
        ValueType::List | ValueType::Object(_) => unchanged(is_container(value)),
        ValueType::Time => unchanged(is_usual_time(value) || is_time(value)).or_else(|| time(value)),
        ValueType::Boolean => boolean(&content(value)?).map(Cow::Borrowed),
        ValueType::Whole => {
            let number = content(value)?;
            if is_whole(&number) { Some(number) } else { whole(&number).map(Cow::Owned) }
        }
    }
}

/// True for arrays and objects.
pub fn is_container(value: &str) -> bool {
    matches!(value.as_bytes(), [b'[' | b'{', ..])
}

/// Returns the content of a string; any other value as it is.
fn content(value: &str) -> Option<Cow<'_, str>> {
    match value.starts_with('"') {
        true => text_of(value),
        false => Some(value.into()),
    }
}

/// Reads a boolean in any case: .NET writes `True`.
fn boolean(text: &str) -> Option<&'static str> {
    ["true", "false"].into_iter().find(|boolean| boolean.eq_ignore_ascii_case(text))
}

/// The most digits of a `long`.
const MOST_DIGITS: usize = 19;

/// Returns the digits of a whole number that fits a `long` and is not written as one, such as `1.126093E6` or `400.0`;
/// `None` for any other text. It works on the digits, so that none of them is rounded.
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
    // The number of zeros after the digits or, if negative, of digits after the point.
    let shift = exponent.parse::<i32>().ok()?.checked_sub(fraction.len().try_into().ok()?)?;
    let whole = match usize::try_from(shift) {
        Ok(zeros) if zeros < MOST_DIGITS => [sign, significant, &"0".repeat(zeros)].concat(),
        Ok(_) => return None,
        Err(_) => {
            let decimals = usize::try_from(shift.unsigned_abs()).ok()?;
            let (whole, rest) = significant.split_at(significant.len().checked_sub(decimals)?);
            match rest.bytes().all(|digit| digit == b'0') {
                true => [sign, whole].concat(),
                false => return None,
            }
        }
    };
    whole.parse::<i64>().is_ok().then_some(whole)
}

/// True for a JSON number that fits a `long`. Rust's parser also accepts `+1` and `01`, which are not JSON.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && ((1..=18).contains(&digits.len()) || text.parse::<i64>().is_ok())
}

/// True if a `real` represents the whole number `text` exactly.
pub fn is_exact_real(text: &str) -> bool {
    const MOST: u64 = 1 << f64::MANTISSA_DIGITS;
    // Any number of so few digits is.
    text.len() <= f64::DIGITS as usize
        || text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= MOST)
}

/// True for a time in the form in which the service nearly always writes it, which can be checked without a calendar:
/// UTC, at most seven digits of a second, and a day that its month has every year.
fn is_usual_time(value: &str) -> bool {
    const FORM: [u8; 19] = *b"0000-00-00T00:00:00";
    // February may have a 29th, which is left to the parser.
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

/// True if all are. Every one is tested, so that the compiler can test many at a time.
fn all(are: impl Iterator<Item = bool>) -> bool {
    are.fold(true, |all, is| all & is)
}

/// True for an RFC 3339 time that a `datetime` represents exactly: that counts in 100 ns, so further digits of a second
/// would be lost, and it has neither leap seconds nor a year 0.
fn is_time(value: &str) -> bool {
    const MOST_DIGITS: usize = 7;
    let Some(text) = text_of(value).filter(|_| value.starts_with('"')) else { return false };
    let is_leap_second = text.get(17..19).is_none_or(|second| second == "60");
    let digits = text.get(20..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit).count();
    let has_fraction = text.as_bytes().get(19) == Some(&b'.');
    // The parser accepts any separator between date and time, and times whose year in UTC does not have four digits.
    let in_utc = || parse_rfc3339(&text).ok()?.checked_to_utc();
    matches!(text.as_bytes().get(10), Some(b'T' | b't'))
        && !is_leap_second
        && (!has_fraction || digits <= MOST_DIGITS)
        && in_utc().is_some_and(|time| (1..=9999).contains(&time.year()))
}

/// Returns a time that is not written as RFC 3339, if a `datetime` represents it exactly.
fn time(value: &str) -> Option<Cow<'_, str>> {
    let text = text_of(value).filter(|_| value.starts_with('"'))?;
    let is_rfc_3339 = matches!(text.as_bytes().get(10), Some(b'T' | b't')) && parse_rfc3339(&text).is_ok();
    let time = timestamp::parse(&text).filter(|_| !is_rfc_3339)?;
    let is_kept = time == timestamp::floor(time) && (1..=9999).contains(&time.year());
    is_kept.then(|| format!("\"{}\"", to_rfc3339(&time)).into())
}

/// Returns a GUID, with or without dashes, in the form in which the Data Collector API kept them: 32 hex digits with
/// dashes. Returns `None` for any other string.
pub fn dashed(value: &str) -> Option<Cow<'_, str>> {
    const FORM: &[u8; 36] = b"00000000-0000-0000-0000-000000000000";
    let text = text_of(value)?;
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
