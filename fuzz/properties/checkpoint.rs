//! The checkpoint, which a person, a full disk or another version may have damaged: it is rejected with one line, or
//! stays the same when it is written and read again.

use std::time::Duration;

use azure_core::time::parse_rfc3339;
use mdatp_forward::testing::Checkpoint;

/// `input` is the document.
pub fn holds(input: &[u8]) {
    let now = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
    let checkpoint = match Checkpoint::from_json(input, now) {
        Ok(checkpoint) => checkpoint,
        Err(damage) => {
            let reason = damage.to_string();
            assert!(!reason.is_empty() && !reason.contains(char::is_control), "{reason:?}");
            return;
        }
    };
    assert!(checkpoint.known_from.year() >= 2016, "before Defender");
    assert!(checkpoint.known_from <= checkpoint.watermark, "inverted");
    assert!(checkpoint.watermark <= now + Duration::from_secs(300), "from the future");

    let text = checkpoint.to_json();
    let again = Checkpoint::from_json(&text, now).expect("what was written can be read");
    assert_eq!(again, checkpoint);
    assert_eq!(again.to_json(), text);

    for lookback in [Duration::ZERO, Duration::from_secs(3_600), Duration::from_secs(365 * 86_400)] {
        let window = checkpoint.window(lookback, now);
        assert!(window.from >= checkpoint.known_from && window.from <= window.to);
        let mut later = checkpoint.clone();
        later.advance(now, lookback);
        assert!(later.watermark >= checkpoint.watermark && later.known_from >= checkpoint.known_from);
        let text = later.to_json();
        assert_eq!(Checkpoint::from_json(&text, now).expect("what was written can be read"), later);
    }
}
