//! The HTTP client of the program: one request, its response.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt, ready};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use reqwest::Url;

use super::{
    CALL_TIMEOUT, Exchange, ExchangeError, RESPONSE_LIMIT, Request, Response,
    encoding::{Decoder, without_byte_order_mark},
    local,
};
use crate::{buffers::POOL, error_chain::chain};

/// The time limit for a connection to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Work on fewer bytes takes less time than its hand-over to another thread and back, some tens of microseconds
/// (measured: compressing a post takes 1.4 ns a byte).
const OFFLOAD_THRESHOLD: usize = 64 * 1024;

/// The way of every request to a service. Clones share the connections.
#[derive(Debug, Clone)]
pub enum Http {
    /// Over the network.
    Network(Clients),
    /// To services in the same process, in tests.
    InProcess(Arc<dyn Exchange>),
}

/// The network clients. Each has its own connections, and its own idea of proxies.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Uses the proxies that `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` name.
    proxied: reqwest::Client,
    /// Uses none.
    direct: reqwest::Client,
}

impl Http {
    /// Builds the clients. They follow no redirects, so that a token or a signature never reaches a host that is not
    /// configured.
    ///
    /// # Errors
    ///
    /// That of a machine without CA certificates.
    pub fn new() -> Result<Self, reqwest::Error> {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("mdatp-forward/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(CALL_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self::Network(Clients { proxied: client().build()?, direct: client().no_proxy().build()? }))
    }

    /// Returns the same client without proxies, whatever the address.
    pub fn without_proxy(&self) -> Self {
        match self {
            Self::Network(Clients { direct, .. }) => {
                Self::Network(Clients { proxied: direct.clone(), direct: direct.clone() })
            }
            Self::InProcess(_) => self.clone(),
        }
    }

    /// Sends one request and reads its response to the end, so that a body that is cut short is an error here.
    pub async fn exchange(&self, request: Request, timeout: Duration) -> Result<Response, ExchangeError> {
        let mut response = match self {
            Self::Network(clients) => over_network(clients, request, timeout).await,
            Self::InProcess(services) => {
                let exchanged = tokio::time::timeout(timeout, services.exchange(request)).await;
                exchanged.unwrap_or(Err(ExchangeError::TimedOut))
            }
        }?;
        let decoded = match Decoder::of(&response.headers, &response.body, RESPONSE_LIMIT) {
            Ok(Some(decoder)) => self.offload(response.body.len(), || decoder.decode()).await,
            Ok(None) => Ok(response.body.clone()),
            Err(error) => Err(error),
        };
        let body = match decoded {
            Ok(body) => without_byte_order_mark(body),
            // The status of a rejection matters more than its body.
            Err(error) if !response.status.is_success() => chain(&error).into(),
            Err(error) => return Err(error),
        };
        // They describe the body as it was sent.
        response.headers.remove(CONTENT_ENCODING);
        if body.len() != response.body.len() {
            response.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        response.body = body;
        Ok(response)
    }

    /// Starts work on so many bytes at once, on another thread if it is long enough for that: the run continues
    /// meanwhile. Without a network all work is done in sequence, so that a run under virtual time is deterministic.
    pub fn offload<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, T> {
        match self {
            Self::Network(_) if bytes >= OFFLOAD_THRESHOLD => {
                let started = tokio::task::spawn_blocking(work);
                // Such work is never cancelled, so an error is a panic.
                let result =
                    async { started.await.unwrap_or_else(|error| resume_unwind(error.into_panic())) };
                result.boxed()
            }
            _ => ready(work()).boxed(),
        }
    }
}

async fn over_network(
    clients: &Clients,
    request: Request,
    timeout: Duration,
) -> Result<Response, ExchangeError> {
    let url = Url::parse(&request.url).map_err(|error| ExchangeError::Broken(error.into()))?;
    let client = if local::is_local(&url) { &clients.direct } else { &clients.proxied };
    let mut response = client
        .request(request.method, url)
        .headers(request.headers)
        .body(request.body)
        .timeout(timeout)
        .send()
        .await?;
    let length = response.content_length().and_then(|length| length.try_into().ok());
    let mut body = POOL.take(length.unwrap_or(0).min(RESPONSE_LIMIT));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > RESPONSE_LIMIT {
            return Err(ExchangeError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status: response.status(), headers: response.headers().clone(), body: POOL.share(body) })
}
