//! One call to a service: token, timeout, retries, and an error that says what to mend.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use azure_core::time::{OffsetDateTime, parse_rfc7231};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, DATE},
};
use serde::Deserialize;
use tracing::{debug, info, warn};

use crate::{
    clock::Clock,
    error_chain::{chain, one_line},
    http::{
        CALL_TIMEOUT, ExchangeError, Http, Reply, Request,
        advice::{IN_BETWEEN, INVALID_BINDING, Reason, Roles, Service},
        claims::Claims,
        credential::{Credential, Token, TokenError},
        deadline::Deadline,
        quota::{Api, Quota},
        retry::{self, ATTEMPTS, Verdict, is_transient},
    },
};

/// How hard a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As often as any call.
    Full,
    /// For a page that can be asked for with fewer alerts on it: one blip is forgiven, and a time-out has cost enough.
    Reducible,
    /// For a call that only spares others, which are made instead when it brings nothing: fewer tries and less time.
    Optional,
}

impl Effort {
    /// How often the call is tried in all.
    fn attempts(self) -> u32 {
        match self {
            Self::Full => ATTEMPTS,
            Self::Reducible | Self::Optional => 2,
        }
    }

    /// How long one try may take. A page of 1,000 machines is about 1.5 MB, which takes seconds.
    fn timeout(self) -> Duration {
        match self {
            Self::Full | Self::Reducible => CALL_TIMEOUT,
            Self::Optional => Duration::from_secs(20),
        }
    }
}

/// Why a call brought nothing.
#[derive(Debug)]
pub enum CallError {
    /// The run's time is over, or a server asked for a wait that is longer than what is left. Nothing
    /// is wrong: the next run goes on.
    OutOfTime,
    /// There is no token to make the call with.
    Token(TokenError),
    /// No whole reply came, the last time as the times before.
    Unreachable {
        /// The call, such as `GET /api/alerts`.
        what: String,
        /// The service called.
        service: Service,
        /// What happened the last time.
        error: ExchangeError,
    },
    /// The service said no.
    Refused(Refusal),
    /// The reply, the last time as the times before, is not what the call brings.
    Unreadable {
        /// The call, such as `GET /api/alerts`.
        what: String,
        /// The service called.
        service: Service,
        /// What it is instead.
        error: serde_json::Error,
        /// The reply's body.
        body: Bytes,
        /// True when it is no JSON at all, as no service answers.
        is_foreign: bool,
    },
}

/// A service's answer to a call that it did not do.
#[derive(Debug)]
pub struct Refusal {
    /// The call, such as `GET /api/alerts`.
    pub what: String,
    /// The service called.
    pub service: Service,
    /// The status it answered with.
    pub status: StatusCode,
    /// Why, as far as it can be told.
    pub reason: Reason,
    /// What it said, shortened to one line.
    pub message: String,
    /// The service's own time when it answered.
    pub date: Option<OffsetDateTime>,
}

impl Refusal {
    /// The fix, or an empty text where there is none to give.
    pub fn advice(&self) -> &'static str {
        self.service.advice(self.status.as_u16(), &self.reason)
    }

    /// True where a role that is missing explains it.
    pub fn lacks_role(&self) -> bool {
        self.service.lacks_role(self.status.as_u16(), &self.reason)
    }

    /// True when settings, network or licence are at fault, whatever was asked or sent.
    pub fn is_about_settings(&self) -> bool {
        self.reason.is_page || self.service.advice_for_code(&self.reason).is_some()
    }

    /// True when the service itself says that it knows no such entity. (A 404 in another form may come from anybody.)
    pub fn is_unknown_entity(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && (self.reason.code.is_some() || self.message.is_empty())
    }
}

impl CallError {
    /// True for a failure that another call for another entity need not meet. What is left is that of the run: its
    /// time is over, or there is no token.
    pub fn is_of_one_call(&self) -> bool {
        !matches!(self, Self::OutOfTime | Self::Token(_))
    }

