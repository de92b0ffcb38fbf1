//! How far delivery has come. Pure: where the document is kept is the business of `state.rs`. Pure.
//!
//! The document is small JSON that a person can read: a watermark, up to which everything is
//! delivered, and the fingerprints delivered since watermark minus look-back, by minute.

use std::{collections::BTreeMap, fmt, time::Duration};

use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    config::time::FIRST_YEAR,
    http::quota::Quota,
    record::{
        alert::Fingerprint,
        fingerprints::{Fingerprints, start_of_minute},
        page::PageSizes,
        window::Window,
    },
    state::history::History,
};

/// The version of the document's form.
const VERSION: u32 = 1;

/// A watermark may be later than this machine's time by so much: the clocks of two machines differ.
pub const FUTURE: Duration = Duration::from_secs(300);

/// What has been delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything that was listed with a time before this is delivered or set aside.
    pub watermark: OffsetDateTime,
    /// Of everything delivered from here on the fingerprint is known. Nothing before is looked at again.
    pub known_from: OffsetDateTime,
    /// Where everything began that this checkpoint stands for; none in a document from before this was
    /// noted. What lies before it is a backfill's.
    pub start: Option<OffsetDateTime>,
    /// Where it ends; none for the timer's, which has no end. Only a backfill's has one.
    pub until: Option<OffsetDateTime>,
    /// The calls of the last hour, which count against the quotas.
    pub quota: Quota,
    /// What is known of the pages that Defender gives.
    pub pages: PageSizes,
    /// What the last runs came to.
    pub history: History,
    /// What was delivered from [`Checkpoint::known_from`] on.
    delivered: Fingerprints,
}

impl Checkpoint {
    /// The state before the first run: nothing delivered, and nothing before `start` wanted.
    pub fn starting_at(start: OffsetDateTime) -> Self {
        Self {
            watermark: start,
            known_from: start,
            start: Some(start),
            until: None,
            quota: Quota::default(),
            pages: PageSizes::default(),
            history: History::default(),
            delivered: Fingerprints::default(),
        }
    }

    /// The window of a run until `to` that looks `lookback` behind the watermark for late alerts.
    pub fn window(&self, lookback: Duration, to: OffsetDateTime) -> Window {
        let from = start_of_minute(self.watermark - lookback).max(self.known_from);
        Window { from, to: to.max(from) }
    }

    /// The alerts that are remembered as delivered.
    pub fn delivered(&self) -> &Fingerprints {
        &self.delivered
    }

    /// Remembers `fingerprint`, an alert of `time`, as delivered.
    pub fn deliver(&mut self, fingerprint: Fingerprint, time: OffsetDateTime) {
        self.delivered.insert(fingerprint, time);
    }

    /// Moves the watermark forward, and forgets what no run will ask for again: whole minutes, so that what is
    /// remembered is what a window from there on lists.
    pub fn advance(&mut self, watermark: OffsetDateTime, lookback: Duration) {
        self.watermark = self.watermark.max(watermark);
        self.known_from = self.known_from.max(start_of_minute(self.watermark - lookback));
        self.delivered.remove_before(self.known_from);
    }

    /// The document's text.
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            version: VERSION,
            watermark: to_rfc3339(&self.watermark),
            known_from: to_rfc3339(&self.known_from),
            start: self.start.as_ref().map(to_rfc3339),
            until: self.until.as_ref().map(to_rfc3339),
            quota: self.quota.clone(),
            pages: self.pages,
            history: self.history.clone(),
            delivered: ByMinute(self.delivered.by_minute()),
        };
        // Room for all: a text of megabytes that grows by doubling is the most memory that a run takes.
        let runs = self.history.entries().len();
        let room =
            self.delivered.len() * PACKED + self.delivered.by_minute().len() * 32 + runs * 512 + (16 << 10);
        let mut text = Vec::with_capacity(room);
        serde_json::to_writer_pretty(&mut text, &document).expect("numbers and texts can be written as JSON");
        text
    }

    /// Reads a document back at `now`.
    pub fn from_json(text: &[u8], now: OffsetDateTime) -> Result<Self, Damage> {
        let FormatVersion { version } = serde_json::from_slice(text).map_err(Damage::NotReadable)?;
        if version != VERSION {
            return Err(Damage::UnknownVersion(version));
        }
        let document: Document<BTreeMap<String, String>> =
            serde_json::from_slice(text).map_err(Damage::NotReadable)?;
        let time = |text: &str| parse_rfc3339(text).map_err(|_| Damage::NoTime(text.to_owned()));
        let mut checkpoint = Self::starting_at(time(&document.known_from)?);
        checkpoint.watermark = time(&document.watermark)?;
        checkpoint.start = document.start.as_deref().map(time).transpose()?;
        checkpoint.until = document.until.as_deref().map(time).transpose()?;
        checkpoint.quota = document.quota;
        checkpoint.pages = document.pages;
        checkpoint.history = document.history;
        let begins_late = checkpoint.start.is_some_and(|start| start > checkpoint.known_from);
        if checkpoint.watermark < checkpoint.known_from || begins_late {
            return Err(Damage::Inverted);
        }
        if checkpoint.known_from.year() < FIRST_YEAR {
            return Err(Damage::Absurd(document.known_from));
        }
        if checkpoint.watermark > now + FUTURE {
            return Err(Damage::FromTheFuture(document.watermark));
        }
        for (minute, packed) in &document.delivered {
            let at = time(&format!("{minute}:00Z"))?;
            for fingerprint in unpack(packed).ok_or_else(|| Damage::NoIdentities(minute.clone()))? {
                checkpoint.deliver(fingerprint, at);
            }
        }
        Ok(checkpoint)
    }
}

