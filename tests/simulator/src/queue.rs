//! The queues of a storage account, as their REST API has them: a message that is taken is hidden for a time, and comes
//! back unless it is deleted by the receipt it was taken with.

mod memory;

pub use self::memory::MemoryQueues;
#[cfg(test)]
pub(crate) use self::memory::tests as memory_tests;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::time::OffsetDateTime;

/// The most messages that are taken at once (REST API of Queue Storage, "Get Messages").
pub const MOST_AT_ONCE: usize = 32;

/// The most bytes of a message's text ("Put Message"): 48 KiB before they are base64.
pub const MOST_BYTES: usize = 64 * 1024;

/// A storage account's queues.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Makes a queue, unless it is there.
    async fn create(&self, queue: &str) -> Result<(), QueueError>;

    /// Adds a message of this text.
    async fn put(&self, queue: &str, text: &str) -> Result<(), QueueError>;

    /// Takes up to `most` of the messages that are not hidden, and hides them for so long.
    async fn get(&self, queue: &str, most: usize, hidden: Duration) -> Result<Vec<Message>, QueueError>;

    /// Hides a message for so long from now on. It has another receipt afterwards.
    async fn hide(&self, queue: &str, message: &Message, hidden: Duration) -> Result<Message, QueueError>;

    /// Deletes a message, for good.
    async fn delete(&self, queue: &str, message: &Message) -> Result<(), QueueError>;

    /// The number of messages, hidden ones too.
    async fn length(&self, queue: &str) -> Result<usize, QueueError>;
}

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Stays the same as long as the message is in its queue.
    pub id: String,
    /// As it was put: base64, in what the Functions host writes and reads.
    pub text: String,
    /// How often it was taken, this time included.
    pub dequeue_count: u64,
    /// When it was put.
    pub inserted: OffsetDateTime,
    /// When it ends by itself.
    pub expires: OffsetDateTime,
    /// The end of the time for which it is hidden.
    pub next_visible: OffsetDateTime,
    /// With it, and only with the newest, the message can be hidden longer and deleted.
    pub receipt: String,
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueError {
    /// The status; 0 where there was no response.
    pub status: u16,
    /// The error's code ("Queue service error codes"), or what happened instead of a response.
    pub code: String,
}

impl QueueError {
    pub(crate) fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned() }
    }

    /// There is no such queue, or no such message, or another has taken it since.
    pub fn is_gone(&self) -> bool {
        self.status == 404 || self.code == "PopReceiptMismatch"
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}
