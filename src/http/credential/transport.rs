//! The identity library's way to the issuers of tokens: through the same client as all other requests. The library's own
//! client would not know the rule for proxies, byte order marks, or the forms of [`super::issuer_response`].
//!
//! Retries have their own loop here, unlike those of [`crate::http::call`]: there is no run's deadline, quota, token or
//! shutdown to consider, but the library's limit for a token.

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        AsyncRawResponse, HttpClient, Request as LibraryRequest, StatusCode as LibraryStatus,
        headers::Headers, request::Body,
    },
};
use tokio::time::Instant;
use tracing::debug;

use super::{
    TOKEN_TIMEOUT,
    issuer::Issuer,
    issuer_response,
    sign_in_error::{SignInError, SignInFailure},
};
use crate::{
    clock::Clock,
    error_chain::chain,
    http::{
        CALL_TIMEOUT, Http, Request,
        retry::{self, Backoff, RetryAction},
    },
};

/// The attempts for one token in all. The next tick of the timer is the real retry.
const ATTEMPTS: u32 = 4;

/// The transport that the identity library sends its requests through. It retries itself, so the library must not.
#[derive(Debug)]
pub struct Transport {
    issuer: Issuer,
    http: Http,
    clock: Clock,
}

impl Transport {
    /// Makes the transport to `issuer`. A managed identity's endpoint may have any address, and the header that opens it
    /// must not leave the machine: it is never asked through a proxy.
    pub fn new(issuer: Issuer, http: &Http, clock: Clock) -> Self {
        let http = match issuer {
            Issuer::Entra => http.clone(),
            Issuer::ManagedIdentity { .. } => http.without_proxy(),
        };
        Self { issuer, http, clock }
    }

    /// Returns the body of the response with a token, in the form that the library reads.
    async fn token(&self, request: Request) -> Result<Vec<u8>, SignInError> {
        let end = Instant::now() + TOKEN_TIMEOUT;
        let mut backoff = Backoff::new(ATTEMPTS);
        loop {
            // The wait that a server asks for; `None` for a permanent failure.
            let (cause, retry_after) = match self.http.exchange(request.clone(), CALL_TIMEOUT).await {
                Ok(response) => {
                    let now = self.clock.now();
                    match retry::classify(response.status.as_u16(), &response.headers, now) {
                        RetryAction::Accept => {
                            match issuer_response::token(&response.body, now.unix_timestamp()) {
                                Ok(token) => return Ok(token),
                                Err(error) => {
                                    let is_foreign = response.is_foreign();
                                    (SignInFailure::Unreadable { error, is_foreign }, Some(None))
                                }
                            }
                        }
                        action => {
                            let error = issuer_response::read_error(&response.body);
                            let retry_after = match action {
                                RetryAction::Retry(retry_after) => Some(retry_after),
                                _ => None,
                            };
                            (SignInFailure::Rejected { status: response.status, error }, retry_after)
                        }
                    }
                }
                Err(error) => {
                    let retry_after = (!error.is_permanent()).then_some(None);
                    (SignInFailure::Unreachable(error), retry_after)
                }
            };
            let failure = SignInError { issuer: self.issuer, cause };
            let Some(retry_after) = retry_after else { return Err(failure) };
            let wait = backoff.next(retry_after, fastrand::f64());
            if backoff.is_exhausted() || wait >= end.saturating_duration_since(Instant::now()) {
                return Err(failure);
            }
            debug!("{}; retrying in {} ms", chain(&failure), wait.as_millis());
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &LibraryRequest) -> azure_core::Result<AsyncRawResponse> {
        let request = converted(request)
            .map_err(|error| azure_core::Error::with_error(ErrorKind::Other, error, "invalid request"))?;
        match self.token(request).await {
            Ok(body) => Ok(AsyncRawResponse::from_bytes(LibraryStatus::Ok, Headers::new(), body)),
            // The library does not retry this kind.
            Err(error) => Err(azure_core::Error::with_error(ErrorKind::Other, error, "no token")),
        }
    }
}

/// Returns the library's request as ours.
fn converted(request: &LibraryRequest) -> Result<Request, http::Error> {
    let mut builder = http::Request::builder().method(request.method().as_str());
    for (name, value) in request.headers().iter() {
        builder = builder.header(name.as_str(), value.as_str());
    }
    let (parts, ()) = builder.body(())?.into_parts();
    let body = match request.body() {
        Body::Bytes(body) => body.clone(),
        Body::SeekableStream(_) => unreachable!("a request for a token has a form as its body, or none"),
    };
    Ok(Request { method: parts.method, url: request.url().to_string(), headers: parts.headers, body })
}
