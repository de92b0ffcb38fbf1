//! What the host is to start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::queue::Queues;

/// What to start and how.
#[derive(Clone)]
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
    /// The queues of the host's storage account; needed by an app with bindings to queues.
    pub queues: Option<Arc<dyn Queues>>,
    /// The functions that this host runs; `None`: all. On the Flex Consumption plan a timer and a queue trigger are never
    /// in one process (documentation page "Flex Consumption plan", "Per-function scaling").
    pub only: Option<&'static str>,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("app_root", &self.app_root).finish_non_exhaustive()
    }
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
            queues: None,
            only: None,
        }
    }

    /// With the queues of the host's storage account.
    #[must_use]
    pub fn queues(mut self, queues: Arc<dyn Queues>) -> Self {
        self.queues = Some(queues);
        self
    }

    /// With one of the app's functions only.
    #[must_use]
    pub fn only(mut self, function: &'static str) -> Self {
        self.only = Some(function);
        self
    }

    /// Starts `binary` instead of the one host.json names.
    #[must_use]
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = Some(binary.into());
        self
    }
}
