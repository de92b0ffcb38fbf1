//! One value made shorter. What is left of a string or an array is its beginning, byte for byte.

use super::{
    LEAST,
    level::{Length, level},
};
use crate::record::json::{character_len, elements, members};

/// How many levels of containers are opened. Alerts need three; what lies deeper in a container that is too long is
/// left out as a whole. Each level costs a pass over the text, and stack.
const LEVELS: usize = 16;

/// An object loses members from its end rather than have all of them cut to less than this, in bytes.
const SHORTEST_USEFUL: usize = 64;

/// Returns the value in at most `limit` bytes, which are at least `LEAST`.
pub fn cut(value: &str, limit: usize) -> String {
    cut_within(LEVELS, value, limit)
}

fn cut_within(levels: usize, value: &str, limit: usize) -> String {
    match value.as_bytes().first() {
        _ if value.len() <= limit => value.to_owned(),
        Some(b'"') => string(value, limit),
        Some(b'[') if levels > 0 => array(levels - 1, value, limit),
        Some(b'{') if levels > 0 => object(levels - 1, value, limit),
        // Part of a number would be another number.
        _ => "null".to_owned(),
    }
}

fn string(string: &str, limit: usize) -> String {
    let content = &string[1..string.len() - 1];
    let mut end = 0;
    while end < content.len() {
        let next = end + character_len(&content[end..]);
        if next + 2 > limit {
            break;
        }
        end = next;
    }
    format!("\"{}\"", &content[..end])
}

/// As many elements from the first on as fit; if that is none, what fits of the first.
fn array(levels: usize, array: &str, limit: usize) -> String {
    let mut kept = String::from("[");
    for element in elements(array) {
        if kept.len() + element.len() + 1 > limit {
            if kept.len() == 1 && limit >= LEAST + 2 {
                kept += &cut_within(levels, element, limit - 2);
                kept.push(',');
            }
            break;
        }
        kept += element;
        kept.push(',');
    }
    close(kept, ']')
}

/// The members from the first on for which there is room, the longest of their values cut.
fn object(levels: usize, object: &str, limit: usize) -> String {
    let shortest = (limit / 4).clamp(LEAST, SHORTEST_USEFUL);
    let mut kept = Vec::new();
    let (mut whole, mut least) = (1, 1);
    for (name, value) in members(object) {
        let around = name.len() + 2;
        // A member whose name leaves no room for its value is left out; the next ones may stay.
        if 1 + around + value.len().min(shortest) > limit {
            continue;
        }
        least += around + value.len().min(shortest);
        if least > limit {
            break;
        }
        whole += around + value.len();
        kept.push((name, value));
    }
    let lengths = kept.iter().map(|(_, value)| Length { bytes: value.len(), cost: 0 }).collect();
    let level = level(lengths, whole.saturating_sub(limit)).unwrap_or(shortest);
    let mut text = String::from("{");
    for (name, value) in kept {
        text.extend([name, ":", &cut_within(levels, value, level), ","]);
    }
    close(text, '}')
}

/// Ends a container in which every part is followed by a comma.
fn close(mut text: String, bracket: char) -> String {
    if text.ends_with(',') {
        text.pop();
    }
    text.push(bracket);
    text
}
