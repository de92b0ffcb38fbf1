//! An alert as it was received: its own text, and the few members that decide what happens to it.

use std::sync::Arc;

use azure_core::time::OffsetDateTime;
use bytestring::ByteString;
use sha2::{Digest, Sha256};

use crate::{
    record::{
        json::{CompactReader, MemberSpan, Object, text_of},
        machine::Machine,
        timestamp::{self, floor},
    },
    schema::{ALERT_CREATION_TIME, ID, LAST_UPDATE_TIME, MACHINE_ID},
};

/// What makes an alert new, `MDATP_MODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each alert is sent once. The list is read by `alertCreationTime`.
    Created,
    /// An alert is sent again whenever its `lastUpdateTime` changes. The list is read by that.
    Updated,
}

impl Mode {
    /// The member by which the list is filtered and ordered.
    pub fn list_time(self) -> &'static str {
        match self {
            Self::Created => ALERT_CREATION_TIME,
            Self::Updated => LAST_UPDATE_TIME,
        }
    }

    /// The members of which the first that is a valid time becomes the row's `TimeGenerated`.
    pub fn row_times(self) -> &'static [&'static str] {
        match self {
            Self::Created => &[ALERT_CREATION_TIME],
            // A row is a state of its alert, and is dated by when the alert entered that state.
            Self::Updated => &[LAST_UPDATE_TIME, ALERT_CREATION_TIME],
        }
    }
}

/// A little more than the number of members of an alert.
const USUAL_MEMBERS: usize = 40;

/// An alert of Defender's list or of `GET /api/alerts/{id}`.
#[derive(Debug, Clone)]
pub struct Alert {
    /// The whole object as the service wrote it.
    pub text: ByteString,
    /// `id`, opaque.
    pub id: String,
    /// `machineId`; `None` if it is null, empty or missing, as for an alert on a mailbox.
    pub machine_id: Option<String>,
    /// `alertCreationTime`; `None` if it is not a valid time.
    pub created: Option<OffsetDateTime>,
    /// `lastUpdateTime`; `None` if it is not a valid time.
    pub updated: Option<OffsetDateTime>,
    /// The machine that came with the alert; `None` from a source whose machines are looked up.
    pub machine: Option<Arc<Machine>>,
    /// Distinguishes this state of the alert from others.
    state: AlertState,
    /// Where the members are in the text, if that is compact.
    spans: Option<Vec<MemberSpan>>,
}

/// An element of the list that is not an alert, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAlert {
    /// The element's text.
    pub text: ByteString,
    /// What is wrong with it.
    pub reason: String,
}

impl Alert {
    /// Reads one alert.
    ///
    /// # Errors
    ///
    /// `text` is not a JSON object, or has no id.
    pub fn parse(text: ByteString) -> Result<Self, InvalidAlert> {
        if let Some((alert, end)) = Self::parse_compact(&text, 0)
            && end == text.len()
        {
            return alert;
        }
        let mut members = DecidingMembers::default();
        match Object::parse(text.as_bytes()) {
            Ok(object) => object.members.iter().for_each(|member| members.put(&member.name, member.value)),
            Err(error) => {
                let reason = format!("it is not a JSON object: {error}");
                return Err(InvalidAlert { text, reason });
            }
        }
        members.alert(text.clone(), None)
    }

    /// Reads the alert that begins at `start` of `text`, whose memory it shares, and returns it with the place where it
    /// ends. Returns `None` unless it is compact JSON.
    pub fn parse_compact(text: &ByteString, start: usize) -> Option<(Result<Self, InvalidAlert>, usize)> {
        let reader = CompactReader::new(text);
        let (mut spans, mut members) = (Vec::with_capacity(USUAL_MEMBERS), DecidingMembers::default());
        let end = reader.members(start, |name, at| {
            let end = reader.value(at)?;
            members.put(&text[name.clone()], &text[at..end]);
            spans.push(MemberSpan::new(name.start - start..name.end - start, at - start..end - start));
            Some(end)
        })?;
        Some((members.alert(text.slice_ref(&text[start..end]), Some(spans)), end))
    }

    /// Returns its members.
    ///
    /// # Errors
    ///
    /// The text is not a JSON object. The text of an alert that was read is one, apart from names that are not Unicode
    /// text.
    pub fn object(&self) -> Result<Object<'_>, serde_json::Error> {
        match &self.spans {
            Some(spans) => Ok(Object::from_spans(&self.text, spans)),
            None => Object::parse(self.text.as_bytes()),
        }
    }

    /// Returns the time by which the list is read in `mode`, in the precision of the service.
    pub fn time(&self, mode: Mode) -> Option<OffsetDateTime> {
        match mode {
            Mode::Created => self.created.map(floor),
            Mode::Updated => self.updated.map(floor),
        }
    }

    /// Returns the `TimeGenerated` that its row has in `mode`, after the name of the member that it is taken from.
    /// Returns `None` if the row has the time of its arrival.
    pub fn generated(&self, mode: Mode) -> Option<(&'static str, OffsetDateTime)> {
        let time = |name: &str| if name == LAST_UPDATE_TIME { self.updated } else { self.created };
        mode.row_times().iter().find_map(|name| Some((*name, time(name)?)))
    }

    /// Returns what distinguishes this alert (in updated mode: this state of it) from all others.
    pub fn fingerprint(&self, mode: Mode) -> Fingerprint {
        let id = self.id.as_bytes();
        match (mode, &self.state) {
            (Mode::Created, _) => Fingerprint::of_id(&self.id),
            (Mode::Updated, AlertState::Time(time)) => {
                let nanos = time.map_or(0, OffsetDateTime::unix_timestamp_nanos);
                Fingerprint::of(&[id, &nanos.to_be_bytes()])
            }
            (Mode::Updated, AlertState::Text(text)) => Fingerprint::of(&[id, text.as_bytes()]),
        }
    }
}

