//! Sending again what was set aside. A document goes when the sink has accepted its record whole, so a
//! replay that dies on the way repeats at most the batch in flight.

use std::{borrow::Cow, collections::VecDeque, fmt, time::Duration};

use tracing::{error, info};

use crate::{
    config::Config,
    error_chain::{chain, one_line},
    http::{
        call::{CallError, Caller},
        deadline::{Deadline, StopFlag},
    },
    pipeline::RunError,
    record::{
        alert::Fingerprint,
        batch::{Ack, Batch, Packer, TooLarge},
        json::object::Object,
        merge::merge,
        timestamp,
        writer::{RecordWriter, Written},
    },
    schema::{Shape, TIME_GENERATED},
    services::Services,
    sink::{Blame, split::Split},
    state::{
        set_aside::{SENT_SHORTENED, SetAsideDocument},
        set_asides::Entry,
    },
};

/// What became of the documents.
#[derive(Debug, Default)]
pub struct ReplayCounts {
    /// Accepted.
    pub accepted: usize,
    /// Accepted before with less in them, which this sink would do again.
    pub as_before: usize,
    /// Still not delivered.
    pub refused: usize,
}

impl fmt::Display for ReplayCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, as_before, refused } = self;
        write!(f, "accepted {accepted} records, {refused} are still not delivered")?;
        if *as_before > 0 {
            write!(f, "; {as_before} were sent shortened before, and this sink takes no more of them")?;
        }
        Ok(())
    }
}

/// A replay under way.
pub struct Replay<'a> {
    services: &'a Services,
    quota_share: f64,
    budget: Duration,
    packer: Packer,
    /// The documents whose records are in the batch that is being packed or sent, in its order.
    in_hand: VecDeque<InHand>,
    /// What became of the documents so far.
    pub tally: ReplayCounts,
}

struct InHand {
    name: String,
    /// What the document says once its record is accepted with less in it; none when it may go then.
    after: Option<Vec<u8>>,
}

impl<'a> Replay<'a> {
    /// A replay to the sink of `services` that gives each batch the time of a run.
    pub fn new(services: &'a Services, config: &Config) -> Self {
        let Config { run_budget: budget, quota_share, .. } = *config;
        let packer = services.packer();
        Self {
            services,
            quota_share,
            budget,
            packer,
            in_hand: VecDeque::new(),
            tally: ReplayCounts::default(),
        }
    }

    /// Sends the records of `entries`.
    pub async fn send_all(&mut self, entries: &[Entry]) -> Result<(), RunError> {
        let Services { sink, mode, .. } = self.services;
        let stamps = sink.wants_time_generated().then(|| mode.row_times());
        let terms = Terms { writer: self.services.record_writer(), stamps: stamps.unwrap_or_default() };
        for Entry { name, .. } in entries {
            // One that is gone has been replayed by somebody else.
            let Some(text) = self.services.store.read_set_aside(name).await? else { continue };
            match Attempt::of(&text, terms) {
                Attempt::Send { record, after } => self.pack(name, &record, after).await?,
                Attempt::AsBefore => self.tally.as_before += 1,
                Attempt::Stays(reason) => self.stays(name, &reason),
            }
        }
        match self.packer.take() {
            Some(batch) => self.send(batch).await,
            None => Ok(()),
        }
    }

    async fn pack(&mut self, name: &str, record: &[u8], after: Option<Vec<u8>>) -> Result<(), RunError> {
        // Batches keep their order, which is how an acceptance finds its documents.
        let ack = Ack::of(Fingerprint([0; Fingerprint::BYTES]));
        match self.packer.push(record, ack) {
            Ok(full) => {
                if let Some(batch) = full {
                    self.send(batch).await?;
                }
                self.in_hand.push_back(InHand { name: name.to_owned(), after });
            }
            Err(TooLarge) => self.stays(name, "its record does not fit into a post"),
        }
        Ok(())
    }

