//! An alert as it was received: its own text, and the few members that decide what happens to it.

use azure_core::time::OffsetDateTime;
use bytestring::ByteString;
use sha2::{Digest, Sha256};

use crate::record::{
    json::{Border, Object, plain, text_of},
    timestamp::{self, floor},
};

/// What makes an alert new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each alert is sent once, walked by `alertCreationTime`.
    Created,
    /// An alert is sent again at each `lastUpdateTime`, walked by that.
    Updated,
}

impl Mode {
    /// The members whose time a row has as its `TimeGenerated`: the first of them that can be read.
    pub fn row_times(self) -> &'static [&'static str] {
        match self {
            Self::Created => &["alertCreationTime"],
            // A row is a state of its alert, and is of the time at which the alert came into that state.
            Self::Updated => &["lastUpdateTime", "alertCreationTime"],
        }
    }
}

/// As many members as an alert has, rather more (facts A6).
const USUAL_MEMBERS: usize = 40;

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
    /// What tells this state of it from others: `lastUpdateTime`, or its text where that says no time.
    state: State,
    /// Where its members are in its text, if that is plain.
    borders: Option<Vec<Border>>,
}

/// An element of the list that is no alert, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAlert {
    /// The element's text.
    pub text: ByteString,
    /// What is wrong with it.
    pub reason: String,
}

impl Alert {
    /// Reads one alert.
    pub fn parse(text: ByteString) -> Result<Self, InvalidAlert> {
        if let Some((alert, end)) = Self::plainly(&text, 0)
            && end == text.len()
        {
            return alert;
        }
        let mut head = Head::default();
        match Object::parse(text.as_bytes()) {
            Ok(object) => object.members.iter().for_each(|member| head.put(&member.name, member.value)),
            Err(error) => {
                let reason = format!("it is no JSON object: {error}");
                return Err(InvalidAlert { text, reason });
            }
        }
        head.alert(text.clone(), None)
    }

    /// Reads the alert that begins at `start` of `text`, whose memory it shares, and tells where it ends; none
    /// unless it is plain JSON.
    pub fn plainly(text: &ByteString, start: usize) -> Option<(Result<Self, InvalidAlert>, usize)> {
        let (mut borders, mut head) = (Vec::with_capacity(USUAL_MEMBERS), Head::default());
        let end = plain::members(text.as_bytes(), start, |name, at| {
            let end = plain::value(text.as_bytes(), at)?;
            head.put(&text[name.clone()], &text[at..end]);
            borders.push(Border::new(name.start - start..name.end - start, at - start..end - start));
            Some(end)
        })?;
        Some((head.alert(text.slice_ref(&text[start..end]), Some(borders)), end))
    }

    /// Its members.
    pub fn object(&self) -> Result<Object<'_>, serde_json::Error> {
        match &self.borders {
            Some(borders) => Ok(Object::within(&self.text, borders)),
            None => Object::parse(self.text.as_bytes()),
        }
    }

    /// The time by which the list is walked in `mode`, as far as the service can tell two times apart.
    pub fn time(&self, mode: Mode) -> Option<OffsetDateTime> {
        match mode {
            Mode::Created => self.created.map(floor),
            Mode::Updated => self.updated.map(floor),
        }
    }

    /// The time that its row has in `mode` as `TimeGenerated`, after the member that says it; none when the row
    /// has the time at which it arrives.
    pub fn generated(&self, mode: Mode) -> Option<(&'static str, OffsetDateTime)> {
        let time = |name: &str| if name == "lastUpdateTime" { self.updated } else { self.created };
        mode.row_times().iter().find_map(|name| Some((*name, time(name)?)))
    }

    /// What tells this alert (in updated mode: this state of it) from all others.
    pub fn fingerprint(&self, mode: Mode) -> Fingerprint {
        let id = self.id.as_bytes();
        match (mode, &self.state) {
            (Mode::Created, _) => Fingerprint::of(&[id]),
            (Mode::Updated, State::Time(time)) => {
                let nanos = time.map_or(0, OffsetDateTime::unix_timestamp_nanos);
                Fingerprint::of(&[id, &nanos.to_be_bytes()])
            }
            (Mode::Updated, State::Text(text)) => Fingerprint::of(&[id, text.as_bytes()]),
        }
    }
}

/// What tells a state of an alert from its others.
#[derive(Debug, Clone)]
enum State {
    Time(Option<OffsetDateTime>),
    Text(String),
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

    fn alert(&self, text: ByteString, borders: Option<Vec<Border>>) -> Result<Alert, InvalidAlert> {
        let text_in = |value: Option<&'a str>| value.and_then(text_of).filter(|text| !text.is_empty());
        let time_in = |value: Option<&str>| timestamp::parse(&text_of(value?).unwrap_or(value?.into()));
        let Some(id) = text_in(self.id).map(String::from) else {
            return Err(InvalidAlert { text, reason: "it has no id that is a text".to_owned() });
        };
        let updated = time_in(self.updated);
        let state = match self.updated.filter(|value| updated.is_none() && *value != "null") {
            None => State::Time(updated),
            Some(value) => State::Text(value.to_owned()),
        };
        Ok(Alert {
            text,
            id,
            machine_id: text_in(self.machine_id).map(String::from),
            created: time_in(self.created),
            updated,
            state,
            borders,
        })
    }
}

impl InvalidAlert {
    /// What tells this element from others: its whole text.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&[b"no alert", self.text.as_bytes()])
    }
}

/// A fingerprint of 96 bits, which is 16 characters of base64 with none left over. Of ten thousand
/// million alerts, the chance that one is taken for another that is remembered is below 10^-13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; Fingerprint::BYTES]);

impl Fingerprint {
    /// The length of a fingerprint.
    pub const BYTES: usize = 12;

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
    fn a_row_has_the_time_of_the_state_that_is_in_it() {
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
    fn an_element_that_is_no_alert_is_kept_with_the_reason() {
        for text in ["7", "null", "[]", "{}", r#"{"id":7}"#, r#"{"id":""}"#, r#"{"id":"\ud800"}"#] {
            let invalid_alert = Alert::parse(text.into()).expect_err(text);
            assert_eq!(invalid_alert.text, text);
        }
    }

    #[test]
    fn a_state_of_an_alert_has_an_identity_of_its_own_in_updated_mode_only() {
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
        // Without a zone it is UTC, and what says no time still tells two states apart.
        let bare = alert(r#"{"id":"a","lastUpdateTime":"2026-11-20T09:14:28.3"}"#);
        assert_eq!(one.fingerprint(Mode::Updated), bare.fingerprint(Mode::Updated));
        let [soon, then] = [r#"{"id":"a","lastUpdateTime":"soon"}"#, r#"{"id":"a","lastUpdateTime":"then"}"#];
        assert_ne!(alert(soon).fingerprint(Mode::Updated), alert(then).fingerprint(Mode::Updated));
    }
}
