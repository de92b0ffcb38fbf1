//! Why there is no token.

use std::{error::Error, fmt};

use super::{
    TOKEN_TIMEOUT,
    sign_in::{SignIn, code_in},
    sign_in_error::{SignInError, SignInFailure},
};
use crate::{
    config::Owner,
    error_chain::{chain, find_cause},
    http::{ExchangeError, retry::is_transient},
};

/// Why there is no token.
#[derive(Debug)]
pub struct TokenError {
    // Boxed, since it is part of many results.
    request: Box<TokenRequest>,
    cause: TokenFailure,
}

/// What a token was asked for.
#[derive(Debug)]
pub(super) struct TokenRequest {
    /// The scope of the token.
    pub scope: String,
    /// The identity that asked.
    pub sign_in: SignIn,
}

#[derive(Debug)]
pub(super) enum TokenFailure {
    /// The identity library's error.
    Failed(azure_core::Error),
    /// There was no answer within [`TOKEN_TIMEOUT`].
    TimedOut,
}

impl TokenError {
    pub(super) fn new(request: TokenRequest, cause: TokenFailure) -> Self {
        Self { request: Box::new(request), cause }
    }

    /// Returns what to do about it, or `None` where that is not certain.
    pub fn fix(&self) -> Option<String> {
        let TokenFailure::Failed(error) = &self.cause else { return None };
        if let Some(error) = find_cause::<ExchangeError>(error) {
            return error.fix().map(str::to_owned);
        }
        let sign_in = self.request.sign_in;
        match self.sign_in_error() {
            Some(error) => error.fix(sign_in),
            // The Azure CLI passes on what Entra ID said.
            None => sign_in.fix(code_in(&chain(error))?),
        }
    }

    /// Returns true when the same request may succeed later without a change: the issuer was not reached, or had a failure
    /// of its own.
    pub fn is_transient(&self) -> bool {
        let TokenFailure::Failed(error) = &self.cause else { return true };
        match self.sign_in_error().map(|error| &error.cause) {
            Some(SignInFailure::Rejected { status, .. }) => is_transient(status.as_u16()),
            Some(SignInFailure::Unreadable { .. }) => true,
            Some(SignInFailure::Unreachable(_)) | None => {
                find_cause(error).is_some_and(|error| !matches!(error, ExchangeError::Untrusted(_)))
            }
        }
    }

    /// Returns the issuer's side of it, without the library's words around that.
    fn sign_in_error(&self) -> Option<&SignInError> {
        let TokenFailure::Failed(error) = &self.cause else { return None };
        find_cause(error)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.request.sign_in.owner {
            Owner::App | Owner::Source => write!(f, "no token for {}", self.request.scope),
            Owner::Storage => f.write_str(
                "no token for the identity that AzureWebJobsStorage__credential, __tenantId, __clientId and __clientSecret \
                 name",
            ),
        }?;
        match &self.cause {
            TokenFailure::TimedOut => {
                write!(f, ": the identity service did not answer within {} s", TOKEN_TIMEOUT.as_secs())
            }
            TokenFailure::Failed(_) => Ok(()),
        }
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match (self.sign_in_error(), &self.cause) {
            (Some(error), _) => Some(error),
            (None, TokenFailure::Failed(error)) => Some(error),
            (None, TokenFailure::TimedOut) => None,
        }
    }
}
