//! Records packed into request bodies: JSON arrays whose size is counted exactly and stays within a sink's limit.

use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;

use crate::{buffers::POOL, record::alert::Fingerprint};

/// What is acknowledged in the checkpoint once the sink has accepted a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The fingerprint of the alert in it.
    pub fingerprint: Fingerprint,
    /// The alert's time, by which the list is read.
    pub time: Option<OffsetDateTime>,
    /// With this alert, everything listed before this time is delivered; `None` while the list is not known to be in
    /// order.
    pub watermark_after: Option<OffsetDateTime>,
    /// The state of the alert in it, if that is newer than the listed one: an alert can change before it is fetched by
    /// its id, and must not be sent again when that state is listed too.
    pub newer: Option<(Fingerprint, OffsetDateTime)>,
    /// The row's `TimeGenerated`; `None` if the row has the time of its arrival.
    pub generated: Option<OffsetDateTime>,
}

impl Ack {
    /// An ack of which no more than the fingerprint is known.
    pub fn of(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, time: None, watermark_after: None, newer: None, generated: None }
    }

    /// Returns all fingerprints that are delivered with it.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        [Some(self.fingerprint), self.newer.map(|(fingerprint, _)| fingerprint)].into_iter().flatten()
    }
}

/// The records of one POST, as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The body, including brackets and commas.
    pub body: Bytes,
    /// The acks of the records, in their order.
    pub acks: Vec<Ack>,
    /// Where each record begins in the body.
    starts: Vec<usize>,
}

impl Batch {
    /// Returns the text of the record at `place`.
    pub fn record(&self, place: usize) -> &[u8] {
        let start = self.starts[place];
        // A comma follows each record, and the bracket the last one.
        let end = self.starts.get(place + 1).map_or(self.body.len(), |next| *next) - 1;
        &self.body[start..end]
    }

    /// Returns the same records in two batches, in order; `None` for a batch of one.
    pub fn halves(&self) -> Option<(Batch, Batch)> {
        let middle = self.acks.len() / 2;
        Some((self.part(0..middle)?, self.part(middle..self.acks.len())?))
    }

    /// Returns the same records in batches, in order, none of which spans more than `span` of time.
    pub fn within(&self, span: Duration) -> Vec<Batch> {
        let (mut batches, mut draft) = (Vec::new(), Draft::default());
        for (place, ack) in self.acks.iter().enumerate() {
            if draft.would_span(ack.generated) > span {
                batches.extend(std::mem::take(&mut draft).finish());
            }
            draft.add(self.record(place), *ack);
        }
        batches.extend(draft.finish());
        batches
    }

    fn part(&self, places: std::ops::Range<usize>) -> Option<Batch> {
        let mut draft = Draft::default();
        for place in places {
            draft.add(self.record(place), self.acks[place]);
        }
        draft.finish()
    }
}

/// A batch that is being written.
#[derive(Debug, Default)]
struct Draft {
    body: Vec<u8>,
    acks: Vec<Ack>,
    starts: Vec<usize>,
    /// The earliest and the latest time of the records.
    times: Option<(OffsetDateTime, OffsetDateTime)>,
}

impl Draft {
    /// Returns the time that the batch spans with a record of `time` added.
    fn would_span(&self, time: Option<OffsetDateTime>) -> Duration {
        let span = self.times.zip(time).map(|((first, last), time)| last.max(time) - first.min(time));
        span.unwrap_or_default().unsigned_abs()
    }

    fn add(&mut self, record: &[u8], ack: Ack) {
        self.body.push(if self.body.is_empty() { b'[' } else { b',' });
        self.starts.push(self.body.len());
        self.body.extend_from_slice(record);
        self.acks.push(ack);
        if let Some(time) = ack.generated {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
    }

    fn finish(mut self) -> Option<Batch> {
        if self.acks.is_empty() {
            return None;
        }
        self.body.push(b']');
        Some(Batch { body: POOL.share(self.body), acks: self.acks, starts: self.starts })
    }
}

/// A record that does not fit into a batch even alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Packs records into batches, as few as their order allows.
#[derive(Debug)]
pub struct Packer {
    limit: usize,
    target: usize,
    /// The most time that a batch may span; `None`: no limit.
    span: Option<Duration>,
    draft: Draft,
}

impl Packer {
    /// Packs bodies of at most `limit` bytes, and of at most `target` bytes unless a single record is longer.
    pub fn new(limit: usize, target: usize) -> Self {
        Self { limit, target: target.min(limit), span: None, draft: Draft::default() }
    }

    /// Limits the time that a batch may span, from now on.
    pub fn keep_within(&mut self, span: Duration) {
        self.span = Some(span);
    }

    /// Adds a record. If it does not fit into the batch, returns that and begins another.
    ///
    /// # Errors
    ///
    /// The record does not fit into a batch even alone; the batch is left as it was.
    pub fn push(&mut self, record: &[u8], ack: Ack) -> Result<Option<Batch>, TooLarge> {
        // Each record takes a byte for '[' or ',' before it, and the last one a byte for ']'.
        if record.len() + 2 > self.limit {
            return Err(TooLarge);
        }
        let is_full = self.draft.body.len() + record.len() + 2 > self.target;
        let is_long = self.span.is_some_and(|span| self.draft.would_span(ack.generated) > span);
        let full = if is_full || is_long { self.take() } else { None };
        if self.draft.acks.is_empty() {
            self.draft.body = POOL.take(self.target);
        }
        self.draft.add(record, ack);
        Ok(full)
    }