    /// Sends a batch, in parts if the sink rejects it for its size, its time span or a record in it. Any other rejection
    /// would concern the other records too, and ends the replay.
    async fn send(&mut self, batch: Batch) -> Result<(), RunError> {
        let Services { http, clock, sink, .. } = self.services;
        let mut parts = Split::of(batch, self.services.longest_span());
        while let Some(part) = parts.next() {
            let deadline = Deadline::after(self.budget, StopFlag::default());
            let caller = Caller::new(http.clone(), *clock, deadline, self.quota_share);
            let refusal = match sink.send(part.body.clone(), &caller).await {
                Ok(sent) => {
                    self.accepted(part.acks.len(), &sent.told_id()).await?;
                    continue;
                }
                Err(CallError::Refused(refusal)) => refusal,
                Err(error) => return Err(error.into()),
            };
            let rejection = match sink.blame(&refusal, part.body.len()) {
                Blame::None => return Err(CallError::Refused(refusal).into()),
                rejection => rejection,
            };
            if parts.divide(part, rejection).is_some() {
                let rejected = self.in_hand.pop_front().map_or_else(String::new, |document| document.name);
                self.stays(&rejected, &refusal.to_string());
            }
        }
        Ok(())
    }

    async fn accepted(&mut self, records: usize, id: &str) -> Result<(), RunError> {
        let store = &self.services.store;
        self.tally.accepted += records;
        for InHand { name, after } in self.in_hand.drain(..records) {
            match after {
                None => store.remove_set_aside(&name).await?,
                Some(text) => store.rewrite_set_aside(&name, text).await?,
            }
        }
        info!("{records} records are accepted{id}");
        Ok(())
    }

    fn stays(&mut self, name: &str, reason: &str) {
        self.tally.refused += 1;
        error!("{} stays set aside: {}", one_line(name, 200), one_line(reason, 400));
    }
}

/// What to try with a document.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// Send this.
    Send {
        record: Vec<u8>,
        /// The document to leave behind once the record is accepted, since there is less in it.
        after: Option<Vec<u8>>,
    },
    /// Nothing: it was sent shortened, and would be again.
    AsBefore,
    /// Nothing: it cannot be sent, for this reason.
    Stays(String),
}

/// What decides over an attempt.
#[derive(Debug, Clone, Copy)]
struct Terms {
    writer: RecordWriter,
    /// The members of which the first that is a time becomes the record's `TimeGenerated`; empty for a sink that
    /// takes none.
    stamps: &'static [&'static str],
}

impl Attempt {
    fn of(text: &[u8], terms: Terms) -> Self {
        let document = match SetAsideDocument::from_json(text) {
            Ok(document) => document,
            Err(error) => return Self::Stays(format!("the document cannot be read: {}", chain(&error))),
        };
        let Some(object) = Object::of(document.record.get()) else {
            return Self::Stays("its record is no JSON object, and the sink takes nothing else".to_owned());
        };
        match document.shape {
            // What was refused in its shape is sent as it is; it fitted then.
            shape if shape == terms.writer.shape && shape != Shape::Union => {
                Self::Send { record: object.to_json(), after: None }
            }
            Shape::Union => Self::of_union(object, document, terms),
            shape => {
                let shape = format!("{shape:?}").to_lowercase();
                Self::Stays(format!(
                    "it is in the shape {shape}: set MDATP_RECORD_SHAPE={shape} to replay it"
                ))
            }
        }
    }

    fn of_union(object: Object<'_>, document: SetAsideDocument<'_>, terms: Terms) -> Self {
        let stamp = stamp_of(&object, terms.stamps);
        let record = stamped(object, stamp.as_deref());
        match terms.writer.write(&record).0 {
            Written::Whole(record) => Self::Send { record, after: None },
            Written::Truncated { .. } if document.is_sent_shortened() => Self::AsBefore,
            Written::Truncated { text: record, fields } => {
                let reason = format!("{SENT_SHORTENED}: with less in {}", fields.join(", "));
                let after = SetAsideDocument { reason: reason.into(), ..document }.to_json();
                Self::Send { record, after: Some(after) }
            }
            Written::DoesNotFit => Self::Stays("its record does not fit the sink, even shortened".to_owned()),
        }
    }
}

/// The time of the record as a run would write it, after the first of the members that says one.
fn stamp_of<'a>(object: &Object<'a>, stamps: &[&str]) -> Option<Cow<'a, str>> {
    let names = [TIME_GENERATED].iter().chain(stamps).filter(|_| !stamps.is_empty());
    names.into_iter().find_map(|name| timestamp::stamp(object.get(name)?))
}

