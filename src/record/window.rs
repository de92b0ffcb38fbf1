//! A range of times of the alert list.

use azure_core::time::OffsetDateTime;

/// The times from `from` (inclusive) to `to` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first time in it.
    pub from: OffsetDateTime,
    /// The first time after it.
    pub to: OffsetDateTime,
}
