//! From a merged record to the text that is sent: in its shape, and short enough for the sink. A run and a replay
//! write records alike. Pure.

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
    /// The most bytes a record and each of its fields may have.
    pub limits: Limits,
}

/// A record as it can be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it.
    Whole(Vec<u8>),
    /// With less in it.
    Truncated {
        /// The record's text.
        text: Vec<u8>,
        /// The members that lost something.
        fields: Vec<String>,
    },
    /// Not at all: it does not fit the sink, however much is left out.
    DoesNotFit,
}

impl RecordWriter {
    /// Writes `record`, and names the members whose value did not fit its column.
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
