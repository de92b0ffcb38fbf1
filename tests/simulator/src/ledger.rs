//! What arrived, for tests and the demo to look at afterwards.

use std::sync::Arc;

use azure_core::time::OffsetDateTime;
use http::{HeaderMap, Method};

use crate::counts::Counts;
use crate::service::Service;

/// A post that was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    /// The sink it came to.
    pub service: Service,
    /// The Log-Type header, or the stream's name.
    pub log_type_or_stream: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The body after decompression.
    pub body: String,
    /// The length of that body.
    pub body_bytes: usize,
    /// The length of the body on the wire.
    pub wire_bytes: usize,
    /// The text of each record, byte for byte.
    pub records: Vec<String>,
    /// When it came.
    pub at: OffsetDateTime,
}

/// A post that was turned down by the service itself; faults are not among them.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The sink it came to.
    pub service: Service,
    /// The status it got.
    pub status: u16,
    /// The error's code and message.
    pub reason: String,
    /// When it came.
    pub at: OffsetDateTime,
}

/// A request of any kind.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The service it came to.
    pub service: Service,
    /// Its method.
    pub method: Method,
    /// Its path as sent and its query decoded.
    pub path_and_query: String,
    /// The status it got; none when no reply was sent.
    pub status: Option<u16>,
    /// The fault that struck it.
    pub fault: Option<String>,
    /// When it came.
    pub at: OffsetDateTime,
}

/// All that arrived, in order.
#[derive(Default)]
pub(crate) struct Ledger {
    pub received: Vec<Arc<Received>>,
    pub refused: Vec<Refused>,
    pub seen: Vec<Seen>,
    pub counts: Counts,
}
