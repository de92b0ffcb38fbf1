//! The values within a container of valid JSON, found in one pass and without recursion. Nothing is checked, and
//! nothing is read beyond what is asked for. In a text that is not valid, what is found are parts of it all the same.

use std::iter;

use super::token::{container_end, is_blank, value_end};

/// Returns the elements of an array; of an object, its names and values in turn.
pub fn elements(container: &str) -> impl Iterator<Item = &str> {
    let bytes = container.as_bytes();
    let mut at = 1;
    iter::from_fn(move || {
        while bytes.get(at).is_some_and(|byte| matches!(byte, b',' | b':') || is_blank(*byte)) {
            at += 1;
        }
        let start = at;
        at = value_end(bytes, at);
        Some(&container[start..at]).filter(|element| !element.is_empty())
    })
}

/// Returns the members of an object: the name, with its quotes, and the value.
pub fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = elements(object);
    iter::from_fn(move || parts.next().zip(parts.next()))
}

/// True if the brackets and quotes of `text`, which need not be valid, make it one container from end to end.
pub fn is_one_container(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'{', .., b'}'] | [b'[', .., b']']) && container_end(bytes, 0) == Some(bytes.len())
}
