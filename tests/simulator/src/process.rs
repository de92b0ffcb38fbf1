//! A child process that never outlives the program that started it.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Notify, watch};

use crate::console::{Console, Origin};

/// A running child process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    kill: Arc<Notify>,
    exit: watch::Receiver<Option<i32>>,
    silence: watch::Receiver<bool>,
}

impl Process {
    /// Starts `command` with both output pipes read into `console`.
    pub(crate) fn spawn(command: &mut Command, console: &Console) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().expect("a process not yet waited for has an id");
        let readers = [
            console.follow(Origin::Stdout, child.stdout.take().expect("stdout is piped")),
            console.follow(Origin::Stderr, child.stderr.take().expect("stderr is piped")),
        ];
        let kill = Arc::new(Notify::new());
        let (ended, exit) = watch::channel(None);
        let (silent, silence) = watch::channel(false);
        let killed = Arc::clone(&kill);
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                () = killed.notified() => {
                    // It fails only when the process has ended by itself meanwhile.
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            // The last lines may still be in the pipes; a grandchild that inherited them could keep them open for
            // ever, so the wait has a limit.
            let drained = async {
                for reader in readers {
                    let _ = reader.await;
                }
                silent.send_replace(true);
            };
            tokio::pin!(drained);
            let is_drained = tokio::time::timeout(Duration::from_secs(1), &mut drained).await.is_ok();
            ended.send_replace(Some(status.map_or(-1, code)));
            if !is_drained {
                drained.await;
            }
        });
        Ok(Self { pid, kill, exit, silence })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The exit code, once it has ended.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        *self.exit.borrow()
    }

    /// Waits until the process has ended and all it wrote was read.
    pub(crate) fn exited(&self) -> impl Future<Output = i32> + use<> {
        let mut exit = self.exit.clone();
        async move {
            let code = exit
                .wait_for(Option::is_some)
                .await
                .expect("the task that waits for the process sends before it ends");
            code.expect("it was just seen")
        }
    }

    /// Waits until no process holds the pipes any more: neither the process nor any that it started.
    pub(crate) fn silent(&self) -> impl Future<Output = ()> + use<> {
        let mut silence = self.silence.clone();
        async move {
            let _ = silence.wait_for(|is_silent| *is_silent).await.expect("the same task sends this");
        }
    }

    /// Sends SIGKILL, which the process cannot handle.
    pub(crate) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Sends SIGTERM, a request to stop.
    pub(crate) fn terminate(&self) -> Result<(), String> {
        // The shell's builtin `kill`: a minimal system has no such program.
        let mut shell = std::process::Command::new("sh");
        let sent = shell.args(["-c", "kill -TERM \"$0\"", &self.pid.to_string()]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("kill -TERM {}: {status}", self.pid)),
            Err(problem) => Err(format!("kill -TERM {}: {problem}", self.pid)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The number a shell and .NET report: the exit code, or 128 and the number of the signal that ended it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
