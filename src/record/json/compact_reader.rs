//! A one-pass parser for compact JSON, the form in which services nearly always write it: no whitespace between tokens,
//! no escapes in the names of the members that are asked for, and no more than 64 levels of nesting.

use std::ops::Range;

use super::token::{escape_end, special};

/// How many levels deep values may be nested.
const MAX_DEPTH: u32 = 64;

/// Checks compact JSON and takes it apart in one pass.
///
/// Each method reads what begins at a place of the text, and returns where that ends. It returns `None` for anything
/// that is not compact JSON, and also for some that is: callers then fall back to `serde_json`, which knows all of JSON
/// and says what is wrong. No method accepts what is not JSON.
#[derive(Debug, Clone, Copy)]
pub struct CompactReader<'a>(&'a [u8]);

impl<'a> CompactReader<'a> {
    /// A reader of `text`.
    pub fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Reads an object. `read_value` is given the place of each name, without its quotes, and where its value begins,
    /// and has to read that.
    pub fn members(
        self,
        at: usize,
        mut read_value: impl FnMut(Range<usize>, usize) -> Option<usize>,
    ) -> Option<usize> {
        self.container(at, [b'{', b'}'], |at| {
            let start = self.byte(at, b'"')?;
            let end = special(self.0, start)?;
            read_value(start..end, self.byte(self.byte(end, b'"')?, b':')?)
        })
    }

    /// Reads an array. `read_element` has to read each of its elements.
    pub fn elements(self, at: usize, read_element: impl FnMut(usize) -> Option<usize>) -> Option<usize> {
        self.container(at, [b'[', b']'], read_element)
    }

    /// Reads a value.
    pub fn value(self, at: usize) -> Option<usize> {
        self.value_within(MAX_DEPTH, at)
    }

    fn value_within(self, levels: u32, at: usize) -> Option<usize> {
        match self.0.get(at)? {
            b'"' => self.string(at),
            b'n' => self.word(at, b"null"),
            b'[' => {
                let levels = levels.checked_sub(1)?;
                self.elements(at, |at| self.value_within(levels, at))
            }
            b'{' => {
                let levels = levels.checked_sub(1)?;
                self.container(at, [b'{', b'}'], |at| {
                    self.value_within(levels, self.byte(self.string(at)?, b':')?)
                })
            }
            b't' => self.word(at, b"true"),
            b'f' => self.word(at, b"false"),
            _ => self.number(at),
        }
    }

    #[inline]
    fn container(
        self,
        at: usize,
        [open, close]: [u8; 2],
        mut read_part: impl FnMut(usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut at = self.byte(at, open)?;
        if let Some(end) = self.byte(at, close) {
            return Some(end);
        }
        loop {
            at = read_part(at)?;
            match self.byte(at, b',') {
                Some(next) => at = next,
                None => return self.byte(at, close),
            }
        }
    }

    fn byte(self, at: usize, byte: u8) -> Option<usize> {
        (*self.0.get(at)? == byte).then_some(at + 1)
    }

    fn word<const LENGTH: usize>(self, at: usize, word: &[u8; LENGTH]) -> Option<usize> {
        (self.0.get(at..)?.first_chunk() == Some(word)).then_some(at + LENGTH)
    }

    #[inline]
    fn string(self, at: usize) -> Option<usize> {
        let mut at = special(self.0, self.byte(at, b'"')?)?;
        loop {
            match self.byte(at, b'"') {
                Some(end) => return Some(end),
                None => at = special(self.0, escape_end(self.0, at)?)?,
            }
        }
    }

    fn number(self, at: usize) -> Option<usize> {
        let at = self.byte(at, b'-').unwrap_or(at);
        let mut at = self.byte(at, b'0').or_else(|| self.digits(at))?;
        if let Some(fraction) = self.byte(at, b'.') {
            at = self.digits(fraction)?;
        }
        if let Some(sign) = self.byte(at, b'e').or_else(|| self.byte(at, b'E')) {
            let exponent = self.byte(sign, b'+').or_else(|| self.byte(sign, b'-')).unwrap_or(sign);
            at = self.digits(exponent)?;
        }
        Some(at)
    }

    fn digits(self, at: usize) -> Option<usize> {
        let digits = self.0.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0).then_some(at + digits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, value::RawValue};

    use super::*;

    fn is_accepted(text: &str) -> bool {
        CompactReader::new(text).value(0) == Some(text.len())
    }

    #[test]
    fn every_kind_of_value_is_read_to_its_end() {
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
            assert!(is_accepted(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_or_not_compact_is_left_to_serde_json() {
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
            assert!(!is_accepted(text), "{text}");
        }
        assert!(is_accepted(&("[".repeat(64) + &"]".repeat(64))));
        assert!(!is_accepted(&("[".repeat(65) + &"]".repeat(65))));
    }

    #[test]
    fn members_are_given_by_the_places_of_their_names() {
        let text = r#"{"id":"a","list":[1,2]}"#;
        let reader = CompactReader::new(text);
        let mut members = Vec::new();
        let end = reader.members(0, |name, at| {
            let end = reader.value(at)?;
            members.push((&text[name], &text[at..end]));
            Some(end)
        });
        assert_eq!(end, Some(text.len()));
        assert_eq!(members, [("id", "\"a\""), ("list", "[1,2]")]);
        let escaped = CompactReader::new(r#"{"\u0069d":1}"#);
        assert_eq!(escaped.members(0, |_, at| escaped.value(at)), None);
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
        fn compact_json_is_accepted_and_what_is_accepted_is_json(
            value in json(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), "[ -~\n]{0,2}"), 0..3),
        ) {
            let mut text = value.to_string();
            prop_assert!(is_accepted(&text), "{text}");
            for (place, change) in changes {
                let mut letters: Vec<_> = text.chars().collect();
                if !letters.is_empty() {
                    let place = place.index(letters.len());
                    letters.splice(place..=place, change.chars());
                }
                text = letters.into_iter().collect();
            }
            if is_accepted(&text) {
                prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{text}");
            }
        }
    }
}
