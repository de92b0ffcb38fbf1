//! Queues in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::time::OffsetDateTime;
use fastrand::Rng;

use super::{MOST_AT_ONCE, MOST_BYTES, Message, QueueError, Queues};
use crate::clock;
use crate::guid::guid;

/// How long a message is kept that nobody deletes ("Put Message": seven days).
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Queues that live as long as this.
pub struct MemoryQueues {
    clock: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
    account: Mutex<Account>,
}

struct Account {
    queues: BTreeMap<String, Queue>,
    operations: BTreeMap<&'static str, u64>,
    number: u64,
    rng: Rng,
}

/// Messages in the order in which they become visible; of those that do at the same time, the older first.
#[derive(Default)]
struct Queue {
    messages: BTreeMap<Place, Message>,
    places: HashMap<String, Place>,
}

type Place = (OffsetDateTime, u64);

impl Default for MemoryQueues {
    fn default() -> Self {
        Self::with_clock(clock::now)
    }
}

impl MemoryQueues {
    /// Queues whose time is another than this machine's.
    pub fn with_clock(clock: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        let (queues, operations) = Default::default();
        let account = Account { queues, operations, number: 0, rng: Rng::with_seed(1) };
        Self { clock: Box::new(clock), account: Mutex::new(account) }
    }

    /// How often each operation was asked for, by its name. Each is billed alike, whatever it brings.
    pub fn operations(&self) -> BTreeMap<&'static str, u64> {
        self.lock().operations.clone()
    }

    /// A queue's messages, hidden ones too.
    pub fn messages(&self, queue: &str) -> Vec<Message> {
        let account = self.lock();
        account.queues.get(queue).into_iter().flat_map(|queue| queue.messages.values().cloned()).collect()
    }

    /// Their texts.
    pub fn texts(&self, queue: &str) -> Vec<String> {
        self.messages(queue).into_iter().map(|message| message.text).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn count(&mut self, operation: &'static str) {
        *self.operations.entry(operation).or_default() += 1;
    }

    fn queue(&mut self, name: &str) -> Result<&mut Queue, QueueError> {
        self.queues.get_mut(name).ok_or_else(|| QueueError::new(404, "QueueNotFound"))
    }

    fn place(&mut self, visible: OffsetDateTime) -> Place {
        self.number += 1;
        (visible, self.number)
    }
}

impl Queue {
    fn add(&mut self, place: Place, message: Message) {
        self.places.insert(message.id.clone(), place);
        self.messages.insert(place, message);
    }

    /// Takes out the message that is still the one that was taken.
    fn remove(&mut self, taken: &Message) -> Result<Message, QueueError> {
        let place = self.places.get(&taken.id).copied();
        let place = place.ok_or_else(|| QueueError::new(404, "MessageNotFound"))?;
        if self.messages[&place].receipt != taken.receipt {
            return Err(QueueError::new(400, "PopReceiptMismatch"));
        }
        self.places.remove(&taken.id);
        Ok(self.messages.remove(&place).expect("it was just seen"))
    }
}

#[async_trait]
impl Queues for MemoryQueues {
    async fn create(&self, queue: &str) -> Result<(), QueueError> {
        let mut account = self.lock();
        account.count("create");
        account.queues.entry(queue.to_owned()).or_default();
        Ok(())
    }

    async fn put(&self, queue: &str, text: &str) -> Result<(), QueueError> {
        let now = (self.clock)();
        let mut account = self.lock();
        account.count("put");
        if text.len() > MOST_BYTES {
            return Err(QueueError::new(413, "RequestBodyTooLarge"));
        }
        let place = account.place(now);
        let message = Message {
            id: guid(&mut account.rng),
            text: text.to_owned(),
            dequeue_count: 0,
            inserted: now,
            expires: now + KEPT_FOR,
            next_visible: now,
            receipt: String::new(),
        };
        account.queue(queue)?.add(place, message);
        Ok(())
    }

