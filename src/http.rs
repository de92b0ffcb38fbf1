//! One HTTP client for the whole program, with the limits every call has.

pub mod advice;
pub mod call;
pub mod claims;
pub mod credential;
pub mod deadline;
mod encoding;
mod local;
pub mod quota;
pub mod retry;

use std::{error::Error, fmt, io, panic::resume_unwind, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH},
};

use reqwest::Url;

use crate::{
    buffers::SPARE,
    error_chain::{chain, one_line},
    http::advice::{IN_BETWEEN, trust_advice},
};
use encoding::{ACCEPTED, Decoder, without_byte_order_mark};

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
    /// The body, decompressed and without a byte order mark.
    pub body: Bytes,
}

impl Reply {
    /// True for a web page or any other text in the place of the JSON object or list that services answer with.
    pub fn is_foreign(&self) -> bool {
        !matches!(self.body.trim_ascii_start().first(), None | Some(b'{' | b'['))
    }
}

/// Why no whole reply came. The causes hold no URL, since a URL has its query: the caller says what was
/// called.
#[derive(Debug)]
pub enum ExchangeError {
    /// Nothing listens there, or its name does not hold.
    NoConnection(Box<dyn Error + Send + Sync>),
    /// There is no trust in the certificate that was shown, which no second try changes.
    Untrusted(rustls::Error),
    /// A reset, or a body cut short.
    Broken(Box<dyn Error + Send + Sync>),
    /// Nothing whole came in time.
    TimedOut,
    /// The reply is larger than [`REPLY_LIMIT`].
    TooLarge,
    /// The reply is compressed in this way, which was not asked for.
    UnknownCoding(String),
}

impl ExchangeError {
    /// True when trying again would bring the same.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Untrusted(_) | Self::TooLarge)
    }
}

impl From<reqwest::Error> for ExchangeError {
    fn from(error: reqwest::Error) -> Self {
        if let Some(problem) = certificate_problem(&error) {
            return Self::Untrusted(problem.clone());
        }
        match error.without_url() {
            error if error.is_timeout() => Self::TimedOut,
            error if error.is_connect() => Self::NoConnection(error.into()),
            error => Self::Broken(error.into()),
        }
    }
}

/// What is wrong with a certificate, if that led to `error`.
fn certificate_problem<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(problem @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return Some(problem);
        }
        // The source of an error of I/O is not what it holds but the source of that.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(_) => f.write_str("no connection"),
            Self::Untrusted(_) if f.alternate() => f.write_str("the certificate is not trusted"),
            Self::Untrusted(problem) => {
                write!(f, "the certificate is not trusted ({})", trust_advice(problem))
            }
            Self::Broken(_) => f.write_str("the connection broke"),
            Self::TimedOut => f.write_str("no whole reply in time"),
            Self::TooLarge => write!(f, "the reply is larger than {} MiB", REPLY_LIMIT >> 20),
            Self::UnknownCoding(coding) => {
                let coding = one_line(coding, 50);
                write!(f, "the reply is encoded as {coding:?}, which was not asked for: {IN_BETWEEN}")
            }
        }
    }
}

impl Error for ExchangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoConnection(error) | Self::Broken(error) => Some(&**error),
            Self::Untrusted(problem) => Some(problem),
            Self::TimedOut | Self::TooLarge | Self::UnknownCoding(_) => None,
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
    /// Clients with pooled connections.
    Network(Clients),
    /// No network at all.
    InProcess(Arc<dyn Exchange>),
}

/// The ways into the network. A client keeps its connections, and what it knows of proxies.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Through the proxies that `HTTPS_PROXY` and the like name.
    by_proxy: reqwest::Client,
    /// Past them.
    direct: reqwest::Client,
}

impl Http {
    /// Builds the client. It follows no redirects, so that a token or a signature never goes to a
    /// host that was not configured. The error is that of a machine without any CA certificates.
    pub fn new() -> Result<Self, reqwest::Error> {
        // Err means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("mdatp-forward/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(CALL_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self::Network(Clients { by_proxy: client().build()?, direct: client().no_proxy().build()? }))
    }

    /// The same past any proxy, whatever is asked.
    pub fn past_proxies(&self) -> Self {
        match self {
            Self::Network(Clients { direct, .. }) => {
                Self::Network(Clients { by_proxy: direct.clone(), direct: direct.clone() })
            }
            Self::InProcess(_) => self.clone(),
        }
    }

    /// Sends one request and reads its reply to the end, so that a body cut short is an error here.
    pub async fn exchange(&self, request: Request, timeout: Duration) -> Result<Reply, ExchangeError> {
        let mut reply = match self {
            Self::Network(clients) => over_network(clients, request, timeout).await,
            Self::InProcess(services) => {
                let exchanged = tokio::time::timeout(timeout, services.exchange(request)).await;
                exchanged.unwrap_or(Err(ExchangeError::TimedOut))
            }
        }?;
        let decoded = match Decoder::of(&reply.headers, &reply.body, REPLY_LIMIT) {
            Ok(Some(decoder)) => self.beside(reply.body.len(), || decoder.decode()).await,
            Ok(None) => Ok(reply.body.clone()),
            Err(error) => Err(error),
        };
        let body = match decoded {
            Ok(body) => without_byte_order_mark(body),
            // What a refusal says is worth less than its status.
            Err(error) if !reply.status.is_success() => chain(&error).into(),
            Err(error) => return Err(error),
        };
        // They are true of the body as it came.
        reply.headers.remove(CONTENT_ENCODING);
        if body.len() != reply.body.len() {
            reply.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        reply.body = body;
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
    clients: &Clients,
    request: Request,
    timeout: Duration,
) -> Result<Reply, ExchangeError> {
    let url = Url::parse(&request.url).map_err(|error| ExchangeError::Broken(error.into()))?;
    let client = if local::is_local(&url) { &clients.direct } else { &clients.by_proxy };
    let mut response = client
        .request(request.method, url)
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

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError};

    use super::*;

    #[test]
    fn a_certificate_is_found_behind_errors_of_io_and_has_its_mend() {
        for (why, mend) in [
            (CertificateError::UnknownIssuer, "set SSL_CERT_FILE"),
            (CertificateError::Expired, "clock"),
            (CertificateError::NotValidForName, "HTTPS_PROXY"),
        ] {
            let problem = rustls::Error::InvalidCertificate(why);
            let error = io::Error::other(io::Error::other(problem.clone()));
            assert_eq!(certificate_problem(&error), Some(&problem));
            let told = ExchangeError::Untrusted(problem).to_string();
            assert!(told.contains(mend) && told.contains("SSL_CERT_FILE"), "{told}");
        }
        let other = io::Error::other(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure));
        assert_eq!(certificate_problem(&other), None);
    }
}
