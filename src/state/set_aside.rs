//! What cannot be delivered, kept whole in the state store together with the reason. Pure.

use std::{borrow::Cow, fmt::Write};

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{record::alert::Fingerprint, schema::Shape};

/// The folder of the state store where the documents are.
pub const FOLDER: &str = "set-aside";

/// The reason of a record that was delivered with less in it begins so: its document is the only place
/// where the record is whole.
pub const SENT_SHORTENED: &str = "sent shortened";

/// A record that is set aside.
#[derive(Debug)]
pub struct SetAside<'a> {
    /// What tells it from others; the same record is set aside once, however often it is met.
    pub fingerprint: Fingerprint,
    /// The alert's id, as far as it has one.
    pub id: Option<&'a str>,
    /// Why it cannot be delivered.
    pub reason: &'a str,
    /// The shape that the record is in.
    pub shape: Shape,
    /// The whole record, or the element of the list that is no alert.
    pub record: &'a [u8],
}

impl SetAside<'_> {
    /// The document's name. Ids are opaque and may hold anything, so they are made harmless, and the
    /// fingerprint keeps two apart that then look alike.
    pub fn name(&self) -> String {
        let mut name = harmless(self.id.unwrap_or("no-id"));
        name.push('.');
        for byte in self.fingerprint.0 {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        format!("{FOLDER}/{name}.json")
    }

    /// The document's text.
    pub fn to_json(&self) -> Vec<u8> {
        let text: Box<RawValue>;
        let record: &RawValue = match serde_json::from_slice(self.record) {
            Ok(json) => json,
            // Not JSON after all: kept as a text.
            Err(_) => {
                text = to_raw_value(&String::from_utf8_lossy(self.record)).expect("a text can be JSON");
                &text
            }
        };
        let (id, reason, shape) = (self.id.map(Cow::Borrowed), self.reason.into(), self.shape);
        SetAsideDocument { id, reason, shape, record }.to_json()
    }
}

/// A document as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetAsideDocument<'a> {
    /// The alert's id, as far as it has one.
    pub id: Option<Cow<'a, str>>,
    /// Why the record could not be delivered, or not whole.
    pub reason: Cow<'a, str>,
    /// The shape that the record is in; a union is not said to be one.
    #[serde(default, skip_serializing_if = "is_union")]
    pub shape: Shape,
    /// The whole record, or the element of the list that is no alert.
    #[serde(borrow)]
    pub record: &'a RawValue,
}

impl<'a> SetAsideDocument<'a> {
    /// Reads a document's text.
    pub fn from_json(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The document's text.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and JSON can be written as JSON")
    }

    /// True when the record has been delivered all the same, with less in it.
    pub fn is_sent_shortened(&self) -> bool {
        self.reason.starts_with(SENT_SHORTENED)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over like this")]
fn is_union(shape: &Shape) -> bool {
    *shape == Shape::Union
}

/// True when the document called `name`, without folder and `.json`, can be one of the alert `id`.
pub fn may_be_of(name: &str, id: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(begin, _)| begin == harmless(id))
}

fn harmless(id: &str) -> String {
    id.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_holds_the_record_untouched_under_a_harmless_name() {
        let aside = SetAside {
            fingerprint: Fingerprint([0xab; Fingerprint::BYTES]),
            id: Some("../da1 %2F_\"9"),
            reason: "too large",
            shape: Shape::Union,
            record: br#"{"id":"x","n":1.50}"#,
        };
        assert_eq!(aside.name(), "set-aside/___da1__2F__9.abababababababababababab.json");
        let text = aside.to_json();
        assert_eq!(
            String::from_utf8_lossy(&text),
            r#"{"id":"../da1 %2F_\"9","reason":"too large","record":{"id":"x","n":1.50}}"#
        );
        let document = SetAsideDocument::from_json(&text).expect("a document");
        assert_eq!((document.id.as_deref(), document.reason.as_ref()), (aside.id, aside.reason));
        assert_eq!(document.record.get().as_bytes(), aside.record);
        assert_eq!(document.to_json(), text);
    }

    #[test]
    fn a_name_tells_which_alerts_it_may_be_of() {
        let name = "___da1__2F__9.abababababababababababab";
        assert!(may_be_of(name, "../da1 %2F_\"9"));
        for id in ["../da1", "", name] {
            assert!(!may_be_of(name, id), "{id}");
        }
    }

    #[test]
    fn what_is_no_json_is_kept_as_a_text() {
        let aside = SetAside {
            fingerprint: Fingerprint([0; Fingerprint::BYTES]),
            id: None,
            reason: "it is no JSON object",
            shape: Shape::Union,
            record: b"{\"id\":\xff",
        };
        let text = aside.to_json();
        let document = SetAsideDocument::from_json(&text).expect("a document");
        assert_eq!((document.id.as_deref(), document.record.get()), (None, "\"{\\\"id\\\":\u{fffd}\""));
    }
}
