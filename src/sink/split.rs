//! The parts in which a batch is sent that the sink does not take whole: by time span, then in halves, down to the
//! record that is rejected for itself. Pure.

use std::time::Duration;

use super::{RejectionCause, logs_ingestion::LONGEST_SPAN};
use crate::record::batch::Batch;

/// The parts of one batch that are still to be sent, in their order.
#[derive(Debug)]
pub struct Split {
    /// The next part is the last element.
    waiting: Vec<Batch>,
}

impl Split {
    /// Starts with `batch` as a whole, or, where the sink is known to limit the time span of a post, in parts of at
    /// most `span`: the batch may have been packed before that was known.
    pub fn of(batch: Batch, span: Option<Duration>) -> Self {
        match span.map(|span| batch.within(span)) {
            Some(parts) if parts.len() > 1 => Self { waiting: parts.into_iter().rev().collect() },
            _ => Self { waiting: vec![batch] },
        }
    }

    /// The number of parts that are still to be sent.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the next part.
    pub fn next(&mut self) -> Option<Batch> {
        self.waiting.pop()
    }

    /// Divides a part that was rejected, and puts its parts in its place. A single record cannot be divided: it is
    /// returned.
    pub fn divide(&mut self, rejected: Batch, rejection: RejectionCause) -> Option<Batch> {
        if rejection == RejectionCause::TimeSpan {
            let parts = rejected.within(LONGEST_SPAN);
            // A post may be rejected for its span although its records give no times, or other ones.
            if parts.len() > 1 {
                self.waiting.extend(parts.into_iter().rev());
                return None;
            }
        }
        let Some((first, second)) = rejected.halves() else { return Some(rejected) };
        self.waiting.extend([second, first]);
        None
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::OffsetDateTime;

    use super::*;
    use crate::record::{
        alert::Fingerprint,
        batch::{Ack, Packer},
    };

    /// A batch of one-digit records, each `minutes` after 1970.
    fn batch(minutes: &[i64]) -> Batch {
        let mut packer = Packer::new(1_000, 1_000);
        for (number, minutes) in minutes.iter().enumerate() {
            let generated = OffsetDateTime::from_unix_timestamp(minutes * 60).ok();
            let ack = Ack { generated, ..Ack::of(Fingerprint([0; Fingerprint::BYTES])) };
            assert_eq!(packer.push(number.to_string().as_bytes(), ack), Ok(None));
        }
        packer.take().expect("records")
    }

    fn rest(mut split: Split) -> Vec<String> {
        std::iter::from_fn(|| split.next())
            .map(|part| String::from_utf8_lossy(&part.body).into_owned())
            .collect()
    }

    #[test]
    fn a_rejected_part_is_halved_in_its_place_down_to_one_record() {
        let mut split = Split::of(batch(&[0, 0, 0, 0, 0]), None);
        let whole = split.next().expect("the batch");
        assert_eq!(split.divide(whole, RejectionCause::Records), None);
        let first = split.next().expect("its first half");
        assert_eq!(&*first.body, b"[0,1]");
        assert_eq!(split.divide(first, RejectionCause::TooLarge), None);
        let single = split.next().expect("its first record");
        assert_eq!(split.divide(single.clone(), RejectionCause::Records), Some(single));
        assert_eq!(rest(split), ["[1]", "[2,3,4]"]);
    }

    #[test]
    fn a_part_that_spans_too_much_is_divided_by_time_and_one_without_times_in_halves() {
        let mut split = Split::of(batch(&[0, 10, 50, 60]), None);
        let whole = split.next().expect("the batch");
        assert_eq!(split.divide(whole, RejectionCause::TimeSpan), None);
        assert_eq!(rest(split), ["[0,1]", "[2,3]"]);

        let mut split = Split::of(batch(&[5, 5, 5, 5]), None);
        let whole = split.next().expect("the batch");
        assert_eq!(split.divide(whole, RejectionCause::TimeSpan), None);
        assert_eq!(rest(split), ["[0,1]", "[2,3]"]);
    }

    #[test]
    fn a_known_limit_divides_from_the_start() {
        let split = Split::of(batch(&[0, 10, 50, 60]), Some(LONGEST_SPAN));
        assert_eq!(split.len(), 2);
        assert_eq!(rest(split), ["[0,1]", "[2,3]"]);
        assert_eq!(rest(Split::of(batch(&[0, 10]), Some(LONGEST_SPAN))), ["[0,1]"]);
    }
}
