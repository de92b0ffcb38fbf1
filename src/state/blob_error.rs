//! What Blob Storage answers when it rejects a request. Its error code decides, never the status alone: 409 and 412 are
//! not only another writer's, and a 403 has a dozen causes. Pure.

mod kind;

use std::{error::Error, fmt};

use http::{HeaderMap, StatusCode};

use crate::{error_chain::one_line, http::retry::is_transient};

pub use kind::BlobErrorKind;

/// The header with the code ("Status and error codes", REST API of Azure Storage).
const CODE: &str = "x-ms-error-code";

/// The bytes at the start of a body that are looked at.
const TEXT_START: usize = 4_000;

/// The most characters of a code.
const MAX_CODE: usize = 100;

/// The most characters of the service's message.
const MAX_MESSAGE: usize = 300;

/// The most characters that are kept of a body in an unknown form.
const MAX_TEXT: usize = 200;

/// A response that rejects a request, from Blob Storage or from something in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobError {
    status: u16,
    /// The service's code; `None` for a response without one, which is not the service's.
    code: Option<String>,
    kind: BlobErrorKind,
    /// The service's message, on one line.
    message: String,
}

impl BlobError {
    /// Reads the error from a response. Returns `None` for a success, and for a status that may go away by itself.
    pub fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        if status.is_success() || is_transient(status.as_u16()) {
            return None;
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(TEXT_START)]);
        let in_header = headers.get(CODE).and_then(|code| code.to_str().ok());
        // Proxies drop headers that they do not know.
        let code = in_header.or_else(|| between(&text, "<Code>", "</Code>")).map(str::trim);
        let code = code.filter(|code| !code.is_empty()).map(|code| one_line(code, MAX_CODE));
        // With a key the detail would contain the signature.
        let is_of_token = code.as_deref() == Some("InvalidAuthenticationInfo");
        let detail = between(&text, "<AuthenticationErrorDetail>", "</AuthenticationErrorDetail>")
            .filter(|_| is_of_token);
        let message = match between(&text, "<Message>", "</Message>") {
            // The lines behind the first are ids and the time.
            Some(message) => one_line(detail.or(message.lines().next()).unwrap_or_default(), MAX_MESSAGE),
            None if code.is_none() && text.trim_start().starts_with('<') => "a web page".to_owned(),
            None => one_line(&text, MAX_TEXT),
        };
        let kind = match &code {
            Some(code) => BlobErrorKind::of(code, &message),
            None => BlobErrorKind::NotTheService,
        };
        Some(Self { status: status.as_u16(), code, kind, message })
    }

    /// Returns why the request was rejected.
    pub fn kind(&self) -> BlobErrorKind {
        self.kind
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob Storage answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        match self.message.as_str() {
            "" => Ok(()),
            message => write!(f, " ({message})"),
        }
    }
}

impl Error for BlobError {}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(status: u16, header: Option<&'static str>, body: &str) -> Option<BlobError> {
        let header = header.map(|code| (CODE.parse().expect("a name"), HeaderValue::from_static(code)));
        let status = StatusCode::from_u16(status).expect("a status");
        BlobError::of(status, &header.into_iter().collect(), body.as_bytes())
    }

    /// The form of the documents of Azure Storage.
    fn xml(code: &str) -> String {
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>What is wrong.\n\
             RequestId:1\nTime:2026-11-24T06:00:00Z</Message></Error>"
        )
    }

    #[test]
    fn the_code_is_in_the_header_or_in_the_body_and_decides_alone() {
        for (status, code, kind) in [
            (412, "ConditionNotMet", BlobErrorKind::Changed),
            (409, "BlobAlreadyExists", BlobErrorKind::Changed),
            (409, "BlobImmutableDueToPolicy", BlobErrorKind::Immutable),
            (409, "BlobImmutableDueToLegalHold", BlobErrorKind::Immutable),
            (409, "ContainerHasLegalHold", BlobErrorKind::Immutable),
            (409, "ContainerImmutabilityPolicyLocked", BlobErrorKind::Immutable),
            (409, "ContainerBeingDeleted", BlobErrorKind::NotReady),
            (409, "SnapshotsPresent", BlobErrorKind::BlobType),
            (412, "LeaseIdMissing", BlobErrorKind::Leased),
            (403, "AuthorizationFailure", BlobErrorKind::Network),
            (403, "UnauthorizedBlobOverwrite", BlobErrorKind::Permission),
            (404, "BlobNotFound", BlobErrorKind::NoBlob),
            (404, "ContainerNotFound", BlobErrorKind::NoContainer),
            (404, "QueueNotFound", BlobErrorKind::NoQueue),
            (404, "ResourceNotFound", BlobErrorKind::Name),
            (418, "Unheard", BlobErrorKind::Other),
        ] {
            let body = xml(code);
            for found in
                [read(status, Some(code), &body), read(status, None, &body), read(status, Some(code), "")]
            {
                assert_eq!(found.map(|found| found.kind()), Some(kind), "{code}");
            }
            let text = read(status, None, &body).expect("an error").to_string();
            assert_eq!(text, format!("Blob Storage answered {status} {code} (What is wrong.)"));
        }
    }

    #[test]
    fn the_detail_about_a_token_is_reported_and_that_about_a_signature_is_not() {
        let detailed = |code: &str| {
            xml(code).replace(
                "</Error>",
                "<AuthenticationErrorDetail>the detail</AuthenticationErrorDetail></Error>",
            )
        };
        let text = |status, code| read(status, None, &detailed(code)).expect("an error").to_string();
        assert_eq!(
            text(401, "InvalidAuthenticationInfo"),
            "Blob Storage answered 401 InvalidAuthenticationInfo (the detail)"
        );
        assert_eq!(
            text(403, "AuthenticationFailed"),
            "Blob Storage answered 403 AuthenticationFailed (What is wrong.)"
        );
    }

    #[test]
    fn a_status_without_a_code_says_nothing_about_blobs() {
        for status in [302, 403, 404, 409, 412] {
            let found = read(status, None, "<html>Blocked</html>").expect("an error");
            assert_eq!(found.kind(), BlobErrorKind::NotTheService);
            assert_eq!(found.to_string(), format!("Blob Storage answered {status} (a web page)"));
        }
    }

    #[test]
    fn a_transient_status_is_not_a_blob_error() {
        for status in [200, 201, 202, 408, 429, 500, 503] {
            assert_eq!(read(status, Some("ServerBusy"), ""), None, "{status}");
        }
    }
}