    async fn get(&self, queue: &str, most: usize, hidden: Duration) -> Result<Vec<Message>, QueueError> {
        let now = (self.clock)();
        let mut account = self.lock();
        account.count("get");
        if !(1..=MOST_AT_ONCE).contains(&most) {
            return Err(QueueError::new(400, "OutOfRangeQueryParameterValue"));
        }
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(entry) = account.queue(queue)?.messages.first_entry() else { break };
            if entry.key().0 > now {
                break;
            }
            let mut message = entry.remove();
            account.queue(queue)?.places.remove(&message.id);
            if message.expires <= now {
                continue;
            }
            message.dequeue_count += 1;
            message.next_visible = now + hidden;
            message.receipt = guid(&mut account.rng);
            taken.push(message);
        }
        for message in &taken {
            let place = account.place(message.next_visible);
            account.queue(queue)?.add(place, message.clone());
        }
        Ok(taken)
    }

    async fn hide(&self, queue: &str, message: &Message, hidden: Duration) -> Result<Message, QueueError> {
        let now = (self.clock)();
        let mut account = self.lock();
        account.count("update");
        let mut message = account.queue(queue)?.remove(message)?;
        message.next_visible = now + hidden;
        message.receipt = guid(&mut account.rng);
        let place = account.place(message.next_visible);
        account.queue(queue)?.add(place, message.clone());
        Ok(message)
    }

    async fn delete(&self, queue: &str, message: &Message) -> Result<(), QueueError> {
        let mut account = self.lock();
        account.count("delete");
        account.queue(queue)?.remove(message).map(drop)
    }

    async fn length(&self, queue: &str) -> Result<usize, QueueError> {
        let mut account = self.lock();
        Ok(account.queue(queue)?.messages.len())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Queues whose time is that of a runtime with a paused clock.
    pub(crate) fn under_virtual_time() -> MemoryQueues {
        let began = Instant::now();
        MemoryQueues::with_clock(move || OffsetDateTime::UNIX_EPOCH + began.elapsed())
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_message_comes_back_until_it_is_deleted_with_its_newest_receipt() {
        let queues = under_virtual_time();
        assert_eq!(queues.put("q", "one").await, Err(QueueError::new(404, "QueueNotFound")));
        queues.create("q").await.expect("made");
        queues.put("q", "one").await.expect("put");
        let first = queues.get("q", 32, MINUTE).await.expect("taken").remove(0);
        assert_eq!((&*first.text, first.dequeue_count), ("one", 1));
        assert_eq!(queues.get("q", 32, MINUTE).await, Ok(vec![]), "it is hidden");
        assert_eq!(queues.length("q").await, Ok(1), "and there");

        sleep(MINUTE).await;
        let second = queues.get("q", 1, MINUTE).await.expect("taken").remove(0);
        assert_eq!((&second.id, second.dequeue_count), (&first.id, 2));
        let mismatch = Err(QueueError::new(400, "PopReceiptMismatch"));
        assert_eq!(queues.delete("q", &first).await, mismatch, "another has taken it since");
        let third = queues.hide("q", &second, 2 * MINUTE).await.expect("hidden again");
        assert_eq!(third.dequeue_count, 2, "it was not taken");
        assert_eq!(queues.delete("q", &second).await, mismatch);
        sleep(MINUTE + MINUTE / 2).await;
        assert_eq!(queues.get("q", 1, MINUTE).await, Ok(vec![]), "longer, from then on");
        assert_eq!(queues.delete("q", &third).await, Ok(()));
        assert_eq!(queues.delete("q", &third).await, Err(QueueError::new(404, "MessageNotFound")));
    }

    #[tokio::test(start_paused = true)]
    async fn older_messages_come_first_at_most_32_at_once_and_for_seven_days() {
        let queues = under_virtual_time();
        queues.create("q").await.expect("made");
        for number in 0..40 {
            queues.put("q", &number.to_string()).await.expect("put");
        }
        assert!(queues.get("q", 33, MINUTE).await.is_err());
        let taken = queues.get("q", 32, MINUTE).await.expect("taken");
        let texts: Vec<_> = taken.iter().map(|message| message.text.clone()).collect();
        assert_eq!(texts, (0..32).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(queues.get("q", 32, MINUTE).await.map(|rest| rest.len()), Ok(8));
        sleep(KEPT_FOR).await;
        assert_eq!(queues.get("q", 32, MINUTE).await, Ok(vec![]));
        assert_eq!(
            queues.put("q", &"x".repeat(65_537)).await,
            Err(QueueError::new(413, "RequestBodyTooLarge"))
        );
        assert_eq!(queues.put("q", &"x".repeat(65_536)).await, Ok(()));
    }
}