    /// Returns the last batch; `None` if it is empty.
    pub fn take(&mut self) -> Option<Batch> {
        std::mem::take(&mut self.draft).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ack(number: u8) -> Ack {
        Ack::of(Fingerprint([number; Fingerprint::BYTES]))
    }

    #[test]
    fn no_batch_spans_more_time_than_it_may_whether_packed_so_or_split_later() {
        let at = |minute: Option<i64>| Ack {
            generated: minute
                .map(|minute| OffsetDateTime::UNIX_EPOCH + azure_core::time::Duration::minutes(minute)),
            ..ack(0)
        };
        let span = Duration::from_secs(30 * 60);
        // Minutes of the records, and how many go together.
        for (minutes, sizes) in [
            (&[Some(0), Some(30), Some(31), Some(60)][..], &[2, 2][..]),
            (&[Some(40), Some(10), Some(9), None, Some(38)], &[2, 3]),
            (&[None, None], &[2]),
            (&[Some(0), Some(1_000), Some(0)], &[1, 1, 1]),
        ] {
            let (mut cut, mut whole) = (Packer::new(1_000, 1_000), Packer::new(1_000, 1_000));
            cut.keep_within(span);
            let mut batches = Vec::new();
            for minute in minutes {
                batches.extend(cut.push(b"{}", at(*minute)).expect("it fits"));
                assert_eq!(whole.push(b"{}", at(*minute)), Ok(None));
            }
            batches.extend(cut.take());
            let packed: Vec<_> = batches.iter().map(|batch| batch.acks.len()).collect();
            assert_eq!(packed, sizes, "{minutes:?}");
            assert_eq!(whole.take().expect("a batch").within(span), batches, "{minutes:?}");
        }
    }

    fn pack(limit: usize, records: &[&str]) -> Vec<String> {
        let mut packer = Packer::new(limit, limit);
        let mut batches = Vec::new();
        for record in records {
            batches.extend(packer.push(record.as_bytes(), ack(0)).expect("it fits"));
        }
        batches.extend(packer.take());
        batches.into_iter().map(|batch| String::from_utf8(batch.body.to_vec()).expect("text")).collect()
    }

    #[test]
    fn a_batch_is_full_to_the_byte_with_brackets_and_commas_counted() {
        assert_eq!(pack(7, &["{}", "{}", "{}"]), ["[{},{}]", "[{}]"]);
        assert_eq!(pack(6, &["{}", "{}"]), ["[{}]", "[{}]"]);
        assert_eq!(pack(4, &["{}"]), ["[{}]"]);
        assert_eq!(pack(4, &[]), [""; 0]);
        assert_eq!(Packer::new(3, 3).push(b"{}", ack(0)), Err(TooLarge));
    }

    #[test]
    fn a_record_longer_than_the_target_is_alone_up_to_the_limit() {
        let mut packer = Packer::new(12, 8);
        let mut batches: Vec<_> = ["{}", "\"12345678\"", "{}"]
            .iter()
            .filter_map(|record| packer.push(record.as_bytes(), ack(0)).expect("it fits"))
            .collect();
        batches.extend(packer.take());
        let bodies: Vec<_> = batches.iter().map(|batch| &batch.body[..]).collect();
        assert_eq!(bodies, [&b"[{}]"[..], b"[\"12345678\"]", b"[{}]"]);
        assert_eq!(packer.push(b"\"123456789\"", ack(0)), Err(TooLarge));
    }

    #[test]
    fn a_batch_is_halved_down_to_single_records() {
        let mut packer = Packer::new(100, 100);
        for (number, record) in (0..).zip(["{\"a\":1}", "2", "\"three\""]) {
            packer.push(record.as_bytes(), ack(number)).expect("it fits");
        }
        let batch = packer.take().expect("a batch");
        let (left, right) = batch.halves().expect("two halves");
        assert_eq!((&left.body[..], &right.body[..]), (&b"[{\"a\":1}]"[..], &b"[2,\"three\"]"[..]));
        assert_eq!(left.acks, [ack(0)]);
        assert_eq!(right.acks, [ack(1), ack(2)]);
        assert_eq!((right.record(0), right.record(1)), (&b"2"[..], &b"\"three\""[..]));
        let (_, last) = right.halves().expect("two halves");
        assert!(last.halves().is_none());
    }

    proptest! {
        #[test]
        fn every_record_is_in_one_batch_in_order_and_no_batch_could_take_the_next_record(
            lengths in prop::collection::vec(1..60_usize, 0..80),
            limit in 64..200_usize,
        ) {
            let records: Vec<String> = lengths.iter().map(|length| format!("\"{}\"", "x".repeat(*length))).collect();
            let mut packer = Packer::new(1_000, limit);
            let mut batches = Vec::new();
            for (number, record) in (0..).zip(&records) {
                batches.extend(packer.push(record.as_bytes(), ack(number)).expect("it fits"));
            }
            batches.extend(packer.take());

            let mut packed = Vec::new();
            let mut delivered = Vec::new();
            for batch in &batches {
                prop_assert!(batch.body.len() <= limit);
                let inside: Vec<String> = serde_json::from_slice(&batch.body).expect("an array of texts");
                packed.extend(inside.into_iter().map(|text| format!("\"{text}\"")));
                delivered.extend(batch.acks.iter().map(|ack| usize::from(ack.fingerprint.0[0])));
            }
            prop_assert_eq!(&packed, &records);
            prop_assert_eq!(delivered, (0..records.len()).collect::<Vec<_>>());
            let mut begun = 0;
            for batch in batches.iter().rev().skip(1).rev() {
                begun += batch.acks.len();
                prop_assert!(batch.body.len() + 1 + records[begun].len() > limit);
            }
        }
    }
}