    /// True when the call was answered with a rejection that trying again does not change.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Refused(_)) && !self.is_transient()
    }

    /// True for a failure that may be gone a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { error, .. } => !matches!(error, ExchangeError::Untrusted(_)),
            Self::Unreadable { .. } => true,
            Self::Refused(refusal) => is_transient(refusal.status.as_u16()),
            Self::OutOfTime | Self::Token(_) => false,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTime => f.write_str("the run's time is over (MDATP_RUN_BUDGET)"),
            Self::Token(error) => error.fmt(f),
            Self::Unreachable { what, service, error } => {
                write!(f, "{} gave no whole reply to {what}", service.name())?;
                match error {
                    // It says itself what to do.
                    ExchangeError::Untrusted(_) => Ok(()),
                    _ if f.alternate() => Ok(()),
                    _ => write!(f, " (if this lasts, check {})", service.address_setting()),
                }
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unreadable { what, service, is_foreign, .. } => {
                write!(f, "the reply of {} to {what} is not the JSON it should be", service.name())?;
                match is_foreign {
                    true => write!(
                        f,
                        ": {IN_BETWEEN} (check {}, HTTPS_PROXY and NO_PROXY)",
                        service.address_setting()
                    ),
                    false => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {} to {}", self.service.name(), self.status.as_u16(), self.what)?;
        if !self.message.is_empty() {
            write!(f, " ({})", self.message)?;
        }
        match self.advice() {
            "" => Ok(()),
            _ if f.alternate() => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Token(error) => std::error::Error::source(error),
            Self::Unreachable { error, .. } => Some(error),
            Self::Unreadable { error, .. } => Some(error),
            Self::OutOfTime | Self::Refused(_) => None,
        }
    }
}

/// Where a call goes and what it is called in messages.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The service called.
    pub service: Service,
    /// The call without its query, such as `GET /api/alerts`.
    pub what: &'a str,
    /// The credential and scope of the bearer token; none for a call that is signed.
    pub token: Option<(&'a Credential, &'a str)>,
    /// The API whose quota the call uses up; none for a service that has no such quota.
    pub api: Option<Api>,
    /// How hard it is tried.
    pub effort: Effort,
}

/// Makes the calls of one run: one client, one clock, one deadline.
#[derive(Debug)]
pub struct Caller {
    /// The way to the services.
    pub http: Http,
    clock: Clock,
    /// The run's end.
    pub deadline: Deadline,
    requests: AtomicU64,
    quota: Mutex<Quota>,
    quota_share: f64,
}

impl Caller {
    /// A caller for a run that ends at `deadline` and uses up at most `quota_share` of each quota.
    pub fn new(http: Http, clock: Clock, deadline: Deadline, quota_share: f64) -> Self {
        let (requests, quota) = (AtomicU64::new(0), Mutex::default());
        Self { http, clock, deadline, requests, quota, quota_share }
    }

    /// The time of day.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The calls that count against the quotas now.
    pub fn quota(&self) -> Quota {
        self.lock().clone()
    }

