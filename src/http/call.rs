//! Makes calls: waits for the quota, gets the token, sends the request, and retries it until the deadline.

mod error;
mod error_response;

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use azure_core::time::OffsetDateTime;
use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use tracing::{debug, info, warn};

pub use crate::http::retry::RetryPolicy;
use crate::{
    clock::Clock,
    error_chain::chain,
    http::{
        ExchangeError, Http, Request, Response,
        claims::Claims,
        credential::{Credential, Token},
        deadline::Deadline,
        error_detail::ErrorDetail,
        quota::{Api, Quota},
        retry::{self, Backoff, RetryAction},
        service::Service,
    },
};
pub use error::CallError;
pub use error_response::ErrorResponse;

/// What is called, and how.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The service.
    pub service: Service,
    /// The operation as messages name it, without its query: `GET /api/alerts`.
    pub operation: &'a str,
    /// The credential and scope of the bearer token; `None` for a call that is signed.
    pub token: Option<(&'a Credential, &'a str)>,
    /// The API whose quota the call uses; `None` for a service without such a quota.
    pub api: Option<Api>,
    /// How often the call is attempted, and for how long.
    pub retries: RetryPolicy,
}

impl Target<'_> {
    fn unreachable(&self, error: ExchangeError) -> CallError {
        CallError::Unreachable { operation: self.operation.to_owned(), service: self.service, error }
    }

    fn unreadable(&self, error: serde_json::Error, response: Response) -> CallError {
        CallError::Unreadable {
            operation: self.operation.to_owned(),
            service: self.service,
            error,
            is_foreign: response.is_foreign(),
            body: response.body,
        }
    }

    fn rejected(&self, response: &Response, token: Option<&Token>) -> CallError {
        let mut detail = ErrorDetail::read(self.service, &response.body);
        // What Defender and Graph forbid depends on the roles in the token.
        if let Some(api) = self.api
            && response.status == StatusCode::FORBIDDEN
            && let Some(claims) = token.and_then(|token| Claims::of(token.secret.secret()))
        {
            detail = detail.with_claims(&claims, api.roles());
        }
        CallError::Rejected(ErrorResponse {
            operation: self.operation.to_owned(),
            service: self.service,
            status: response.status,
            detail,
            date: response.date(),
        })
    }
}

/// Makes the calls of one run, with one client, clock and deadline.
#[derive(Debug)]
pub struct Caller {
    /// The HTTP client.
    pub http: Http,
    clock: Clock,
    /// The deadline of the run.
    pub deadline: Deadline,
    requests: AtomicU64,
    quota: Mutex<Quota>,
    quota_share: f64,
}

impl Caller {
    /// Makes a caller for a run with this deadline, which uses at most `quota_share` (above 0, at most 1) of each quota.
    pub fn new(http: Http, clock: Clock, deadline: Deadline, quota_share: f64) -> Self {
        let (requests, quota) = (AtomicU64::new(0), Mutex::default());
        Self { http, clock, deadline, requests, quota, quota_share }
    }

    /// Returns the time of day.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Returns the calls that count against the quotas now.
    pub fn quota(&self) -> Quota {
        self.lock().clone()
    }

