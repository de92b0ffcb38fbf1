//! A JSON object as a list of members whose values are slices of the text they came in.

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Member, MemberMap, MemberSpan, append_compact, append_name, members,
    string::{Text, text_of},
};

/// The members of an object in their order. Of members with the same name the last one counts, in the place of the
/// first, as with nearly every JSON parser.
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    /// The members.
    pub members: Vec<Member<'a>>,
    /// Compact texts that members may be slices of: members that are adjacent there are written as one slice.
    pub sources: [&'a str; 2],
}

/// Room for the members of a machine, which nearly always follow those of an alert.
const ROOM: usize = 32;

/// The usual number of members of an object that is read by `serde_json`.
const USUAL_MEMBERS: usize = 40;

impl<'a> Object<'a> {
    /// Reads the members of the object that `text` is.
    ///
    /// # Errors
    ///
    /// `text` is not valid JSON, or not an object.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Returns the members of the object that `text` is, which must be valid JSON. Returns `None` if it is another
    /// value, or if a name is not Unicode text (a lone surrogate).
    pub fn from_valid(text: &'a str) -> Option<Self> {
        if !text.starts_with('{') {
            return None;
        }
        let mut map = MemberMap::with_capacity(0);
        for (name, value) in members(text) {
            map.put(Member { name: text_of(name)?, value });
        }
        Some(Self::from(map.list))
    }

    /// Returns the members of `text`, which must be compact, at `spans`. Members of the same name stay.
    pub fn from_spans(text: &'a str, spans: &[MemberSpan]) -> Self {
        let mut members = Vec::with_capacity(spans.len() + ROOM);
        members.extend(spans.iter().map(|span| span.member(text)));
        Self { members, sources: [text, ""] }
    }

    /// Returns the value of the member called `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().rfind(|member| member.name == name).map(|member| member.value)
    }

    /// Returns the object as compact text.
    pub fn to_json(&self) -> Vec<u8> {
        let length: usize =
            self.members.iter().map(|member| member.name.len() + member.value.len() + 4).sum();
        let mut text = Vec::with_capacity(length + 2);
        self.append_to(&mut text);
        text
    }

    /// Appends the object as compact text.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        // Adjacent members that are still to be copied.
        let mut pending: Option<(&str, Range<usize>)> = None;
        for member in &self.members {
            let found = self.find_in_sources(member);
            match (&mut pending, &found) {
                // Adjacent members have one comma between them.
                (Some((text, pending)), Some((source, place)))
                    if std::ptr::eq(*text, *source)
                        && pending.end + 1 == place.start
                        && source.as_bytes()[pending.end] == b',' =>
                {
                    pending.end = place.end;
                }
                _ => {
                    append_slice(out, std::mem::replace(&mut pending, found));
                    if pending.is_none() {
                        append_name(out, &member.name);
                        append_compact(out, member.value);
                    }
                }
            }
        }
        append_slice(out, pending);
        out.push(b'}');
    }

    /// True if `value` is a slice of one of the sources, and so is compact.
    pub fn is_in_sources(&self, value: &str) -> bool {
        self.sources.iter().any(|source| place_in(source, value).is_some())
    }

    /// Returns the place of the member in one of the sources; `None` unless it is there as it is to be written.
    fn find_in_sources(&self, member: &Member<'a>) -> Option<(&'a str, Range<usize>)> {
        let Cow::Borrowed(name) = member.name else { return None };
        let (value, gap) = (member.value, "\":".len());
        if value.as_ptr().addr().wrapping_sub(name.as_ptr().addr()) != name.len() + gap {
            return None;
        }
        let source = self.sources.into_iter().find_map(|source| Some((source, place_in(source, name)?)));
        let (source, Range { start, end }) = source?;
        Some((source, start.checked_sub("\"".len())?..end + gap + value.len()))
    }
}

/// Returns the place of `part` in `text`; `None` unless it is a slice of it.
fn place_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    (start + part.len() <= text.len()).then(|| start..start + part.len())
}

fn append_slice(out: &mut Vec<u8>, slice: Option<(&str, Range<usize>)>) {
    let Some((source, place)) = slice else { return };
    if out.last().is_some_and(|last| *last != b'{') {
        out.push(b',');
    }
    out.extend_from_slice(&source.as_bytes()[place]);
}

impl<'a> From<Vec<Member<'a>>> for Object<'a> {
    fn from(members: Vec<Member<'a>>) -> Self {
        Self { members, ..Self::default() }
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
                let mut members = MemberMap::with_capacity(USUAL_MEMBERS);
                while let Some((Text(name), value)) = map.next_entry::<_, &RawValue>()? {
                    members.put(Member { name, value: value.get() });
                }
                Ok(Object::from(members.list))
            }
        }

        deserializer.deserialize_map(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_names_and_text() {
        let object = Object::parse(br#" { "a" : 1.50, "\u0062" : [1, 2], "c":null } "#).expect("an object");
        let members: Vec<(&str, &str)> = object.members.iter().map(|m| (m.name.as_ref(), m.value)).collect();
        assert_eq!(members, [("a", "1.50"), ("b", "[1, 2]"), ("c", "null")]);
        assert!(matches!(object.members[0].name, Cow::Borrowed(_)));
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let object = Object::parse(br#"{"a":1,"b":2,"a":3}"#).expect("an object");
        let members: Vec<(&str, &str)> = object.members.iter().map(|m| (m.name.as_ref(), m.value)).collect();
        assert_eq!(members, [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn an_object_of_very_many_members_keeps_them_all_once() {
        let members = (0..100_000).map(|n| format!("\"m{}\":{n}", n % 60_000)).collect::<Vec<_>>().join(",");
        let text = format!("{{{members}}}");
        let object = Object::parse(text.as_bytes()).expect("an object");
        assert_eq!(object.members.len(), 60_000);
        assert_eq!(object.get("m39999"), Some("99999"));
        assert_eq!(object.get("m40000"), Some("40000"));
        assert_eq!(object.members[59_999].name, "m59999");
    }

    #[test]
    fn what_is_not_an_object_is_an_error() {
        for text in ["", "[]", "1", "\"a\"", "{\"a\":}", "{\"a\":1", "{\"a\":1}x"] {
            assert!(Object::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
