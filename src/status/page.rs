//! The status as one HTML page that needs nothing else: no script, no font, no picture from anywhere. Its policy
//! says so to the browser, and everything that others have said is escaped.

mod axis;
mod charts;
mod escaped;
mod plot;
mod tables;

use std::fmt;

use azure_core::time::{OffsetDateTime, to_rfc3339};

use super::{Status, ago, span};
use escaped::Escaped;

const STYLE: &str = include_str!("page/style.css");

/// The status as a page.
pub struct StatusPage<'a>(pub &'a Status);

impl fmt::Display for StatusPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let now = status.now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let runs = status.runs.entries();
        let title = if status.problems.is_empty() { "all is well" } else { "needs attention" };
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
<main>"#
        )?;
        self.write_head(f, now)?;
        self.write_facts(f, now)?;
        f.write_str(&charts::charts(runs, now))?;
        f.write_str(&tables::runs(runs))?;
        f.write_str(&tables::set_aside(&status.set_aside))?;
        f.write_str(&tables::state(status))?;
        writeln!(
            f,
            "<footer>Written by mdatp-forward {} on {}. All times are UTC.</footer>\n</main>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION"),
            element(now)
        )
    }
}

impl StatusPage<'_> {
    fn write_head(&self, f: &mut fmt::Formatter<'_>, now: OffsetDateTime) -> fmt::Result {
        let Self(status) = self;
        writeln!(f, "<header>\n<p class=\"name\">mdatp-forward</p>")?;
        match &status.problems[..] {
            [] => writeln!(f, "<h1>All is well</h1>")?,
            problems => {
                writeln!(f, "<h1 class=\"bad\">Needs attention</h1>\n<ul class=\"problems\">")?;
                for problem in problems {
                    writeln!(f, "<li>{}</li>", Escaped(sentence(problem)))?;
                }
                writeln!(f, "</ul>")?;
            }
        }
        write!(f, "<p class=\"as-of\">As the state store has it on {} UTC.", moment(now))?;
        if let Some(time) = status.last_run {
            write!(f, " The newest run began {}.", ago(time, now))?;
        }
        writeln!(f, "</p>\n</header>")
    }

    /// The four figures that tell most.
    fn write_facts(&self, f: &mut fmt::Formatter<'_>, now: OffsetDateTime) -> fmt::Result {
        let Self(status) = self;
        let runs = status.runs.entries();
        let sent: u64 = runs.iter().map(|entry| entry.sent).fold(0, u64::saturating_add);
        let count: u64 = runs.iter().map(|entry| entry.runs).fold(0, u64::saturating_add);
        let unknown = || "unknown".to_owned();
        let success = status.last_success.map_or_else(unknown, |time| ago(time, now));
        let lag = status.lag_seconds.map_or_else(unknown, span);
        writeln!(f, "<dl class=\"facts\">")?;
        for (name, value, note) in [
            ("Lag", lag, "everything older is dealt with"),
            ("Last success", success, "the newest run without an error"),
            ("Sent", grouped(sent), &format!("alerts in the {} runs below", grouped(count))),
            ("Set aside", status.set_aside.count.to_string(), "records kept whole, for somebody to look at"),
        ] {
            writeln!(f, "<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>")?;
        }
        writeln!(f, "</dl>")
    }
}

/// The day and the time, to the second.
fn moment(time: OffsetDateTime) -> String {
    let (hour, minute, second) = time.to_hms();
    format!("{} {} {hour:02}:{minute:02}:{second:02}", time.day(), axis::month(time))
}

/// A number with its digits in threes.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time that programs can read too.
fn element(time: OffsetDateTime) -> String {
    format!("<time datetime=\"{}\">{}</time>", to_rfc3339(&time), moment(time))
}

/// The text with a large first letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
