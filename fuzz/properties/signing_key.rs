//! The workspace key, pasted by hand: it is rejected unless it is base64, is usable in a header, and is never shown.

use http::HeaderValue;
use mdatp_forward::testing::SigningKey;

/// `input` is the setting's value.
pub fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(key) = SigningKey::from_base64(text) else { return };
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    assert!(text.trim().chars().all(is_base64), "{text:?} is taken for a key");
    assert_eq!(format!("{key:?}"), "SigningKey");

    let signed = key.authorization("workspace", input.len(), "Tue, 24 Nov 2026 06:00:00 GMT");
    let signature = signed.strip_prefix("SharedKey workspace:").expect("the scheme and the workspace");
    // A digest of 32 bytes.
    assert!(signature.len() == 44 && signature.ends_with('='), "{signature}");
    assert!(HeaderValue::from_str(&signed).is_ok(), "{signed:?}");
}
