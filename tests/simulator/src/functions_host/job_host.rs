//! The part of the host that lives as long as the app does: it starts, calls and restarts the handler.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use tokio::sync::{Notify, watch};

use super::app::{QueueBinding, Trigger};
use super::invocation::is_never_taken;
use super::verdict::{Crashes, HostVerdict};
use super::worker::{LaunchError, Running, Worker};
use super::{Framing, HOST_VERSION, Invocation, Level, Outcome};
use crate::clock::now;
use crate::connection::Reply;
use crate::console::Origin;
use crate::guid::guid;

/// How often the app's folder is read. The real host is notified by the system.
const LOOK: Duration = Duration::from_millis(50);

/// How long the app's folder has to stay unchanged before a restart (`FileMonitoringService`).
const DEBOUNCE: Duration = Duration::from_millis(500);

/// What there is to invoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The process of this id.
    Ready(u32),
    /// It is being started; invocations wait.
    Starting,
    /// No process, and the host starts none: invocations are rejected.
    Down,
    /// The host has stopped.
    Stopped,
}

#[derive(Debug)]
pub(super) struct JobHost {
    pub(super) worker: Worker,
    running: Mutex<Running>,
    state: watch::Sender<State>,
    /// Held while the process is ended or started.
    changing: tokio::sync::Mutex<()>,
    under_way: watch::Sender<usize>,
    crashes: Mutex<Crashes>,
    random: Mutex<fastrand::Rng>,
    /// By queue: ends the pause of the listener here, when an output has gone into its queue.
    pub(super) wakes: BTreeMap<String, Arc<Notify>>,
}

