//! The Azure Functions host, as far as a custom handler can see it.
//!
//! It starts the binary with five more variables and no arguments, asks `GET /` every 25 ms until anything
//! answers, posts timer invocations over connections it keeps, and reads the replies by rules that fail a
//! run for a wrong content type and hang on an empty body. It restarts a handler that ends with an error, twice, and
//! also when the folders in the app's root change. When it stops, it sends SIGKILL and nothing else.
//!
//! Messages of a queue trigger it takes in batches, from queues that several hosts may share.
//!
//! What it sends and does was compared with the real host (Azure/azure-functions-host 4.1037), run and recorded;
//! `tests/fixtures/host` has the bodies. Header names differ in case, which HTTP ignores.

mod app;
mod binding_data;
pub mod footprint;
mod framing;
mod http_call;
mod http_response;
mod invocation;
mod job_host;
mod log;
mod payload;
mod queue_output;
mod queue_trigger;
mod schedule;
mod start;
mod timer;
mod verdict;
mod worker;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};

pub use self::framing::Framing;
pub use self::http_call::{HttpCall, KEY};
pub use self::http_response::HttpResponse;
pub use self::invocation::{Invocation, Outcome};
pub use self::log::{Category, HostLog, Level};
pub use self::payload::Payload;
pub use self::schedule::Schedule;
pub use self::start::Start;

use self::app::Trigger;
use self::http_call::HttpFunction;
use self::job_host::JobHost;
use self::payload::Tick;
use self::queue_trigger::{QueueListener, Received};
use self::worker::Worker;
use crate::clock::now;
use crate::console::Origin;
use crate::guid::guid;

const HOST_VERSION: &str = "4.1037.0";

/// A host with its one handler process. Dropping it kills the process.
#[derive(Debug)]
pub struct FunctionsHost {
    job: Arc<JobHost>,
    supervisor: JoinHandle<()>,
    listeners: JoinSet<()>,
    triggered: Arc<Mutex<Triggered>>,
}

/// What queue triggers have come to.
#[derive(Debug, Default)]
struct Triggered {
    /// The ids of the messages that the handler has not yet answered.
    under_way: BTreeSet<String>,
    ended: Vec<Invocation>,
}

impl FunctionsHost {
    /// Reads the app, picks a free port, starts the handler and waits until it answers.
    pub async fn start(start: Start) -> Result<Self, String> {
        let random = fastrand::Rng::with_seed(start.seed);
        let job = Arc::new(JobHost::start(Worker::new(start)?, random).await?);
        let supervised = Arc::clone(&job);
        let supervisor = tokio::spawn(async move { supervised.supervise().await });
        let (listeners, triggered) = Default::default();
        let mut host = Self { job, supervisor, listeners, triggered };
        host.listen()?;
        Ok(host)
    }

    /// Starts to listen for the queue triggers.
    fn listen(&mut self) -> Result<(), String> {
        for function in &self.job.worker.app.functions {
            let Trigger::Queue(binding) = &function.trigger else { continue };
            let queues = self.job.worker.start.queues.clone();
            let queues = queues.ok_or("the app has a queue trigger, and the host no storage account")?;
            let listener = QueueListener {
                queues,
                queue: binding.queue.clone(),
                settings: self.job.worker.app.queues.clone(),
                wake: Arc::clone(&self.job.wakes[&binding.queue]),
            };
            let (job, triggered) = (Arc::clone(&self.job), Arc::clone(&self.triggered));
            let (name, binding) = (function.name.clone(), binding.clone());
            let log = Arc::clone(&self.job);
            let call = move |received: Received| {
                let guid = guid(&mut job.random());
                let body = received.invocation(&name, &binding.name, binding.is_binary, &guid, now());
                let (job, triggered, name) = (Arc::clone(&job), Arc::clone(&triggered), name.clone());
                lock(&triggered).under_way.insert(received.message.id.clone());
                async move {
                    let invocation = job.invoke(&name, body, Framing::Chunked).await;
                    let succeeded = invocation.succeeded();
                    let mut triggered = lock(&triggered);
                    triggered.under_way.remove(&received.message.id);
                    triggered.ended.push(invocation);
                    succeeded
                }
            };
            self.listeners.spawn(listener.listen(call, move |line| log.log(Level::Error, line)));
        }
        Ok(())
    }

    /// The invocations by queue triggers that have ended since the last time.
    pub fn take_triggered(&self) -> Vec<Invocation> {
        std::mem::take(&mut lock(&self.triggered).ended)
    }

    /// The ids of the messages whose invocations have not ended.
    pub fn under_way(&self) -> BTreeSet<String> {
        lock(&self.triggered).under_way.clone()
    }

    /// Dies as a host whose machine goes: nothing is listened for and no invocation is waited for any more, messages stay
    /// hidden, and the handler is gone when this returns.
    pub async fn die(mut self) {
        self.supervisor.abort();
        self.listeners.shutdown().await;
        self.job.kill().await;
    }

    /// Ends the handler, and starts it anew on the same port, with the same settings.
    pub async fn restart(&self) -> Result<(), String> {
        self.job.restart().await
    }

