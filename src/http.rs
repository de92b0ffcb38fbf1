//! One HTTP client for the whole program, with the limits every call has.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one call may take from its first byte to its last. A full page of 10,000 alerts with
/// evidence takes the service tens of seconds (facts A4).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(100);

/// The largest reply that is read, in bytes after decompression. A page of 1,000 alerts is about
/// 4 MB; a reply beyond this is a fault of the other side or a page size set too high.
pub const REPLY_LIMIT: usize = 64 * 1024 * 1024;

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
    /// A GET of `url`.
    pub fn get(url: String) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
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

/// Why no whole reply came.
#[derive(Debug)]
pub enum ExchangeError {
    /// No connection, a reset, a cut body, or a timeout.
    Transport(reqwest::Error),
    /// The reply is larger than [`REPLY_LIMIT`].
    TooLarge,
}

impl std::fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transport(error) if error.is_timeout() => f.write_str("no whole reply in time"),
            Self::Transport(error) if error.is_connect() => f.write_str("no connection"),
            Self::Transport(_) => f.write_str("the connection broke"),
            Self::TooLarge => {
                write!(f, "the reply is larger than {} MiB: lower MDATP_PAGE_SIZE", REPLY_LIMIT >> 20)
            }
        }
    }
}

impl std::error::Error for ExchangeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transport(error) => Some(error),
            Self::TooLarge => None,
        }
    }
}

/// The client every part shares: Defender, the sinks, Entra ID and Blob Storage.
#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

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
            .map(Self)
    }

    /// The client itself, for the crates that bring their own requests.
    pub fn client(&self) -> reqwest::Client {
        self.0.clone()
    }

    /// Sends one request and reads its reply to the end, so that a body cut short is an error here.
    pub async fn exchange(&self, request: Request, timeout: Duration) -> Result<Reply, ExchangeError> {
        // The error's own text would hold the URL with its query: the caller says what was called.
        let transport = |error: reqwest::Error| ExchangeError::Transport(error.without_url());
        let mut response = self
            .0
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .timeout(timeout)
            .send()
            .await
            .map_err(transport)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > REPLY_LIMIT {
                return Err(ExchangeError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status: response.status(), headers: response.headers().clone(), body: body.freeze() })
    }
}
