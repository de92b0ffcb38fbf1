//! Records packed into the bodies of posts: JSON arrays under a sink's limit, counted exactly. Pure.

use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;

use crate::{buffers::POOL, record::alert::Fingerprint};

/// What the acceptance of a record means for the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The alert that is in it.
    pub fingerprint: Fingerprint,
    /// The alert's time, by which the list is walked.
    pub time: Option<OffsetDateTime>,
    /// With this alert, everything listed before this time is delivered; none while the order of the
    /// list is not believed.
    pub watermark_after: Option<OffsetDateTime>,
    /// The state that is in it, where that is a newer one than the list named: an alert can change before
    /// it is fetched by its id, and must not be sent again when the list names that state too.
    pub newer: Option<(Fingerprint, OffsetDateTime)>,
    /// The time that the row will have, as far as the record says one.
    pub generated: Option<OffsetDateTime>,
}

impl Ack {
    /// Of something of which no more is known.
    pub fn of(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, time: None, watermark_after: None, newer: None, generated: None }
    }

    /// All fingerprints that its acceptance delivers.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        [Some(self.fingerprint), self.newer.map(|(fingerprint, _)| fingerprint)].into_iter().flatten()
    }
}

/// One post: a JSON array of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The body, brackets and commas included.
    pub body: Bytes,
    /// What is in it, in its order.
    pub acks: Vec<Ack>,
    /// Where each record begins in the body.
    starts: Vec<usize>,
}

impl Batch {
    /// The text of the record at `place`.
    pub fn record(&self, place: usize) -> &[u8] {
        let start = self.starts[place];
        // Between two records stands a comma, after the last one the bracket.
        let end = self.starts.get(place + 1).map_or(self.body.len(), |next| *next) - 1;
        &self.body[start..end]
    }

    /// The same records in two batches, in order; none for a batch of one.
    pub fn halves(&self) -> Option<(Batch, Batch)> {
        let middle = self.acks.len() / 2;
        Some((self.part(0..middle)?, self.part(middle..self.acks.len())?))
    }

    /// The same records in batches, in order, none of which spans more than `span` of time.
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
    /// The first and the last of the records' times.
    times: Option<(OffsetDateTime, OffsetDateTime)>,
}

impl Draft {
    /// The time from the first record to the last, with one of `time` among them.
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

/// A record that does not fit into a post even alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Packs records, in order, into as few batches as their order allows.
#[derive(Debug)]
pub struct Packer {
    limit: usize,
    target: usize,
    /// The most time that a batch may span; none when that is all the same.
    span: Option<Duration>,
    draft: Draft,
}

impl Packer {
    /// A packer for bodies of at most `limit` bytes, and of no more than `target` unless a single record is
    /// longer.
    pub fn new(limit: usize, target: usize) -> Self {
        Self { limit, target: target.min(limit), span: None, draft: Draft::default() }
    }

    /// From now on no batch spans more than `span` of time.
    pub fn keep_within(&mut self, span: Duration) {
        self.span = Some(span);
    }

    /// Adds a record. When it does not fit any more, the full batch is handed out first.
    pub fn push(&mut self, record: &[u8], ack: Ack) -> Result<Option<Batch>, TooLarge> {
        // Either bracket costs a byte, whether it stands for '[', ',' or ']'.
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

    /// The batch begun, if there is anything in it.
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
    fn no_batch_spans_more_time_than_it_may_whether_packed_so_or_divided_later() {
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
            let told: Vec<_> = batches.iter().map(|batch| batch.acks.len()).collect();
            assert_eq!(told, sizes, "{minutes:?}");
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
    fn a_record_beyond_the_target_goes_alone_up_to_the_limit() {
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
    fn a_batch_falls_into_halves_down_to_single_records() {
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

            let mut told = Vec::new();
            let mut delivered = Vec::new();
            for batch in &batches {
                prop_assert!(batch.body.len() <= limit);
                let inside: Vec<String> = serde_json::from_slice(&batch.body).expect("an array of texts");
                told.extend(inside.into_iter().map(|text| format!("\"{text}\"")));
                delivered.extend(batch.acks.iter().map(|ack| usize::from(ack.fingerprint.0[0])));
            }
            prop_assert_eq!(&told, &records);
            prop_assert_eq!(delivered, (0..records.len()).collect::<Vec<_>>());
            let mut begun = 0;
            for batch in batches.iter().rev().skip(1).rev() {
                begun += batch.acks.len();
                prop_assert!(batch.body.len() + 1 + records[begun].len() > limit);
            }
        }
    }
}
