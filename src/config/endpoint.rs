//! The base URL of a service.

use std::fmt;

use reqwest::Url;

/// A base URL to which credentials may be sent: https to any host, or http to a loopback address (which is how tests
/// connect the unmodified binary to the simulator).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Parses `text`.
    ///
    /// # Errors
    /// Returns what is wrong, without the value: a pasted URL may contain a key.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("has no host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not contain a query or fragment");
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err("must be https (http is accepted for loopback addresses only)"),
            _ => return Err("must be an https URL"),
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// Returns this URL followed by `path`, which begins with a slash and is percent-encoded already.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Returns the URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for http, which is accepted for loopback addresses only.
    pub fn is_plain_http(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_https_or_plain_loopback_and_carries_nothing_else() {
        for (text, expected) in [
            ("https://api.security.microsoft.com", "https://api.security.microsoft.com"),
            ("https://api.security.microsoft.com/", "https://api.security.microsoft.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1"),
            ("http://localhost:80", "http://localhost"),
            ("http://[::1]:9", "http://[::1]:9"),
        ] {
            assert_eq!(Endpoint::parse(text).expect(text).as_str(), expected);
        }
        for text in [
            "api.security.microsoft.com",
            "http://api.security.microsoft.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "https://user@host.example",
            "https://user:word@host.example",
            "https://host.example/?code=1",
            "https://host.example/#part",
            "ftp://127.0.0.1",
            "https://",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text} must be rejected");
        }
    }
}
