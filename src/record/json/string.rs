//! JSON strings: what they say, and any JSON text written as one.

use std::borrow::Cow;

use serde::Deserialize;

/// A string that is borrowed from the text unless it has escapes (a bare `Cow` would always be copied).
#[derive(Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Returns the text inside a value that is a JSON string. Returns `None` for any other value, and for a string that is
/// not Unicode text (a lone surrogate).
pub fn text_of(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('\\') {
        return Some(value.strip_prefix('"')?.strip_suffix('"')?.into());
    }
    serde_json::from_str::<Text<'_>>(value).ok().map(|text| text.0)
}

/// The bytes that are searched for escapes together.
const BLOCK: usize = 64;

/// The bytes that are copied together.
const PIECE: usize = 32;

/// Appends a JSON string that contains `json`, which is compact JSON: of all that a string must escape it has only
/// quotes and backslashes.
pub fn append_string(out: &mut Vec<u8>, json: &[u8]) {
    // Most lists of an alert are empty.
    if let [open @ (b'[' | b'{'), close] = json {
        return out.extend_from_slice(&[b'"', *open, *close, b'"']);
    }
    let start = out.len();
    // Room for the worst case, cut back at the end. Growing byte by byte takes twice as long.
    out.resize(start + 2 * json.len() + BLOCK, 0);
    let text = &mut out[start..];
    text[0] = b'"';
    let (mut to, mut from) = (1, 0);
    while let Some(block) = json.get(from..).and_then(<[u8]>::first_chunk::<{ BLOCK + PIECE }>) {
        let (mut escapes, mut at) = (escapes(block), 0);
        loop {
            // What lies between two of them is nearly always shorter than a piece, so most copies have a fixed length.
            let length = (escapes.trailing_zeros() as usize).min(BLOCK) - at;
            text[to..to + PIECE].copy_from_slice(&block[at..at + PIECE]);
            if length > PIECE {
                text[to + PIECE..to + length].copy_from_slice(&block[at + PIECE..at + length]);
            }
            (to, at) = (to + length, at + length);
            if escapes == 0 {
                break;
            }
            text[to] = b'\\';
            to += 1;
            escapes &= escapes - 1;
        }
        from += BLOCK;
    }
    for byte in &json[from..] {
        if matches!(byte, b'"' | b'\\') {
            text[to] = b'\\';
            to += 1;
        }
        text[to] = *byte;
        to += 1;
    }
    text[to] = b'"';
    out.truncate(start + to + 1);
}

/// Returns a bit for each byte of a block that a string must escape, the lowest for the first.
fn escapes(block: &[u8; BLOCK + PIECE]) -> u64 {
    // The highest byte of the product has the lowest bits of eight bytes.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let are_escaped = block.map(|byte| u8::from(matches!(byte, b'"' | b'\\')));
    let eights = are_escaped[..BLOCK].as_chunks::<8>().0.iter().rev();
    eights.fold(0, |bits, eight| (bits << 8) | (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, to_string, to_string_pretty};

    use super::*;
    use crate::record::json::append_compact;

    fn value() -> impl Strategy<Value = Value> {
        let text = r#"[a-z0-9 ,:\[\]{}"\\ü\n\t]{0,40}"#;
        let leaf = prop_oneof![
            2 => Just(Value::Null),
            1 => any::<bool>().prop_map(Value::from),
            2 => any::<i64>().prop_map(Value::from),
            4 => text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..8).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn blanks_between_tokens_go_and_those_in_strings_stay(value in value()) {
            let (mut string, mut compact) = (Vec::new(), Vec::new());
            append_compact(&mut compact, &to_string_pretty(&value).expect("JSON"));
            let expected = to_string(&value).expect("JSON");
            append_string(&mut string, expected.as_bytes());
            prop_assert_eq!(String::from_utf8(compact).expect("text"), expected.as_str());
            prop_assert_eq!(String::from_utf8(string).expect("text"), to_string(&expected).expect("JSON"));
        }
    }
}
