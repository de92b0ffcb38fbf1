//! The Azure Functions host, as far as a custom handler can see it.
//!
//! It starts the binary with five more variables and no arguments, asks `GET /` every 25 ms until anything
//! answers, posts timer invocations over connections it keeps, and reads the replies by rules that fail a
//! run for a wrong content type and hang on an empty body. When it stops, it sends SIGKILL and nothing else.

mod app;
pub mod footprint;
mod framing;
mod invocation;
mod log;
mod payload;
mod schedule;
mod start;
mod timer;
mod verdict;
mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use azure_core::time::OffsetDateTime;
use http::Request;

pub use self::framing::Framing;
pub use self::invocation::{Invocation, Outcome};
pub use self::log::{HostLog, Level};
pub use self::payload::Payload;
pub use self::schedule::Schedule;
pub use self::start::Start;
pub use self::verdict::{Crashes, HostVerdict};

use self::app::App;
use self::payload::Tick;
use self::worker::{Running, Worker};
use crate::clock::now;
use crate::console::Pipe;
use crate::guid::guid;

const HOST_VERSION: &str = "4.1037.0";

/// A host with its one handler process. Dropping it kills the process.
#[derive(Debug)]
pub struct FunctionsHost {
    worker: Worker,
    running: Mutex<Running>,
    crashes: Mutex<Crashes>,
    random: Mutex<fastrand::Rng>,
}

impl FunctionsHost {
    /// Reads the app, picks a free port, starts the handler and waits until it answers.
    pub async fn start(start: Start) -> Result<Self, String> {
        let mut random = fastrand::Rng::with_seed(start.seed);
        let worker = Worker::new(start)?;
        let running = worker.launch(&guid(&mut random)).await?.into();
        Ok(Self { worker, running, crashes: Mutex::default(), random: random.into() })
    }

    /// Starts the handler anew, on the same port, with the same settings.
    pub async fn restart(&self) -> Result<(), String> {
        self.kill().await;
        self.worker.connections.forget();
        let id = guid(&mut self.random());
        let running = self.worker.launch(&id).await?;
        *self.running() = running;
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the start of the process to the end of the first answered `GET /`.
    pub fn ready_after(&self) -> Duration {
        self.running().ready_after
    }

    /// The handler's port, the same for all its starts.
    pub fn port(&self) -> u16 {
        self.worker.port
    }

    /// The id of the handler's process.
    pub fn pid(&self) -> u32 {
        self.running().process.pid()
    }

    /// Invokes the function once, with the body in chunks as in Azure.
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
        let (id, trace, guid) = {
            let mut random = self.random();
            (
                guid(&mut random),
                format!("00-{:032x}-{:016x}-00", random.u128(1..), random.u64(1..)),
                guid(&mut random),
            )
        };
        let App { function, binding, function_timeout, .. } = &self.worker.app;
        let tick = Tick { function, binding, previous, due, every, now: now(), guid: &guid };
        let request = Request::post(format!("/{function}"))
            .header("X-Azure-Functions-HostVersion", HOST_VERSION)
            .header("X-Azure-Functions-InvocationId", &id)
            .header("User-Agent", format!("Azure-Functions-Host/{HOST_VERSION}"))
            .header("traceparent", trace)
            .header("Content-Type", "application/json; charset=utf-8")
            .body(framing.frame(payload.body(&tick)))
            .expect("a function's name is a path");
        let began = Instant::now();
        let reply = match *function_timeout {
            None => self.worker.connections.send(request).await,
            Some(limit) => match tokio::time::timeout(limit, self.worker.connections.send(request)).await {
                Ok(reply) => reply,
                Err(_) => Err(self.give_up(&id, limit).await),
            },
        };
        Invocation::of(id, reply, began.elapsed())
    }

    /// The end of an invocation over its time: the handler hears nothing of it, and is killed two seconds
    /// later and started again.
    async fn give_up(&self, id: &str, limit: Duration) -> String {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let again = match self.restart().await {
            Ok(()) => String::new(),
            Err(problem) => format!(" Restart failed: {problem}"),
        };
        let function = &self.worker.app.function;
        format!("Timeout value of {limit:?} exceeded by function 'Functions.{function}' (Id: '{id}').{again}")
    }

    /// Asks the handler for `path` and tells the status.
    pub async fn get(&self, path: &str) -> Result<u16, String> {
        self.worker.get(path).await.map(|reply| reply.status)
    }

    /// Ends the handler with SIGKILL, as a host that stops, and waits for its end.
    pub async fn kill(&self) {
        let exited = {
            let running = self.running();
            running.process.kill();
            running.process.exited()
        };
        exited.await;
    }

    /// Sends SIGTERM, which comes from outside if at all, and waits for the exit code.
    pub async fn terminate(&self) -> Result<i32, String> {
        let exited = {
            let running = self.running();
            running.process.terminate()?;
            running.process.exited()
        };
        Ok(exited.await)
    }

    /// Waits until the handler ends by itself: its exit code, or 128 and the signal's number.
    pub async fn exited(&self) -> i32 {
        let exited = self.running().process.exited();
        exited.await
    }

    /// Whether the handler has ended.
    pub fn has_ended(&self) -> bool {
        self.exit_code().is_some()
    }

    fn exit_code(&self) -> Option<i32> {
        self.running().process.exit_code()
    }

    /// What the host does about the handler's end at `now`. Call it once for each end.
    pub fn verdict(&self, now: OffsetDateTime) -> HostVerdict {
        let exit_code = self.exit_code().unwrap_or_default();
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).judge(exit_code, now)
    }

    /// The lines of stdout so far, over all starts.
    pub fn stdout(&self) -> Vec<String> {
        self.worker.console.of(Pipe::Stdout)
    }

    /// The lines of stderr so far, over all starts.
    pub fn stderr(&self) -> Vec<String> {
        self.worker.console.of(Pipe::Stderr)
    }

    /// Both, as the host logs them.
    pub fn log(&self) -> Vec<HostLog> {
        self.worker.console.lines().into_iter().map(|(pipe, line)| HostLog::of(pipe, line)).collect()
    }

    /// Waits for a line of output that contains `text`: the pipes may lag behind a reply.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub async fn line_with(&self, text: &str) -> String {
        let line = tokio::time::timeout(Duration::from_secs(60), self.worker.console.wait_for(text)).await;
        line.unwrap_or_else(|_| panic!("no line with {text:?} in {:?} {:?}", self.stdout(), self.stderr()))
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

#[cfg(test)]
mod test_handler;
#[cfg(test)]
mod tests;
