//! Why a call failed.

use std::{borrow::Cow, error::Error, fmt};

use bytes::Bytes;

use super::error_response::ErrorResponse;
use crate::http::{
    ExchangeError, credential::TokenError, exchange::FOREIGN, retry::is_transient, service::Service,
};

/// Why a call failed, after its retries.
#[derive(Debug)]
pub enum CallError {
    /// The run's time is over, or a server asked for a longer wait than is left. This is not a failure: the next run
    /// continues.
    OutOfTime,
    /// There is no token for the call.
    Token(TokenError),
    /// There was no complete response, at the last attempt as at those before.
    Unreachable {
        /// The operation, such as `GET /api/alerts`.
        operation: String,
        /// The service.
        service: Service,
        /// The error of the last attempt.
        error: ExchangeError,
    },
    /// The service rejected the call.
    Rejected(ErrorResponse),
    /// The response is not what the operation returns, at the last attempt as at those before.
    Unreadable {
        /// The operation, such as `GET /api/alerts`.
        operation: String,
        /// The service.
        service: Service,
        /// What is wrong with the body.
        error: serde_json::Error,
        /// The body.
        body: Bytes,
        /// True when it is not JSON at all, so not the service's own.
        is_foreign: bool,
    },
}

impl CallError {
    /// Returns true for a failure that another call need not meet. The others are the run's: its time is over, or there
    /// is no token.
    pub fn is_of_one_call(&self) -> bool {
        !matches!(self, Self::OutOfTime | Self::Token(_))
    }

    /// Returns true for a rejection that a retry does not change.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Rejected(_)) && !self.is_transient()
    }

    /// Returns true for a failure that may go away by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { error, .. } => !matches!(error, ExchangeError::Untrusted(_)),
            Self::Unreadable { .. } => true,
            Self::Rejected(response) => is_transient(response.status.as_u16()),
            Self::OutOfTime | Self::Token(_) => false,
        }
    }

    /// Returns what to do about it, or `None` where there is nothing to say.
    pub fn fix(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::OutOfTime | Self::Unreadable { is_foreign: false, .. } => None,
            Self::Token(error) => error.fix().map(Cow::Owned),
            Self::Unreachable { service, error, .. } => Some(match error.fix() {
                Some(fix) => fix.into(),
                None => format!("if this lasts, check {}", service.address_setting()).into(),
            }),
            Self::Rejected(response) => response.advice().map(|advice| advice.text().into()),
            Self::Unreadable { service, is_foreign: true, .. } => {
                Some(format!("check {}, HTTPS_PROXY and NO_PROXY", service.address_setting()).into())
            }
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTime => f.write_str("the run's time is over (MDATP_RUN_BUDGET)"),
            Self::Token(error) => error.fmt(f),
            Self::Unreachable { operation, service, .. } => {
                write!(f, "{} did not return a complete response to {operation}", service.name())
            }
            Self::Rejected(response) => response.fmt(f),
            Self::Unreadable { operation, service, is_foreign, .. } => {
                write!(f, "the response of {} to {operation} is not the expected JSON", service.name())?;
                if *is_foreign { write!(f, ": {FOREIGN}") } else { Ok(()) }
            }
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Token(error) => error.source(),
            Self::Unreachable { error, .. } => Some(error),
            Self::Unreadable { error, .. } => Some(error),
            Self::OutOfTime | Self::Rejected(_) => None,
        }
    }
}
