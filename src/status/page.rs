//! The status as one self-contained HTML page: no scripts, and no fonts or pictures from elsewhere. Its content security
//! policy enforces that, and all texts of services and alerts are escaped.

mod axis;
mod charts;
mod escaped;
mod frame;
mod plot;
mod tables;
mod tenants;

use std::fmt;

use azure_core::time::{OffsetDateTime, to_rfc3339};

use super::{Status, ago, span};
use frame::Frame;
pub use tenants::TenantsPage;

/// The status as a page.
pub struct StatusPage<'a>(pub &'a Status);

impl fmt::Display for StatusPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let now = status.now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let runs = status.runs.entries();
        let as_of = status.last_run.map(|time| format!("The newest run began {}.", ago(time, now)));
        let frame = Frame { problems: &status.problems, as_of: as_of.as_deref(), now };
        frame.open(f)?;
        self.write_facts(f, now)?;
        f.write_str(&charts::charts(runs, now))?;
        f.write_str(&tables::runs(runs))?;
        f.write_str(&tables::set_aside(&status.set_aside))?;
        f.write_str(&tables::state(status))?;
        frame.close(f)
    }
}

impl StatusPage<'_> {
    /// Writes the four most important figures.
    fn write_facts(&self, f: &mut fmt::Formatter<'_>, now: OffsetDateTime) -> fmt::Result {
        let Self(status) = self;
        let runs = status.runs.entries();
        let sent: u64 = runs.iter().map(|entry| entry.sent).fold(0, u64::saturating_add);
        let count: u64 = runs.iter().map(|entry| entry.runs).fold(0, u64::saturating_add);
        let unknown = || "unknown".to_owned();
        let success = status.last_success.map_or_else(unknown, |time| ago(time, now));
        let lag = status.lag_seconds.map_or_else(unknown, span);
        frame::write_facts(
            f,
            &[
                ("Lag", lag, "everything older is delivered or set aside"),
                ("Last success", success, "the newest run without an error"),
                ("Sent", grouped(sent), &format!("alerts in the {} below", runs_in_words(count))),
                (
                    "Set aside",
                    status.set_aside.count.to_string(),
                    "records kept whole, for an operator to look at",
                ),
            ],
        )
    }
}

/// Returns day and time, to the second.
fn moment(time: OffsetDateTime) -> String {
    let (hour, minute, second) = time.to_hms();
    format!("{} {} {hour:02}:{minute:02}:{second:02}", time.day(), axis::month(time))
}

/// Returns a number with its digits in groups of three.
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

/// Returns the number of runs in words.
fn runs_in_words(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "run" } else { "runs" })
}

/// Returns a time that programs can read too.
fn element(time: OffsetDateTime) -> String {
    format!("<time datetime=\"{}\">{}</time>", to_rfc3339(&time), moment(time))
}
