//! The id of a post, by which the service's own tables refer to it. Pure.

use std::fmt;

use sha2::{Digest, Sha256};

/// The value of `x-ms-client-request-id`: a GUID, which `DCRLogErrors` has as `ClientRequestId` (documentation pages
/// "Logs Ingestion API in Azure Monitor" and "`DCRLogErrors`"). It depends on the batch alone, so a batch that is sent again
/// has the same id, without any state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// Returns the id of a body before compression: the first half of its SHA-256 as a GUID of version 8, whose content is
    /// up to its issuer (RFC 9562, section 5.8).
    pub fn of(body: &[u8]) -> Self {
        const VERSION: (u8, u8) = (0x0f, 0x80);
        const VARIANT: (u8, u8) = (0x3f, 0x80);
        let hash = Sha256::digest(body);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        bytes[6] = bytes[6] & VERSION.0 | VERSION.1;
        bytes[8] = bytes[8] & VARIANT.0 | VARIANT.1;
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers were made with Python's hashlib and the two masks of the RFC.
    #[test]
    fn an_id_is_a_guid_of_version_8_and_decided_by_the_body() {
        for (body, id) in [
            ("[{}]", "e10808d4-3975-8c40-8731-053386849f86"),
            ("[]", "4f53cda1-8c2b-8a0c-8354-bb5f9a3ecbe5"),
            ("[{\"id\":\"ä\"}]", "e7f0f245-52ba-87b7-b840-c2a276e633f1"),
        ] {
            assert_eq!(RequestId::of(body.as_bytes()).to_string(), id, "{body}");
        }
    }
}
