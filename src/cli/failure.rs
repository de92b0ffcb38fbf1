//! Why a command ended, for its exit code.

use std::process::ExitCode;

use tracing::error;

use super::EXIT_USAGE;
use crate::{config::SettingsError, pipeline::RunError, services::BuildError, state::StateError};

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The settings or the command line are invalid.
    Usage(String),
    /// The work failed.
    Run(RunError),
}

impl Failure {
    /// Makes the failure of an invalid command line.
    pub fn usage(problem: impl Into<String>) -> Self {
        Self::Usage(problem.into())
    }

    /// Prints the failure, and returns the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage(problem) => {
                error!("{problem}");
                ExitCode::from(EXIT_USAGE)
            }
            Self::Run(problem) => {
                error!("{}", problem.describe());
                ExitCode::FAILURE
            }
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(problems: SettingsError) -> Self {
        Self::Usage(problems.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::Run(error.into())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::Run(error.into())
    }
}
