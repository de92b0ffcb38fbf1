//! An alert as it was received: its own text, and the few members that decide what happens to it.

use std::fmt;

use azure_core::time::{OffsetDateTime, parse_rfc3339};
use bytes::Bytes;
use bytestring::ByteString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    config::Mode,
    object::{Border, Object, text_of},
};

/// An alert of Defender's list or of `GET /api/alerts/{id}`.
#[derive(Debug, Clone)]
pub struct Alert {
    /// The whole object as the service wrote it.
    pub text: ByteString,
    /// `id`, opaque.
    pub id: String,
    /// `machineId`; none when it is null, empty or missing, as for an alert on a mailbox.
    pub machine_id: Option<String>,
    /// `alertCreationTime`.
    pub created: Option<OffsetDateTime>,
    /// `lastUpdateTime`.
    pub updated: Option<OffsetDateTime>,
    /// Where its members are in its text; none unless all names are written without escapes.
    borders: Option<Vec<Border>>,
}

/// An element of the list that is no alert, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAlert {
    /// The element's text.
    pub text: ByteString,
    /// What is wrong with it.
    pub reason: String,
}

impl Alert {
    /// Reads one alert.
    pub fn parse(text: ByteString) -> Result<Self, NoAlert> {
        let mut head = Head::default();
        let object = match Object::parse(text.as_bytes()) {
            Ok(object) => object,
            Err(error) => {
                let reason = format!("it is no JSON object: {error}");
                return Err(NoAlert { text, reason });
            }
        };
        object.members.iter().for_each(|member| head.put(&member.name, member.value));
        let borders = object.members.iter().map(|member| Border::of(member, &text)).collect();
        head.alert(text.clone(), borders)
    }

    /// Its members.
    pub fn object(&self) -> Result<Object<'_>, serde_json::Error> {
        match &self.borders {
            Some(borders) => Ok(Object::within(&self.text, borders)),
            None => Object::parse(self.text.as_bytes()),
        }
    }

    /// The time by which the list is walked in `mode`.
    pub fn time(&self, mode: Mode) -> Option<OffsetDateTime> {
        match mode {
            Mode::Created => self.created,
            Mode::Updated => self.updated,
        }
    }

    /// What tells this alert (in updated mode: this state of it) from all others.
    pub fn identity(&self, mode: Mode) -> Identity {
        match (mode, self.updated) {
            (Mode::Created, _) => Identity::of(&[self.id.as_bytes()]),
            (Mode::Updated, updated) => {
                let time = updated.map_or(0, OffsetDateTime::unix_timestamp_nanos);
                Identity::of(&[self.id.as_bytes(), &time.to_be_bytes()])
            }
        }
    }
}

/// The values of the members that decide.
#[derive(Default)]
struct Head<'a> {
    id: Option<&'a str>,
    machine_id: Option<&'a str>,
    created: Option<&'a str>,
    updated: Option<&'a str>,
}

impl<'a> Head<'a> {
    fn put(&mut self, name: &str, value: &'a str) {
        match name {
            "id" => self.id = Some(value),
            "machineId" => self.machine_id = Some(value),
            "alertCreationTime" => self.created = Some(value),
            "lastUpdateTime" => self.updated = Some(value),
            _ => {}
        }
    }

    fn alert(&self, text: ByteString, borders: Option<Vec<Border>>) -> Result<Alert, NoAlert> {
        let text_in = |value: Option<&'a str>| value.and_then(text_of).filter(|text| !text.is_empty());
        let time_in = |value| text_in(value).and_then(|text| parse_rfc3339(&text).ok());
        let Some(id) = text_in(self.id).map(String::from) else {
            return Err(NoAlert { text, reason: "it has no id that is a text".to_owned() });
        };
        Ok(Alert {
            text,
            id,
            machine_id: text_in(self.machine_id).map(String::from),
            created: time_in(self.created),
            updated: time_in(self.updated),
            borders,
        })
    }
}

impl NoAlert {
    /// What tells this element from others: its whole text.
    pub fn identity(&self) -> Identity {
        Identity::of(&[b"no alert", self.text.as_bytes()])
    }
}

/// A fingerprint of 96 bits, which is 16 characters of base64 with none left over. Of ten thousand
/// million alerts, the chance that one is taken for another that is remembered is below 10^-13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub [u8; Identity::BYTES]);

impl Identity {
    /// The length of a fingerprint.
    pub const BYTES: usize = 12;

    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut identity = [0; Self::BYTES];
        identity.copy_from_slice(&digest[..Self::BYTES]);
        Self(identity)
    }
}

/// One page of Defender's alert list.
#[derive(Debug)]
pub struct Page {
    /// The elements, each an alert or not.
    pub elements: Vec<Result<Alert, NoAlert>>,
    /// True when the service says that there is more (`@odata.nextLink`), however short this page is.
    /// The link itself is never followed: it has been seen mangled (facts A4).
    pub has_next_link: bool,
    /// The service's own time when it answered: what was created later cannot be on the page.
    pub as_of: Option<OffsetDateTime>,
}

/// The body of a reply with a list.
#[derive(Deserialize)]
struct Body<'a, T> {
    value: Vec<T>,
    #[serde(borrow, rename = "@odata.nextLink")]
    next_link: Option<&'a RawValue>,
}

