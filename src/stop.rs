//! The wish of the surroundings that the process ends.

use tokio::signal::unix::{Signal, SignalKind, signal};

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
