//! From a merged record to the text that is sent: in its shape, and short enough for the sink. Runs and replays write
//! records alike.

use crate::{
    record::{
        json::Object,
        shape::Shaped,
        truncate::{Fit, Limits},
    },
    schema::Shape,
};

/// Writes records for one sink.
#[derive(Debug, Clone, Copy)]
pub struct RecordWriter {
    /// `MDATP_RECORD_SHAPE`
    pub shape: Shape,
    /// What the sink accepts.
    pub limits: Limits,
}

/// A record as it can be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it.
    Whole(Vec<u8>),
    /// Part of it.
    Truncated {
        /// The record's text.
        text: Vec<u8>,
        /// The members that were cut.
        fields: Vec<String>,
    },
    /// It cannot be sent: it does not fit the sink, however much of it is cut.
    DoesNotFit,
}

impl RecordWriter {
    /// Writes `record`. Returns it with the names of the members whose value did not fit its column.
    pub fn write(&self, record: &Object<'_>) -> (Written, Vec<&'static str>) {
        let Shaped { text, type_mismatches } = self.shape.write(record);
        let written = match self.shape.fit(record, &text, self.limits) {
            Fit::Whole => Written::Whole(text),
            Fit::Truncated { record, fields } => Written::Truncated { text: record, fields },
            Fit::DoesNotFit => Written::DoesNotFit,
        };
        (written, type_mismatches)
    }
}
