//! The signals that ask the process to shut down.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGINT (Ctrl+C at a terminal) and SIGTERM (a container that is stopped). The Functions host sends
/// neither: it kills.
#[derive(Debug)]
pub struct ShutdownSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl ShutdownSignal {
    /// Starts to listen. From then on the signals no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// The operating system's, when it does not accept a signal handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub async fn received(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}
