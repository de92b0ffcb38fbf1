//! JSON in the plain form in which services nearly always write it, checked and taken apart in one pass: no
//! blanks between its tokens, no escapes in the names that are asked for, nothing nested absurdly deep.
//!
//! Each function goes over what begins at a place of a text, and tells where that ends; none when it does not go on
//! so plainly there. None of them need know all of JSON: who gets nothing asks `serde_json`, which also says what
//! is wrong. They only must never take for JSON what is none. The text is UTF-8 already.

use std::ops::Range;

use crate::record::json::scan::{first, specials};

/// How deep values may lie in each other.
const DEPTH: u32 = 64;

/// Goes over an object. `each` is told where a name is, without its quotes, and goes over its value.
pub fn members(
    text: &[u8],
    at: usize,
    mut each: impl FnMut(Range<usize>, usize) -> Option<usize>,
) -> Option<usize> {
    list(text, at, [b'{', b'}'], |at| {
        let start = take(text, at, b'"')?;
        let end = special(text, start)?;
        each(start..end, take(text, take(text, end, b'"')?, b':')?)
    })
}

/// Goes over an array, and with `each` over its elements.
pub fn elements(text: &[u8], at: usize, each: impl FnMut(usize) -> Option<usize>) -> Option<usize> {
    list(text, at, [b'[', b']'], each)
}

/// Goes over a value.
pub fn value(text: &[u8], at: usize) -> Option<usize> {
    value_within(DEPTH, text, at)
}

fn value_within(levels: u32, text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string(text, at),
        b'n' => word(text, at, b"null"),
        b'[' => {
            let levels = levels.checked_sub(1)?;
            elements(text, at, |at| value_within(levels, text, at))
        }
        b'{' => {
            let levels = levels.checked_sub(1)?;
            list(text, at, [b'{', b'}'], |at| {
                value_within(levels, text, take(text, string(text, at)?, b':')?)
            })
        }
        b't' => word(text, at, b"true"),
        b'f' => word(text, at, b"false"),
        _ => number(text, at),
    }
}

#[inline]
fn list(
    text: &[u8],
    at: usize,
    [open, close]: [u8; 2],
    mut part: impl FnMut(usize) -> Option<usize>,
) -> Option<usize> {
    let mut at = take(text, at, open)?;
    if let Some(end) = take(text, at, close) {
        return Some(end);
    }
    loop {
        at = part(at)?;
        match take(text, at, b',') {
            Some(next) => at = next,
            None => return take(text, at, close),
        }
    }
}

fn take(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*text.get(at)? == byte).then_some(at + 1)
}

fn word<const LENGTH: usize>(text: &[u8], at: usize, word: &[u8; LENGTH]) -> Option<usize> {
    (text.get(at..)?.first_chunk() == Some(word)).then_some(at + LENGTH)
}

/// Whether the characters that escapes stand for exist is not asked.
#[inline]
fn string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = special(text, take(text, at, b'"')?)?;
    loop {
        match take(text, at, b'"') {
            Some(end) => return Some(end),
            None => at = special(text, escape(text, at)?)?,
        }
    }
}

/// Where the letters end: at a quote, a backslash, or what may not be in a string.
#[inline]
fn special(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(sixteen) = text.get(at..)?.first_chunk() {
        match first(sixteen, specials) {
            16 => at += 16,
            letters => return Some(at + letters),
        }
    }
    let letters = text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    Some(at + letters)
}

/// Goes over an escape of a string.
pub fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at..)? {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(at + 2),
        [b'\\', b'u', rest @ ..] => {
            rest.first_chunk::<4>()?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

fn number(text: &[u8], at: usize) -> Option<usize> {
    let at = take(text, at, b'-').unwrap_or(at);
    let mut at = take(text, at, b'0').or_else(|| digits(text, at))?;
    if let Some(fraction) = take(text, at, b'.') {
        at = digits(text, fraction)?;
    }
    if let Some(sign) = take(text, at, b'e').or_else(|| take(text, at, b'E')) {
        let exponent = take(text, sign, b'+').or_else(|| take(text, sign, b'-')).unwrap_or(sign);
        at = digits(text, exponent)?;
    }
    Some(at)
}

fn digits(text: &[u8], at: usize) -> Option<usize> {
    let digits = text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some(at + digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, value::RawValue};

    use super::*;

    fn is_plain(text: &str) -> bool {
        value(text.as_bytes(), 0) == Some(text.len())
    }

    #[test]
    fn every_kind_of_value_is_gone_over_to_its_end() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "10",
            "-1.50",
            "2e9",
            "0.1E-07",
            "[]",
            "{}",
            "\"\"",
            r#""\"\\\/\b\f\n\r\t\u00e4\uD800""#,
            "\"exactly sixteen.\"",
            "\"one more than six\u{e4}\"",
            r#"[1,"a",[{}],{"a":{"\n":[null]}}]"#,
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_or_not_plain_is_left_to_others() {
        for text in [
            "",
            "nul",
            "True",
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "+1",
            "1 ",
            " 1",
            "[1,]",
            "[,1]",
            "[1 ,2]",
            "[1",
            "]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1]",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "\"a letter or sixteen, then\ta tab\"",
            "'a'",
            "NaN",
        ] {
            assert!(!is_plain(text), "{text}");
        }
        assert!(is_plain(&("[".repeat(64) + &"]".repeat(64))));
        assert!(!is_plain(&("[".repeat(65) + &"]".repeat(65))));
    }

    #[test]
    fn members_are_told_by_the_places_of_their_names() {
        let text = r#"{"id":"a","list":[1,2]}"#;
        let mut told = Vec::new();
        let end = members(text.as_bytes(), 0, |name, at| {
            let end = value(text.as_bytes(), at)?;
            told.push((&text[name], &text[at..end]));
            Some(end)
        });
        assert_eq!(end, Some(text.len()));
        assert_eq!(told, [("id", "\"a\""), ("list", "[1,2]")]);
        let escaped = br#"{"\u0069d":1}"#;
        assert_eq!(members(escaped, 0, |_, at| value(escaped, at)), None);
    }

    fn json() -> impl Strategy<Value = Value> {
        let text = r#"[a-z0-9 ,:\[\]{}"\\ü\n\t]{0,40}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..8).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn compact_json_is_plain_and_what_is_plain_is_json(
            value in json(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~\n]{0,2}"), 0..3),
        ) {
            let mut text = value.to_string();
            prop_assert!(is_plain(&text), "{text}");
            for (place, change) in changes {
                let mut letters: Vec<_> = text.chars().collect();
                if !letters.is_empty() {
                    let place = place.index(letters.len());
                    letters.splice(place..=place, change.chars());
                }
                text = letters.into_iter().collect();
            }
            if is_plain(&text) {
                prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{text}");
            }
        }
    }
}
