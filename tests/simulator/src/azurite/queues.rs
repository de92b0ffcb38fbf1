//! The queue service of Azurite.

use std::time::Duration;

use async_trait::async_trait;
use azure_core::time::{OffsetDateTime, parse_rfc7231};
use bytes::Bytes;
use http::Method;

use super::{ACCOUNT, KEY, account_url, signed, spawn};
use crate::connection::{Connections, Reply};
use crate::process::Process;
use crate::queue::{Message, QueueError, Queues};

/// A running queue service. Dropping it ends it, and all its messages.
#[derive(Debug)]
pub struct AzuriteQueues {
    port: u16,
    connections: Connections,
    _process: Process,
}

impl AzuriteQueues {
    /// Installs Azurite if it is missing and starts the service on a free port.
    ///
    /// # Panics
    /// When it cannot be installed or started.
    pub async fn start() -> Self {
        Self::try_start_on(0).await.unwrap_or_else(|problem| panic!("Azurite: {problem}"))
    }

    /// The same on a given port, with an error in place of a panic: `UseDevelopmentStorage=true` means 10001.
    pub async fn try_start_on(port: u16) -> Result<Self, String> {
        let (process, port) = spawn("queue", port, None).await?;
        Ok(Self { port, connections: Connections::to(port), _process: process })
    }

    /// What a connection string needs beside the account's name and key, with a semicolon at its end.
    pub fn endpoint(&self) -> String {
        format!("QueueEndpoint={};", account_url("http", self.port))
    }

    /// A connection string for queues alone, with the account's key.
    pub fn connection_string(&self) -> String {
        format!("DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{}", self.endpoint())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Reply, QueueError> {
        let request = signed(method, path, query, &[], body);
        let reply = self.connections.send(request).await.map_err(|problem| QueueError::new(0, &problem))?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let code = reply.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        Err(QueueError::new(reply.status, code.unwrap_or("without a code")))
    }
}

#[async_trait]
impl Queues for AzuriteQueues {
    async fn create(&self, queue: &str) -> Result<(), QueueError> {
        self.send(Method::PUT, &format!("/{queue}"), &[], None).await.map(drop)
    }

    async fn put(&self, queue: &str, text: &str) -> Result<(), QueueError> {
        // The text is base64, or a test's, and neither needs an escape.
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        self.send(Method::POST, &format!("/{queue}/messages"), &[], Some(body.into())).await.map(drop)
    }

    async fn get(&self, queue: &str, most: usize, hidden: Duration) -> Result<Vec<Message>, QueueError> {
        let (most, hidden) = (most.to_string(), hidden.as_secs().to_string());
        let query = [("numofmessages", &*most), ("visibilitytimeout", &*hidden)];
        let reply = self.send(Method::GET, &format!("/{queue}/messages"), &query, None).await?;
        let listing = String::from_utf8_lossy(&reply.body);
        let messages = listing.split("<QueueMessage>").skip(1).map(message);
        messages
            .collect::<Option<_>>()
            .ok_or_else(|| QueueError::new(200, &format!("no messages: {listing}")))
    }

    async fn hide(&self, queue: &str, message: &Message, hidden: Duration) -> Result<Message, QueueError> {
        let hidden = hidden.as_secs().to_string();
        let query = [("popreceipt", &*message.receipt), ("visibilitytimeout", &*hidden)];
        let path = format!("/{queue}/messages/{}", message.id);
        let reply = self.send(Method::PUT, &path, &query, None).await?;
        let header = |name| reply.headers.get(name).and_then(|value| value.to_str().ok());
        let changed = header("x-ms-popreceipt").zip(header("x-ms-time-next-visible").and_then(time));
        let (receipt, next_visible) = changed.ok_or_else(|| QueueError::new(200, "no receipt"))?;
        Ok(Message { receipt: receipt.to_owned(), next_visible, ..message.clone() })
    }

    async fn delete(&self, queue: &str, message: &Message) -> Result<(), QueueError> {
        let path = format!("/{queue}/messages/{}", message.id);
        self.send(Method::DELETE, &path, &[("popreceipt", &message.receipt)], None).await.map(drop)
    }

    async fn length(&self, queue: &str) -> Result<usize, QueueError> {
        let reply = self.send(Method::GET, &format!("/{queue}"), &[("comp", "metadata")], None).await?;
        let count = reply.headers.get("x-ms-approximate-messages-count");
        let count = count.and_then(|count| count.to_str().ok()?.parse().ok());
        count.ok_or_else(|| QueueError::new(200, "no count"))
    }
}

fn message(xml: &str) -> Option<Message> {
    let element = |name: &str| {
        let rest = xml.split_once(&format!("<{name}>"));
        rest.and_then(|(_, rest)| Some(rest.split_once(&format!("</{name}>"))?.0))
    };
    Some(Message {
        id: element("MessageId")?.to_owned(),
        // An empty one may come as `<MessageText/>`.
        text: element("MessageText").unwrap_or_default().to_owned(),
        dequeue_count: element("DequeueCount")?.parse().ok()?,
        inserted: time(element("InsertionTime")?)?,
        expires: time(element("ExpirationTime")?)?,
        next_visible: time(element("TimeNextVisible")?)?,
        receipt: element("PopReceipt")?.to_owned(),
    })
}

fn time(text: &str) -> Option<OffsetDateTime> {
    parse_rfc7231(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: Duration = Duration::from_secs(600);

    #[tokio::test]
    #[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
    async fn a_message_is_put_taken_hidden_and_deleted() {
        let queues = AzuriteQueues::start().await;
        let gone = queues.get("mdatp-tenants", 32, HIDDEN).await.expect_err("no such queue");
        assert!(gone.is_gone(), "{gone}");
        for _ in 0..2 {
            queues.create("mdatp-tenants").await.expect("made, or there");
        }
        for text in ["b25l", "dHdv+/=="] {
            queues.put("mdatp-tenants", text).await.expect("put");
        }
        let taken = queues.get("mdatp-tenants", 32, HIDDEN).await.expect("taken");
        let texts: Vec<_> = taken.iter().map(|message| &*message.text).collect();
        assert_eq!(texts, ["b25l", "dHdv+/=="]);
        assert_eq!((taken[0].dequeue_count, taken[0].next_visible - taken[0].inserted >= HIDDEN), (1, true));
        assert_eq!(queues.get("mdatp-tenants", 1, HIDDEN).await, Ok(vec![]), "hidden");
        assert_eq!(queues.length("mdatp-tenants").await, Ok(2), "and there");

        let shown = queues.hide("mdatp-tenants", &taken[0], Duration::ZERO).await.expect("it is ours");
        let again = queues.get("mdatp-tenants", 1, HIDDEN).await.expect("taken").remove(0);
        assert_eq!((&again.id, again.dequeue_count), (&shown.id, 2));
        let mismatch = queues.delete("mdatp-tenants", &shown).await.expect_err("another has it");
        assert!(mismatch.is_gone(), "{mismatch}");
        queues.delete("mdatp-tenants", &again).await.expect("deleted");
        queues.delete("mdatp-tenants", &taken[1]).await.expect("deleted");
        assert_eq!(queues.length("mdatp-tenants").await, Ok(0));
    }
}
