//! The queue trigger: takes messages in batches, has the function called for each, and does with it what the outcome
//! says.
//!
//! The rules are those of the host's storage extension, as they were observed and as "host.json settings for Azure Queue
//! storage" has them. A host that dies leaves its messages hidden for as long as they were taken.

mod body;

pub(super) use self::body::Received;

use std::sync::Arc;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::app::time_span;
use crate::queue::{MOST_AT_ONCE, Message, QueueError, Queues};

/// For so long a message is hidden when it is taken, whatever `visibilityTimeout` says, and again at half-time.
const HIDDEN: Duration = Duration::from_secs(600);

/// The shortest pause before an empty queue is asked again; each next one is about twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// `extensions.queues` of host.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueSettings {
    /// The most messages that are taken at once.
    pub(super) batch_size: usize,
    /// A batch is taken when no more messages than this are under way.
    pub(super) new_batch_threshold: usize,
    /// After so many failures a message is moved to the poison queue.
    pub(super) max_dequeue_count: u64,
    /// How long after a failure a message is hidden.
    pub(super) visibility_timeout: Duration,
    /// The longest pause before an empty queue is asked again.
    pub(super) max_polling_interval: Duration,
}

impl QueueSettings {
    pub(super) fn read(settings: &Value) -> Result<Self, String> {
        let number = |name: &str, default: usize| match &settings[name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .and_then(|number| number.try_into().ok())
                .ok_or_else(|| format!("host.json: extensions.queues.{name} is no number")),
        };
        let span = |name: &str, default| match settings[name].as_str() {
            None => Ok(default),
            Some(text) => time_span(text),
        };
        let batch_size = number("batchSize", 16)?;
        if !(1..=MOST_AT_ONCE).contains(&batch_size) {
            return Err(format!(
                "host.json: extensions.queues.batchSize is not between 1 and {MOST_AT_ONCE}"
            ));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            batch_size,
            new_batch_threshold: number("newBatchThreshold", batch_size / 2 * cores)?,
            max_dequeue_count: number("maxDequeueCount", 5)? as u64,
            visibility_timeout: span("visibilityTimeout", Duration::ZERO)?,
            max_polling_interval: span("maxPollingInterval", Duration::from_secs(60))?,
        })
    }
}

/// The listener of one function.
#[derive(Clone)]
pub(super) struct QueueListener {
    pub(super) queues: Arc<dyn Queues>,
    pub(super) queue: String,
    pub(super) settings: QueueSettings,
    /// Ends a pause: the host has put a message into the queue itself.
    pub(super) wake: Arc<Notify>,
}

impl QueueListener {
    /// Listens for ever. `call` has the function called for a message, and returns whether it succeeded; what is under way
    /// ends with this.
    pub(super) async fn listen<F>(self, call: impl Fn(Received) -> F, log: impl Fn(String))
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let mut under_way = JoinSet::new();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let taken = match self.queues.get(&self.queue, self.settings.batch_size, HIDDEN).await {
                Ok(taken) => taken,
                Err(problem) => {
                    // One that is not there is as good as empty.
                    if !problem.is_gone() {
                        log(format!("An unhandled exception occurred in the queue listener: {problem}"));
                    }
                    Vec::new()
                }
            };
            if taken.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(self.settings.max_polling_interval),
                    () = self.wake.notified() => pause = SHORTEST_PAUSE,
                }
                continue;
            }
            pause = SHORTEST_PAUSE;
            for message in taken {
                let decoded = STANDARD.decode(&message.text);
                if decoded.is_err() {
                    log("Message decoding has failed! Check MessageEncoding settings.".to_owned());
                }
                let is_allowed = message.dequeue_count <= self.settings.max_dequeue_count;
                let bytes = decoded.ok().filter(|_| is_allowed);
                let work = bytes.map(|bytes| call(Received { message: message.clone(), bytes }));
                let listener = self.clone();
                under_way.spawn(async move { listener.deal_with(message, work).await });
            }
            while under_way.len() > self.settings.new_batch_threshold {
                under_way.join_next().await;
            }
        }
    }

    /// Waits for the function and does with the message what follows. An operation that fails leaves it hidden.
    async fn deal_with(self, mut message: Message, work: Option<impl Future<Output = bool>>) {
        let succeeded = match work {
            None => false,
            Some(work) => {
                tokio::pin!(work);
                loop {
                    tokio::select! {
                        succeeded = &mut work => break succeeded,
                        () = tokio::time::sleep(HIDDEN / 2) => {
                            if let Ok(renewed) = self.queues.hide(&self.queue, &message, HIDDEN).await {
                                message = renewed;
                            }
                        }
                    }
                }
            }
        };
        let _ = self.complete(&message, succeeded).await;
    }

    async fn complete(&self, message: &Message, succeeded: bool) -> Result<(), QueueError> {
        if !succeeded && message.dequeue_count < self.settings.max_dequeue_count {
            let hidden = self.settings.visibility_timeout;
            return self.queues.hide(&self.queue, message, hidden).await.map(drop);
        }
        if !succeeded {
            let poison = format!("{}-poison", self.queue);
            self.queues.create(&poison).await?;
            self.queues.put(&poison, &message.text).await?;
        }
        self.queues.delete(&self.queue, message).await
    }
}

#[cfg(test)]
mod tests;