impl JobHost {
    /// Starts the handler and waits until it answers.
    pub(super) async fn start(worker: Worker, mut random: fastrand::Rng) -> Result<Self, String> {
        let crashes = Mutex::default();
        let running = bring_up(&worker, &crashes, || guid(&mut random)).await?;
        let state = watch::Sender::new(State::Ready(running.process.pid()));
        let (running, random) = (running.into(), random.into());
        let (changing, under_way, wakes) = Default::default();
        let mut job = Self { worker, running, state, changing, under_way, crashes, random, wakes };
        for line in &job.worker.app.disabled {
            job.log(Level::Error, line.clone());
        }
        for function in &job.worker.app.functions {
            if let Trigger::Queue(QueueBinding { queue, .. }) = &function.trigger {
                job.wakes.insert(queue.clone(), Arc::default());
            }
        }
        Ok(job)
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn random(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the host has stopped.
    pub(super) async fn stopped(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state == State::Stopped).await;
    }

    pub(super) fn log(&self, level: Level, line: String) {
        self.worker.console.add(Origin::Host(level), line);
    }

    /// Ends the handler with SIGKILL and nothing before, and waits for its end.
    pub(super) async fn kill(&self) {
        let _changing = self.changing.lock().await;
        self.end(State::Down).await;
    }

    async fn end(&self, state: State) {
        self.state.send_replace(state);
        let exited = {
            let running = self.running();
            running.process.kill();
            running.process.exited()
        };
        exited.await;
    }

    /// Ends the handler and starts it again.
    pub(super) async fn restart(&self) -> Result<(), String> {
        let _changing = self.changing.lock().await;
        self.end(State::Starting).await;
        self.launch().await
    }

    async fn launch(&self) -> Result<(), String> {
        self.worker.connections().forget();
        match bring_up(&self.worker, &self.crashes, || guid(&mut self.random())).await {
            Ok(running) => {
                let pid = running.process.pid();
                *self.running() = running;
                self.state.send_replace(State::Ready(pid));
                Ok(())
            }
            Err(problem) => {
                self.state.send_replace(State::Stopped);
                Err(problem)
            }
        }
    }

    /// Restarts the handler when it ends by itself, and when a folder appears in the app's root, is renamed or goes.
    pub(super) async fn supervise(&self) {
        let root = &self.worker.app.root;
        let mut folders = folders(root);
        loop {
            tokio::select! {
                (pid, code) = self.own_exit() => self.deal_with_exit(pid, code).await,
                change = change(root, &folders) => {
                    self.deal_with(change).await;
                    folders = self::folders(root);
                }
            }
        }
    }

    /// Waits until a process ends that the host has not ended.
    async fn own_exit(&self) -> (u32, i32) {
        let mut state = self.state.subscribe();
        loop {
            let _ = state.wait_for(|state| matches!(state, State::Ready(_))).await;
            let (pid, exited) = {
                let running = self.running();
                (running.process.pid(), running.process.exited())
            };
            tokio::select! {
                code = exited => if *self.state.borrow() == State::Ready(pid) { return (pid, code) },
                _ = state.wait_for(|state| *state != State::Ready(pid)) => {}
            }
        }
    }

    /// See [`HostVerdict`]. A restarted handler has the port of the one before.
    async fn deal_with_exit(&self, pid: u32, code: i32) {
        let _changing = self.changing.lock().await;
        if *self.state.borrow() != State::Ready(pid) {
            return;
        }
        let verdict = self.crashes.lock().unwrap_or_else(PoisonError::into_inner).judge(code, now());
        if verdict != HostVerdict::StaysDown && verdict != HostVerdict::Restarts {
            let exit = self.worker.exit(code);
            self.log(Level::Error, format!("Language Worker Process exited. Pid={pid}. {exit}"));
        }
        match verdict {
            HostVerdict::StaysDown => drop(self.state.send_replace(State::Down)),
            HostVerdict::Restarts | HostVerdict::RestartsCounted(_) => {
                self.state.send_replace(State::Starting);
                // A failure is in the log.
                let _ = self.launch().await;
            }
            HostVerdict::HostStops => {
                self.log(Level::Error, TOO_MANY.to_owned());
                self.state.send_replace(State::Stopped);
            }
        }
    }

    /// Waits for the run under way, as the host does under `func start`, and starts another process at another port.
    async fn deal_with(&self, Change { kind, path }: Change) {
        let path = path.display();
        self.log(Level::Information, format!("Directory change of type '{kind}' detected for '{path}'"));
        self.log(Level::Information, "Host configuration has changed. Signaling restart".to_owned());
        tokio::time::sleep(DEBOUNCE).await;
        let _ = self.under_way.subscribe().wait_for(|under_way| *under_way == 0).await;
        let _changing = self.changing.lock().await;
        self.end(State::Starting).await;
        if let Err(problem) = self.worker.move_on() {
            self.log(Level::Error, problem);
        }
        let _ = self.launch().await;
    }

    /// Invokes the function once, as far as there is a process to invoke.
    pub(super) async fn invoke(&self, function: &str, body: Bytes, framing: Framing) -> Invocation {
        let id = guid(&mut self.random());
        let began = Instant::now();
        self.under_way.send_modify(|under_way| *under_way += 1);
        let _end = End(&self.under_way);
        let mut state = self.state.subscribe();
        let ready = state.wait_for(|state| *state != State::Starting).await.map(|state| *state);
        let pid = match ready.unwrap_or(State::Stopped) {
            State::Ready(pid) => pid,
            State::Stopped => {
                return Invocation::of(id, Err("the host has stopped".to_owned()), began.elapsed());
            }
            State::Down | State::Starting => 0,
        };
        let request = Request::post(format!("/{function}"))
            .header("X-Azure-Functions-HostVersion", HOST_VERSION)
            .header("X-Azure-Functions-InvocationId", &id)
            .header("User-Agent", format!("Azure-Functions-Host/{HOST_VERSION}"))
            .header("Content-Type", "application/json; charset=utf-8")
            .body(framing.frame(body))
            .expect("a function's name is a path");
        let connections = self.worker.connections();
        let exchange = async {
            match connections.send(request).await {
                // Nothing will ever complete the invocation.
                Ok(reply) if is_never_taken(&reply) => std::future::pending().await,
                reply => {
                    let mut invocation = Invocation::of(id.clone(), reply, began.elapsed());
                    if invocation.succeeded() {
                        self.write_outputs(function, &mut invocation).await;
                    }
                    invocation
                }
            }
        };
        let invocation = match self.worker.app.function_timeout {
            None => exchange.await,
            Some(limit) => match tokio::time::timeout(limit, exchange).await {
                Ok(invocation) => invocation,
                Err(_) => {
                    let given_up = self.give_up(function, &id, pid, limit).await;
                    Invocation::of(id, given_up, began.elapsed())
                }
            },
        };
        if invocation.outcome == Outcome::Succeeded {
            for line in &invocation.logs {
                self.worker.console.add(Origin::Function(invocation.id.clone()), line.clone());
            }
        }
        invocation
    }

    /// The end of an invocation over its time: the handler is not notified, but killed and started again; other
    /// invocations in progress end with it.
    async fn give_up(&self, function: &str, id: &str, pid: u32, limit: Duration) -> Result<Reply, String> {
        let seconds = limit.as_secs();
        let span = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let exceeded = format!(
            "Timeout value of {span} exceeded by function 'Functions.{function}' (Id: '{id}'). Initiating cancellation."
        );
        self.log(Level::Error, exceeded.clone());
        let restarting = format!(
            "A function timeout has occurred. Restarting worker process executing invocationId '{id}'."
        );
        let _changing = self.changing.lock().await;
        if *self.state.borrow() == State::Ready(pid) {
            self.log(Level::Information, restarting);
            self.end(State::Starting).await;
            self.launch().await?;
        }
        Err(exceeded)
    }
}

const TOO_MANY: &str = "Exceeded http worker restart retry count. Shutting down Functions Host";

/// Starts the process until it answers. One that ends before, or never answers, is a crash like another.
async fn bring_up(
    worker: &Worker,
    crashes: &Mutex<Crashes>,
    mut id: impl FnMut() -> String,
) -> Result<Running, String> {
    loop {
        let id = id();
        match worker.launch(&id).await {
            Ok(running) => return Ok(running),
            Err(LaunchError::NoProcess(problem)) => return Err(problem),
            Err(LaunchError::NoAnswer(problem)) => {
                worker.console.add(Origin::Host(Level::Error), problem.clone());
                let verdict = crashes.lock().unwrap_or_else(PoisonError::into_inner).judge(1, now());
                if verdict == HostVerdict::HostStops {
                    worker.console.add(Origin::Host(Level::Error), TOO_MANY.to_owned());
                    return Err(problem);
                }
            }
        }
    }
}

/// Counts an invocation that has ended, in whatever way.
struct End<'a>(&'a watch::Sender<usize>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|under_way| *under_way -= 1);
    }
}

struct Change {
    kind: &'static str,
    path: PathBuf,
}

/// The host is notified of each change below the root, but compares only the folders directly in it with those that
/// were there at its start (`FileMonitoringService.OnFileChanged`).
fn folders(root: &Path) -> BTreeSet<PathBuf> {
    let entries = root.read_dir().into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

async fn change(root: &Path, before: &BTreeSet<PathBuf>) -> Change {
    loop {
        tokio::time::sleep(LOOK).await;
        let now = folders(root);
        let (new, gone) = (now.difference(before).next(), before.difference(&now).next());
        let (kind, path) = match (new, gone) {
            (Some(path), Some(_)) => ("Renamed", path),
            (Some(path), None) => ("Created", path),
            (None, Some(path)) => ("Deleted", path),
            (None, None) => continue,
        };
        return Change { kind, path: path.clone() };
    }
}
