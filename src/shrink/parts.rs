//! The parts of an array or object, as slices of its text, found one after the other: nothing is read
//! beyond what is asked for. `Object` would unescape the names, look for doubles among all members and
//! read to the end, where here a million members may come only to be left out.

use std::iter;

/// The elements of an array; of an object its names and values by turns. The text is valid JSON.
pub fn parts(container: &str) -> impl Iterator<Item = &str> {
    let mut rest = &container[1..];
    iter::from_fn(move || {
        rest = rest.trim_start_matches([',', ':', ' ', '\t', '\n', '\r']);
        let (part, after) = rest.split_at(value_len(rest.as_bytes()));
        rest = after;
        Some(part).filter(|part| !part.is_empty())
    })
}

/// The members of an object: name, quotes included, and value.
pub fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = parts(object);
    iter::from_fn(move || parts.next().zip(parts.next()))
}

/// How long the value is that `text` begins with; 0 when what begins is the end of a container.
fn value_len(text: &[u8]) -> usize {
    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
    match text.first() {
        Some(b'"') => string_len(text),
        Some(b'[' | b'{') => container_len(text),
        _ => text.iter().position(is_end).unwrap_or(text.len()),
    }
}

fn container_len(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_len(&text[at..]) - 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}
