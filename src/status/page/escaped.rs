//! Text inside the page's markup. What a service or an alert says must never become markup.

use std::fmt::{self, Write};

/// Displays `self.0` so that it can be put between tags and in a quoted attribute.
pub struct Escaped<T>(pub T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            // HTML has no form for control characters.
            c if c.is_control() => self.0.write_char('\u{fffd}'),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let text = "<script>&amp;\"'\u{0}\nżółw";
        assert_eq!(Escaped(text).to_string(), "&lt;script&gt;&amp;amp;&quot;&#39;\u{fffd}\u{fffd}żółw");
    }
}