    /// From the start of the process to the end of the first answered `GET /`.
    pub fn ready_after(&self) -> Duration {
        self.job.running().ready_after
    }

    /// The handler's port. It stays the same unless the app's root changes.
    pub fn port(&self) -> u16 {
        self.job.worker.connections().port()
    }

    /// The id of the handler's process.
    pub fn pid(&self) -> u32 {
        self.job.running().process.pid()
    }

    /// Invokes the function once, with the body in a chunk as in Azure.
    pub async fn fire(&self, payload: Payload) -> Invocation {
        self.fire_with(payload, Framing::Chunked).await
    }

    /// Invokes the function once.
    pub async fn fire_with(&self, payload: Payload, framing: Framing) -> Invocation {
        let every = azure_core::time::Duration::minutes(5);
        let now = now();
        let due = now - azure_core::time::Duration::nanoseconds(now.nanosecond().into());
        self.invoke(&payload, framing, due - every, due, every).await
    }

    async fn invoke(
        &self,
        payload: &Payload,
        framing: Framing,
        previous: OffsetDateTime,
        due: OffsetDateTime,
        every: azure_core::time::Duration,
    ) -> Invocation {
        let guid = guid(&mut self.job.random());
        let (function, binding, _) = self.job.worker.app.timer().expect("an app that is fired has a timer");
        let tick = Tick { function, binding, previous, due, every, now: now(), guid: &guid };
        self.job.invoke(function, payload.body(&tick), framing).await
    }

    /// Calls the function `name`, which has an HTTP trigger with `route`. Returns what the caller gets, and how the
    /// invocation ended for the host.
    pub async fn call(&self, name: &str, route: &str, call: &HttpCall) -> (HttpResponse, Invocation) {
        let guid = guid(&mut self.job.random());
        let address = format!("127.0.0.1:7071/api/{route}");
        let function = HttpFunction { name, address: &address, params: "{}" };
        self.call_with(name, call.invocation(function, &guid, now())).await
    }

    /// The same with this invocation, such as a recorded one.
    pub async fn call_with(&self, name: &str, invocation: Bytes) -> (HttpResponse, Invocation) {
        let invocation = self.job.invoke(name, invocation, Framing::Chunked).await;
        (HttpResponse::of(&invocation), invocation)
    }

    /// Sends `GET path` to the handler, and returns the status.
    pub async fn get(&self, path: &str) -> Result<u16, String> {
        self.job.worker.get(path).await.map(|reply| reply.status)
    }

    /// Ends the handler with SIGKILL, as a host that stops, and waits for its end.
    pub async fn kill(&self) {
        self.job.kill().await;
    }

    /// Sends SIGTERM, which the host itself never does, and waits for the exit code.
    pub async fn terminate(&self) -> Result<i32, String> {
        let exited = {
            let running = self.job.running();
            running.process.terminate()?;
            running.process.exited()
        };
        Ok(exited.await)
    }

    /// Waits until the handler ends: its exit code, or 128 and the signal's number.
    pub async fn exited(&self) -> i32 {
        let exited = self.job.running().process.exited();
        exited.await
    }

    /// Waits until no process is left that could write to the handler's pipes: it, and all that it was started through.
    pub async fn silent(&self) {
        let silent = self.job.running().process.silent();
        silent.await;
    }

    /// Waits until the host has stopped because its handler ended too often.
    pub async fn stopped(&self) {
        self.job.stopped().await;
    }

    /// The lines of stdout so far, over all starts.
    pub fn stdout(&self) -> Vec<String> {
        self.job.worker.console.of(&Origin::Stdout)
    }

    /// The lines of stderr so far, over all starts.
    pub fn stderr(&self) -> Vec<String> {
        self.job.worker.console.of(&Origin::Stderr)
    }

    /// The host's log: both, the lines under `Logs` of the replies, and what the host says itself.
    pub fn log(&self) -> Vec<HostLog> {
        self.job.worker.console.lines().into_iter().map(|(origin, line)| HostLog::of(origin, line)).collect()
    }

    /// Waits for a line of the log that contains `text`: the pipes may lag behind a reply.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub async fn line_with(&self, text: &str) -> String {
        let line =
            tokio::time::timeout(Duration::from_secs(60), self.job.worker.console.wait_for(text)).await;
        line.unwrap_or_else(|_| panic!("no line with {text:?} in {:#?}", self.log()))
    }

    /// Resident memory of the handler in bytes, where there is a /proc.
    pub fn resident_bytes(&self) -> Option<u64> {
        footprint::memory(self.pid(), "VmRSS")
    }

    /// The highest resident memory of the handler so far.
    pub fn peak_bytes(&self) -> Option<u64> {
        footprint::memory(self.pid(), "VmHWM")
    }

    /// Processor time the handler has used.
    pub fn cpu_time(&self) -> Option<Duration> {
        footprint::cpu_time(self.pid())
    }
}

fn lock(triggered: &Mutex<Triggered>) -> MutexGuard<'_, Triggered> {
    triggered.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for FunctionsHost {
    fn drop(&mut self) {
        // It holds the process too.
        self.supervisor.abort();
        self.job.running().process.kill();
    }
}

#[cfg(test)]
mod test_handler;
#[cfg(test)]
mod tests;
