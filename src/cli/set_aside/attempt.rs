//! What a replay does with one document that is set aside. Pure.

use std::borrow::Cow;

use crate::{
    error_chain::chain,
    record::{
        json::Object,
        merge::merge,
        timestamp,
        writer::{RecordWriter, Written},
    },
    schema::{Shape, TIME_GENERATED},
    state::set_aside::{SENT_TRUNCATED, SetAsideDocument, SetAsideKind},
};

/// What a replay does with a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Send a record.
    Send {
        /// The record as the sink takes it.
        record: Vec<u8>,
        /// The document to keep once the record is accepted, because the record is truncated.
        replacement: Option<Vec<u8>>,
    },
    /// Nothing: the record was sent truncated, and would be truncated again.
    AlreadyTruncated,
    /// Keep it: the record cannot be sent, for this reason.
    Keep(String),
}

/// The form in which the sink takes records.
#[derive(Debug, Clone, Copy)]
pub struct RecordForm {
    /// Writes records in the sink's shape and limits.
    pub writer: RecordWriter,
    /// The members of which the first that is a time becomes the record's `TimeGenerated`. Empty for a sink without such a
    /// member.
    pub time_members: &'static [&'static str],
}

impl Attempt {
    /// Decides what to do with a document's `text` for a sink that takes records in `form`.
    pub fn new(text: &[u8], form: RecordForm) -> Self {
        let document = match SetAsideDocument::from_json(text) {
            Ok(document) => document,
            Err(error) => return Self::Keep(format!("the document cannot be read: {}", chain(&error))),
        };
        let Some(object) = Object::from_valid(document.record.get()) else {
            return Self::Keep("its record is not a JSON object, which the sink requires".to_owned());
        };
        match document.shape {
            // A record that was rejected in this shape is sent as it is: it had been made to fit.
            shape if shape == form.writer.shape && shape != Shape::Union => {
                Self::Send { record: object.to_json(), replacement: None }
            }
            Shape::Union => Self::of_union(object, document, form),
            shape => {
                let shape = format!("{shape:?}").to_lowercase();
                Self::Keep(format!("it is in the shape {shape}: set MDATP_RECORD_SHAPE={shape} to replay it"))
            }
        }
    }

    fn of_union(object: Object<'_>, document: SetAsideDocument<'_>, form: RecordForm) -> Self {
        let time = generated_at(&object, form.time_members);
        let record = with_time(object, time.as_deref());
        match form.writer.write(&record).0 {
            Written::Whole(record) => Self::Send { record, replacement: None },
            Written::Truncated { .. } if document.kind == SetAsideKind::Truncated => Self::AlreadyTruncated,
            Written::Truncated { text: record, fields } => {
                let reason = format!("{SENT_TRUNCATED}: with less in {}", fields.join(", "));
                let kind = SetAsideKind::Truncated;
                let replacement = SetAsideDocument { kind, reason: reason.into(), ..document };
                Self::Send { record, replacement: Some(replacement.to_json()) }
            }
            Written::DoesNotFit => Self::Keep("its record does not fit the sink, even truncated".to_owned()),
        }
    }
}

/// Returns the record's `TimeGenerated` as a run would write it, from the first member that is a time.
fn generated_at<'a>(object: &Object<'a>, members: &[&str]) -> Option<Cow<'a, str>> {
    let names = [TIME_GENERATED].iter().chain(members).filter(|_| !members.is_empty());
    names.into_iter().find_map(|name| timestamp::stamp(object.get(name)?))
}

/// Returns the record as a run would send it. `TimeGenerated` belongs to the sink, not to the record: one sink requires it, and
/// the other reserves the name.
fn with_time<'a>(mut object: Object<'a>, time: Option<&'a str>) -> Object<'a> {
    object.members.retain(|member| member.name != TIME_GENERATED);
    merge(object, None, time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{alert::Mode, truncate::Limits};

    const LIMITS: Limits = Limits { record: 200, field: 40 };

    fn form(time_members: &'static [&'static str], limits: Limits) -> RecordForm {
        RecordForm { writer: RecordWriter { shape: Shape::Union, limits }, time_members }
    }

    fn sent(record: &str, replacement: Option<&str>) -> Attempt {
        Attempt::Send { record: record.into(), replacement: replacement.map(Into::into) }
    }

    #[test]
    fn the_time_is_written_as_the_current_sink_requires() {
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
                Attempt::new(document.as_bytes(), form(Mode::Created.row_times(), LIMITS)),
                sent(with, None)
            );
            assert_eq!(Attempt::new(document.as_bytes(), form(&[], LIMITS)), sent(without, None));
        }
        let record =
            r#""id":"a","alertCreationTime":"2026-11-24T05:55:03Z","lastUpdateTime":"2026-11-25T00:00:00Z""#;
        let document = format!(r#"{{"id":"a","reason":"refused","record":{{{record}}}}}"#);
        let with = format!(r#"{{"TimeGenerated":"2026-11-25T00:00:00Z",{record}}}"#);
        let attempt = Attempt::new(document.as_bytes(), form(Mode::Updated.row_times(), LIMITS));
        assert_eq!(attempt, sent(&with, None));
    }

    #[test]
    fn a_document_without_a_record_is_kept() {
        for (document, reason) in [
            ("", "cannot be read"),
            (r#"{"id":"a","record":{}}"#, "cannot be read"),
            (r#"{"id":null,"reason":"r","record":7}"#, "not a JSON object"),
            (r#"{"id":null,"reason":"r","record":"{}"}"#, "not a JSON object"),
        ] {
            let attempt = Attempt::new(document.as_bytes(), form(Mode::Updated.row_times(), LIMITS));
            assert!(
                matches!(&attempt, Attempt::Keep(why) if why.contains(reason)),
                "{document}: {attempt:?}"
            );
        }
    }

    #[test]
    fn a_truncated_record_is_kept_whole_and_sent_truncated_only_once() {
        let long = "x".repeat(50);
        let document = format!(r#"{{"id":"a","reason":"refused","record":{{"id":"a","text":"{long}"}}}}"#);
        let Attempt::Send { record, replacement: Some(replacement) } =
            Attempt::new(document.as_bytes(), form(&[], LIMITS))
        else {
            panic!("it is not sent truncated");
        };
        let short = "x".repeat(38);
        let expected = format!(r#"{{"id":"a","text":"{short}","truncatedFields":["text"]}}"#);
        assert_eq!(String::from_utf8_lossy(&record), expected);
        let kept = format!(
            r#"{{"id":"a","kind":"truncated","reason":"sent shortened: with less in text","record":{{"id":"a","text":"{long}"}}}}"#
        );
        assert_eq!(String::from_utf8_lossy(&replacement), kept);

        assert_eq!(Attempt::new(&replacement, form(&[], LIMITS)), Attempt::AlreadyTruncated);
        let whole = format!(r#"{{"id":"a","text":"{long}"}}"#);
        assert_eq!(
            Attempt::new(&replacement, form(&[], Limits { record: 200, field: 60 })),
            sent(&whole, None)
        );
    }
}
