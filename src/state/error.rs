//! Why the state store failed.

use std::{borrow::Cow, error::Error, fmt, io};

use object_store::Error as ObjectStoreError;

use super::blob_error::{BlobError, BlobErrorKind};
use crate::{
    error_chain::find_cause,
    http::{ExchangeError, credential::TokenError},
    tenants::ListDamage,
};

/// An operation of the state store that failed.
#[derive(Debug)]
pub struct StateError {
    /// The operation, such as `saving checkpoint.json in …`.
    pub(super) operation: String,
    /// Why it failed.
    pub kind: StateErrorKind,
}

/// Why an operation of the state store failed.
#[derive(Debug)]
pub enum StateErrorKind {
    /// The folder cannot be created or read.
    Folder(io::Error),
    /// Another process has saved the document since it was loaded.
    Conflict,
    /// Blob Storage rejected a request.
    Rejected(BlobError),
    /// The store lacks something that a checkpoint needs.
    Unsuitable(&'static str),
    /// The list of tenants cannot be used.
    DamagedList(ListDamage),
    /// Anything else, such as a store that cannot be reached or is full.
    Failed(ObjectStoreError),
}

impl StateErrorKind {
    /// Classifies an error of the object store.
    pub(super) fn of(error: ObjectStoreError) -> Self {
        match (&error, find_cause::<BlobError>(&error)) {
            (ObjectStoreError::Precondition { .. } | ObjectStoreError::AlreadyExists { .. }, _) => {
                Self::Conflict
            }
            (_, Some(blob_error)) if blob_error.kind() == BlobErrorKind::Changed => Self::Conflict,
            (_, Some(blob_error)) => Self::Rejected(blob_error.clone()),
            (_, None) => Self::Failed(error),
        }
    }

    /// Returns true for a failure that may go away by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Failed(_) => true,
            Self::Rejected(blob_error) => blob_error.kind() == BlobErrorKind::NotReady,
            Self::Folder(_) | Self::Conflict | Self::Unsuitable(_) | Self::DamagedList(_) => false,
        }
    }
}

impl StateError {
    /// Returns what to do about it, or `None` where there is nothing to say.
    pub fn fix(&self) -> Option<Cow<'static, str>> {
        match &self.kind {
            StateErrorKind::Folder(_) => Some("check MDATP_STATE, which names the folder".into()),
            StateErrorKind::Rejected(blob_error) => blob_error.kind().fix().map(Cow::Borrowed),
            StateErrorKind::Failed(error) => self.cause_fix().or_else(|| {
                let is_unreachable = find_cause::<ExchangeError>(error).is_some();
                let is_storage = find_cause::<TokenError>(error).is_none();
                (is_unreachable && is_storage).then_some(
                    "check the account in AzureWebJobsStorage, and that the network lets its address through"
                        .into(),
                )
            }),
            StateErrorKind::DamagedList(_) => Some(
                "correct the document, or restore an earlier version of it; mdatp-forward tenants check tests it".into(),
            ),
            StateErrorKind::Conflict | StateErrorKind::Unsuitable(_) => None,
        }
    }

    /// Returns what to do about the token or the connection that it failed for, if that says it itself.
    pub fn cause_fix(&self) -> Option<Cow<'static, str>> {
        let StateErrorKind::Failed(error) = &self.kind else { return None };
        match find_cause::<TokenError>(error) {
            Some(error) => error.fix().map(Cow::Owned),
            None => find_cause::<ExchangeError>(error)?.fix().map(Cow::Borrowed),
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.operation)?;
        match &self.kind {
            StateErrorKind::Folder(_) | StateErrorKind::Failed(_) | StateErrorKind::DamagedList(_) => Ok(()),
            StateErrorKind::Conflict => f.write_str(
                ": another process has saved it since this run began; this run stops, and what it sent in its last batch \
                 may be sent again",
            ),
            StateErrorKind::Rejected(blob_error) => write!(f, ": {blob_error}"),
            StateErrorKind::Unsuitable(what) => write!(f, ": {what}"),
        }
    }
}

impl Error for StateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            StateErrorKind::Folder(error) => Some(error),
            StateErrorKind::Failed(error) => Some(error),
            StateErrorKind::DamagedList(damage) => Some(damage),
            StateErrorKind::Rejected(_) | StateErrorKind::Conflict | StateErrorKind::Unsuitable(_) => None,
        }
    }
}
