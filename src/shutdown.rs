//! The shutdown of the process: what asks for it, and the request as all work under way sees it. The time limit of a
//! run is another matter: `http/deadline.rs` joins the two.

mod parent_process;
mod signal;

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

pub use parent_process::ParentProcess;
pub use signal::ShutdownSignal;

/// How much of the work under way a shutdown leaves time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Nothing new is started; the current batch is still sent.
    Graceful,
    /// No request is started; the response to one that is already sent is still awaited.
    Immediate,
}

/// The request to shut down. Clones share it; once made it is never withdrawn.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<AtomicU8>);

impl Shutdown {
    /// Requests a shutdown. An immediate one overrides a graceful one, and never the other way round.
    pub fn request(&self, mode: ShutdownMode) {
        self.0.fetch_max(level(mode), Ordering::Relaxed);
    }

    /// Returns true when a shutdown of either mode is requested.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= level(ShutdownMode::Graceful)
    }

    /// Returns true when an immediate shutdown is requested.
    pub fn is_immediate(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= level(ShutdownMode::Immediate)
    }
}

/// The mode as a number, where 0 is no request.
fn level(mode: ShutdownMode) -> u8 {
    match mode {
        ShutdownMode::Graceful => 1,
        ShutdownMode::Immediate => 2,
    }
}
