//! The Data Collector API's `SharedKey` signature (documentation page "Send log data to Azure Monitor
//! by using the HTTP Data Collector API", section Authorization). Pure.

use std::fmt;

use base64::{Engine, alphabet, engine::general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Accepts keys with and without padding, since they are pasted by hand.
const KEY_BASE64: general_purpose::GeneralPurpose = general_purpose::GeneralPurpose::new(
    &alphabet::STANDARD,
    general_purpose::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// A workspace key. It signs, and is never printed.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Decodes a key as the portal shows it; `None` when `text` is not base64.
    pub fn from_base64(text: &str) -> Option<Self> {
        let key = KEY_BASE64.decode(text.trim()).ok().filter(|key| !key.is_empty())?;
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    /// Returns the value of the `Authorization` header for a post of `length` bytes with the date `date`, which must be the
    /// text of the `x-ms-date` header.
    pub fn authorization(&self, workspace_id: &str, length: usize, date: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(string_to_sign(length, date).as_bytes());
        let signature = general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        format!("SharedKey {workspace_id}:{signature}")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

fn string_to_sign(length: usize, date: &str) -> String {
    format!("POST\n{length}\napplication/json\nx-ms-date:{date}\n/api/logs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "97ce69d9-b4be-4241-8dbd-d265edcf06c4";
    const KEY: &str =
        "SERsIYhgMVlJB6uPsq49gCxNiruf6v0vhMYE+lfzbSGcXjdViZdV/e5pEMTYtw9f8SkVLf4LFlLCc2KxtRZfCA==";
    const ZEROS: &str =
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

    /// The first four answers were made with Python's hmac module. The last two, like any other, with
    /// ```sh
    /// printf 'POST\n%s\napplication/json\nx-ms-date:%s\n/api/logs' "$LENGTH" "$DATE" |
    ///   openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(printf %s "$KEY" | base64 -d | xxd -p -c 999)" -binary |
    ///   base64
    /// ```
    #[test]
    fn signatures_equal_answers_computed_elsewhere() {
        for (key, length, date, signature) in [
            (KEY, 1024, "Mon, 04 Apr 2016 08:00:00 GMT", "9WOOz5W3lYV8+wcm1hn0Z+Qbwms0CpeReXxZI4uyNik="),
            (KEY, 12, "Tue, 24 Nov 2026 06:00:00 GMT", "SePXEEtMFlQ7BoAz9Hu52l5cXjmpCjLzdzTV+oH7sNE="),
            (KEY, 31, "Tue, 24 Nov 2026 06:00:00 GMT", "+pH3e6zZIZqhZ7awIDynIjppb0y4YbF/GrnLbSFeZNM="),
            (ZEROS, 2, "Thu, 01 Jan 1970 00:00:00 GMT", "RKSqVUCvtaER8lB8xkDSK8UOCE5cbGL70YoslpRsrD0="),
            (
                KEY,
                30_000_000,
                "Sun, 01 Mar 2026 23:59:59 GMT",
                "bAlZz+lYZofvmQeCPoslIzPkzqiJ0LxBfciljOmzrF8=",
            ),
            (ZEROS, 0, "Tue, 24 Nov 2026 06:00:00 GMT", "XG4yufWe7+sVwlQcNpcRpYYlQh0TpZ94KJBmngv9SDk="),
        ] {
            let key = SigningKey::from_base64(key).expect("a base64 key");
            assert_eq!(
                key.authorization(WORKSPACE, length, date),
                format!("SharedKey {WORKSPACE}:{signature}"),
                "{length} {date}"
            );
        }
    }

    #[test]
    fn a_key_may_lack_padding_and_carry_blanks_but_must_be_base64() {
        let whole = SigningKey::from_base64(KEY).expect("key").authorization(WORKSPACE, 1, "d");
        for text in [KEY.trim_end_matches('=').to_owned(), format!(" {KEY}\r\n")] {
            let key = SigningKey::from_base64(&text).expect("key");
            assert_eq!(key.authorization(WORKSPACE, 1, "d"), whole);
        }
        for text in ["", "==", "not base64!", "SERs*IYh"] {
            assert!(SigningKey::from_base64(text).is_none(), "{text}");
        }
    }
}
