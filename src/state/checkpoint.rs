//! How far delivery has come. Where the document is kept is up to [`super::StateStore`]. Pure.
//!
//! The document is small JSON that people can read: a watermark, before which everything is delivered, and the
//! fingerprints of the alerts that were delivered since watermark minus look-back, by minute.

mod damage;
mod document;

use std::time::Duration;

use azure_core::time::OffsetDateTime;

pub use damage::Damage;

use crate::{
    http::quota::Quota,
    record::{
        alert::Fingerprint,
        fingerprints::{Fingerprints, start_of_minute},
        page::PageSizes,
        window::Window,
    },
    state::{history::History, lease::Lease},
};

/// The version of the document's format.
const FORMAT_VERSION: u32 = 1;

/// How far a watermark may be in this machine's future: the clocks of two machines differ.
pub const FUTURE: Duration = Duration::from_secs(300);

/// What has been delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything that was listed with an earlier time is delivered or set aside.
    pub watermark: OffsetDateTime,
    /// The fingerprints of everything delivered from here on are known. Nothing earlier is listed again.
    pub known_from: OffsetDateTime,
    /// Where the range of this checkpoint begins; `None` in a document from before this was written. What lies before is
    /// a backfill's.
    pub start: Option<OffsetDateTime>,
    /// Where the range ends; `None` for the timer's, which has no end. Only a backfill's has one.
    pub until: Option<OffsetDateTime>,
    /// The calls of the last hour, which count against the quotas.
    pub quota: Quota,
    /// What is known about the sizes of Defender's pages.
    pub pages: PageSizes,
    /// The last runs.
    pub history: History,
    /// Who is at work on the checkpoint.
    pub lease: Option<Lease>,
    /// What was delivered from [`Checkpoint::known_from`] on.
    delivered: Fingerprints,
}

impl Checkpoint {
    /// Returns the state before the first run: nothing is delivered, and nothing before `start` is wanted.
    pub fn starting_at(start: OffsetDateTime) -> Self {
        Self {
            watermark: start,
            known_from: start,
            start: Some(start),
            until: None,
            quota: Quota::default(),
            pages: PageSizes::default(),
            history: History::default(),
            lease: None,
            delivered: Fingerprints::default(),
        }
    }

    /// Returns the window of a run until `to`, which lists late alerts again from `lookback` before the watermark.
    pub fn window(&self, lookback: Duration, to: OffsetDateTime) -> Window {
        let from = start_of_minute(self.watermark - lookback).max(self.known_from);
        Window { from, to: to.max(from) }
    }

    /// Returns the fingerprints of what is known to be delivered.
    pub fn delivered(&self) -> &Fingerprints {
        &self.delivered
    }

    /// Marks the alert `fingerprint` of `time` as delivered.
    pub fn mark_delivered(&mut self, fingerprint: Fingerprint, time: OffsetDateTime) {
        self.delivered.insert(fingerprint, time);
    }

    /// Moves the watermark forward, and forgets what no run will list again: whole minutes, as a window lists them.
    pub fn advance(&mut self, watermark: OffsetDateTime, lookback: Duration) {
        self.watermark = self.watermark.max(watermark);
        self.known_from = self.known_from.max(start_of_minute(self.watermark - lookback));
        self.delivered.remove_before(self.known_from);
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;
    use crate::state::holder::Holder;

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
    fn fingerprints_are_kept_as_long_as_the_look_back_and_survive_the_document() {
        let mut checkpoint = Checkpoint::starting_at(at("2026-11-24T00:00:00Z"));
        let [old, kept, late] = [1, 2, 3].map(|n| Fingerprint([n; Fingerprint::BYTES]));
        checkpoint.mark_delivered(old, at("2026-11-24T01:59:59.9Z"));
        checkpoint.mark_delivered(kept, at("2026-11-24T02:00:59.9Z"));
        checkpoint.advance(at("2026-11-24T03:00:30.0000001Z"), HOUR);
        checkpoint.mark_delivered(late, at("2026-11-24T03:00:00Z"));
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
    fn the_lease_stands_where_an_older_version_leaves_it_out() {
        let mut checkpoint = Checkpoint::starting_at(at("2026-11-24T00:00:00Z"));
        checkpoint.lease = Some(Lease::of(&Holder::named("a/1/2"), at("2026-11-24T05:00:00Z")));
        let text = String::from_utf8(checkpoint.to_json()).expect("text");
        assert!(text.contains(r#"{"lease":{"holder":"a/1/2","until":"2026-11-24T05:01:30Z"}}"#), "{text}");
        let now = at("2026-11-24T05:00:00Z");
        assert_eq!(Checkpoint::from_json(text.as_bytes(), now).expect("a document"), checkpoint);
        // What an older version makes of the entries.
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let history: History = serde_json::from_value(document["history"].clone()).expect("a history");
        assert_eq!(history, History::default());
    }

    #[test]
    fn a_document_without_a_start_is_read() {
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
            checkpoint.mark_delivered(Fingerprint(fingerprint), time);
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
    fn a_damaged_document_is_rejected_with_the_reason() {
        for (text, reason) in [
            ("", "not the expected JSON"),
            ("{}", "not the expected JSON"),
            ("{\"version\":1", "not the expected JSON"),
            ("{\"version\":1}", "not the expected JSON"),
            ("{\"version\":2,\"somethingNew\":1}", "version is 2"),
            (
                r#"{"version":1,"watermark":"x","knownFrom":"2026-11-24T00:00:00Z","delivered":{}}"#,
                "\"x\" is not a valid time",
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
