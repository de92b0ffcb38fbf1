//! The text of a checkpoint's document. Pure.

use std::collections::BTreeMap;

use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::{Checkpoint, Damage, FORMAT_VERSION, FUTURE};
use crate::{
    config::time::FIRST_YEAR,
    http::quota::Quota,
    record::{alert::Fingerprint, page::PageSizes},
    state::{history::History, lease::Lease},
};

/// The characters of a fingerprint in base64.
const FINGERPRINT_LENGTH: usize = Fingerprint::BYTES / 3 * 4;

/// More than the characters of a minute's name, of an entry of the history without an error, and of all the rest.
const MINUTE_LENGTH: usize = 32;
const ENTRY_LENGTH: usize = 512;
const REST_LENGTH: usize = 16 << 10;

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
    history: HistoryAndLease,
    /// By minute (`2026-11-24T05:55`), the fingerprints one after another in base64: 1.6 MB for 100,000 alerts an hour.
    delivered: D,
}

/// The history, and behind its entries the lease, as `{"lease":{…}}`. Versions from before leases reject a document that has
/// an unknown member, but leave out what they cannot read of the history: they go on without regard to the lease, by
/// compare-and-swap alone.
#[derive(Default)]
struct HistoryAndLease {
    history: History,
    lease: Option<Lease>,
}

/// The lease among the entries of the history.
#[derive(Serialize, Deserialize)]
struct LeaseEntry {
    lease: Lease,
}

impl Serialize for HistoryAndLease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = |lease: &Lease| {
            to_raw_value(&LeaseEntry { lease: lease.clone() }).expect("strings can be written as JSON")
        };
        serializer.collect_seq(self.history.lines().chain(self.lease.iter().map(line)))
    }
}

impl<'de> Deserialize<'de> for HistoryAndLease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lines = Vec::<Box<RawValue>>::deserialize(deserializer)?;
        let entry = |line: &RawValue| serde_json::from_str::<LeaseEntry>(line.get()).ok();
        let lease = lines.iter().find_map(|line| entry(line)).map(|LeaseEntry { lease }| lease);
        Ok(Self { history: History::of(&lines), lease })
    }
}

fn is_default(pages: &PageSizes) -> bool {
    *pages == PageSizes::default()
}

impl Checkpoint {
    /// Returns the document's text.
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            version: FORMAT_VERSION,
            watermark: to_rfc3339(&self.watermark),
            known_from: to_rfc3339(&self.known_from),
            start: self.start.as_ref().map(to_rfc3339),
            until: self.until.as_ref().map(to_rfc3339),
            quota: self.quota.clone(),
            pages: self.pages,
            history: HistoryAndLease { history: self.history.clone(), lease: self.lease.clone() },
            delivered: ByMinute(self.delivered.by_minute()),
        };
        // Reserved at once: a text of megabytes that grows by doubling would be the largest use of memory of a run.
        let runs = self.history.entries().len();
        let capacity = self.delivered.len() * FINGERPRINT_LENGTH
            + self.delivered.by_minute().len() * MINUTE_LENGTH
            + runs * ENTRY_LENGTH
            + REST_LENGTH;
        let mut text = Vec::with_capacity(capacity);
        serde_json::to_writer_pretty(&mut text, &document)
            .expect("numbers and strings can be written as JSON");
        text
    }

    /// Reads a document at the time `now`.
    ///
    /// # Errors
    ///
    /// The first reason why it cannot be used.
    pub fn from_json(text: &[u8], now: OffsetDateTime) -> Result<Self, Damage> {
        let FormatVersion { version } = serde_json::from_slice(text).map_err(Damage::InvalidJson)?;
        if version != FORMAT_VERSION {
            return Err(Damage::UnknownVersion(version));
        }
        let document: Document<BTreeMap<String, String>> =
            serde_json::from_slice(text).map_err(Damage::InvalidJson)?;
        let time = |text: &str| parse_rfc3339(text).map_err(|_| Damage::InvalidTime(text.to_owned()));
        let mut checkpoint = Self::starting_at(time(&document.known_from)?);
        checkpoint.watermark = time(&document.watermark)?;
        checkpoint.start = document.start.as_deref().map(time).transpose()?;
        checkpoint.until = document.until.as_deref().map(time).transpose()?;
        checkpoint.quota = document.quota;
        checkpoint.pages = document.pages;
        let HistoryAndLease { history, lease } = document.history;
        (checkpoint.history, checkpoint.lease) = (history, lease);
        let begins_late = checkpoint.start.is_some_and(|start| start > checkpoint.known_from);
        if checkpoint.watermark < checkpoint.known_from || begins_late {
            return Err(Damage::Inverted);
        }
        if checkpoint.known_from.year() < FIRST_YEAR {
            return Err(Damage::TooEarly(document.known_from));
        }
        if checkpoint.watermark > now + FUTURE {
            return Err(Damage::InFuture(document.watermark));
        }
        for (minute, encoded) in &document.delivered {
            let at = time(&format!("{minute}:00Z"))?;
            let fingerprints = decode(encoded).ok_or_else(|| Damage::InvalidFingerprints(minute.clone()))?;
            for fingerprint in fingerprints {
                checkpoint.mark_delivered(fingerprint, at);
            }
        }
        Ok(checkpoint)
    }
}

/// Fingerprints as the document has them, encoded minute by minute while it is written.
struct ByMinute<'a>(&'a BTreeMap<i64, Vec<Fingerprint>>);

impl Serialize for ByMinute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries =
            self.0.iter().map(|(minute, fingerprints)| (minute_name(*minute), encode(fingerprints)));
        serializer.collect_map(entries)
    }
}

fn minute_name(minute: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(minute * 60).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    to_rfc3339(&time).trim_end_matches(":00Z").to_owned()
}

fn encode(fingerprints: &[Fingerprint]) -> String {
    BASE64_STANDARD.encode(fingerprints.iter().flat_map(|fingerprint| fingerprint.0).collect::<Vec<u8>>())
}

fn decode(encoded: &str) -> Option<Vec<Fingerprint>> {
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let chunks = bytes.chunks_exact(Fingerprint::BYTES);
    chunks.remainder().is_empty().then(|| chunks.filter_map(|c| c.try_into().ok().map(Fingerprint)).collect())
}
