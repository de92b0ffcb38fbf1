//! What cannot be delivered, kept whole in the state store with the reason, until it is replayed (what queues call a
//! dead letter). Pure.

use std::{borrow::Cow, fmt::Write};

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, Value, to_raw_value};

use crate::{record::alert::Fingerprint, schema::Shape};

/// The folder of the documents in the state store.
pub const FOLDER: &str = "set-aside";

/// The reason of a [`SetAsideKind::Truncated`] starts with this.
pub const SENT_TRUNCATED: &str = "sent shortened";

/// The most characters of an alert's id in the name of its document.
const MAX_ID: usize = 64;

/// Why a record is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SetAsideKind {
    /// The sink rejects it.
    Rejected,
    /// It was sent truncated, so its document is the only place where it is whole.
    Truncated,
    /// It does not fit the sink even truncated.
    TooLarge,
    /// It is not an alert that can be read.
    Unreadable,
}

impl SetAsideKind {
    /// Returns true when the record was sent as well.
    pub fn is_sent(self) -> bool {
        self == Self::Truncated
    }

    /// The kind in a document that does not say it, written by a version that said it by the reason alone.
    fn of_reason(reason: &str) -> Self {
        let starts_with = |starts: &[&str]| starts.iter().any(|start| reason.starts_with(start));
        match reason {
            _ if starts_with(&[SENT_TRUNCATED]) => Self::Truncated,
            _ if starts_with(&["refused: ", "rejected: "]) => Self::Rejected,
            _ if starts_with(&["the record has ", "its "]) => Self::TooLarge,
            _ => Self::Unreadable,
        }
    }
}

/// A record to set aside.
#[derive(Debug)]
pub struct SetAside<'a> {
    /// Identifies the record: it is set aside once, however often it is listed.
    pub fingerprint: Fingerprint,
    /// The alert's id, if it has one.
    pub id: Option<&'a str>,
    /// Why it is set aside.
    pub kind: SetAsideKind,
    /// The same in words, with the details.
    pub reason: &'a str,
    /// The shape of the record.
    pub shape: Shape,
    /// The whole record, or the element of the list that is not an alert.
    pub record: &'a [u8],
}

impl SetAside<'_> {
    /// Returns the document's name. Ids are opaque and may hold anything, so their special characters are replaced; the
    /// fingerprint distinguishes two that then look alike.
    pub fn name(&self) -> String {
        let mut name = sanitized(self.id.unwrap_or("no-id"));
        name.push('.');
        for byte in self.fingerprint.0 {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        format!("{FOLDER}/{name}.json")
    }

    /// Returns the document's text.
    pub fn to_json(&self) -> Vec<u8> {
        let text: Box<RawValue>;
        let record: &RawValue = match serde_json::from_slice(self.record) {
            Ok(json) => json,
            // Not JSON: kept as a string.
            Err(_) => {
                text = to_raw_value(&String::from_utf8_lossy(self.record)).expect("a string can be JSON");
                &text
            }
        };
        let Self { kind, shape, .. } = *self;
        SetAsideDocument { id: self.id.map(Cow::Borrowed), kind, reason: self.reason.into(), shape, record }
            .to_json()
    }
}

/// A document as it is stored. Versions of the program read each other's: members that one does not know are ignored,
/// and those that one lacks have a default.
#[derive(Debug, Serialize)]
pub struct SetAsideDocument<'a> {
    /// The alert's id, if it has one.
    pub id: Option<Cow<'a, str>>,
    /// Why the record is set aside.
    pub kind: SetAsideKind,
    /// The same in words, with the details.
    pub reason: Cow<'a, str>,
    /// The shape of the record; not written for a union.
    #[serde(skip_serializing_if = "is_union")]
    pub shape: Shape,
    /// The whole record, or the element of the list that is not an alert.
    pub record: &'a RawValue,
}

