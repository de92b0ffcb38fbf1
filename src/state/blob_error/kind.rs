//! The kinds of errors of Blob Storage, each with its fix. Pure.

/// Why Blob Storage rejects a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobErrorKind {
    /// The blob is not the one that was read, or exists already: another process has written it.
    Changed,
    /// The blob does not exist.
    NoBlob,
    /// The container does not exist.
    NoContainer,
    /// The container exists already.
    ContainerExists,
    /// The queue does not exist.
    NoQueue,
    /// The container or the account is being created or deleted.
    NotReady,
    /// The account's network rules block the caller.
    Network,
    /// The key, the signature or the token is not accepted.
    Credential,
    /// The account accepts no keys, nor signatures made with one.
    KeysNotAllowed,
    /// The role, or the permissions of the shared access signature, are not sufficient.
    Permission,
    /// The request arrived without its authorization.
    NoCredential,
    /// The account is disabled, or read-only for now.
    Account,
    /// A policy or a legal hold protects the blobs.
    Immutable,
    /// Another client holds a lease on the blob or the container.
    Leased,
    /// The blob is in the archive tier.
    Archived,
    /// The blob is of a type that cannot be overwritten.
    BlobType,
    /// A name in the settings is invalid, or nothing has it.
    Name,
    /// The account accepts HTTPS only.
    HttpsOnly,
    /// The response is not Blob Storage's.
    NotTheService,
    /// Something else.
    Other,
}

impl BlobErrorKind {
    /// Classifies an error by its code ("Common REST API error codes", "Blob service error codes", "Queue service
    /// error codes", "Error codes for shared access signatures" of the REST API of Azure Storage), and by its message where Azurite uses the code
    /// differently.
    pub(super) fn of(code: &str, message: &str) -> Self {
        match code {
            "ConditionNotMet" | "TargetConditionNotMet" | "BlobAlreadyExists" => Self::Changed,
            "BlobNotFound" => Self::NoBlob,
            "ContainerNotFound" => Self::NoContainer,
            "ContainerAlreadyExists" => Self::ContainerExists,
            "QueueNotFound" => Self::NoQueue,
            "ContainerBeingDeleted" | "AccountBeingCreated" => Self::NotReady,
            // Azurite's code for what Azure calls AuthenticationFailed, with the same message.
            "AuthorizationFailure" if message.starts_with("Server failed to authenticate") => Self::Credential,
            "AuthorizationFailure" | "AuthorizationSourceIPMismatch" => Self::Network,
            "AuthenticationFailed" | "InvalidAuthenticationInfo" => Self::Credential,
            "KeyBasedAuthenticationNotPermitted" => Self::KeysNotAllowed,
            "AuthorizationPermissionMismatch"
            | "AuthorizationServiceMismatch"
            | "AuthorizationResourceTypeMismatch"
            // A signature that permits to create blobs, but not to overwrite them.
            | "UnauthorizedBlobOverwrite" => Self::Permission,
            "NoAuthenticationInformation" | "PublicAccessNotPermitted" => Self::NoCredential,
            "AccountIsDisabled" | "InsufficientAccountPermissions" | "ContainerDisabled" => Self::Account,
            "BlobArchived" | "BlobBeingRehydrated" => Self::Archived,
            "InvalidBlobType" | "SnapshotsPresent" | "BlobOperationNotSupported" => Self::BlobType,
            "InvalidResourceName" | "InvalidUri" | "ResourceNotFound" => Self::Name,
            "AccountRequiresHttps" | "AuthorizationProtocolMismatch" => Self::HttpsOnly,
            code if code.contains("Immutab") || code.contains("LegalHold") => Self::Immutable,
            code if code.starts_with("Lease") => Self::Leased,
            _ => Self::Other,
        }
    }

    /// Returns the fix, or `None` where there is none to give.
    pub fn fix(self) -> Option<&'static str> {
        Some(match self {
            Self::Changed
            | Self::NoBlob
            | Self::NoContainer
            | Self::ContainerExists
            | Self::NoQueue
            | Self::Other => {
                return None;
            }
            Self::NotReady => "none needed: it is being created or deleted, and a later run succeeds",
            Self::Network => {
                "the account's network rules block this app: allow its subnet or address in the account's networking, \
                 or connect the app by a private endpoint"
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
                "the request arrived without its authorization: have the proxy in between leave its headers as they are"
            }
            Self::Account => {
                "the storage account of AzureWebJobsStorage is disabled or read-only: see its status and its \
                 subscription's, or use another"
            }
            Self::Immutable => {
                "a policy or a legal hold keeps these blobs as they are: set MDATP_STATE to a container without one"
            }
            Self::Leased => {
                "another client holds a lease on it: find that client, or break the lease, or set MDATP_STATE to another \
                 container"
            }
            Self::Archived => {
                "it is in the archive tier: move it to the hot tier, and exempt the container of MDATP_STATE from the \
                 account's lifecycle rules"
            }
            Self::BlobType => {
                "another program has created a blob of this name: set MDATP_STATE to a container of its own"
            }
            Self::Name => "check the names in AzureWebJobsStorage and MDATP_STATE",
            Self::HttpsOnly => "the account accepts HTTPS only: check the address in AzureWebJobsStorage",
            Self::NotTheService => {
                "the response is not Blob Storage's: check AzureWebJobsStorage, and have the firewall, gateway or \
                 proxy in between let these requests through"
            }
        })
    }
}