impl Page {
    /// Takes apart the body of a reply of the time `as_of`. The elements share its memory.
    pub fn parse(body: &Bytes, as_of: Option<OffsetDateTime>) -> Result<Self, serde_json::Error> {
        let body = ByteString::try_from(body.clone()).map_err(serde_json::Error::custom)?;
        // One pass checks the page and finds all members, as long as there is nothing odd.
        let plain = serde_json::from_str(&body).ok().and_then(|page: Body<'_, Plain<'_>>| {
            let mut elements = Vec::with_capacity(page.value.len());
            for element in page.value {
                elements.push(element.alert(&body)?);
            }
            Some(Self { elements, has_next_link: page.next_link.is_some(), as_of })
        });
        if let Some(page) = plain {
            return Ok(page);
        }
        let page: Body<'_, &RawValue> = serde_json::from_str(&body)?;
        let elements = page.value.iter().map(|raw| Alert::parse(body.slice_ref(raw.get())));
        Ok(Self { elements: elements.collect(), has_next_link: page.next_link.is_some(), as_of })
    }
}

/// An element of the list that is an object with members, and no escapes in their names.
struct Plain<'a> {
    first_name: &'a str,
    last_value: &'a str,
    /// Counted from the first name on.
    borders: Vec<Border>,
    head: Head<'a>,
}

impl Plain<'_> {
    /// The alert that it is on `page`.
    fn alert(mut self, page: &ByteString) -> Option<Result<Alert, NoAlert>> {
        let first_name = self.first_name.as_ptr().addr() - page.as_ptr().addr();
        let start = page[..first_name].rfind('{')?;
        let end = self.last_value.as_ptr().addr() - page.as_ptr().addr() + self.last_value.len();
        let end = end + page[end..].find('}')? + 1;
        let before = u32::try_from(first_name - start).ok()?;
        self.borders.iter_mut().for_each(|border| *border = border.moved(before));
        Some(self.head.alert(page.slice_ref(&page[start..end]), Some(self.borders)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Plain<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Plain<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with members whose names have no escapes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut borders = Vec::with_capacity(40);
                let mut head = Head::default();
                let (mut first_name, mut last_value) = (None, "");
                while let Some((name, value)) = map.next_entry::<&str, &RawValue>()? {
                    let value = value.get();
                    let first = first_name.get_or_insert(name).as_ptr().addr();
                    let place = |part: &str| {
                        let start = part.as_ptr().addr() - first;
                        start..start + part.len()
                    };
                    borders.push(Border::new(place(name), place(value)));
                    head.put(name, value);
                    last_value = value;
                }
                let first_name = first_name.ok_or_else(|| A::Error::custom("no members"))?;
                Ok(Plain { first_name, last_value, borders, head })
            }
        }

        deserializer.deserialize_map(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(text: &'static str) -> Alert {
        Alert::parse(text.into()).expect(text)
    }

    #[test]
    fn an_alert_needs_an_id_and_nothing_else() {
        let full = alert(
            r#"{"id":"da1_-2","machineId":"m","alertCreationTime":"2026-11-20T09:14:27.1180342Z","lastUpdateTime":"2026-11-20T09:14:28.3966667Z"}"#,
        );
        assert_eq!((full.id.as_str(), full.machine_id.as_deref()), ("da1_-2", Some("m")));
        assert_eq!(full.created.map(OffsetDateTime::nanosecond), Some(118_034_200));
        for text in [r#"{"id":"a"}"#, r#"{"id":"a","machineId":null}"#, r#"{"id":"a","machineId":""}"#] {
            let bare = alert(text);
            assert_eq!((bare.machine_id, bare.created, bare.updated), (None, None, None));
        }
    }

    #[test]
    fn an_element_that_is_no_alert_is_kept_with_the_reason() {
        for text in ["7", "null", "[]", "{}", r#"{"id":7}"#, r#"{"id":""}"#, r#"{"id":"\ud800"}"#] {
            let no_alert = Alert::parse(text.into()).expect_err(text);
            assert_eq!(no_alert.text, text);
        }
    }

    #[test]
    fn a_state_of_an_alert_has_an_identity_of_its_own_in_updated_mode_only() {
        let one = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:28.3Z"}"#);
        let same = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:28.3000000Z","status":"New"}"#);
        let later = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:29Z"}"#);
        let other = alert(r#"{"id":"b","lastUpdateTime":"2026-11-20T09:14:28.3Z"}"#);
        for mode in [Mode::Created, Mode::Updated] {
            assert_eq!(one.identity(mode), same.identity(mode));
            assert_ne!(one.identity(mode), other.identity(mode));
        }
        assert_eq!(one.identity(Mode::Created), later.identity(Mode::Created));
        assert_ne!(one.identity(Mode::Updated), later.identity(Mode::Updated));
    }

    #[test]
    fn a_page_is_split_into_its_elements_with_their_own_text() {
        let body = Bytes::from_static(br#"{"@odata.context":"c","value":[ {"id":"a", "n":1e400} ,8 ]}"#);
        let page = Page::parse(&body, None).expect("a page");
        assert_eq!(page.elements[0].as_ref().expect("an alert").text, r#"{"id":"a", "n":1e400}"#);
        assert!(page.elements[1].is_err() && page.elements.len() == 2 && !page.has_next_link);
        let more =
            Page::parse(&Bytes::from_static(br#"{"value":[],"@odata.nextLink":"x"}"#), None).expect("a page");
        assert!(more.has_next_link && more.elements.is_empty());
        for text in ["", "<html>", r#"{"value":[{"id":"a"}"#, r#"{"value":{}}"#, "{}"] {
            assert!(Page::parse(&Bytes::from_static(text.as_bytes()), None).is_err(), "{text}");
        }
    }
}