    /// Begins with the calls that earlier runs have made.
    pub fn begin_with(&self, quota: Quota) {
        *self.lock() = quota;
    }

    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests have been sent, repeats included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Calls `target` until it answers, it refuses for good, or time is up. `build` makes the request
    /// anew for each try from the time of day, since a signature is good for one moment only; `read`
    /// makes sense of the reply, and what makes none (a page of HTML, half a document) is asked for again.
    pub async fn call<T>(
        &self,
        target: Target<'_>,
        build: impl Fn(OffsetDateTime) -> Request,
        read: impl Fn(&Reply) -> Result<T, serde_json::Error>,
    ) -> Result<T, CallError> {
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            self.wait_for_quota(target).await?;
            self.time_for_a_call(target.effort)?;
            let token = self.token(target).await?;
            let mut request = build(self.clock.now());
            if let Some(token) = &token {
                request.headers.insert(AUTHORIZATION, bearer(token));
            }
            // Again: the token may have taken a while.
            let timeout = self.time_for_a_call(target.effort)?;
            self.requests.fetch_add(1, Ordering::Relaxed);
            if let Some(api) = target.api {
                self.lock().record(api, self.clock.now());
            }
            let exchanged = self.http.exchange(request, timeout).await;

            let (failure, retry_after) = match exchanged {
                Ok(reply) => match retry::judge(reply.status.as_u16(), &reply.headers, self.clock.now()) {
                    Verdict::Done => match read(&reply) {
                        Ok(answer) => return Ok(answer),
                        Err(error) => {
                            let (what, service) = (target.what.to_owned(), target.service);
                            let is_foreign = reply.is_foreign();
                            (
                                CallError::Unreadable { what, service, error, is_foreign, body: reply.body },
                                None,
                            )
                        }
                    },
                    Verdict::NewToken if !renewed => match target.token.zip(token.as_ref()) {
                        Some(((credential, _), token)) => {
                            credential.renew(token);
                            renewed = true;
                            continue;
                        }
                        None => return Err(refused(target, &reply, None)),
                    },
                    Verdict::NewToken | Verdict::Fail => return Err(refused(target, &reply, token.as_ref())),
                    Verdict::Again(retry_after) => (refused(target, &reply, None), retry_after),
                },
                Err(error) => {
                    let hopeless = error.is_permanent()
                        || (target.effort == Effort::Reducible && matches!(error, ExchangeError::TimedOut));
                    let failure = CallError::Unreachable {
                        what: target.what.to_owned(),
                        service: target.service,
                        error,
                    };
                    if hopeless {
                        return Err(failure);
                    }
                    (failure, None)
                }
            };

            let throttled = matches!(&failure, CallError::Refused(refusal) if refusal.status == StatusCode::TOO_MANY_REQUESTS);
            attempt += 1;
            let wait = retry_after.unwrap_or_default().max(retry::backoff(attempt, fastrand::f64()));
            if wait >= self.deadline.left() {
                // A server that asks for patience is no failure; one that keeps failing is.
                return Err(if throttled || retry_after.is_some() { CallError::OutOfTime } else { failure });
            }
            if attempt > target.effort.attempts() && !throttled {
                return Err(failure);
            }
            match throttled {
                true => warn!("{}; waiting {} s", chain(&failure), wait.as_secs_f32().ceil()),
                false => debug!("{}; trying again in {} ms", chain(&failure), wait.as_millis()),
            }
            if !self.deadline.sleep(wait).await {
                return Err(CallError::OutOfTime);
            }
        }
    }

    /// How long a call that begins now may take.
    fn time_for_a_call(&self, effort: Effort) -> Result<Duration, CallError> {
        let time = effort.timeout().min(self.deadline.left());
        match time.is_zero() {
            true => Err(CallError::OutOfTime),
            false => Ok(time),
        }
    }

    /// Waits until one more call keeps within our share of the quota, so that a backlog never earns a 429.
    async fn wait_for_quota(&self, target: Target<'_>) -> Result<(), CallError> {
        let Some(api) = target.api else { return Ok(()) };
        loop {
            let wait = self.lock().wait(api, self.quota_share, self.clock.now());
            if wait.is_zero() {
                return Ok(());
            }
            if wait >= self.deadline.left() {
                info!(
                    "the quota of {} is used up for {} s; the next run goes on",
                    target.what,
                    wait.as_secs()
                );
                return Err(CallError::OutOfTime);
            }
            debug!("waiting {} s for the quota of {}", wait.as_secs(), target.what);
            if !self.deadline.sleep(wait).await {
                return Err(CallError::OutOfTime);
            }
        }
    }

    async fn token(&self, target: Target<'_>) -> Result<Option<Token>, CallError> {
        match target.token {
            // The library tries again by itself, which a process that is being ended does not wait for.
            Some((credential, scope)) => tokio::select! {
                biased;
                token = credential.token(scope) => token.map(Some).map_err(CallError::Token),
                () = self.deadline.cut_off() => Err(CallError::OutOfTime),
            },
            None => Ok(None),
        }
    }
}

