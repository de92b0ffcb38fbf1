//! JSON read independently of the program, to check what it makes of it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object in the order of its text, including repeated ones.
pub struct Members<'a>(pub Vec<(String, &'a str)>);

impl<'a> Members<'a> {
    /// Returns `None` if `text` is not a JSON object, or has a name that is not Unicode text.
    pub fn of(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Returns the value of the last member called `name`, which is the one that counts.
    pub fn last(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visit)
    }
}

/// True if `text` is JSON, whatever its strings and numbers mean.
pub fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// Removes the whitespace outside of strings from `text`, which is valid JSON.
pub fn without_blanks(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        kept.extend(rest[..quote].split([' ', '\t', '\n', '\r']));
        let inside = &rest[quote + 1..];
        let escapes = |end: usize| inside[..end].bytes().rev().take_while(|byte| *byte == b'\\').count();
        let ends = inside.match_indices('"').map(|(end, _)| end);
        let end = ends.into_iter().find(|end| escapes(*end).is_multiple_of(2)).expect("strings are closed");
        kept += &rest[quote..quote + end + 2];
        rest = &inside[end + 1..];
    }
    kept.extend(rest.split([' ', '\t', '\n', '\r']));
    kept
}