/// The record as a run would send it. `TimeGenerated` belongs to the sink, not to the record: one sink
/// needs it, and for the other the name is reserved.
fn stamped<'a>(mut object: Object<'a>, stamp: Option<&'a str>) -> Object<'a> {
    object.members.retain(|member| member.name != TIME_GENERATED);
    merge(object, None, stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{alert::Mode, truncate::Limits};

    const LIMITS: Limits = Limits { record: 200, field: 40 };

    fn terms(stamps: &'static [&'static str], limits: Limits) -> Terms {
        Terms { writer: RecordWriter { shape: Shape::Union, limits }, stamps }
    }

    fn sent(record: &str, after: Option<&str>) -> Attempt {
        Attempt::Send { record: record.into(), after: after.map(Into::into) }
    }

    #[test]
    fn the_time_is_said_as_the_present_sink_wants_it() {
        for (record, with, without) in [
            (
                r#"{"TimeGenerated":"2026-11-24T05:55:03.10Z","id":"a","n":1.50}"#,
                r#"{"TimeGenerated":"2026-11-24T05:55:03.10Z","id":"a","n":1.50}"#,
                r#"{"id":"a","n":1.50}"#,
            ),
            (
                r#"{"id":"a","alertCreationTime":"2026-11-24T05:55:03Z"}"#,
                r#"{"TimeGenerated":"2026-11-24T05:55:03Z","id":"a","alertCreationTime":"2026-11-24T05:55:03Z"}"#,
                r#"{"id":"a","alertCreationTime":"2026-11-24T05:55:03Z"}"#,
            ),
            (
                r#"{"id":"a","alertCreationTime":"soon"}"#,
                r#"{"id":"a","alertCreationTime":"soon"}"#,
                r#"{"id":"a","alertCreationTime":"soon"}"#,
            ),
        ] {
            let document = format!(r#"{{"id":"a","reason":"refused","record":{record}}}"#);
            assert_eq!(
                Attempt::of(document.as_bytes(), terms(Mode::Created.row_times(), LIMITS)),
                sent(with, None)
            );
            assert_eq!(Attempt::of(document.as_bytes(), terms(&[], LIMITS)), sent(without, None));
        }
        let record =
            r#""id":"a","alertCreationTime":"2026-11-24T05:55:03Z","lastUpdateTime":"2026-11-25T00:00:00Z""#;
        let document = format!(r#"{{"id":"a","reason":"refused","record":{{{record}}}}}"#);
        let with = format!(r#"{{"TimeGenerated":"2026-11-25T00:00:00Z",{record}}}"#);
        let attempt = Attempt::of(document.as_bytes(), terms(Mode::Updated.row_times(), LIMITS));
        assert_eq!(attempt, sent(&with, None));
    }

    #[test]
    fn what_is_no_record_stays() {
        for (document, reason) in [
            ("", "cannot be read"),
            (r#"{"id":"a","record":{}}"#, "cannot be read"),
            (r#"{"id":null,"reason":"r","record":7}"#, "no JSON object"),
            (r#"{"id":null,"reason":"r","record":"{}"}"#, "no JSON object"),
        ] {
            let attempt = Attempt::of(document.as_bytes(), terms(Mode::Updated.row_times(), LIMITS));
            assert!(
                matches!(&attempt, Attempt::Stays(why) if why.contains(reason)),
                "{document}: {attempt:?}"
            );
        }
    }

    #[test]
    fn a_record_that_goes_shortened_stays_whole_here_and_goes_so_only_once() {
        let long = "x".repeat(50);
        let document = format!(r#"{{"id":"a","reason":"refused","record":{{"id":"a","text":"{long}"}}}}"#);
        let Attempt::Send { record, after: Some(after) } =
            Attempt::of(document.as_bytes(), terms(&[], LIMITS))
        else {
            panic!("it is not sent shortened");
        };
        let short = "x".repeat(38);
        let expected = format!(r#"{{"id":"a","text":"{short}","truncatedFields":["text"]}}"#);
        assert_eq!(String::from_utf8_lossy(&record), expected);
        let kept = format!(
            r#"{{"id":"a","reason":"sent shortened: with less in text","record":{{"id":"a","text":"{long}"}}}}"#
        );
        assert_eq!(String::from_utf8_lossy(&after), kept);

        assert_eq!(Attempt::of(&after, terms(&[], LIMITS)), Attempt::AsBefore);
        let whole = format!(r#"{{"id":"a","text":"{long}"}}"#);
        assert_eq!(Attempt::of(&after, terms(&[], Limits { record: 200, field: 60 })), sent(&whole, None));
    }
}
