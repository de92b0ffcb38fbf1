//! A JSON object in memory of its own, prepared once and copied into many records.

use super::{Member, MemberSpan, append_compact, append_name};

/// The usual length of a machine.
const USUAL_LENGTH: usize = 1_500;

/// An object as compact text, with the places of its members.
#[derive(Debug, Clone, Default)]
pub struct OwnedObject {
    /// The members side by side, as they are written. Names that are written with escapes follow once more without.
    text: String,
    spans: Vec<MemberSpan>,
}

impl OwnedObject {
    /// Copies `members`, each a name without escapes and a value that is valid JSON.
    pub fn new<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = Vec::with_capacity(USUAL_LENGTH);
        text.push(b'{');
        let mut escaped = Vec::new();
        let mut places = Vec::with_capacity(members.size_hint().1.unwrap_or(0));
        for (name, value) in members {
            append_name(&mut text, name);
            // A quote and a colon come after the name.
            let end = text.len() - 2;
            append_compact(&mut text, value);
            let start = end.saturating_sub(name.len());
            if text[start - 1] != b'"' || text[start..end] != *name.as_bytes() {
                escaped.push((places.len(), name));
            }
            places.push((start..end, end + 2..text.len()));
        }
        for (place, name) in escaped {
            places[place].0 = text.len()..text.len() + name.len();
            text.extend_from_slice(name.as_bytes());
        }
        let spans = places.into_iter().map(|(name, value)| MemberSpan::new(name, value)).collect();
        let mut text = String::from_utf8(text).expect("whole strings and ASCII between them are text");
        text.shrink_to_fit();
        Self { text, spans }
    }

    /// Returns the members in the order in which they were given.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'_>> {
        self.spans.iter().map(|span| span.member(&self.text))
    }

    /// The compact text that the members are slices of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The memory that it takes, in bytes, without that of the allocator.
    pub fn memory(&self) -> usize {
        self.text.len() + self.spans.len() * size_of::<MemberSpan>()
    }
}
