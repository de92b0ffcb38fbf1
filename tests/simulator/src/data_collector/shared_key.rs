//! The `SharedKey` signature, worked out from the request as it arrived.

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The signature of a post of so many bytes at this `x-ms-date`.
pub(super) fn signature(key: &str, length: usize, date: &str) -> Result<String, String> {
    let key =
        BASE64_STANDARD.decode(key).map_err(|error| format!("the workspace key is not base64: {error}"))?;
    let text = format!("POST\n{length}\napplication/json\nx-ms-date:{date}\n/api/logs");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers worked out with the openssl command line; a key in base64 must be turned to hex first:
    /// `printf 'POST\n…' | openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | base64`
    #[test]
    fn known_answers() {
        let key = "SERsIYhgMVlJB6uPsq49gCxNiruf6v0vhMYE+lfzbSGcXjdViZdV/e5pEMTYtw9f8SkVLf4LFlLCc2KxtRZfCA==";
        let zeros = format!("{}==", "A".repeat(86));
        let november = "Tue, 24 Nov 2026 06:00:00 GMT";
        for (key, length, date, expected) in [
            (key, 1024, "Mon, 04 Apr 2016 08:00:00 GMT", "9WOOz5W3lYV8+wcm1hn0Z+Qbwms0CpeReXxZI4uyNik="),
            (key, r#"[{"id":"1"}]"#.len(), november, "SePXEEtMFlQ7BoAz9Hu52l5cXjmpCjLzdzTV+oH7sNE="),
            (
                key,
                r#"[{"n":"Zażółć – 数据"}]"#.len(),
                november,
                "+pH3e6zZIZqhZ7awIDynIjppb0y4YbF/GrnLbSFeZNM=",
            ),
            (&zeros, 2, "Thu, 01 Jan 1970 00:00:00 GMT", "RKSqVUCvtaER8lB8xkDSK8UOCE5cbGL70YoslpRsrD0="),
        ] {
            let signature = signature(key, length, date);
            assert_eq!(signature.as_deref(), Ok(expected), "{length} bytes");
        }
    }
}
