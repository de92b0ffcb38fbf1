//! The services that issue tokens, asked for the identity library in the way that all others are: its own would know
//! nothing of a byte order mark, of the rule for proxies, or of the forms of [`super::reply`].

use std::fmt;

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        AsyncRawResponse, HttpClient, Request as LibraryRequest, StatusCode as LibraryStatus,
        headers::Headers, request::Body,
    },
};
use http::StatusCode;
use tokio::time::Instant;
use tracing::debug;

use super::{TOKEN_TIMEOUT, reply};
use crate::{
    clock::Clock,
    error_chain::chain,
    http::{
        CALL_TIMEOUT, ExchangeError, Http, Request,
        advice::{IN_BETWEEN, Proof, SignIn},
        retry::{self, RetryAction},
    },
};

/// How often a token is asked for in all. The next tick is the real retry.
const ATTEMPTS: u32 = 4;

/// Who issues tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// Entra ID.
    Entra,
    /// The endpoint that the platform gives a managed identity.
    ManagedIdentity {
        /// The setting that names a user-assigned one.
        setting: &'static str,
    },
}

impl Issuer {
    fn name(self) -> &'static str {
        match self {
            Self::Entra => "Entra ID",
            Self::ManagedIdentity { .. } => "the managed identity's endpoint",
        }
    }
}

/// Why an issuer gave no token.
#[derive(Debug)]
pub struct SignInError {
    issuer: Issuer,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// It said no.
    Refused { status: StatusCode, message: String },
    /// No whole reply came.
    Unreachable(ExchangeError),
    /// There is no token in what came.
    Unreadable { error: serde_json::Error, is_foreign: bool },
}

impl SignInError {
    /// What the issuer said, if it said no.
    pub fn refusal(&self) -> Option<&str> {
        match &self.cause {
            Cause::Refused { message, .. } => Some(message),
            Cause::Unreachable(_) | Cause::Unreadable { .. } => None,
        }
    }

    /// What of `sign_in` the refusal is about: a managed identity has no proof of its own, and is asked for one when
    /// its token is to be one.
    pub fn concerns(&self, sign_in: SignIn) -> SignIn {
        match (self.issuer, sign_in.proof) {
            (Issuer::ManagedIdentity { .. }, Proof::ManagedIdentity(audience)) => {
                SignIn { proof: Proof::NoneFor(audience), ..sign_in }
            }
            _ => sign_in,
        }
    }
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.issuer.name();
        match &self.cause {
            Cause::Refused { status, message } => {
                write!(f, "{name} answered {}", status.as_u16())?;
                if !message.is_empty() {
                    write!(f, " ({message})")?;
                }
                match (self.issuer, *status) {
                    // Where Entra's code is told, it is not about who asks.
                    (Issuer::ManagedIdentity { setting }, StatusCode::BAD_REQUEST)
                        if !message.contains("AADSTS") =>
                    {
                        write!(
                            f,
                            "; {setting} must be unset, or the client id of an identity that the app has"
                        )
                    }
                    _ => Ok(()),
                }
            }
            Cause::Unreachable(_) => write!(f, "{name} gave no whole reply"),
            Cause::Unreadable { is_foreign: true, .. } => {
                write!(f, "the reply of {name} is not the JSON it should be: {IN_BETWEEN}")
            }
            Cause::Unreadable { .. } => write!(f, "the reply of {name} is not the JSON it should be"),
        }
    }
}

impl std::error::Error for SignInError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Refused { .. } => None,
            Cause::Unreachable(error) => Some(error),
            Cause::Unreadable { error, .. } => Some(error),
        }
    }
}

/// The library's way to an issuer. It tries again itself, so the library shall not.
#[derive(Debug)]
pub struct Transport {
    issuer: Issuer,
    http: Http,
    clock: Clock,
}

impl Transport {
    /// The way to `issuer`. A managed identity's endpoint may have any address, and the header that opens it is
    /// nobody else's: no proxy is asked for it.
    pub fn new(issuer: Issuer, http: &Http, clock: Clock) -> Self {
        let http = match issuer {
            Issuer::Entra => http.clone(),
            Issuer::ManagedIdentity { .. } => http.past_proxies(),
        };
        Self { issuer, http, clock }
    }

    async fn token(&self, request: Request) -> Result<Vec<u8>, SignInError> {
        let end = Instant::now() + TOKEN_TIMEOUT;
        let mut attempt = 1;
        loop {
            let (cause, retry_after) = match self.http.exchange(request.clone(), CALL_TIMEOUT).await {
                Ok(reply) => match retry::classify(reply.status.as_u16(), &reply.headers, self.clock.now()) {
                    RetryAction::Accept => match reply::token(&reply.body, self.clock.now().unix_timestamp())
                    {
                        Ok(token) => return Ok(token),
                        Err(error) => {
                            (Cause::Unreadable { error, is_foreign: reply.is_foreign() }, Some(None))
                        }
                    },
                    verdict => {
                        let (status, message) = (reply.status, reply::refusal(&reply.body));
                        let retry_after = match verdict {
                            RetryAction::Retry(retry_after) => Some(retry_after),
                            _ => None,
                        };
                        (Cause::Refused { status, message }, retry_after)
                    }
                },
                Err(error) if error.is_permanent() => (Cause::Unreachable(error), None),
                Err(error) => (Cause::Unreachable(error), Some(None)),
            };
            let failure = SignInError { issuer: self.issuer, cause };
            attempt += 1;
            let Some(retry_after) = retry_after.filter(|_| attempt <= ATTEMPTS) else { return Err(failure) };
            let wait = retry_after.unwrap_or_default().max(retry::backoff(attempt, fastrand::f64()));
            if wait >= end.saturating_duration_since(Instant::now()) {
                return Err(failure);
            }
            debug!("{}; trying again in {} ms", chain(&failure), wait.as_millis());
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &LibraryRequest) -> azure_core::Result<AsyncRawResponse> {
        let request = plain(request)
            .map_err(|error| azure_core::Error::with_error(ErrorKind::Other, error, "this is no request"))?;
        match self.token(request).await {
            Ok(reply) => Ok(AsyncRawResponse::from_bytes(LibraryStatus::Ok, Headers::new(), reply)),
            // A kind that the library does not try again.
            Err(error) => Err(azure_core::Error::with_error(ErrorKind::Other, error, "no token")),
        }
    }
}

/// The library's request as ours.
fn plain(request: &LibraryRequest) -> Result<Request, http::Error> {
    let mut builder = http::Request::builder().method(request.method().as_str());
    for (name, value) in request.headers().iter() {
        builder = builder.header(name.as_str(), value.as_str());
    }
    let (parts, ()) = builder.body(())?.into_parts();
    let body = match request.body() {
        Body::Bytes(body) => body.clone(),
        Body::SeekableStream(_) => unreachable!("a token is asked for by a form, or by none"),
    };
    Ok(Request { method: parts.method, url: request.url().to_string(), headers: parts.headers, body })
}
