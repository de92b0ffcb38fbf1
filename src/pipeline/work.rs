//! What the merge stage hands to the last stage.

use azure_core::time::OffsetDateTime;
use futures::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    error_chain::one_line,
    http::call::CallError,
    record::{
        batch::{Ack, Batch},
        page::PageSizes,
    },
    schema::Shape,
    sink::Sent,
    state::set_aside::SetAsideKind,
};

/// A piece of work. The order is that of the list, as far as the list has one.
pub(super) enum Work<'a> {
    /// Records to send.
    Batch(Outgoing<'a>),
    /// A record to keep whole.
    SetAside(Whole),
    /// An alert, of this time, that is left to a later run.
    Hold(Option<OffsetDateTime>),
    /// The end of the run. Nothing comes after it.
    End(End<'a>),
}

/// A batch that is ready to be sent.
pub(super) struct Outgoing<'a> {
    /// Its records.
    pub batch: Batch,
    /// Resolves to what was sent, once the sink has accepted it. Compression starts at once, the post when this is
    /// awaited. `None` in a dry run.
    pub sent: Option<BoxFuture<'a, Result<Sent, CallError>>>,
    /// Its share of the bytes that may wait, which is returned when this is dropped.
    _room: OwnedSemaphorePermit,
}

impl<'a> Outgoing<'a> {
    /// Makes the batch ready, with the post that sends it unless it is a dry run.
    pub(super) fn new(
        batch: Batch,
        sent: Option<BoxFuture<'a, Result<Sent, CallError>>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { batch, sent, _room: room }
    }
}

/// A record that is kept whole in the state store.
pub(super) struct Whole {
    /// The alert's id, if it has one.
    pub id: Option<String>,
    /// Why it is set aside.
    pub kind: SetAsideKind,
    /// The same in words, with the details.
    pub reason: String,
    /// The shape of the record.
    pub shape: Shape,
    /// The record, or the element of the list that is not an alert.
    pub record: Vec<u8>,
    /// What setting it aside means for the checkpoint.
    pub ack: Ack,
}

impl Whole {
    /// The id, for a log line.
    pub(super) fn log_id(&self) -> String {
        one_line(self.id.as_deref().unwrap_or("(none)"), 200)
    }

    /// The reason, for a log line.
    pub(super) fn log_reason(&self) -> String {
        one_line(&self.reason, 400)
    }
}

/// How the run ended, as far as the stages before the last one know.
pub(super) struct End<'a> {
    /// The last batch.
    pub batch: Option<Outgoing<'a>>,
    /// The time before which everything is delivered once the last batch is; `None` when not all of the window was read.
    pub reached: Option<OffsetDateTime>,
    /// What is known about the server's page sizes, if the list was read to an end or an error.
    pub pages: Option<PageSizes>,
    /// True when all alerts of the window were read; false when time ran out before.
    pub is_complete: Result<bool, CallError>,
}

impl End<'_> {
    /// The end of a run whose other stages have ended without one.
    pub(super) fn cut_off() -> Self {
        Self { batch: None, reached: None, pages: None, is_complete: Ok(false) }
    }
}
