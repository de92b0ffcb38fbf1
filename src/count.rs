//! A number of things in a message. Pure.

use std::fmt;

/// A number and its noun, singular or plural: `1 alert`, `2 alerts`. The plural ends in s.
pub struct Count<'a>(pub u64, pub &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(f, "{count} {noun}{}", if *count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_every_other_number_is_plural() {
        let texts = [0, 1, 2, 11].map(|count| Count(count, "alert").to_string());
        assert_eq!(texts, ["0 alerts", "1 alert", "2 alerts", "11 alerts"]);
    }
}
