//! One value made shorter. What stays of a text or an array is its beginning, byte for byte.

use super::{
    LEAST,
    level::{Length, level},
};
use crate::record::json::scan;

/// How deep containers are opened. Alerts need three; what is deeper in a container that is too long is
/// left out as a whole. Each level costs a pass over the text, and stack.
const LEVELS: usize = 16;

/// An object loses members from its end rather than have all of them cut to less than this.
const SCRAP: usize = 64;

/// The value in at most `limit` bytes, which are at least `LEAST`.
pub fn cut(value: &str, limit: usize) -> String {
    cut_below(value, limit, LEVELS)
}

fn cut_below(value: &str, limit: usize, levels: usize) -> String {
    match value.as_bytes().first() {
        _ if value.len() <= limit => value.to_owned(),
        Some(b'"') => text(value, limit),
        Some(b'[') if levels > 0 => array(value, limit, levels - 1),
        Some(b'{') if levels > 0 => object(value, limit, levels - 1),
        // Part of a number would be another number.
        _ => "null".to_owned(),
    }
}

fn text(text: &str, limit: usize) -> String {
    let content = &text[1..text.len() - 1];
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

/// The length of the character that the inside of a string begins with, however it is written.
fn character_len(content: &str) -> usize {
    match content.as_bytes() {
        // Two escapes are one character when a high surrogate comes before a low one.
        [b'\\', b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B', _, _, next @ ..] => match next {
            [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..] => 12,
            _ => 6,
        },
        [b'\\', b'u', ..] => 6,
        [b'\\', ..] => 2,
        _ => content.chars().next().map_or(1, char::len_utf8),
    }
}

/// As many elements from the first on as fit; if that is none, what fits of the first.
fn array(array: &str, limit: usize, levels: usize) -> String {
    let mut kept = String::from("[");
    for element in scan::parts(array) {
        if kept.len() + element.len() + 1 > limit {
            if kept.len() == 1 && limit >= LEAST + 2 {
                kept += &cut_below(element, limit - 2, levels);
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
fn object(object: &str, limit: usize, levels: usize) -> String {
    let scrap = (limit / 4).clamp(LEAST, SCRAP);
    let mut members = Vec::new();
    let (mut whole, mut least) = (1, 1);
    for (name, value) in scan::members(object) {
        let around = name.len() + 2;
        // A name that leaves no room for its value goes alone; the next ones may stay.
        if 1 + around + value.len().min(scrap) > limit {
            continue;
        }
        least += around + value.len().min(scrap);
        if least > limit {
            break;
        }
        whole += around + value.len();
        members.push((name, value));
    }
    let lengths = members.iter().map(|(_, value)| Length { bytes: value.len(), cost: 0 }).collect();
    let level = level(lengths, whole.saturating_sub(limit)).unwrap_or(scrap);
    let mut kept = String::from("{");
    for (name, value) in members {
        kept.extend([name, ":", &cut_below(value, level, levels), ","]);
    }
    close(kept, '}')
}

/// Ends a container whose every part is followed by a comma.
fn close(mut kept: String, bracket: char) -> String {
    if kept.ends_with(',') {
        kept.pop();
    }
    kept.push(bracket);
    kept
}
