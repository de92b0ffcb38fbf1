//! What Blob Storage says when it rejects a request. Its error code decides, never the status alone: 409 and 412
//! are not only another writer's, and a 403 has a dozen causes. Pure.

use std::fmt;

use http::{HeaderMap, StatusCode};

use crate::{error_chain::one_line, http::retry::is_transient};

/// The header with the code ("Status and error codes", REST API of Azure Storage).
const CODE: &str = "x-ms-error-code";

/// A response that rejects a request, from Blob Storage or from something in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobError {
    status: u16,
    /// The service's code; `None` for a response that has none, and so is not the service's.
    code: Option<String>,
    /// What it says, on one line.
    message: String,
}

/// Why Blob Storage rejects a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobErrorKind {
    /// The blob is not the one that was read, or is there already: another process has written it.
    Changed,
    /// There is no such blob.
    NoBlob,
    /// There is no such container.
    NoContainer,
    /// The container is there already.
    ContainerExists,
    /// The container or the account is being made or deleted.
    NotReady,
    /// The account's network rules do not let the caller in.
    Network,
    /// The key, the signature or the token is not accepted.
    Credential,
    /// The account takes no keys and no signatures made with one.
    KeysNotAllowed,
    /// The role, or the permissions of the shared access signature, are not enough.
    Permission,
    /// The request has come without its authorization.
    NoCredential,
    /// The account is disabled, or read-only for now.
    Account,
    /// A policy or a legal hold keeps the blobs as they are.
    Immutable,
    /// Somebody has a lease on the blob or the container.
    Leased,
    /// The blob is in the archive tier.
    Archived,
    /// The blob is of a type that cannot be written over.
    BlobType,
    /// A name in the settings is not legal, or nothing is there.
    Name,
    /// The account takes HTTPS only.
    HttpsOnly,
    /// It is not Blob Storage that has answered.
    NotTheService,
    /// Something else.
    Other,
}

impl BlobError {
    /// The rejection in a response; `None` for a success, and for what the same request may not meet a little later.
    pub fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        if status.is_success() || is_transient(status.as_u16()) {
            return None;
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(4_000)]);
        let in_header = headers.get(CODE).and_then(|code| code.to_str().ok());
        // Proxies drop headers that they do not know.
        let code = in_header.or_else(|| between(&text, "<Code>", "</Code>")).map(str::trim);
        let code = code.filter(|code| !code.is_empty()).map(|code| one_line(code, 100));
        // With a key the detail would hold the signature.
        let of_token = code.as_deref() == Some("InvalidAuthenticationInfo");
        let detail = between(&text, "<AuthenticationErrorDetail>", "</AuthenticationErrorDetail>")
            .filter(|_| of_token);
        let message = match between(&text, "<Message>", "</Message>") {
            // The ids and the time behind it are of no use to whoever reads the log.
            Some(message) => one_line(detail.or(message.lines().next()).unwrap_or_default(), 300),
            None if code.is_none() && text.trim_start().starts_with('<') => "a web page".to_owned(),
            None => one_line(&text, 200),
        };
        Some(Self { status: status.as_u16(), code, message })
    }

    /// Why, by the code ("Common REST API error codes", "Blob service error codes", "Error codes for shared access
    /// signatures" of the REST API of Azure Storage).
    pub fn kind(&self) -> BlobErrorKind {
        let Some(code) = self.code.as_deref() else { return BlobErrorKind::NotTheService };
        match code {
            "ConditionNotMet" | "TargetConditionNotMet" | "BlobAlreadyExists" => BlobErrorKind::Changed,
            "BlobNotFound" => BlobErrorKind::NoBlob,
            "ContainerNotFound" => BlobErrorKind::NoContainer,
            "ContainerAlreadyExists" => BlobErrorKind::ContainerExists,
            "ContainerBeingDeleted" | "AccountBeingCreated" => BlobErrorKind::NotReady,
            // Azurite's code for what Azure calls AuthenticationFailed, with the same message.
            "AuthorizationFailure" if self.message.starts_with("Server failed to authenticate") => {
                BlobErrorKind::Credential
            }
            "AuthorizationFailure" | "AuthorizationSourceIPMismatch" => BlobErrorKind::Network,
            "AuthenticationFailed" | "InvalidAuthenticationInfo" => BlobErrorKind::Credential,
            "KeyBasedAuthenticationNotPermitted" => BlobErrorKind::KeysNotAllowed,
            "AuthorizationPermissionMismatch"
            | "AuthorizationServiceMismatch"
            | "AuthorizationResourceTypeMismatch"
            // A signature that may create blobs, but not write over them.
            | "UnauthorizedBlobOverwrite" => BlobErrorKind::Permission,
            "NoAuthenticationInformation" | "PublicAccessNotPermitted" => BlobErrorKind::NoCredential,
            "AccountIsDisabled" | "InsufficientAccountPermissions" | "ContainerDisabled" => BlobErrorKind::Account,
            "BlobArchived" | "BlobBeingRehydrated" => BlobErrorKind::Archived,
            "InvalidBlobType" | "SnapshotsPresent" | "BlobOperationNotSupported" => BlobErrorKind::BlobType,
            "InvalidResourceName" | "InvalidUri" | "ResourceNotFound" => BlobErrorKind::Name,
            "AccountRequiresHttps" | "AuthorizationProtocolMismatch" => BlobErrorKind::HttpsOnly,
            code if code.contains("Immutab") || code.contains("LegalHold") => BlobErrorKind::Immutable,
            code if code.starts_with("Lease") => BlobErrorKind::Leased,
            _ => BlobErrorKind::Other,
        }
    }
}