/// Why a document cannot be used. Starting over instead would send or lose alerts unseen.
#[derive(Debug)]
pub enum Damage {
    /// It is not the JSON it should be.
    NotReadable(serde_json::Error),
    /// It was written by another version of this program.
    UnknownVersion(u32),
    /// A time in it is none.
    NoTime(String),
    /// The fingerprints of a minute cannot be read.
    NoIdentities(String),
    /// The watermark lies before what is known.
    Inverted,
    /// It begins before there was anything to forward.
    Absurd(String),
    /// Its watermark is later than now: either it or this machine's clock is wrong.
    FromTheFuture(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReadable(_) => f.write_str("it is not the JSON it should be"),
            Self::UnknownVersion(version) => {
                write!(f, "its version is {version}, and this program knows version {VERSION}")
            }
            Self::NoTime(text) => write!(f, "{text:?} is no time"),
            Self::NoIdentities(minute) => write!(f, "the fingerprints of {minute:?} cannot be read"),
            Self::Inverted => f.write_str("its watermark lies before its beginning"),
            Self::Absurd(time) => write!(f, "it begins at {time:?}, before Defender for Endpoint had alerts"),
            Self::FromTheFuture(time) => {
                write!(f, "its watermark {time:?} is later than now: it is wrong, or this machine's clock is")
            }
        }
    }
}

impl std::error::Error for Damage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotReadable(error) => Some(error),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct FormatVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document<D> {
    version: u32,
    watermark: String,
    known_from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default)]
    quota: Quota,
    #[serde(default, skip_serializing_if = "is_default")]
    pages: PageSizes,
    #[serde(default)]
    history: History,
    /// By minute (`2026-11-24T05:55`), base64 of the fingerprints one after the other: 1.6 MB for 100,000
    /// alerts an hour.
    delivered: D,
}

fn is_default(pages: &PageSizes) -> bool {
    *pages == PageSizes::default()
}

/// The characters of base64 that a fingerprint takes.
const PACKED: usize = Fingerprint::BYTES / 3 * 4;

/// Identities as the document has them, put together minute by minute.
struct ByMinute<'a>(&'a BTreeMap<i64, Vec<Fingerprint>>);

impl Serialize for ByMinute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(minute, ids)| (minute_name(*minute), pack(ids))))
    }
}

fn minute_name(minute: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(minute * 60).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    to_rfc3339(&time).trim_end_matches(":00Z").to_owned()
}

fn pack(fingerprints: &[Fingerprint]) -> String {
    BASE64_STANDARD.encode(fingerprints.iter().flat_map(|fingerprint| fingerprint.0).collect::<Vec<u8>>())
}

