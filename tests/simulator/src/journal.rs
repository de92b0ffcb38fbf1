//! The journal: everything that arrived, for tests and the demo to check afterwards.

use std::sync::Arc;

use azure_core::time::OffsetDateTime;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use crate::counts::Counts;
use crate::logs_ingestion::REQUEST_ID;
use crate::post::Record;
use crate::rule::{LostValue, Stream};
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

impl Received {
    /// The id that the sender gave the post, by which `DCRLogErrors` would name it.
    pub fn request_id(&self) -> Option<&str> {
        self.headers.get(REQUEST_ID)?.to_str().ok()
    }

    fn parsed(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|record| Record::parse(record).expect("only records are accepted"))
    }
}

/// A post that the service itself rejected; what a fault rejects is not among them.
#[derive(Clone, Debug)]
pub struct Rejected {
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
    /// The status it got; `None` if no reply was sent.
    pub status: Option<u16>,
    /// The fault that struck it.
    pub fault: Option<String>,
    /// When it came.
    pub at: OffsetDateTime,
}

/// The most lost values that are described; the others are only counted.
const MOST_LOST_VALUES: usize = 1000;

/// All that arrived, in order.
#[derive(Default)]
pub(crate) struct Journal {
    pub received: Vec<Arc<Received>>,
    pub rejected: Vec<Rejected>,
    pub seen: Vec<Seen>,
    pub counts: Counts,
    /// The first values that a deployed rule kept from its table.
    pub lost_values: Vec<LostValue>,
    /// The posts that came to a stream of a deployed rule.
    stored: Vec<(Arc<Received>, Arc<Stream>)>,
}

impl Journal {
    /// Stores a post by way of the stream it came to, and records which values are lost.
    pub fn store(&mut self, received: Arc<Received>, stream: Arc<Stream>) {
        for record in received.parsed() {
            let lost = stream.row(&record, received.at).lost;
            self.counts.values_lost += lost.len() as u64;
            let room = MOST_LOST_VALUES - self.lost_values.len();
            self.lost_values.extend(lost.into_iter().take(room).map(|(column, why)| LostValue {
                stream: received.log_type_or_stream.clone(),
                column,
                why,
                alert: record.alert_id(),
            }));
        }
        self.stored.push((received, stream));
    }

    /// The rows of the tables. They are computed on each call: kept, they would take as much memory as the posts.
    pub fn rows(&self) -> Vec<Map<String, Value>> {
        let rows = self.stored.iter().flat_map(|(received, stream)| {
            received.parsed().map(|record| stream.row(&record, received.at).values)
        });
        rows.collect()
    }
}
