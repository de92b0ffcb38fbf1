//! Where the tokens of JSON text end: strings, escapes, containers. Every other module of this folder finds them here.
//!
//! Places are byte offsets in a text, which is UTF-8. Functions that return an `Option` are total, and those that do
//! not are meant for valid JSON: nothing is checked, and in any other text what they find is some part of it.

/// True for the whitespace that JSON allows between tokens (RFC 8259, section 2).
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Returns the end of the escape of a string that begins at `at`. Whether the character that it stands for exists is
/// not checked: `\ud800` is an escape.
pub fn escape_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at..)? {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(at + 2),
        [b'\\', b'u', rest @ ..] => {
            rest.first_chunk::<4>()?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

/// Returns the place of the next quote, backslash or control character, from `at` on: of the first byte within a string
/// that is not a plain part of it. Most strings of an alert are short: sixteen bytes at a time take less time than a
/// call of `memchr2` for each.
#[inline]
pub fn special(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(sixteen) = text.get(at..)?.first_chunk() {
        match first_special(sixteen) {
            16 => at += 16,
            place => return Some(at + place),
        }
    }
    let place = text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    Some(at + place)
}

/// Returns the end of the string whose first quote is at `at`.
pub fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(place) = special(text, at) {
        match text[place] {
            b'"' => return place + 1,
            b'\\' => at = place + 2,
            // Not in valid JSON.
            _ => at = place + 1,
        }
    }
    text.len()
}

/// Returns the end of the container that begins at `at`; `None` if nothing closes it.
pub fn container_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
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

/// Returns the end of the value that begins at `at`; `at` itself if a container ends there.
pub fn value_end(text: &[u8], at: usize) -> usize {
    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}') || is_blank(*byte);
    match text.get(at) {
        Some(b'"') => string_end(text, at),
        Some(b'[' | b'{') => container_end(text, at).unwrap_or(text.len()),
        _ => text[at..].iter().position(is_end).map_or(text.len(), |length| at + length),
    }
}

/// Returns the length in bytes of the first character of `content`, the inside of a string, however it is written: a
/// pair of surrogates in two escapes is one character.
pub fn character_len(content: &str) -> usize {
    match content.as_bytes() {
        [b'\\', b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B', _, _, next @ ..] => match next {
            [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..] => 12,
            _ => 6,
        },
        [b'\\', b'u', ..] => 6,
        [b'\\', ..] => 2,
        _ => content.chars().next().map_or(1, char::len_utf8),
    }
}

const ONES: u64 = u64::MAX / 0xff;

/// Returns the place of the first quote, backslash or control character; 16 if there is none.
#[inline]
fn first_special(sixteen: &[u8; 16]) -> usize {
    let halves = sixteen.as_chunks::<8>().0;
    let (left, right) = (specials(u64::from_le_bytes(halves[0])), specials(u64::from_le_bytes(halves[1])));
    match (left, right) {
        (0, 0) => 16,
        // No branch: where a string ends cannot be predicted.
        (0, marks) => 8 + first_mark(marks),
        (marks, _) => first_mark(marks),
    }
}

fn first_mark(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character, and above the first such byte
/// perhaps of others.
#[inline]
fn specials(eight: u64) -> u64 {
    // With that bit flipped, a quote is right above the control characters, and a space is above the quote.
    below(eight ^ (ONES * 2), b' ' + 1) | below(eight ^ (ONES * u64::from(b'\\')), 1)
}

/// Does the same for each byte below `least`, which is at most 128.
#[inline]
fn below(eight: u64, least: u8) -> u64 {
    eight.wrapping_sub(ONES * u64::from(least)) & !eight & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_special_byte_is_found_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..40 {
                let mut text = [b'x'; 40];
                text[place] = byte;
                let is_special = byte < b' ' || matches!(byte, b'"' | b'\\');
                assert_eq!(special(&text, 0), is_special.then_some(place), "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_special_byte_is_that_of_a_search_byte_by_byte(
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), 0x1e..0x24_u8, 0x5b..0x5e_u8], 0..60),
            at in 0..61_usize,
        ) {
            let is_special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
            let expected = text.get(at..).and_then(|rest| rest.iter().position(is_special));
            prop_assert_eq!(special(&text, at), expected.map(|place| at + place));
        }
    }
}