impl<'a> SetAsideDocument<'a> {
    /// Reads a document's text.
    pub fn from_json(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Stored<'a> {
            id: Option<Cow<'a, str>>,
            kind: Option<Value>,
            reason: Cow<'a, str>,
            #[serde(default)]
            shape: Shape,
            #[serde(borrow)]
            record: &'a RawValue,
        }
        let Stored { id, kind, reason, shape, record } = serde_json::from_slice(text)?;
        let kind = kind.and_then(|kind| serde_json::from_value(kind).ok());
        let kind = kind.unwrap_or_else(|| SetAsideKind::of_reason(&reason));
        Ok(Self { id, kind, reason, shape, record })
    }

    /// Returns the document's text.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and JSON can be written as JSON")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a field by reference")]
fn is_union(shape: &Shape) -> bool {
    *shape == Shape::Union
}

/// Returns true when the document called `name`, without folder and `.json`, may be one of the alert `id`.
pub fn may_be_of(name: &str, id: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(start, _)| start == sanitized(id))
}

fn sanitized(id: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    id.chars().take(MAX_ID).map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_holds_the_record_untouched_under_a_harmless_name() {
        let aside = SetAside {
            fingerprint: Fingerprint([0xab; Fingerprint::BYTES]),
            id: Some("../da1 %2F_\"9"),
            kind: SetAsideKind::TooLarge,
            reason: "too large",
            shape: Shape::Union,
            record: br#"{"id":"x","n":1.50}"#,
        };
        assert_eq!(aside.name(), "set-aside/___da1__2F__9.abababababababababababab.json");
        let text = aside.to_json();
        assert_eq!(
            String::from_utf8_lossy(&text),
            r#"{"id":"../da1 %2F_\"9","kind":"tooLarge","reason":"too large","record":{"id":"x","n":1.50}}"#
        );
        let document = SetAsideDocument::from_json(&text).expect("a document");
        assert_eq!((document.id.as_deref(), document.reason.as_ref()), (aside.id, aside.reason));
        assert_eq!(document.kind, aside.kind);
        assert_eq!(document.record.get().as_bytes(), aside.record);
        assert_eq!(document.to_json(), text);
    }

    #[test]
    fn a_document_of_an_older_or_a_later_version_is_read_with_its_kind() {
        for (members, kind) in [
            (r#""reason":"sent shortened: with less in title""#, SetAsideKind::Truncated),
            (r#""reason":"refused: the Data Collector API answered 400""#, SetAsideKind::Rejected),
            (r#""reason":"rejected: the Data Collector API answered 400""#, SetAsideKind::Rejected),
            (r#""reason":"the record has 9 bytes and cannot be shortened to 8""#, SetAsideKind::TooLarge),
            (r#""reason":"its 9 bytes do not fit into a post""#, SetAsideKind::TooLarge),
            (r#""reason":"it is no JSON object""#, SetAsideKind::Unreadable),
            (r#""kind":"truncated","reason":"in other words""#, SetAsideKind::Truncated),
            (r#""kind":"unheard","reason":"rejected: no","new":1"#, SetAsideKind::Rejected),
        ] {
            let text = format!(r#"{{"id":"a",{members},"record":{{}}}}"#);
            let document = SetAsideDocument::from_json(text.as_bytes()).expect(members);
            assert_eq!(document.kind, kind, "{members}");
        }
    }

    #[test]
    fn a_name_shows_which_alerts_it_may_be_of() {
        let name = "___da1__2F__9.abababababababababababab";
        assert!(may_be_of(name, "../da1 %2F_\"9"));
        for id in ["../da1", "", name] {
            assert!(!may_be_of(name, id), "{id}");
        }
    }

    #[test]
    fn a_record_that_is_not_json_is_kept_as_a_string() {
        let aside = SetAside {
            fingerprint: Fingerprint([0; Fingerprint::BYTES]),
            id: None,
            kind: SetAsideKind::Unreadable,
            reason: "it is no JSON object",
            shape: Shape::Union,
            record: b"{\"id\":\xff",
        };
        let text = aside.to_json();
        let document = SetAsideDocument::from_json(&text).expect("a document");
        assert_eq!((document.id.as_deref(), document.record.get()), (None, "\"{\\\"id\\\":\u{fffd}\""));
    }
}