fn bearer(token: &Token) -> HeaderValue {
    // A token that is no legal header value is sent as an empty one, which the service refuses.
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.secret.secret()))
        .unwrap_or(HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}

/// The service's time of a reply.
pub fn date_of(headers: &HeaderMap) -> Option<OffsetDateTime> {
    parse_rfc7231(headers.get(DATE)?.to_str().ok()?).ok()
}

fn refused(target: Target<'_>, reply: &Reply, token: Option<&Token>) -> CallError {
    let (mut reason, mut message) = read_error(&reply.body);
    if target.service == Service::LogsIngestion && reason.code.is_some() {
        // The role is not in the token, but the answer tells.
        let told = String::from_utf8_lossy(&reply.body);
        reason.roles = roles_told(&told);
        if told.contains(INVALID_BINDING) {
            reason.code = Some(INVALID_BINDING.to_owned());
        }
    }
    // What Defender forbids depends on the roles in the token.
    if target.service == Service::Defender
        && reply.status == StatusCode::FORBIDDEN
        && let Some(claims) = token.and_then(|token| Claims::of(token.secret.secret()))
    {
        // A person's rights are not in the token.
        reason.roles = match claims.lacking_roles().as_slice() {
            _ if claims.is_a_users() => Roles::Unknown,
            [] => Roles::Held,
            _ => Roles::Lacking,
        };
        message = one_line(&format!("{message}; {}", claims.explain()), 600);
    }
    CallError::Refused(Refusal {
        what: target.what.to_owned(),
        service: target.service,
        status: reply.status,
        reason,
        message,
        date: date_of(&reply.headers),
    })
}

/// What the Logs Ingestion API says about the caller's role when it denies access.
fn roles_told(body: &str) -> Roles {
    match body {
        _ if body.contains("IsRbacPresent: True") => Roles::Held,
        _ if body.contains("IsRbacPresent: False") => Roles::Lacking,
        _ => Roles::Unknown,
    }
}

/// What an error body says: the code and message of the forms the services use, or its beginning.
fn read_error(body: &[u8]) -> (Reason, String) {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Nested { error: Parts },
        Flat(Parts),
    }
    #[derive(Deserialize)]
    struct Parts {
        #[serde(alias = "Error", default)]
        code: Option<String>,
        #[serde(alias = "Message", default)]
        message: Option<String>,
    }

    let text = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    let reason = Reason::default();
    match serde_json::from_slice(body) {
        Ok(
            Body::Nested { error: Parts { code: Some(code), message } }
            | Body::Flat(Parts { code: Some(code), message }),
        ) => {
            let message = one_line(&format!("{code} {}", message.unwrap_or_default()), 600);
            (Reason { code: Some(code), ..reason }, message)
        }
        _ if text.trim_start().starts_with('<') => {
            (Reason { is_page: true, ..reason }, "an HTML page".to_owned())
        }
        _ => (reason, one_line(&text, 200)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_own_words_are_found_in_every_form_they_use() {
        for (body, words) in [
            (
                r#"{"error":{"code":"ResourceNotFound","message":"Machine 1 was not found","target":"t"}}"#,
                "ResourceNotFound Machine 1 was not found",
            ),
            (
                r#"{"error":{"code":"","message":"The query is not valid.","details":[]}}"#,
                "The query is not valid.",
            ),
            (
                r#"{"Error":"InvalidAuthorization","Message":"An invalid signature"}"#,
                "InvalidAuthorization An invalid signature",
            ),
            ("<html><body>Bad gateway</body></html>", "an HTML page"),
            ("plain\r\nwords", "plain words"),
            ("", ""),
        ] {
            assert_eq!(read_error(body.as_bytes()).1, words, "{body}");
        }
    }
}
