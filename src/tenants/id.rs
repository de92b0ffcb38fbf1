//! The id of a tenant. Pure.

use std::fmt;

use serde::{Serialize, Serializer};

/// The id of a tenant: a GUID in lower case. Another form of it would be another folder of the state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(String);

impl TenantId {
    /// Reads an id, whatever its case.
    ///
    /// # Errors
    /// Returns what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lengths = text.split('-').map(str::len);
        let is_plain = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        match is_plain && lengths.eq([8, 4, 4, 4, 12]) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => {
                Err("must be a tenant id, a GUID such as 12345678-1234-1234-1234-123456789abc".to_owned())
            }
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