    /// Starts with the calls that earlier runs made.
    pub fn set_quota(&self, quota: Quota) {
        *self.lock() = quota;
    }

    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of requests sent, with retries.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Calls `target` until it succeeds, rejects the call for good, or time is up. `build` makes the request for each
    /// attempt from the time of day, since a signature is valid for a moment only. `read` parses the response; one that
    /// it cannot read (an HTML page, a document that is cut short) is retried.
    pub async fn call<T>(
        &self,
        target: Target<'_>,
        build: impl Fn(OffsetDateTime) -> Request,
        read: impl Fn(&Response) -> Result<T, serde_json::Error>,
    ) -> Result<T, CallError> {
        let mut has_renewed = false;
        let mut backoff = Backoff::new(target.retries.attempts());
        loop {
            self.wait_for_quota(target).await?;
            self.time_for_request(target.retries)?;
            let token = self.token(target).await?;
            let mut request = build(self.clock.now());
            if let Some(token) = &token {
                request.headers.insert(AUTHORIZATION, bearer(token));
            }
            // Again: the token may have taken a while.
            let timeout = self.time_for_request(target.retries)?;
            self.requests.fetch_add(1, Ordering::Relaxed);
            if let Some(api) = target.api {
                self.lock().record(api, self.clock.now());
            }

            let (failure, retry_after) = match self.http.exchange(request, timeout).await {
                Ok(response) => match self.action(&response) {
                    RetryAction::Accept => match read(&response) {
                        Ok(value) => return Ok(value),
                        Err(error) => (target.unreadable(error, response), None),
                    },
                    RetryAction::Retry(retry_after) => (target.rejected(&response, None), retry_after),
                    RetryAction::RenewToken if !has_renewed => match (target.token, &token) {
                        (Some((credential, _)), Some(token)) => {
                            credential.renew(token);
                            has_renewed = true;
                            continue;
                        }
                        _ => return Err(target.rejected(&response, None)),
                    },
                    RetryAction::RenewToken | RetryAction::Fail => {
                        return Err(target.rejected(&response, token.as_ref()));
                    }
                },
                Err(error) => {
                    let is_permanent = error.is_permanent()
                        || matches!(
                            (target.retries, &error),
                            (RetryPolicy::Reducible, ExchangeError::TimedOut)
                        );
                    if is_permanent {
                        return Err(target.unreachable(error));
                    }
                    (target.unreachable(error), None)
                }
            };
            self.wait_to_retry(&mut backoff, failure, retry_after).await?;
        }
    }

    fn action(&self, response: &Response) -> RetryAction {
        retry::classify(response.status.as_u16(), &response.headers, self.clock.now())
    }

    /// Waits before the next attempt, or returns the failure when there is none.
    async fn wait_to_retry(
        &self,
        backoff: &mut Backoff,
        failure: CallError,
        retry_after: Option<Duration>,
    ) -> Result<(), CallError> {
        let is_throttled = matches!(
            &failure,
            CallError::Rejected(response) if response.status == StatusCode::TOO_MANY_REQUESTS
        );
        let wait = backoff.next(retry_after, fastrand::f64());
        if wait >= self.deadline.remaining() {
            // A server that asks for a wait has not failed; one that keeps failing has.
            let is_asked_to_wait = is_throttled || retry_after.is_some();
            return Err(if is_asked_to_wait { CallError::OutOfTime } else { failure });
        }
        if backoff.is_exhausted() && !is_throttled {
            return Err(failure);
        }
        match is_throttled {
            true => warn!("{}; waiting {} s", chain(&failure), wait.as_secs_f32().ceil()),
            false => debug!("{}; retrying in {} ms", chain(&failure), wait.as_millis()),
        }
        match self.deadline.sleep(wait).await {
            true => Ok(()),
            false => Err(CallError::OutOfTime),
        }
    }

    /// Returns the time limit of a request that is sent now.
    fn time_for_request(&self, retries: RetryPolicy) -> Result<Duration, CallError> {
        let time = retries.timeout().min(self.deadline.remaining());
        match time.is_zero() {
            true => Err(CallError::OutOfTime),
            false => Ok(time),
        }
    }

    /// Waits until one more call is within our share of the quota, so that a backlog does not lead to a 429.
    async fn wait_for_quota(&self, target: Target<'_>) -> Result<(), CallError> {
        let Some(api) = target.api else { return Ok(()) };
        loop {
            let wait = self.lock().wait(api, self.quota_share, self.clock.now());
            if wait.is_zero() {
                return Ok(());
            }
            if wait >= self.deadline.remaining() {
                info!(
                    "the quota of {} is used up for {} s; the next run continues",
                    target.operation,
                    wait.as_secs()
                );
                return Err(CallError::OutOfTime);
            }
            debug!("waiting {} s for the quota of {}", wait.as_secs(), target.operation);
            if !self.deadline.sleep(wait).await {
                return Err(CallError::OutOfTime);
            }
        }
    }

    async fn token(&self, target: Target<'_>) -> Result<Option<Token>, CallError> {
        match target.token {
            // The library retries by itself, which an immediate shutdown does not wait for.
            Some((credential, scope)) => tokio::select! {
                biased;
                token = credential.token(scope) => token.map(Some).map_err(CallError::Token),
                () = self.deadline.immediate_shutdown() => Err(CallError::OutOfTime),
            },
            None => Ok(None),
        }
    }
}

fn bearer(token: &Token) -> HeaderValue {
    // A token that is not a valid header value is sent as an empty one, which the service rejects.
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.secret.secret()))
        .unwrap_or(HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}
