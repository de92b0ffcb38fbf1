//! A range of times of the alert list.

use azure_core::time::OffsetDateTime;

/// Times from `from` (included) to `to` (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first time inside.
    pub from: OffsetDateTime,
    /// The first time after.
    pub to: OffsetDateTime,
}
