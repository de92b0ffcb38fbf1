//! Where values of JSON text begin and end, found by going over the text once, without recursion. The text
//! is valid JSON: nothing is checked, and nothing is read beyond what is asked for. (Of a text that is none, what is
//! found are pieces of it all the same.)

use std::iter;

/// The elements of an array; of an object its names and values by turns.
pub fn parts(container: &str) -> impl Iterator<Item = &str> {
    let bytes = container.as_bytes();
    let mut at = 1;
    iter::from_fn(move || {
        while bytes.get(at).is_some_and(|byte| matches!(byte, b',' | b':') || is_blank(*byte)) {
            at += 1;
        }
        let start = at;
        at = value_end(bytes, at);
        Some(&container[start..at]).filter(|part| !part.is_empty())
    })
}

/// The members of an object: name, quotes included, and value.
pub fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = parts(object);
    iter::from_fn(move || parts.next().zip(parts.next()))
}

/// Appends `text` without the blanks between its tokens.
pub fn append_compact(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if !may_have_blanks(text) {
        return out.extend_from_slice(bytes);
    }
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            byte if is_blank(*byte) => {
                out.extend_from_slice(&bytes[copied..at]);
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Appends a JSON text that holds `json`, which is valid and has no blanks between its tokens: of all that a text
/// must escape it then has only quotes and backslashes.
pub fn append_as_text(out: &mut Vec<u8>, json: &[u8]) {
    // Most lists of an alert are empty.
    if let [open @ (b'[' | b'{'), close] = json {
        return out.extend_from_slice(&[b'"', *open, *close, b'"']);
    }
    let start = out.len();
    // Room for the worst; what is not needed goes again. To grow byte by byte takes twice as long.
    out.resize(start + 2 * json.len() + BLOCK, 0);
    let text = &mut out[start..];
    text[0] = b'"';
    let (mut to, mut from) = (1, 0);
    while let Some(block) = json.get(from..).and_then(<[u8]>::first_chunk::<{ BLOCK + PIECE }>) {
        let (mut escapes, mut at) = (escapes(block), 0);
        loop {
            // What stands between two of them is nearly always shorter than a piece, and no length is looked at.
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

/// So many bytes are looked at together.
const BLOCK: usize = 64;

/// So many are copied together.
const PIECE: usize = 32;

/// A bit for each byte of a block that a text must escape, the lowest for the first.
fn escapes(block: &[u8; BLOCK + PIECE]) -> u64 {
    // The highest byte of the product has the lowest bits of eight bytes.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let are_escaped = block.map(|byte| u8::from(matches!(byte, b'"' | b'\\')));
    let eights = are_escaped[..BLOCK].as_chunks::<8>().0.iter().rev();
    eights.fold(0, |bits, eight| (bits << 8) | (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56))
}

/// False when there is certainly no blank between the tokens of `value`, which has none around it. Of two
/// tokens side by side one is a bracket, comma or colon, so a blank with none of them beside it is part of a
/// text. The compiler makes sixteen comparisons at a time of this; going from string to string takes five
/// times as long.
pub fn may_have_blanks(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !matches!(bytes, [b'{' | b'[', _, _, ..]) {
        return false;
    }
    // A bit tells brackets from braces, and nothing else becomes a comma or colon by it.
    let is_between = |byte: u8| matches!(byte | 0x20, b'{' | b'}' | b',' | b':');
    let mut found = false;
    for ((before, byte), after) in bytes.iter().zip(&bytes[1..]).zip(&bytes[2..]) {
        found |= (*byte <= b' ') & (is_between(*before) | is_between(*after));
    }
    found
}

/// True when the brackets and quotes of `text`, which need not be valid, make it one container from end to end.
pub fn is_one_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'{', .., b'}'] | [b'[', .., b']']) && close_of(bytes, 0) == Some(bytes.len())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Where the value ends that begins at `at`; `at` itself when a container ends there.
fn value_end(bytes: &[u8], at: usize) -> usize {
    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}') || is_blank(*byte);
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at),
        Some(b'[' | b'{') => container_end(bytes, at),
        _ => bytes[at..].iter().position(is_end).map_or(bytes.len(), |length| at + length),
    }
}

fn container_end(bytes: &[u8], at: usize) -> usize {
    close_of(bytes, at).unwrap_or(bytes.len())
}

/// Where the container ends that begins at `at`; `None` when nothing closes it.
fn close_of(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return Some(at + 1),
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the string ends whose first quote is at `at`. Most texts of an alert are short: sixteen bytes at a
/// time beat a call of `memchr2` for each.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(sixteen) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        match first(sixteen, quotes_and_backslashes) {
            16 => at += 16,
            place if sixteen[place] == b'"' => return at + place + 1,
            place => at += place + 2,
        }
    }
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

const ONES: u64 = u64::MAX / 0xff;

/// The place of the first byte that `marks` sets the highest bit of; 16 when there is none.
#[inline]
pub fn first(sixteen: &[u8; 16], marks: impl Fn(u64) -> u64) -> usize {
    let halves = sixteen.as_chunks::<8>().0;
    let (left, right) = (marks(u64::from_le_bytes(halves[0])), marks(u64::from_le_bytes(halves[1])));
    match (left, right) {
        (0, 0) => 16,
        // No branch: where a text ends cannot be foreseen.
        (0, marks) => 8 + place_of(marks),
        (marks, _) => place_of(marks),
    }
}

fn place_of(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The highest bit of each byte that is a quote or a backslash; above the first such byte perhaps of others.
#[inline]
pub fn quotes_and_backslashes(eight: u64) -> u64 {
    below(eight ^ (ONES * u64::from(b'"')), 1) | below(eight ^ (ONES * u64::from(b'\\')), 1)
}

/// The same of each byte below `least`, which is at most 128.
#[inline]
pub fn below(eight: u64, least: u8) -> u64 {
    eight.wrapping_sub(ONES * u64::from(least)) & !eight & (ONES << 7)
}

/// The same of each byte that is a quote or a backslash, or is too low to be in a text.
#[inline]
pub fn specials(eight: u64) -> u64 {
    // With that bit changed quotes are right above what is too low, and blanks are above them.
    below(eight ^ (ONES * 2), b' ' + 1) | below(eight ^ (ONES * u64::from(b'\\')), 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, to_string, to_string_pretty};

    use super::*;

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
        fn blanks_between_tokens_go_and_those_in_texts_stay(value in value()) {
            let (mut text, mut compact) = (Vec::new(), Vec::new());
            append_compact(&mut compact, &to_string_pretty(&value).expect("JSON"));
            let plain = to_string(&value).expect("JSON");
            append_as_text(&mut text, plain.as_bytes());
            prop_assert_eq!(String::from_utf8(compact).expect("text"), plain.as_str());
            prop_assert_eq!(String::from_utf8(text).expect("text"), to_string(&plain).expect("JSON"));
        }
    }
}
