//! The real clock, for the parts that deal with real sockets and processes. The services take their time
//! as an argument.

use azure_core::time::OffsetDateTime;

/// The time now, in UTC.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
