//! A member of an object: a name and a value.

use std::{borrow::Cow, ops::Range};

/// A member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The name, without quotes and escapes.
    pub name: Cow<'a, str>,
    /// The value's own text.
    pub value: &'a str,
}

/// Where a member is in a text, so that it can be kept beside that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberSpan {
    name: (u32, u32),
    value: (u32, u32),
}

impl MemberSpan {
    /// The span of a name, without its quotes, and a value.
    pub fn new(name: Range<usize>, value: Range<usize>) -> Self {
        let place = |at: usize| u32::try_from(at).expect("no text is longer than a response may be");
        Self { name: (place(name.start), place(name.end)), value: (place(value.start), place(value.end)) }
    }

    /// Returns the member in its text.
    pub fn member(self, text: &str) -> Member<'_> {
        let part = |(start, end): (u32, u32)| &text[start as usize..end as usize];
        Member { name: part(self.name).into(), value: part(self.value) }
    }
}

/// Appends the name of a member, and the comma before it unless it is the first in its object.
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
