//! The Azure Functions host, as far as a custom handler can see it.
//!
//! It starts the binary with five more variables and no arguments, asks `GET /` every 25 ms until anything
//! answers, posts timer invocations over connections it keeps, and reads the replies by rules that fail a
//! run for a wrong content type and hang on an empty body. When it stops, it sends SIGKILL and nothing else.

mod app;
mod footprint;
mod framing;
mod invocation;
mod payload;
mod timer;
mod verdict;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use azure_core::time::OffsetDateTime;
use http::Request;
use tokio::process::Command;

pub use self::framing::Framing;
pub use self::invocation::{Invocation, Outcome};
pub use self::payload::Payload;
pub use self::verdict::{Crashes, HostVerdict};

use self::app::App;
use self::payload::Tick;
use crate::clock::now;
use crate::connection::{Connections, Outgoing, Reply};
use crate::console::{Console, Pipe};
use crate::guid::guid;
use crate::process::Process;

const HOST_VERSION: &str = "4.1037.0";

/// What to start and how.
#[derive(Clone, Debug)]
pub struct Start {
    /// The folder with host.json and the function's folder; the handler's working directory.
    pub app_root: PathBuf,
    /// The handler, if it is not to be the one host.json names.
    pub binary: Option<PathBuf>,
    /// The app settings: the handler's environment beside PATH, HOME and the host's own variables.
    pub settings: Vec<(String, String)>,
    /// The pause between two readiness tries. The host's is 25 ms; a shorter one measures the start finer.
    pub poll_every: Duration,
    /// A shorter limit for an invocation than host.json's functionTimeout.
    pub function_timeout: Option<Duration>,
    /// Makes invocation ids repeatable.
    pub seed: u64,
}

impl Start {
    /// The app in `app_root`, started as the host does, with `settings`.
    pub fn new(app_root: impl Into<PathBuf>, settings: Vec<(String, String)>) -> Self {
        Self {
            app_root: app_root.into(),
            binary: None,
            settings,
            poll_every: Duration::from_millis(25),
            function_timeout: None,
            seed: 0,
        }
    }

    /// Starts `binary` instead of the one host.json names.
    #[must_use]
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = Some(binary.into());
        self
    }
}

/// A host with its one handler process. Dropping it kills the process.
#[derive(Debug)]
pub struct FunctionsHost {
    app: App,
    start: Start,
    port: u16,
    connections: Connections,
    console: Console,
    running: Mutex<Running>,
    crashes: Mutex<Crashes>,
    random: Mutex<fastrand::Rng>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    ready_after: Duration,
}

/// How serious the host takes a line of the handler's output to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// From stdout.
    Information,
    /// From stderr, with "warn" somewhere in it.
    Warning,
    /// Any other line from stderr.
    Error,
}

/// A line of the handler's output in the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLog {
    /// Derived from the pipe and the text.
    pub level: Level,
    /// The line without its end.
    pub line: String,
}

impl FunctionsHost {
    /// Reads the app, picks a free port, starts the handler and waits until it answers.
    pub async fn start(start: Start) -> Result<Self, String> {
        let mut app = App::read(&start.app_root)?;
        if let Some(binary) = &start.binary {
            app.executable.clone_from(binary);
        }
        app.function_timeout = start.function_timeout.or(app.function_timeout);
        let port = free_port().map_err(|problem| format!("no free port for the handler: {problem}"))?;
        let (connections, console) = (Connections::to(port), Console::default());
        let random = fastrand::Rng::with_seed(start.seed).into();
        let running = launch(&app, &start, port, &connections, &console, &random).await?.into();
        let crashes = Mutex::default();
        Ok(Self { app, start, port, connections, console, running, crashes, random })
    }

