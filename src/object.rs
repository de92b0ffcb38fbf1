//! A JSON object as a list of members whose values are slices of the text they came in: unknown
//! members and the digits of numbers pass through untouched, and nothing is built to be thrown away.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// One member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The name, without quotes and escapes.
    pub name: Cow<'a, str>,
    /// The value's own text.
    pub value: &'a str,
}

/// The members of an object in their order. Of members with the same name the last one counts, in the
/// place of the first, as with nearly every reader of JSON.
#[derive(Debug, Clone, Default)]
pub struct Object<'a>(pub Vec<Member<'a>>);

impl<'a> Object<'a> {
    /// Reads the members of the object that `text` is.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The value of the member called `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.name == name).map(|member| member.value)
    }

    /// The object's text, without blanks between its tokens.
    pub fn to_json(&self) -> Vec<u8> {
        let length: usize = self.0.iter().map(|member| member.name.len() + member.value.len() + 4).sum();
        let mut text = Vec::with_capacity(length + 2);
        text.push(b'{');
        for Member { name, value } in &self.0 {
            append_name(&mut text, name);
            append_compact(&mut text, value);
        }
        text.push(b'}');
        text
    }
}

/// Up to so many members a name is looked for by going through them; beyond, by a table, or an object of
/// a hundred thousand members would take minutes.
const FEW: usize = 64;

/// Puts together an object, each name once.
struct Members<'a> {
    list: Vec<Member<'a>>,
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Members<'a> {
    fn put(&mut self, member: Member<'a>) {
        let known = if self.list.len() < FEW {
            self.list.iter().position(|known| known.name == member.name)
        } else {
            if self.places.is_empty() {
                self.places = self.list.iter().map(|known| known.name.clone()).zip(0..).collect();
            }
            self.places.get(&member.name).copied()
        };
        match known {
            Some(place) => self.list[place].value = member.value,
            None => {
                if self.list.len() >= FEW {
                    self.places.insert(member.name.clone(), self.list.len());
                }
                self.list.push(member);
            }
        }
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members { list: Vec::with_capacity(40), places: HashMap::new() };
                while let Some((Name(name), value)) = map.next_entry::<_, &RawValue>()? {
                    members.put(Member { name, value: value.get() });
                }
                Ok(Object(members.list))
            }
        }

        deserializer.deserialize_map(Visit)
    }
}

/// A name that is borrowed from the text unless it has escapes (a plain `Cow` would always be copied).
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text inside a value that is a JSON string; none for any other value, and for a string that is
/// no Unicode text (a lone surrogate).
pub fn text_of(value: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Name<'_>>(value).ok().map(|name| name.0)
}

/// Appends the name of a member, and the comma before it if it is not the first in its object.
pub fn append_name(out: &mut Vec<u8>, name: &str) {
    if out.last().is_some_and(|last| *last != b'{') {
        out.push(b',');
    }
    match name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        true => {
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
        }
        false => out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes()),
    }
    out.push(b':');
}

/// Appends `text`, which is valid JSON, without the blanks between its tokens.
pub fn append_compact(out: &mut Vec<u8>, text: &str) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'{' | b'[')) || !bytes.iter().any(is_blank) {
        out.extend_from_slice(bytes);
        return;
    }
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        if in_string || !is_blank(byte) {
            out.push(*byte);
        }
        match (in_string, escaped, byte) {
            (true, false, b'\\') => escaped = true,
            (_, false, b'"') => in_string = !in_string,
            _ => escaped = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_names_and_text() {
        let object = Object::parse(br#" { "a" : 1.50, "\u0062" : [1, 2], "c":null } "#).expect("an object");
        let members: Vec<(&str, &str)> = object.0.iter().map(|m| (m.name.as_ref(), m.value)).collect();
        assert_eq!(members, [("a", "1.50"), ("b", "[1, 2]"), ("c", "null")]);
        assert!(matches!(object.0[0].name, Cow::Borrowed(_)));
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let object = Object::parse(br#"{"a":1,"b":2,"a":3}"#).expect("an object");
        let members: Vec<(&str, &str)> = object.0.iter().map(|m| (m.name.as_ref(), m.value)).collect();
        assert_eq!(members, [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn an_object_of_very_many_members_keeps_them_all_once() {
        let members = (0..100_000).map(|n| format!("\"m{}\":{n}", n % 60_000)).collect::<Vec<_>>().join(",");
        let text = format!("{{{members}}}");
        let object = Object::parse(text.as_bytes()).expect("an object");
        assert_eq!(object.0.len(), 60_000);
        assert_eq!(object.get("m39999"), Some("99999"));
        assert_eq!(object.get("m40000"), Some("40000"));
        assert_eq!(object.0[59_999].name, "m59999");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "1", "\"a\"", "{\"a\":}", "{\"a\":1", "{\"a\":1}x"] {
            assert!(Object::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn compacting_leaves_strings_alone() {
        for (text, compact) in [
            ("{ \"a b\" : [ 1 ,\n\t2 ], \"c\\\" d\": \" \\\\\" }", r#"{"a b":[1,2],"c\" d":" \\"}"#),
            ("\" a \"", "\" a \""),
            ("[]", "[]"),
        ] {
            let mut out = Vec::new();
            append_compact(&mut out, text);
            assert_eq!(String::from_utf8(out).expect("text"), compact);
        }
    }
}
