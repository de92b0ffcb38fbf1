//! What cannot be delivered, kept whole in the state store together with the reason.

use std::fmt::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::alert::Identity;

/// A record that is set aside.
#[derive(Debug)]
pub struct SetAside<'a> {
    /// What tells it from others; the same record is set aside once, however often it is met.
    pub identity: Identity,
    /// The alert's id, as far as it has one.
    pub id: Option<&'a str>,
    /// Why it cannot be delivered.
    pub reason: &'a str,
    /// The whole record, or the element of the list that is no alert.
    pub record: &'a [u8],
}

impl SetAside<'_> {
    /// The document's name. Ids are opaque and may hold anything, so they are made harmless, and the
    /// fingerprint keeps two apart that then look alike.
    pub fn name(&self) -> String {
        let id = self.id.unwrap_or("no-id").chars().take(64);
        let mut name: String =
            id.map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        name.push('.');
        for byte in self.identity.0 {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        format!("set-aside/{name}.json")
    }

    /// The document's text.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            id: Option<&'a str>,
            reason: &'a str,
            record: Record<'a>,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Record<'a> {
            Json(&'a RawValue),
            /// Not JSON after all: kept as a text.
            Text(std::borrow::Cow<'a, str>),
        }
        let record = match serde_json::from_slice(self.record) {
            Ok(json) => Record::Json(json),
            Err(_) => Record::Text(String::from_utf8_lossy(self.record)),
        };
        let document = Document { id: self.id, reason: self.reason, record };
        serde_json::to_vec(&document).expect("texts and JSON can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_holds_the_record_untouched_under_a_harmless_name() {
        let aside = SetAside {
            identity: Identity([0xab; Identity::BYTES]),
            id: Some("../da1 %2F_\"9"),
            reason: "too large",
            record: br#"{"id":"x","n":1.50}"#,
        };
        assert_eq!(aside.name(), "set-aside/___da1__2F__9.abababababababababababab.json");
        assert_eq!(
            String::from_utf8(aside.to_json()).expect("text"),
            r#"{"id":"../da1 %2F_\"9","reason":"too large","record":{"id":"x","n":1.50}}"#
        );
    }
}
