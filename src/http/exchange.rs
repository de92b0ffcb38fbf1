//! A request and its response as plain values.

use std::fmt;

use azure_core::time::{OffsetDateTime, parse_rfc7231};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT_ENCODING, DATE},
};

use super::{ExchangeError, encoding::ACCEPTED};

/// Why a response in another form than the service's is not the service's, after a colon.
pub const FOREIGN: &str =
    "it comes from something in between, such as a proxy, a firewall or a captive portal";

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole URL, percent-encoded.
    pub url: String,
    /// All headers except `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// The body; empty for GET.
    pub body: Bytes,
}

impl Request {
    /// Makes a GET of `url` whose response may be compressed.
    pub fn get(url: String) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, ACCEPTED)]);
        Self { method: Method::GET, url, headers, body: Bytes::new() }
    }

    /// Makes a POST of `body` to `url`.
    pub fn post(url: String, headers: HeaderMap, body: Bytes) -> Self {
        Self { method: Method::POST, url, headers, body }
    }
}

/// A response that has been read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed and without a byte order mark.
    pub body: Bytes,
}

impl Response {
    /// Returns the server's own time at the response.
    pub fn date(&self) -> Option<OffsetDateTime> {
        parse_rfc7231(self.headers.get(DATE)?.to_str().ok()?).ok()
    }

    /// Returns true when the body is a web page or another text, where services answer with a JSON object or list.
    pub fn is_foreign(&self) -> bool {
        !matches!(self.body.trim_ascii_start().first(), None | Some(b'{' | b'['))
    }
}

/// Answers requests in place of the network, for tests that run the services in their own process.
pub trait Exchange: fmt::Debug + Send + Sync {
    /// Answers `request`, or fails as the network may fail.
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Response, ExchangeError>>;
}
