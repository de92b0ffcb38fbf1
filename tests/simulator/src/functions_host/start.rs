//! What the host is to start.

use std::path::PathBuf;
use std::time::Duration;

/// What to start and how.
#[derive(Clone, Debug)]
pub struct Start {
    /// The folder with host.json and the function's folder; the handler's working directory.
    pub app_root: PathBuf,
    /// The handler, if it is not to be the one host.json names.
    pub binary: Option<PathBuf>,
    /// The app settings: the handler's environment beside PATH, HOME and the host's own variables.
    pub settings: Vec<(String, String)>,
    /// The pause between two readiness tries. The host's is 25 ms; a shorter one measures the start more precisely.
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
