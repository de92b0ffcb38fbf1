//! `Retry-After` with any value: a wait, or none.

use std::time::Duration;

use azure_core::time::{OffsetDateTime, parse_rfc3339};
use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use mdatp_forward::testing::retry::{RetryAction, classify};

/// `input` is the header's value.
pub fn holds(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let with_header = HeaderMap::from_iter([(RETRY_AFTER, value)]);
    let without = HeaderMap::new();
    for now in ["2026-11-24T06:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"] {
        let now = parse_rfc3339(now).expect("a time");
        for status in [200, 304, 400, 401, 408, 500, 501, 599] {
            assert_eq!(
                classify(status, &with_header, now),
                classify(status, &without, now),
                "the header does not apply to {status}"
            );
        }
        for status in [429, 503] {
            let RetryAction::Retry(wait) = classify(status, &with_header, now) else {
                panic!("{status} is not tried again")
            };
            is_requested(input, wait, now);
        }
    }
}

fn is_requested(value: &[u8], wait: Option<Duration>, now: OffsetDateTime) {
    // A header that is not ASCII is ignored.
    let text = if value.is_ascii() { String::from_utf8_lossy(value.trim_ascii()) } else { "".into() };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match wait {
        _ if is_number => assert_eq!(wait.map(|wait| wait.as_secs()), text.parse().ok(), "{text:?}"),
        Some(wait) if text.contains(',') => {
            // A date has four digits for the year.
            let longest = parse_rfc3339("9999-12-31T23:59:59.999999999Z").expect("a time") - now;
            assert!(longest >= wait, "{text} is {wait:?} away");
        }
        _ => {}
    }
}
