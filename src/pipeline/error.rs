//! Why a run failed.

use std::{borrow::Cow, fmt};

use crate::{
    config::SettingsError,
    error_chain::{chain, with_fix},
    http::call::CallError,
    services::BuildError,
    state::{StateError, StateErrorKind, checkpoint::Damage},
};

/// Why a run failed.
#[derive(Debug)]
pub enum RunError {
    /// Invalid settings.
    Settings(SettingsError),
    /// The HTTP client cannot be made, for instance because this machine has no CA certificates.
    Client(reqwest::Error),
    /// A call to Defender or the sink failed.
    Call(CallError),
    /// Everything else is delivered, but these alerts wait for their machines, or in by-id mode for their details.
    Waiting {
        /// The number of alerts.
        alerts: u64,
        /// The error of the last look-up that failed.
        error: Option<CallError>,
    },
    /// The state store failed.
    State(StateError),
    /// The checkpoint cannot be used.
    Damaged {
        /// The checkpoint and its store, in words.
        place: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Another process is at work on the checkpoint. Its runs deliver what this one would have.
    BusyElsewhere,
    /// The run panicked.
    Panicked,
}

impl RunError {
    /// True for a failure that may go away by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Call(error) => error.is_transient(),
            Self::State(error) => error.kind.is_transient(),
            Self::Waiting { .. } | Self::BusyElsewhere => true,
            Self::Settings(_) | Self::Client(_) | Self::Damaged { .. } | Self::Panicked => false,
        }
    }

    /// True for a failure that most likely lasts until somebody acts, such as a missing role.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Call(CallError::Token(error)) => !error.is_transient(),
            Self::Call(CallError::OutOfTime) => false,
            error => !error.is_transient(),
        }
    }

    /// True for a failure of one tenant among many, which a run for another does not meet: its settings, its tokens, what
    /// its services reject, its checkpoint. False for one of the process or its state store.
    pub fn is_tenants_own(&self) -> bool {
        match self {
            Self::Settings(_) | Self::Call(_) | Self::Waiting { .. } | Self::Damaged { .. } => true,
            Self::Client(_) | Self::State(_) | Self::BusyElsewhere | Self::Panicked => false,
        }
    }
}

impl RunError {
    /// The error with its causes and what to do about it, on one line.
    pub fn describe(&self) -> String {
        with_fix(&chain(self), self.fix().as_deref())
    }

    /// What to do about it, or `None` where there is nothing to say.
    fn fix(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Client(_) => Some("install CA certificates".into()),
            Self::Call(error) => error.fix(),
            Self::Waiting { error, .. } => error.as_ref()?.fix(),
            Self::State(error) => error.fix(),
            Self::Damaged { .. } => Some(
                "look with mdatp-forward status, then begin again with mdatp-forward state reset --to TIME"
                    .into(),
            ),
            // Each problem of the settings says it itself.
            Self::Settings(_) | Self::BusyElsewhere | Self::Panicked => None,
        }
    }

    /// Returns the name of the error's kind, as log lines have it (`errorKind`). The names are part of the contract with
    /// those who query the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Client(_) => "httpClient",
            Self::Call(CallError::OutOfTime) => "outOfTime",
            Self::Call(CallError::Token(_)) => "token",
            Self::Call(CallError::Unreachable { .. }) => "serviceUnreachable",
            Self::Call(CallError::Rejected(_)) => "requestRejected",
            Self::Call(CallError::Unreadable { .. }) => "responseUnreadable",
            Self::Waiting { .. } => "alertsHeldBack",
            Self::State(error) => match &error.kind {
                StateErrorKind::Folder(_) => "stateFolder",
                StateErrorKind::Conflict => "stateConflict",
                StateErrorKind::Rejected(_) => "stateRejected",
                StateErrorKind::Unsuitable(_) => "stateUnsuitable",
                StateErrorKind::DamagedList(_) => "tenantListDamaged",
                StateErrorKind::Failed(_) => "stateUnavailable",
            },
            Self::Damaged { .. } => "checkpointDamaged",
            Self::BusyElsewhere => "busyElsewhere",
            Self::Panicked => "panic",
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
            Self::Client(_) => f.write_str("the HTTP client cannot be made"),
            Self::Call(error) => error.fmt(f),
            Self::Waiting { alerts: 1, .. } => f.write_str(
                "1 alert waits for its machine or its details; all others are delivered, and this one is sent \
                 without them after MDATP_ENRICH_PATIENCE",
            ),
            Self::Waiting { alerts, .. } => write!(
                f,
                "{alerts} alerts wait for their machines or their details; all others are delivered, and these are \
                 sent without them after MDATP_ENRICH_PATIENCE"
            ),
            Self::State(error) => error.fmt(f),
            Self::Damaged { place, .. } => write!(
                f,
                "the checkpoint {place} cannot be used; nothing was sent, and a copy is kept beside it"
            ),
            Self::BusyElsewhere => f.write_str("another process is at work on the checkpoint"),
            Self::Panicked => f.write_str("mdatp-forward panicked, which is a bug; the log lines before say where"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(_) | Self::BusyElsewhere | Self::Panicked => None,
            Self::Client(error) => Some(error),
            Self::Call(error) => std::error::Error::source(error),
            Self::Waiting { error, .. } => error.as_ref().map(|error| error as _),
            Self::State(error) => std::error::Error::source(error),
            Self::Damaged { damage, .. } => Some(damage),
        }
    }
}
