//! An error with its causes, as one line of text. Errors say what failed, on what and why; what to do about it is apart,
//! so that it is printed once, at the end.

use std::error::Error;

/// The most characters of an error's text.
const MAX_LENGTH: usize = 1_000;

/// Returns `error` and its causes, joined by colons, without repetition. Line breaks and other control characters become
/// spaces, so that a server's text cannot forge a log line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    one_line(&text, MAX_LENGTH)
}

/// Returns `message` followed by what to do about it, if there is something to do.
pub fn with_fix(message: &str, fix: Option<&str>) -> String {
    match fix {
        Some(fix) => format!("{message}. Fix: {fix}"),
        None => message.to_owned(),
    }
}

/// Returns the first of `error` and its causes that is a `T`, through whatever libraries it passed.
pub fn find_cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Returns `text` on one line of at most `limit` characters.
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
