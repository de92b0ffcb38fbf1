//! The message that asks for a tenant's run. Pure.

use std::fmt;

use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use serde_json::{Value, json};

use super::TenantId;

/// A message of the queue: `{"tenant":"…","tick":"…"}`. It says nothing else, so that who can write to the queue can ask
/// for runs, and cannot redirect alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantMessage {
    /// The tenant.
    pub tenant: TenantId,
    /// The time at which the timer asked for the run.
    pub tick: OffsetDateTime,
}

impl TenantMessage {
    /// Reads a message. Other members than its own are ignored. Returns `None` for anything else.
    pub fn of(message: &Value) -> Option<Self> {
        let text = |name| message.get(name)?.as_str();
        let tenant = TenantId::parse(text("tenant")?).ok()?;
        Some(Self { tenant, tick: parse_rfc3339(text("tick")?).ok()? })
    }
}

impl fmt::Display for TenantMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json!({ "tenant": self.tenant, "tick": to_rfc3339(&self.tick) }).fmt(f)
    }
}
