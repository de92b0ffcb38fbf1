//! A peer: a program in another language that does the forwarder's job. It prints when it is ready and when it is
//! done, and waits for a line after both, so that everything about it can be measured from outside.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use simulator::npm;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::binary::workspace_root;

/// A peer's process, ready to run.
pub(super) struct Peer {
    pub(super) pid: u32,
    pub(super) ready_after: Duration,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Dropping it kills the process.
    _child: Child,
}

impl Peer {
    pub(super) async fn python(settings: &[(String, String)]) -> Result<Self, String> {
        let folder = folder("python");
        let mut command = Command::new(folder.join(PYTHON));
        command.arg(folder.join("peer.py"));
        Self::start(command, settings).await
    }

    pub(super) async fn javascript(settings: &[(String, String)]) -> Result<Self, String> {
        let mut command = Command::new("node");
        command.arg(folder("javascript").join("peer.js"));
        Self::start(command, settings).await
    }

    async fn start(mut command: Command, settings: &[(String, String)]) -> Result<Self, String> {
        let inherited = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(inherited).envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let began = Instant::now();
        let mut child = command.spawn().map_err(|problem| format!("{command:?}: {problem}"))?;
        let mut peer = Self {
            pid: child.id().expect("a process not yet waited for has an id"),
            ready_after: Duration::ZERO,
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: BufReader::new(child.stdout.take().expect("stdout is piped")).lines(),
            _child: child,
        };
        peer.line("ready").await?;
        peer.ready_after = began.elapsed();
        Ok(peer)
    }

    /// Starts its run, and waits until it prints that everything is sent.
    pub(super) async fn run(&mut self) -> Result<(), String> {
        self.stdin.write_all(b"go\n").await.map_err(|problem| format!("a peer that was ready: {problem}"))?;
        self.line("done").await
    }

    async fn line(&mut self, word: &str) -> Result<(), String> {
        match self.stdout.next_line().await {
            Ok(Some(line)) if line.starts_with(word) => Ok(()),
            Ok(Some(line)) => Err(format!("a peer printed {line:?} instead of {word}")),
            Ok(None) => Err(format!("a peer ended before it printed {word}; its stderr is above")),
            Err(problem) => Err(format!("a peer's stdout: {problem}")),
        }
    }
}

/// The interpreter in the peer's virtual environment.
const PYTHON: &str = ".venv/bin/python";

fn folder(language: &str) -> PathBuf {
    workspace_root().join("tests/workbench/peers").join(language)
}

pub(super) fn install_javascript() -> Result<(), String> {
    npm::installed("workbench/peers/javascript", "@azure/monitor-ingestion").map(drop)
}

/// Installs the packages of requirements.txt into a virtual environment, unless they are there. A copy of the file,
/// written last, shows that the installation was completed.
pub(super) fn install_python() -> Result<(), String> {
    let folder = folder("python");
    let (wanted, installed) = (folder.join("requirements.txt"), folder.join(".venv/requirements.txt"));
    let text = std::fs::read(&wanted).map_err(|problem| format!("{}: {problem}", wanted.display()))?;
    if std::fs::read(&installed).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    println!("Installing the Python peer's packages");
    execute(&folder, "python3", &["-m", "venv", "--clear", ".venv"])?;
    execute(
        &folder,
        PYTHON,
        &["-m", "pip", "install", "--quiet", "--require-hashes", "-r", "requirements.txt"],
    )?;
    std::fs::write(&installed, text).map_err(|problem| format!("{}: {problem}", installed.display()))
}

fn execute(folder: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let status = std::process::Command::new(&program).args(arguments).current_dir(folder).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} {}: {status}", program.display(), arguments.join(" "))),
        Err(problem) => Err(format!("{}: {problem}", program.display())),
    }
}
