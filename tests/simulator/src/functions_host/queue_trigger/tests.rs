use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::time::{Instant, sleep};

use super::*;
use crate::queue::MemoryQueues;
use crate::queue::memory_tests::under_virtual_time;

const QUEUE: &str = "mdatp-tenants";
const SECOND: Duration = Duration::from_secs(1);

/// What a function was called with: the text, and how often it was taken.
type Calls = Arc<Mutex<Vec<(String, u64)>>>;

fn settings(text: &str) -> QueueSettings {
    QueueSettings::read(&serde_json::from_str(text).expect("JSON")).expect("settings")
}

async fn queues(messages: usize) -> Arc<MemoryQueues> {
    let queues = Arc::new(under_virtual_time());
    queues.create(QUEUE).await.expect("made");
    for number in 0..messages {
        put(&queues, &number.to_string()).await;
    }
    queues
}

async fn put(queues: &MemoryQueues, text: &str) {
    queues.put(QUEUE, &STANDARD.encode(text)).await.expect("put");
}

/// Starts a listener whose function takes so long and succeeds or not.
fn listen(
    queues: &Arc<MemoryQueues>,
    settings: &QueueSettings,
    takes: Duration,
    succeeds: bool,
) -> (JoinSet<()>, Calls, Arc<Notify>) {
    let (calls, wake) = (Calls::default(), Arc::new(Notify::new()));
    let listener = QueueListener {
        queues: Arc::<MemoryQueues>::clone(queues),
        queue: QUEUE.to_owned(),
        settings: settings.clone(),
        wake: Arc::clone(&wake),
    };
    let heard = Arc::clone(&calls);
    let call = move |Received { message, bytes }: Received| {
        let text = String::from_utf8(bytes).expect("text");
        heard.lock().expect("no panics").push((text, message.dequeue_count));
        async move {
            sleep(takes).await;
            succeeds
        }
    };
    let mut set = JoinSet::new();
    set.spawn(listener.listen(call, |_| {}));
    (set, calls, wake)
}

fn heard(calls: &Calls) -> Vec<(String, u64)> {
    calls.lock().expect("no panics").clone()
}

#[tokio::test(start_paused = true)]
async fn a_batch_and_the_threshold_are_under_way_at_once_and_each_message_is_deleted() {
    let queues = queues(60).await;
    let settings = settings(r#"{"batchSize":16,"newBatchThreshold":16}"#);
    let (_listening, calls, _) = listen(&queues, &settings, 3 * SECOND, true);
    sleep(SECOND).await;
    assert_eq!(heard(&calls).len(), 32, "as the real host on two cores by its defaults");
    sleep(3 * SECOND).await;
    assert_eq!(heard(&calls).len(), 60);
    sleep(3 * SECOND).await;
    let texts: BTreeSet<_> = heard(&calls).into_iter().collect();
    assert_eq!(texts.len(), 60, "each once");
    assert_eq!(queues.length(QUEUE).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_comes_back_and_after_the_last_time_is_poison() {
    let queues = queues(1).await;
    let settings =
        settings(r#"{"maxDequeueCount":3,"visibilityTimeout":"00:00:30","maxPollingInterval":"00:00:01"}"#);
    let (_listening, calls, _) = listen(&queues, &settings, SECOND, false);
    sleep(29 * SECOND).await;
    assert_eq!(heard(&calls), [("0".to_owned(), 1)], "hidden for 30 s after its failure");
    sleep(4 * SECOND).await;
    assert_eq!(heard(&calls).len(), 2);
    sleep(600 * SECOND).await;
    assert_eq!(heard(&calls).iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(queues.length(QUEUE).await, Ok(0));
    assert_eq!(queues.texts("mdatp-tenants-poison"), [STANDARD.encode("0")], "the same text");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_came_too_often_or_is_no_base64_is_poison_unseen() {
    let queues = queues(0).await;
    queues.put(QUEUE, "not base64!").await.expect("put");
    put(&queues, "seen too often").await;
    for _ in 0..2 {
        for message in queues.get(QUEUE, 32, HIDDEN).await.expect("taken") {
            queues.hide(QUEUE, &message, Duration::ZERO).await.expect("hidden");
        }
    }
    let settings = settings(r#"{"maxDequeueCount":2,"maxPollingInterval":"00:00:01"}"#);
    let (_listening, calls, _) = listen(&queues, &settings, SECOND, true);
    sleep(5 * SECOND).await;
    assert_eq!(heard(&calls), []);
    let poison: BTreeSet<_> = queues.texts("mdatp-tenants-poison").into_iter().collect();
    assert_eq!(poison, BTreeSet::from(["not base64!".to_owned(), STANDARD.encode("seen too often")]));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_dies_keeps_its_messages_hidden_for_ten_minutes() {
    let queues = queues(1).await;
    let settings = settings(r#"{"visibilityTimeout":"00:00:30","maxPollingInterval":"00:00:01"}"#);
    let (listening, ..) = listen(&queues, &settings, 100 * SECOND, true);
    sleep(SECOND).await;
    drop(listening);
    let (_listening, calls, _) = listen(&queues, &settings, SECOND, true);
    sleep(597 * SECOND).await;
    assert_eq!(heard(&calls), []);
    sleep(6 * SECOND).await;
    assert_eq!(heard(&calls), [("0".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_long_run_keeps_its_message_hidden() {
    let queues = queues(1).await;
    let settings = settings("{}");
    let (_one, calls, _) = listen(&queues, &settings, 1500 * SECOND, true);
    let (_other, others, _) = listen(&queues, &settings, SECOND, true);
    sleep(1600 * SECOND).await;
    assert_eq!(heard(&calls).len() + heard(&others).len(), 1);
    assert_eq!(queues.length(QUEUE).await, Ok(0), "deleted with the receipt of the last renewal");
}

#[tokio::test(start_paused = true)]
async fn two_hosts_share_a_queue() {
    let queues = queues(200).await;
    let settings = settings(r#"{"batchSize":8,"newBatchThreshold":8}"#);
    let (_one, first, _) = listen(&queues, &settings, SECOND, true);
    let (_other, second, _) = listen(&queues, &settings, SECOND, true);
    sleep(60 * SECOND).await;
    let (first, second) = (heard(&first), heard(&second));
    assert!(first.len() > 50 && second.len() > 50, "{} {}", first.len(), second.len());
    let all: BTreeSet<_> = first.iter().chain(&second).collect();
    assert_eq!((all.len(), first.len() + second.len()), (200, 200));
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_asked_ever_more_rarely_and_at_once_for_what_the_host_itself_puts_there() {
    let queues = queues(0).await;
    let settings = settings(r#"{"maxPollingInterval":"00:01:00"}"#);
    let (_listening, calls, wake) = listen(&queues, &settings, SECOND, true);
    sleep(600 * SECOND).await;
    let asked = queues.operations()["get"];
    assert!((15..25).contains(&asked), "{asked}");
    put(&queues, "0").await;
    let began = Instant::now();
    wake.notify_one();
    while heard(&calls).is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() < SECOND / 10);
}
