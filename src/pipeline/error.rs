//! Why a run failed.

use std::fmt;

use crate::{
    config::SettingsError,
    http::call::CallError,
    services::BuildError,
    state::{StateError, checkpoint::Damage},
};

/// Why a run failed.
#[derive(Debug)]
pub enum RunError {
    /// The settings do not say what to do.
    Settings(SettingsError),
    /// This machine has no CA certificates, or the HTTP client cannot be made for another reason.
    Client(reqwest::Error),
    /// A call to Defender or the sink.
    Call(CallError),
    /// Everything else is delivered, but these alerts wait for their machines, or in by-id mode for themselves.
    Waiting {
        /// How many alerts.
        alerts: u64,
        /// Why the last of these could not be read.
        error: Option<CallError>,
    },
    /// The state store.
    State(StateError),
    /// The checkpoint's document.
    Damaged {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A fault of this program.
    Panicked,
}

impl RunError {
    /// True for a failure that may be gone a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Call(error) => error.is_transient(),
            Self::State(error) => error.problem.is_transient(),
            Self::Waiting { .. } => true,
            Self::Settings(_) | Self::Client(_) | Self::Damaged { .. } | Self::Panicked => false,
        }
    }
}

impl From<CallError> for RunError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<BuildError> for RunError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Client(error) => Self::Client(error),
            BuildError::State(error) => Self::State(error),
        }
    }
}

impl From<StateError> for RunError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Client(_) => f.write_str("the HTTP client cannot be made: are CA certificates installed?"),
            Self::Call(error) => error.fmt(f),
            Self::Waiting { alerts, .. } => write!(
                f,
                "{alerts} alerts wait for their machines, or for what only a call by id tells of them; all others are \
                 delivered, and these go without after MDATP_ENRICH_PATIENCE"
            ),
            Self::State(error) => error.fmt(f),
            Self::Damaged { place, .. } => write!(
                f,
                "the checkpoint {place} cannot be used; nothing was sent. A copy is kept beside it. The way out: \
                 mdatp-forward status, then mdatp-forward state reset --to TIME"
            ),
            Self::Panicked => f.write_str("a fault of mdatp-forward itself; the lines before tell where"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(_) | Self::Panicked => None,
            Self::Client(error) => Some(error),
            Self::Call(error) => std::error::Error::source(error),
            Self::Waiting { error, .. } => error.as_ref().map(|error| error as _),
            Self::State(error) => std::error::Error::source(error),
            Self::Damaged { damage, .. } => Some(damage),
        }
    }
}
