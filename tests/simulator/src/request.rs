//! A request as a service reads it, free of sockets: the same services run behind HTTP servers and,
//! under virtual time, inside one process.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::percent_decode_str;

/// An HTTP request whose body has arrived whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query's pairs in order, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came over the wire.
    pub body: Bytes,
}

impl Request {
    /// A request without headers or body for a target such as `/api/alerts?$top=10`.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// The same request with one more header.
    ///
    /// # Panics
    ///
    /// When the value cannot stand in a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a value that can stand in a header");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// The same request with a body and its Content-Length.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.insert(CONTENT_LENGTH, self.body.len().into());
        self
    }

    /// A header's value, if it is there and readable as text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of an `Authorization: Bearer` header.
    pub fn bearer(&self) -> Option<&str> {
        self.header(AUTHORIZATION)?.strip_prefix("Bearer ")
    }

    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The path's segments, decoded.
    pub fn segments(&self) -> Vec<String> {
        let decode = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        self.path.trim_start_matches('/').split('/').map(decode).collect()
    }

    /// Path and query for people: the path as sent, the query decoded.
    pub fn path_and_query(&self) -> String {
        let pairs: Vec<_> = self.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if pairs.is_empty() {
            return self.path.clone();
        }
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_taken_apart_and_decoded() {
        let request = Request::new(Method::GET, "/api/alerts/da%2F1?$filter=id+eq+'a%20b'&$top=5");
        assert_eq!(request.segments(), ["api", "alerts", "da/1"]);
        assert_eq!(request.parameter("$filter"), Some("id eq 'a b'"));
        assert_eq!(request.path_and_query(), "/api/alerts/da%2F1?$filter=id eq 'a b'&$top=5");
    }
}