fn unpack(packed: &str) -> Option<Vec<Fingerprint>> {
    let bytes = BASE64_STANDARD.decode(packed).ok()?;
    let chunks = bytes.chunks_exact(Fingerprint::BYTES);
    chunks.remainder().is_empty().then(|| chunks.filter_map(|c| c.try_into().ok().map(Fingerprint)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> OffsetDateTime {
        parse_rfc3339(text).expect(text)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_window_looks_back_but_never_before_what_is_known() {
        let mut checkpoint = Checkpoint::starting_at(at("2026-11-24T00:00:00Z"));
        let now = at("2026-11-24T06:00:00.1234567Z");
        assert_eq!(checkpoint.window(HOUR, now), Window { from: at("2026-11-24T00:00:00Z"), to: now });
        checkpoint.advance(at("2026-11-24T00:30:00Z"), HOUR);
        assert_eq!(checkpoint.window(HOUR, now).from, at("2026-11-24T00:00:00Z"));
        checkpoint.advance(at("2026-11-24T05:00:00Z"), HOUR);
        assert_eq!(checkpoint.window(HOUR, now).from, at("2026-11-24T04:00:00Z"));
        // A longer look-back than before must not read again what was forgotten.
        assert_eq!(checkpoint.window(HOUR * 3, now).from, at("2026-11-24T04:00:00Z"));
        // Nor does a clock that was set back turn the window round.
        let window = checkpoint.window(HOUR, at("2026-11-24T03:00:00Z"));
        assert_eq!(window.from, window.to);
    }

    #[test]
    fn identities_are_remembered_as_long_as_the_look_back_and_survive_the_document() {
        let mut checkpoint = Checkpoint::starting_at(at("2026-11-24T00:00:00Z"));
        let [old, kept, late] = [1, 2, 3].map(|n| Fingerprint([n; Fingerprint::BYTES]));
        checkpoint.deliver(old, at("2026-11-24T01:59:59.9Z"));
        checkpoint.deliver(kept, at("2026-11-24T02:00:59.9Z"));
        checkpoint.advance(at("2026-11-24T03:00:30.0000001Z"), HOUR);
        checkpoint.deliver(late, at("2026-11-24T03:00:00Z"));
        assert_eq!(
            [old, kept, late].map(|fingerprint| checkpoint.delivered().contains(fingerprint)),
            [false, true, true]
        );

        let text = String::from_utf8(checkpoint.to_json()).expect("text");
        assert_eq!(
            text,
            r#"{
  "version": 1,
  "watermark": "2026-11-24T03:00:30.0000001Z",
  "knownFrom": "2026-11-24T02:00:00Z",
  "start": "2026-11-24T00:00:00Z",
  "quota": {},
  "history": [],
  "delivered": {
    "2026-11-24T02:00": "AgICAgICAgICAgIC",
    "2026-11-24T03:00": "AwMDAwMDAwMDAwMD"
  }
}"#
        );
        let now = at("2026-11-24T02:58:00Z");
        assert_eq!(Checkpoint::from_json(text.as_bytes(), now).expect("a document"), checkpoint);
    }

    #[test]
    fn a_document_that_does_not_say_where_it_began_is_read_all_the_same() {
        let text = r#"{"version":1,"watermark":"2026-11-24T05:00:00Z","knownFrom":"2026-11-24T04:00:00Z","delivered":{}}"#;
        let checkpoint =
            Checkpoint::from_json(text.as_bytes(), at("2026-11-24T06:00:00Z")).expect("a document");
        assert_eq!((checkpoint.start, checkpoint.until), (None, None));
        assert!(!String::from_utf8(checkpoint.to_json()).expect("text").contains("start"));
    }

    #[test]
    fn a_hundred_thousand_alerts_an_hour_make_a_document_of_less_than_two_megabytes() {
        let start = at("2026-11-24T00:00:00Z");
        let mut checkpoint = Checkpoint::starting_at(start);
        for number in 0..300_000_u64 {
            let mut fingerprint = [0; Fingerprint::BYTES];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            let time = start + Duration::from_millis(36 * number);
            checkpoint.deliver(Fingerprint(fingerprint), time);
            if number % 1_000 == 0 {
                checkpoint.advance(time, HOUR);
            }
        }
        let bytes = checkpoint.to_json().len();
        assert!(bytes < 2_000_000, "{bytes} bytes");
        assert!(checkpoint.delivered.len() < 103_000, "{} fingerprints", checkpoint.delivered.len());
    }

    #[test]
    fn the_watermark_never_goes_back() {
        let mut checkpoint = Checkpoint::starting_at(at("2026-11-24T05:00:00Z"));
        checkpoint.advance(at("2026-11-24T04:00:00Z"), HOUR);
        assert_eq!(checkpoint, Checkpoint::starting_at(at("2026-11-24T05:00:00Z")));
    }

    #[test]
    fn a_damaged_document_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "not the JSON"),
            ("{}", "not the JSON"),
            ("{\"version\":1", "not the JSON"),
            ("{\"version\":1}", "not the JSON"),
            ("{\"version\":2,\"somethingNew\":1}", "version is 2"),
            (
                r#"{"version":1,"watermark":"x","knownFrom":"2026-11-24T00:00:00Z","delivered":{}}"#,
                "\"x\" is no time",
            ),
            (
                r#"{"version":1,"watermark":"2026-11-23T00:00:00Z","knownFrom":"2026-11-24T00:00:00Z","delivered":{}}"#,
                "before its beginning",
            ),
            (
                r#"{"version":1,"watermark":"2026-11-24T00:00:00Z","knownFrom":"2026-11-23T00:00:00Z","start":"2026-11-23T12:00:00Z","delivered":{}}"#,
                "before its beginning",
            ),
            (
                r#"{"version":1,"watermark":"2026-11-24T00:00:00Z","knownFrom":"2026-11-24T00:00:00Z","delivered":{"2026-11-24T00:00":"AAAA"}}"#,
                r#"fingerprints of "2026-11-24T00:00""#,
            ),
            (
                r#"{"version":1,"watermark":"2026-11-24T00:05:01Z","knownFrom":"2026-11-23T00:00:00Z","delivered":{}}"#,
                "later than now",
            ),
            (
                r#"{"version":1,"watermark":"2026-11-24T00:00:00Z","knownFrom":"0001-01-01T00:00:00Z","delivered":{}}"#,
                "before Defender",
            ),
        ] {
            let now = at("2026-11-24T00:00:00Z");
            let damage = Checkpoint::from_json(text.as_bytes(), now).expect_err(text).to_string();
            assert!(damage.contains(reason), "{text}: {damage}");
        }
    }
}
