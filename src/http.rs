//! One HTTP client for the whole program, with the limits every call has.

mod encoding;

use std::{error::Error, fmt, panic::resume_unwind, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH},
};

use crate::spare::SPARE;
use encoding::{ACCEPTED, Decoder};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one call may take from its first byte to its last. A full page of 10,000 alerts with
/// evidence takes the service tens of seconds (facts A4).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(100);

/// The largest reply that is read, in bytes after decompression. A page of 1,000 alerts is about
/// 4 MB; a reply beyond this is a fault of the other side or a page size set too high.
pub const REPLY_LIMIT: usize = 64 * 1024 * 1024;

/// Work over fewer bytes takes less time than handing it to another thread and back, some tens of microseconds
/// (measured: compressing a post takes 1.4 ns a byte).
const WORTH_THE_WAY: usize = 64 * 1024;

/// A request as plain values.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole URL, percent-encoded.
    pub url: String,
    /// All headers but `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// The body; empty for GET.
    pub body: Bytes,
}

impl Request {
    /// A GET of `url`, whose reply may come compressed.
    pub fn get(url: String) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, ACCEPTED)]);
        Self { method: Method::GET, url, headers, body: Bytes::new() }
    }

    /// A POST of `body` to `url`.
    pub fn post(url: String, headers: HeaderMap, body: Bytes) -> Self {
        Self { method: Method::POST, url, headers, body }
    }
}

/// A reply read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Why no whole reply came. The causes hold no URL, since a URL has its query: the caller says what was
/// called.
#[derive(Debug)]
pub enum ExchangeError {
    /// Nothing listens there, or its name or certificate does not hold.
    NoConnection(Box<dyn Error + Send + Sync>),
    /// A reset, or a body cut short.
    Broken(Box<dyn Error + Send + Sync>),
    /// Nothing whole came in time.
    TimedOut,
    /// The reply is larger than [`REPLY_LIMIT`].
    TooLarge,
}

impl From<reqwest::Error> for ExchangeError {
    fn from(error: reqwest::Error) -> Self {
        match error.without_url() {
            error if error.is_timeout() => Self::TimedOut,
            error if error.is_connect() => Self::NoConnection(error.into()),
            error => Self::Broken(error.into()),
        }
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(_) => f.write_str("no connection"),
            Self::Broken(_) => f.write_str("the connection broke"),
            Self::TimedOut => f.write_str("no whole reply in time"),
            Self::TooLarge => write!(f, "the reply is larger than {} MiB", REPLY_LIMIT >> 20),
        }
    }
}

impl Error for ExchangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoConnection(error) | Self::Broken(error) => Some(&**error),
            Self::TimedOut | Self::TooLarge => None,
        }
    }
}

/// Answers requests in place of the network, for a program that runs its services in one process.
pub trait Exchange: fmt::Debug + Send + Sync {
    /// The reply to `request`, or what went wrong on the way.
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Reply, ExchangeError>>;
}

/// The way every part sends its requests: Defender and the sinks, and over the network Entra ID and Blob
/// Storage too.
#[derive(Debug, Clone)]
pub enum Http {
    /// One client with pooled connections.
    Network(reqwest::Client),
    /// No network at all.
    InProcess(Arc<dyn Exchange>),
}

impl Http {
    /// Builds the client. It follows no redirects, so that a token or a signature never goes to a
    /// host that was not configured. The error is that of a machine without any CA certificates.
    pub fn new() -> Result<Self, reqwest::Error> {
        // Err means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(concat!("mdatp-forward/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(Self::Network)
    }

    /// The client itself, for the crates that bring their own requests.
    pub fn client(&self) -> Option<reqwest::Client> {
        match self {
            Self::Network(client) => Some(client.clone()),
            Self::InProcess(_) => None,
        }
    }

    /// Sends one request and reads its reply to the end, so that a body cut short is an error here.
    pub async fn exchange(&self, request: Request, timeout: Duration) -> Result<Reply, ExchangeError> {
        let mut reply = match self {
            Self::Network(client) => over_network(client, request, timeout).await,
            Self::InProcess(services) => {
                let exchanged = tokio::time::timeout(timeout, services.exchange(request)).await;
                exchanged.unwrap_or(Err(ExchangeError::TimedOut))
            }
        }?;
        if let Some(decoder) = Decoder::of(&reply.headers, &reply.body, REPLY_LIMIT) {
            reply.body = self.beside(reply.body.len(), || decoder.decode()).await?;
            // They are true of the body as it came.
            reply.headers.remove(CONTENT_ENCODING);
            reply.headers.remove(CONTENT_LENGTH);
        }
        Ok(reply)
    }

    /// Begins work over so many bytes, on another processor if there is one and the work is worth the way there:
    /// the run goes on meanwhile. Without a network all is done in its turn, so that a run under virtual time is
    /// the same each time.
    pub fn beside<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, T> {
        match self {
            Self::Network(_) if bytes >= WORTH_THE_WAY => {
                let begun = tokio::task::spawn_blocking(work);
                // Nobody cancels such work, so without a result it has panicked.
                let result = async { begun.await.unwrap_or_else(|error| resume_unwind(error.into_panic())) };
                result.boxed()
            }
            _ => ready(work()).boxed(),
        }
    }
}

async fn over_network(
    client: &reqwest::Client,
    request: Request,
    timeout: Duration,
) -> Result<Reply, ExchangeError> {
    let mut response = client
        .request(request.method, request.url)
        .headers(request.headers)
        .body(request.body)
        .timeout(timeout)
        .send()
        .await?;
    let told = response.content_length().and_then(|length| length.try_into().ok());
    let mut body = SPARE.take(told.unwrap_or(0).min(REPLY_LIMIT));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > REPLY_LIMIT {
            return Err(ExchangeError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: response.status(), headers: response.headers().clone(), body: SPARE.share(body) })
}
