//! The wish of the surroundings that the process ends.

use std::{os::unix::process::parent_id, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often it is looked whether the parent still lives. When a Functions host dies, the next one fires the timer
/// once the dead one's lease is over: after 60 s in Azure, 15 s on a developer's machine (the `WebJobs` SDK's
/// `SingletonOptions.ListenerLockPeriod`). By then this process is gone.
const LOOK: Duration = Duration::from_secs(1);

/// Ctrl+C at a terminal, or a container that ends. The Functions host itself never asks; it kills.
#[derive(Debug)]
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from now on; the signals no longer end the process by themselves.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Done when the process is asked to stop; may be waited for again.
    pub async fn asked(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}

/// The process that started this one. When it dies, by SIGKILL too, the system gives its children to another process,
/// so any other id is the sign; an id that is used again cannot mislead. (A signal at the parent's death,
/// `PR_SET_PDEATHSIG`, would come already when the thread that started this process ends, which .NET's threads do.)
/// A container's first process never changes, and takes its children with it.
#[derive(Debug)]
pub struct Parent(u32);

impl Parent {
    /// The parent as it is now. To be asked for first thing, since one that is gone already is not noticed.
    pub fn now() -> Self {
        Self(parent_id())
    }

    /// Done when it has ended, a second later at most.
    pub async fn gone(&self) {
        while parent_id() == self.0 {
            tokio::time::sleep(LOOK).await;
        }
    }
}
