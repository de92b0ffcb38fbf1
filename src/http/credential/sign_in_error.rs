//! Why an issuer of tokens gave none.

use std::{error::Error, fmt};

use http::StatusCode;

use super::{
    issuer::Issuer,
    issuer_response::IssuerError,
    sign_in::{Assertion, SignIn},
};
use crate::http::{ExchangeError, exchange::FOREIGN};

/// Why an issuer gave no token.
#[derive(Debug)]
pub struct SignInError {
    /// The issuer.
    pub issuer: Issuer,
    /// Why.
    pub cause: SignInFailure,
}

/// What went wrong with an issuer.
#[derive(Debug)]
pub enum SignInFailure {
    /// It rejected the request.
    Rejected {
        /// The status of its response.
        status: StatusCode,
        /// What the body says.
        error: IssuerError,
    },
    /// There was no complete response.
    Unreachable(ExchangeError),
    /// The response contains no token.
    Unreadable {
        /// What is wrong with the body.
        error: serde_json::Error,
        /// True when it is not JSON at all, so not the issuer's own.
        is_foreign: bool,
    },
}

impl SignInError {
    /// Returns what to do about it for an identity that signs in like that, or `None` where that is not certain.
    pub fn fix(&self, sign_in: SignIn) -> Option<String> {
        match &self.cause {
            SignInFailure::Rejected { error, .. } => self.concerned(sign_in).fix(error.code.as_deref()?),
            SignInFailure::Unreachable(error) => error.fix().map(str::to_owned),
            SignInFailure::Unreadable { .. } => None,
        }
    }

    /// Returns the part of `sign_in` that this is about: a managed identity presents no assertion itself, and was asked
    /// for the token that is to be one.
    fn concerned(&self, sign_in: SignIn) -> SignIn {
        match (self.issuer, sign_in.assertion) {
            (Issuer::ManagedIdentity { .. }, Assertion::ManagedIdentity(audience)) => {
                SignIn { assertion: Assertion::NoneFor(audience), ..sign_in }
            }
            _ => sign_in,
        }
    }
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.issuer.name();
        match &self.cause {
            SignInFailure::Rejected { status, error: IssuerError { code, message } } => {
                write!(f, "{name} answered {}", status.as_u16())?;
                if !message.is_empty() {
                    write!(f, " ({message})")?;
                }
                match (self.issuer, *status, code) {
                    // A code of Entra ID is about something else than who asks.
                    (Issuer::ManagedIdentity { setting }, StatusCode::BAD_REQUEST, None) => {
                        write!(
                            f,
                            "; {setting} must be unset, or the client id of an identity that the app has"
                        )
                    }
                    _ => Ok(()),
                }
            }
            SignInFailure::Unreachable(_) => write!(f, "{name} did not return a complete response"),
            SignInFailure::Unreadable { is_foreign, .. } => {
                write!(f, "the response of {name} is not the expected JSON")?;
                if *is_foreign { write!(f, ": {FOREIGN}") } else { Ok(()) }
            }
        }
    }
}

impl Error for SignInError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            SignInFailure::Rejected { .. } => None,
            SignInFailure::Unreachable(error) => Some(error),
            SignInFailure::Unreadable { error, .. } => Some(error),
        }
    }
}
