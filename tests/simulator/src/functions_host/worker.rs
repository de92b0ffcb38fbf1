//! The handler as the host starts it: its process, its environment, and the start until its first response.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Request;
use tokio::process::Command;

use super::app::App;
use super::start::Start;
use crate::connection::{Connections, Outgoing, Reply};
use crate::console::{Console, Origin};
use crate::process::Process;

/// What stays the same over all starts of the handler.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) app: App,
    pub(super) start: Start,
    connections: Mutex<Arc<Connections>>,
    pub(super) console: Console,
}

/// A start that came to a response.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) ready_after: Duration,
}

/// Why a start came to no response.
#[derive(Debug)]
pub(super) enum LaunchError {
    /// There is no such program, or it may not be executed: the host does not try again.
    NoProcess(String),
    /// It ended, or never answered.
    NoAnswer(String),
}

impl Worker {
    /// Reads the app and picks the port.
    pub(super) fn new(start: Start) -> Result<Self, String> {
        let mut app = App::read(&start.app_root)?;
        if let Some(binary) = &start.binary {
            app.executable.clone_from(binary);
        }
        if let Some(only) = start.only {
            app.functions.retain(|function| function.name == only);
        }
        app.function_timeout = start.function_timeout.or(app.function_timeout);
        let connections = Mutex::new(Arc::new(to_free_port()?));
        Ok(Self { app, start, connections, console: Console::default() })
    }

    /// The way to the handler.
    pub(super) fn connections(&self) -> Arc<Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Picks another port for the next start.
    pub(super) fn move_on(&self) -> Result<(), String> {
        let connections = Arc::new(to_free_port()?);
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner) = connections;
        Ok(())
    }

    /// The end of the process with `code`, and its last output.
    pub(super) fn exit(&self, code: i32) -> String {
        let executable = self.app.executable.file_name().unwrap_or_default().display();
        let stderr = self.console.of(&Origin::Stderr);
        let last = stderr[stderr.len().saturating_sub(3)..].join(",");
        format!("{executable} exited with code {code} (0x{code:x}): {last}")
    }

    /// Starts the process and waits for its first response. The limit counts pauses only, as the host does.
    pub(super) async fn launch(&self, id: &str) -> Result<Running, LaunchError> {
        let Self { app, start, console, .. } = self;
        let executable = app.executable.display();
        let began = Instant::now();
        let process = Process::spawn(&mut self.command(id), console).map_err(|problem| {
            LaunchError::NoProcess(format!(
                "Failed to start Worker Channel. Process fileName: {executable}: {problem}"
            ))
        })?;
        let mut paused = Duration::ZERO;
        while paused < app.initialization_timeout {
            if self.get("/").await.is_ok() {
                return Ok(Running { process, ready_after: began.elapsed() });
            }
            if let Some(code) = process.exit_code() {
                return Err(LaunchError::NoAnswer(self.exit(code)));
            }
            tokio::time::sleep(start.poll_every).await;
            paused += start.poll_every;
        }
        let limit = app.initialization_timeout;
        let timed_out = format!("Initializing HttpWorker timed out: no answer to GET / within {limit:?}");
        Err(LaunchError::NoAnswer(timed_out))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply, String> {
        let request = Request::get(path).body(Outgoing::empty());
        self.connections().send(request.map_err(|problem| format!("GET {path}: {problem}"))?).await
    }

    fn command(&self, id: &str) -> Command {
        let Self { app, start, .. } = self;
        let port = self.connections().port();
        let inherited = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(&app.executable);
        command
            .args(&app.arguments)
            .current_dir(&app.working_directory)
            .env_clear()
            .envs(inherited)
            .envs(start.settings.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("FUNCTIONS_HTTPWORKER_PORT", port.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", id)
            .env("FUNCTIONS_HTTPWORKER_ID", id)
            .env("FUNCTIONS_APP_ROOT_PATH", &app.root);
        command
    }
}

fn to_free_port() -> Result<Connections, String> {
    let port = free_port().map_err(|problem| format!("no free port for the handler: {problem}"))?;
    Ok(Connections::to(port))
}

/// Bound and let go again before the handler starts, as the host does. A program that asks the system for any port
/// gets one from 32,768 up (Linux), so below that none takes it meanwhile.
fn free_port() -> std::io::Result<u16> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut taken = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for _ in 0..COUNT {
        // Each process begins elsewhere.
        let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(97));
        let port = u16::try_from(FIRST + number % COUNT).expect("it is below 32,000");
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => taken = error,
        }
    }
    Err(taken)
}
