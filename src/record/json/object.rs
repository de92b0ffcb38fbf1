//! A JSON object as a list of members whose values are slices of the text they came in: unknown
//! members and the digits of numbers pass through untouched, and nothing is built to be thrown away.

mod member_map;

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::record::json::scan;
pub use member_map::MemberMap;
pub use scan::append_compact;

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
pub struct Object<'a> {
    /// The members.
    pub members: Vec<Member<'a>>,
    /// Texts without blanks between their tokens that members may be slices of: those that stand side by side
    /// there are written together.
    pub sources: [&'a str; 2],
}

/// Room for the members of a machine, which nearly always come behind those of an alert.
const ROOM: usize = 32;

/// Where a member is in a text, so that it can be kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    name: (u32, u32),
    value: (u32, u32),
}

impl Border {
    /// Of a name, without its quotes, and a value at these places.
    pub fn new(name: Range<usize>, value: Range<usize>) -> Self {
        let place = |at: usize| u32::try_from(at).expect("no text is longer than a reply may be");
        Self { name: (place(name.start), place(name.end)), value: (place(value.start), place(value.end)) }
    }

    /// The member in its text.
    pub fn member(self, text: &str) -> Member<'_> {
        let part = |(start, end): (u32, u32)| &text[start as usize..end as usize];
        Member { name: part(self.name).into(), value: part(self.value) }
    }
}

/// Where `part` is in `text`; none unless it is a slice of it.
fn place_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    (start + part.len() <= text.len()).then(|| start..start + part.len())
}

impl<'a> Object<'a> {
    /// Reads the members of the object that `text` is.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The members of the object that `valid` is, which is known to be valid JSON. None when it is another
    /// value, or when a name is no Unicode text (a lone surrogate).
    pub fn from_valid(valid: &'a str) -> Option<Self> {
        if !valid.starts_with('{') {
            return None;
        }
        let mut members = MemberMap::with_capacity(0);
        for (name, value) in scan::members(valid) {
            let name = match name.contains('\\') {
                true => text_of(name)?,
                false => name[1..name.len() - 1].into(),
            };
            members.put(Member { name, value });
        }
        Some(Self::from(members.list))
    }

    /// The members of `text`, which has no blanks between its tokens, that are at `borders`, whether or not some
    /// have the same name.
    pub fn within(text: &'a str, borders: &[Border]) -> Self {
        let mut members = Vec::with_capacity(borders.len() + ROOM);
        members.extend(borders.iter().map(|border| border.member(text)));
        Self { members, sources: [text, ""] }
    }

    /// The value of the member called `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().rfind(|member| member.name == name).map(|member| member.value)
    }

    /// The object's text, without blanks between its tokens.
    pub fn to_json(&self) -> Vec<u8> {
        let length: usize =
            self.members.iter().map(|member| member.name.len() + member.value.len() + 4).sum();
        let mut text = Vec::with_capacity(length + 2);
        self.append_to(&mut text);
        text
    }

    /// Appends the object's text, without blanks between its tokens.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut run: Option<(&str, Range<usize>)> = None;
        for member in &self.members {
            let stands = self.stands(member);
            match (&mut run, &stands) {
                // The next one of a run comes right behind a comma.
                (Some((text, run)), Some((source, place)))
                    if std::ptr::eq(*text, *source)
                        && run.end + 1 == place.start
                        && source.as_bytes()[run.end] == b',' =>
                {
                    run.end = place.end;
                }
                _ => {
                    append_run(out, std::mem::replace(&mut run, stands));
                    if run.is_none() {
                        append_name(out, &member.name);
                        append_compact(out, member.value);
                    }
                }
            }
        }
        append_run(out, run);
        out.push(b'}');
    }

    /// True when `value` is a slice of one of the texts, and so has no blanks between its tokens.
    pub fn has_as_written(&self, value: &str) -> bool {
        self.sources.iter().any(|source| place_in(source, value).is_some())
    }

    /// Where the member stands in one of the texts just as it is to be written.
    fn stands(&self, member: &Member<'a>) -> Option<(&'a str, Range<usize>)> {
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

fn append_run(out: &mut Vec<u8>, run: Option<(&str, Range<usize>)>) {
    let Some((source, place)) = run else { return };
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
                let mut members = MemberMap::with_capacity(40);
                while let Some((Name(name), value)) = map.next_entry::<_, &RawValue>()? {
                    members.put(Member { name, value: value.get() });
                }
                Ok(Object::from(members.list))
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
    if !value.contains('\\') {
        return Some(value.strip_prefix('"')?.strip_suffix('"')?.into());
    }
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
