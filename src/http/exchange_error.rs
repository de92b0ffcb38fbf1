//! Why a request got no complete response.

use std::{error::Error, fmt, io};

use rustls::{CertificateError, Error::InvalidCertificate};

use super::{RESPONSE_LIMIT, exchange::FOREIGN};
use crate::error_chain::one_line;

/// The most characters of the name of an unknown content coding in a message.
const MAX_CODING: usize = 50;

/// Why a request got no complete response. The causes do not contain the URL, whose query may be confidential: callers
/// add the operation.
#[derive(Debug)]
pub enum ExchangeError {
    /// The connection failed: nothing listens, or the host name is unknown.
    NoConnection(Box<dyn Error + Send + Sync>),
    /// The server's certificate is not trusted. A retry cannot change that.
    Untrusted(rustls::Error),
    /// The connection was reset, or the body was cut short.
    Broken(Box<dyn Error + Send + Sync>),
    /// The response was not complete in time.
    TimedOut,
    /// The body is larger than [`RESPONSE_LIMIT`].
    TooLarge,
    /// The body has this content coding, which was not asked for.
    UnknownCoding(String),
}

impl ExchangeError {
    /// Returns true when a retry would fail in the same way.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Untrusted(_) | Self::TooLarge)
    }

    /// Returns what to do about it, where it says that itself.
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Untrusted(error) => Some(certificate_fix(error)),
            _ => None,
        }
    }
}

impl From<reqwest::Error> for ExchangeError {
    fn from(error: reqwest::Error) -> Self {
        if let Some(error) = certificate_error(&error) {
            return Self::Untrusted(error.clone());
        }
        match error.without_url() {
            error if error.is_timeout() => Self::TimedOut,
            error if error.is_connect() => Self::NoConnection(error.into()),
            error => Self::Broken(error.into()),
        }
    }
}

/// Returns the error about a certificate that led to `error`, if there is one.
fn certificate_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error @ InvalidCertificate(_)) = error.downcast_ref() {
            return Some(error);
        }
        // The source of an `io::Error` is not the error it holds, but the source of that.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

fn certificate_fix(error: &rustls::Error) -> &'static str {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    };
    match error {
        InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }) => {
            "set this machine's clock right, or have the certificate renewed; where a proxy inspects TLS, its root \
             certificate goes into the PEM file that SSL_CERT_FILE names, behind those of the system"
        }
        InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "another server answers under that name: check the address in the settings, and HTTPS_PROXY; where a proxy \
             inspects TLS, its root certificate goes into the PEM file that SSL_CERT_FILE names, behind those of the \
             system"
        }
        _ => {
            "where a proxy inspects TLS, set SSL_CERT_FILE to a PEM file with the system's root certificates followed by \
             the proxy's"
        }
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(_) => f.write_str("no connection"),
            Self::Untrusted(_) => f.write_str("the certificate is not trusted"),
            Self::Broken(_) => f.write_str("the connection broke"),
            Self::TimedOut => f.write_str("the request timed out"),
            Self::TooLarge => write!(f, "the response is larger than {} MiB", RESPONSE_LIMIT >> 20),
            Self::UnknownCoding(coding) => {
                let coding = one_line(coding, MAX_CODING);
                write!(
                    f,
                    "the response has the content coding {coding:?}, which was not asked for: {FOREIGN}"
                )
            }
        }
    }
}

impl Error for ExchangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoConnection(error) | Self::Broken(error) => Some(&**error),
            Self::Untrusted(error) => Some(error),
            Self::TimedOut | Self::TooLarge | Self::UnknownCoding(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn a_certificate_is_found_behind_errors_of_io_and_has_its_fix() {
        for (why, part) in [
            (CertificateError::UnknownIssuer, "set SSL_CERT_FILE"),
            (CertificateError::Expired, "clock"),
            (CertificateError::NotValidForName, "HTTPS_PROXY"),
        ] {
            let cause = InvalidCertificate(why);
            let error = io::Error::other(io::Error::other(cause.clone()));
            assert_eq!(certificate_error(&error), Some(&cause));
            let fix = ExchangeError::Untrusted(cause).fix().expect("a fix");
            assert!(fix.contains(part) && fix.contains("SSL_CERT_FILE"), "{fix}");
        }
        let other = io::Error::other(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure));
        assert_eq!(certificate_error(&other), None);
    }
}