    /// Starts the handler anew, on the same port, with the same settings.
    pub async fn restart(&self) -> Result<(), String> {
        self.kill().await;
        self.connections.forget();
        let running =
            launch(&self.app, &self.start, self.port, &self.connections, &self.console, &self.random).await?;
        *self.running() = running;
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the start of the process to the end of the first answered `GET /`.
    pub fn ready_after(&self) -> Duration {
        self.running().ready_after
    }

    /// The handler's port, the same for all its starts.
    pub fn port(&self) -> u16 {
        self.port
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
            let mut random = self.random.lock().expect("no holder panics");
            (
                guid(&mut random),
                format!("00-{:032x}-{:016x}-00", random.u128(1..), random.u64(1..)),
                guid(&mut random),
            )
        };
        let App { function, binding, function_timeout, .. } = &self.app;
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
            None => self.connections.send(request).await,
            Some(limit) => match tokio::time::timeout(limit, self.connections.send(request)).await {
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
        let function = &self.app.function;
        format!("Timeout value of {limit:?} exceeded by function 'Functions.{function}' (Id: '{id}').{again}")
    }

    /// Asks the handler for `path` and tells the status.
    pub async fn get(&self, path: &str) -> Result<u16, String> {
        get(&self.connections, path).await.map(|reply| reply.status)
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
        self.console.of(Pipe::Stdout)
    }

    /// The lines of stderr so far, over all starts.
    pub fn stderr(&self) -> Vec<String> {
        self.console.of(Pipe::Stderr)
    }

    /// Both, as the host logs them.
    pub fn log(&self) -> Vec<HostLog> {
        self.console
            .lines()
            .into_iter()
            .map(|(pipe, line)| HostLog { level: level(pipe, &line), line })
            .collect()
    }

    /// Waits for a line of output that contains `text`: the pipes may lag behind a reply.
    pub async fn line_with(&self, text: &str) -> String {
        self.console.wait_for(text).await
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

/// Starts the process and waits for the first answer. The limit counts pauses only, as the host does.
async fn launch(
    app: &App,
    start: &Start,
    port: u16,
    connections: &Connections,
    console: &Console,
    random: &Mutex<fastrand::Rng>,
) -> Result<Running, String> {
    let worker = guid(&mut random.lock().expect("no holder panics"));
    let mut command = command(app, &start.settings, port, &worker);
    let began = Instant::now();
    let process = Process::spawn(&mut command, console).map_err(|problem| {
        format!("Failed to start Worker Channel. Process fileName: {}: {problem}", app.executable.display())
    })?;
    let mut paused = Duration::ZERO;
    while paused < app.initialization_timeout {
        if get(connections, "/").await.is_ok() {
            return Ok(Running { process, ready_after: began.elapsed() });
        }
        if let Some(code) = process.exit_code() {
            let stderr = console.of(Pipe::Stderr);
            let last = stderr[stderr.len().saturating_sub(3)..].join(" / ");
            return Err(format!("{} exited with code {code}: {last}", app.executable.display()));
        }
        tokio::time::sleep(start.poll_every).await;
        paused += start.poll_every;
    }
    Err(format!(
        "Initializing HttpWorker timed out: no answer to GET / within {:?}",
        app.initialization_timeout
    ))
}

fn command(app: &App, settings: &[(String, String)], port: u16, worker: &str) -> Command {
    let mut command = Command::new(&app.executable);
    let inherited = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command
        .args(&app.arguments)
        .current_dir(&app.working_directory)
        .env_clear()
        .envs(inherited)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
        .env("FUNCTIONS_HTTPWORKER_PORT", port.to_string())
        .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", worker)
        .env("FUNCTIONS_HTTPWORKER_ID", worker)
        .env("FUNCTIONS_APP_ROOT_PATH", &app.root);
    command
}

async fn get(connections: &Connections, path: &str) -> Result<Reply, String> {
    let request =
        Request::get(path).body(Outgoing::empty()).map_err(|problem| format!("GET {path}: {problem}"))?;
    connections.send(request).await
}

/// Bound and let go again before the handler starts, as the host does: somebody else may take it meanwhile.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn level(pipe: Pipe, line: &str) -> Level {
    match pipe {
        Pipe::Stdout => Level::Information,
        Pipe::Stderr if line.to_ascii_lowercase().contains("warn") => Level::Warning,
        Pipe::Stderr => Level::Error,
    }
}

#[cfg(test)]
mod tests;