impl BlobErrorKind {
    /// The fix, or an empty text where there is none to give.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Changed | Self::NoBlob | Self::NoContainer | Self::ContainerExists | Self::Other => "",
            Self::NotReady => "nothing to mend: it is being made or deleted, and a later run finds it done",
            Self::Network => {
                "the account's network rules do not let this app in: allow its subnet or address in the account's \
                 networking, or connect the app by a private endpoint"
            }
            Self::Credential => {
                "check AzureWebJobsStorage: its key or signature is not accepted (renewed, expired, or the clock is \
                 wrong), or the identity is of another tenant"
            }
            Self::KeysNotAllowed => {
                "the account takes no keys: set AzureWebJobsStorage__accountName in place of AzureWebJobsStorage, and \
                 give the identity the role Storage Blob Data Owner"
            }
            Self::Permission => {
                "give the identity the role Storage Blob Data Owner (it takes up to 10 minutes to work), or check \
                 AzureWebJobsStorage: a shared access signature needs the service b, the types co and the permissions \
                 racwdl"
            }
            Self::NoCredential => {
                "the request came without its authorization: have the proxy in between leave its headers as they are"
            }
            Self::Account => {
                "the storage account of AzureWebJobsStorage is disabled or read-only: see its status and its \
                 subscription's, or use another"
            }
            Self::Immutable => {
                "a policy or a legal hold keeps these blobs as they are: set MDATP_STATE to a container without one"
            }
            Self::Leased => {
                "somebody has a lease on it: find out who, and break the lease, or set MDATP_STATE to another container"
            }
            Self::Archived => {
                "it is in the archive tier: move it to the hot tier, and exempt the container of MDATP_STATE from the \
                 account's lifecycle rules"
            }
            Self::BlobType => {
                "something else has made a blob of this name: set MDATP_STATE to a container of its own"
            }
            Self::Name => "check the names in AzureWebJobsStorage and MDATP_STATE",
            Self::HttpsOnly => "the account takes HTTPS only: check the address in AzureWebJobsStorage",
            Self::NotTheService => {
                "the response is not Blob Storage's: check AzureWebJobsStorage, and have the firewall, gateway or \
                 proxy in between let these requests through"
            }
        }
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

impl std::error::Error for BlobError {}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn rejection(status: u16, header: Option<&'static str>, body: &str) -> Option<BlobError> {
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
        for (status, code, reason) in [
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
            (404, "ResourceNotFound", BlobErrorKind::Name),
            (418, "Unheard", BlobErrorKind::Other),
        ] {
            let body = xml(code);
            for found in [
                rejection(status, Some(code), &body),
                rejection(status, None, &body),
                rejection(status, Some(code), ""),
            ] {
                assert_eq!(found.map(|found| found.kind()), Some(reason), "{code}");
            }
            let told = rejection(status, None, &body).expect("a rejection").to_string();
            assert_eq!(told, format!("Blob Storage answered {status} {code} (What is wrong.)"));
        }
    }

    #[test]
    fn the_detail_about_a_token_is_told_and_that_about_a_signature_is_not() {
        let detailed = |code: &str| {
            xml(code).replace(
                "</Error>",
                "<AuthenticationErrorDetail>the detail</AuthenticationErrorDetail></Error>",
            )
        };
        let told = |status, code| rejection(status, None, &detailed(code)).expect("a rejection").to_string();
        assert_eq!(
            told(401, "InvalidAuthenticationInfo"),
            "Blob Storage answered 401 InvalidAuthenticationInfo (the detail)"
        );
        assert_eq!(
            told(403, "AuthenticationFailed"),
            "Blob Storage answered 403 AuthenticationFailed (What is wrong.)"
        );
    }

    #[test]
    fn a_status_without_a_code_says_nothing_about_blobs() {
        for status in [302, 403, 404, 409, 412] {
            let found = rejection(status, None, "<html>Blocked</html>").expect("a rejection");
            assert_eq!(found.kind(), BlobErrorKind::NotTheService);
            assert_eq!(found.to_string(), format!("Blob Storage answered {status} (a web page)"));
        }
    }

    #[test]
    fn what_may_be_gone_a_little_later_is_no_rejection() {
        for status in [200, 201, 202, 408, 429, 500, 503] {
            assert_eq!(rejection(status, Some("ServerBusy"), ""), None, "{status}");
        }
    }
}
