//! Where values of JSON text begin and end, found by going over the text once, without recursion. The text
//! is valid JSON: nothing is checked, and nothing is read beyond what is asked for.

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

/// Appends a JSON text that holds `json`, which is valid and without blanks: of all that a text must escape
/// it has only quotes and backslashes.
pub fn append_as_text(out: &mut Vec<u8>, json: &[u8]) {
    // Most lists of an alert are empty.
    if let [open, close] = json {
        return out.extend_from_slice(&[b'"', *open, *close, b'"']);
    }
    let start = out.len();
    // Room for the worst; what is not needed goes again. To grow byte by byte takes twice as long.
    out.resize(start + 2 * json.len() + 18, 0);
    let text = &mut out[start..];
    text[0] = b'"';
    let (mut to, mut at) = (1, 0);
    while let Some(eight) = json.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        text[to..to + 8].copy_from_slice(eight);
        match first_of(u64::from_le_bytes(*eight)) {
            None => (to, at) = (to + 8, at + 8),
            Some(place) => {
                (to, at) = (to + place, at + place);
                // Most quotes come as `":"` or `","`.
                if let Some([b'"', between @ (b':' | b','), b'"']) = json.get(at..at + 3) {
                    text[to..to + 5].copy_from_slice(&[b'\\', b'"', *between, b'\\', b'"']);
                    (to, at) = (to + 5, at + 3);
                } else {
                    text[to..to + 2].copy_from_slice(&[b'\\', eight[place]]);
                    (to, at) = (to + 2, at + 1);
                }
            }
        }
    }
    for byte in &json[at..] {
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

/// False when there is certainly no blank between the tokens of `value`, which has none around it. Of two
/// tokens side by side one is a bracket, comma or colon, so a blank with none of them beside it is part of a
/// text. The compiler makes sixteen comparisons at a time of this; going from string to string takes five
/// times as long.
pub fn may_have_blanks(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !matches!(bytes, [b'{' | b'[', _, _, ..]) {
        return false;
    }
    let is_between = |byte: u8| matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':');
    let mut found = false;
    for ((before, byte), after) in bytes.iter().zip(&bytes[1..]).zip(&bytes[2..]) {
        found |= (*byte <= b' ') & (is_between(*before) | is_between(*after));
    }
    found
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

fn container_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return at + 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Where the string ends whose first quote is at `at`. Most texts of an alert are short: eight bytes at a
/// time beat a call of `memchr2` for each.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        match first_of(u64::from_le_bytes(*eight)) {
            None => at += 8,
            Some(place) if eight[place] == b'"' => return at + place + 1,
            Some(place) => at += place + 2,
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

/// The place of the first quote or backslash among eight bytes.
fn first_of(eight: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    // The highest bit of a byte is set where the byte is zero; above the first such byte perhaps elsewhere.
    let zeros = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    let found = zeros(eight ^ (ONES * u64::from(b'"'))) | zeros(eight ^ (ONES * u64::from(b'\\')));
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}
