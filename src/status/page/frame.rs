//! What every page has: its head with the style, the heading with the problems, the most important figures, and its foot.

use std::fmt;

use azure_core::time::OffsetDateTime;

use super::{element, escaped::Escaped, moment};

const STYLE: &str = include_str!("style.css");

/// The page around its content.
pub struct Frame<'a> {
    /// What needs attention, for the heading.
    pub problems: &'a [String],
    /// A sentence that follows the time of the page.
    pub as_of: Option<&'a str>,
    /// The time of the page.
    pub now: OffsetDateTime,
}

impl Frame<'_> {
    /// Writes everything before the content.
    pub fn open(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = if self.problems.is_empty() { "all is well" } else { "needs attention" };
        writeln!(
            f,
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>mdatp-forward: {title}</title>
<style>
{STYLE}</style>
</head>
<body>
<main>
<header>
<p class="name">mdatp-forward</p>"#
        )?;
        match self.problems {
            [] => writeln!(f, "<h1>All is well</h1>")?,
            problems => {
                writeln!(f, "<h1 class=\"bad\">Needs attention</h1>\n<ul class=\"problems\">")?;
                for problem in problems {
                    writeln!(f, "<li>{}</li>", Escaped(sentence(problem)))?;
                }
                writeln!(f, "</ul>")?;
            }
        }
        write!(f, "<p class=\"as-of\">As of {} UTC, by the state store.", moment(self.now))?;
        if let Some(as_of) = self.as_of {
            write!(f, " {as_of}")?;
        }
        writeln!(f, "</p>\n</header>")
    }

    /// Writes everything after the content.
    pub fn close(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<footer>Written by mdatp-forward {} on {}. All times are UTC.</footer>\n</main>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION"),
            element(self.now)
        )
    }
}

/// Writes figures, each with its name and a note.
pub fn write_facts(f: &mut fmt::Formatter<'_>, facts: &[(&str, String, &str)]) -> fmt::Result {
    writeln!(f, "<dl class=\"facts\">")?;
    for (name, value, note) in facts {
        writeln!(f, "<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>")?;
    }
    writeln!(f, "</dl>")
}

/// Returns the text with its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