/// Distinguishes the states of one alert.
#[derive(Debug, Clone)]
enum AlertState {
    /// `lastUpdateTime`.
    Time(Option<OffsetDateTime>),
    /// Its text, where that is not a valid time.
    Text(String),
}

/// The values of the members that decide what happens to an alert.
#[derive(Default)]
struct DecidingMembers<'a> {
    id: Option<&'a str>,
    machine_id: Option<&'a str>,
    created: Option<&'a str>,
    updated: Option<&'a str>,
}

impl<'a> DecidingMembers<'a> {
    fn put(&mut self, name: &str, value: &'a str) {
        match name {
            ID => self.id = Some(value),
            MACHINE_ID => self.machine_id = Some(value),
            ALERT_CREATION_TIME => self.created = Some(value),
            LAST_UPDATE_TIME => self.updated = Some(value),
            _ => {}
        }
    }

    fn alert(&self, text: ByteString, spans: Option<Vec<MemberSpan>>) -> Result<Alert, InvalidAlert> {
        let text_in = |value: Option<&'a str>| value.and_then(text_of).filter(|text| !text.is_empty());
        let time_in = |value: Option<&str>| timestamp::parse(&text_of(value?).unwrap_or(value?.into()));
        let Some(id) = text_in(self.id).map(String::from) else {
            return Err(InvalidAlert { text, reason: "it has no id that is a string".to_owned() });
        };
        let updated = time_in(self.updated);
        let state = match self.updated.filter(|value| updated.is_none() && *value != "null") {
            None => AlertState::Time(updated),
            Some(value) => AlertState::Text(value.to_owned()),
        };
        Ok(Alert {
            text,
            id,
            machine_id: text_in(self.machine_id).map(String::from),
            created: time_in(self.created),
            updated,
            machine: None,
            state,
            spans,
        })
    }
}

impl InvalidAlert {
    /// Returns what distinguishes this element from others: a digest of its whole text.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&[b"no alert", self.text.as_bytes()])
    }
}

/// A digest of 96 bits, which is 16 characters of base64 without padding. Among ten billion alerts, the chance that one
/// is mistaken for another that is remembered is below 10^-13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; Fingerprint::BYTES]);

impl Fingerprint {
    /// The length in bytes.
    pub const BYTES: usize = 12;

    /// The fingerprint in created mode of the alert with this id.
    pub fn of_id(id: &str) -> Self {
        Self::of(&[id.as_bytes()])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut fingerprint = [0; Self::BYTES];
        fingerprint.copy_from_slice(&digest[..Self::BYTES]);
        Self(fingerprint)
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
    fn a_row_is_dated_by_the_state_that_is_in_it() {
        let created = "2026-11-20T09:14:27Z";
        for (updated, mode, member, time) in [
            ("2026-11-20T19:00:00Z", Mode::Created, "alertCreationTime", created),
            ("2026-11-20T19:00:00Z", Mode::Updated, "lastUpdateTime", "2026-11-20T19:00:00Z"),
            ("soon", Mode::Updated, "alertCreationTime", created),
        ] {
            let text =
                format!(r#"{{"id":"a","alertCreationTime":"{created}","lastUpdateTime":"{updated}"}}"#);
            let alert = Alert::parse(text.into()).expect("an alert");
            assert_eq!(alert.generated(mode), Some((member, timestamp::parse(time).expect("a time"))));
        }
        assert_eq!(alert(r#"{"id":"a"}"#).generated(Mode::Updated), None);
    }

    #[test]
    fn an_element_that_is_not_an_alert_is_kept_with_the_reason() {
        for text in ["7", "null", "[]", "{}", r#"{"id":7}"#, r#"{"id":""}"#, r#"{"id":"\ud800"}"#] {
            let invalid_alert = Alert::parse(text.into()).expect_err(text);
            assert_eq!(invalid_alert.text, text);
        }
    }

    #[test]
    fn a_state_of_an_alert_has_a_fingerprint_of_its_own_in_updated_mode_only() {
        let one = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:28.3Z"}"#);
        let same = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:28.3000000Z","status":"New"}"#);
        let later = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:29Z"}"#);
        let other = alert(r#"{"id":"b","lastUpdateTime":"2026-11-20T09:14:28.3Z"}"#);
        for mode in [Mode::Created, Mode::Updated] {
            assert_eq!(one.fingerprint(mode), same.fingerprint(mode));
            assert_ne!(one.fingerprint(mode), other.fingerprint(mode));
        }
        assert_eq!(one.fingerprint(Mode::Created), later.fingerprint(Mode::Created));
        assert_ne!(one.fingerprint(Mode::Updated), later.fingerprint(Mode::Updated));
        // Without a zone it is UTC, and what is not a valid time still distinguishes two states.
        let bare = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:28.3"}"#);
        assert_eq!(one.fingerprint(Mode::Updated), bare.fingerprint(Mode::Updated));
        let [soon, then] = [r#"{"id":"a","lastUpdateTime":"soon"}"#, r#"{"id":"a","lastUpdateTime":"then"}"#];
        assert_ne!(alert(soon).fingerprint(Mode::Updated), alert(then).fingerprint(Mode::Updated));
    }
}
