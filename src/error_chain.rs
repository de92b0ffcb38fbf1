//! An error with everything that led to it, on one line.

use std::error::Error;

/// The longest text that is made of an error, in characters.
const LONGEST: usize = 1_000;

/// `error` and its causes, joined by colons, each said once. Line breaks and other control characters
/// become blanks, so that nothing a server says can forge a line of the log.
pub fn chain(error: &dyn Error) -> String {
    joined(error, |error| error.to_string())
}

/// Returns the same without the advice of these errors, for a message that has the fix elsewhere: errors with advice leave it
/// out in their alternate form, `{:#}`.
pub fn chain_without_advice(error: &dyn Error) -> String {
    joined(error, |error| format!("{error:#}"))
}

fn joined(error: &dyn Error, words: impl Fn(&dyn Error) -> String) -> String {
    let mut text = words(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let words = words(cause);
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    one_line(&text, LONGEST)
}

/// The first of `error` and its causes that is a `T`, through whatever libraries it came.
pub fn behind<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// `text` on one line of at most `limit` characters.
pub fn one_line(text: &str, limit: usize) -> String {
    let words = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_line_of_bounded_length() {
        assert_eq!(one_line("a\r\nb\t c\u{1b}[31m", 100), "a b c [31m");
        assert_eq!(one_line("żółw żółw", 6), "żółw ż…");
    }
}
