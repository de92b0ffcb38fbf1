//! A plot: a frame with both axes, and points in it.
//!
//! Lengths along the time axis are percentages and all others are pixels, so a plot fills the width of the page and its
//! text keeps its size.

use std::fmt::Write;

use azure_core::time::{Duration, OffsetDateTime};

use super::{
    axis::{Axis, times},
    escaped::Escaped,
};

/// The space above the plot for half of the top label, and below it for the times, in pixels. The space for the labels
/// beside it is a margin in the style sheet.
const ABOVE: f64 = 12.0;
const BELOW: f64 = 26.0;

/// The longest time that is plotted, so that the newest runs have room. Earlier runs are in the table.
pub const LONGEST: Duration = Duration::days(7);

/// The shortest time that is plotted: more than zero, and with a whole minute to label.
const SHORTEST: Duration = Duration::minutes(10);

/// The space on the left and on the right, in percent, so that a point at the end is not cut.
const BESIDE: f64 = 2.0;

/// A plot in the making.
pub struct Plot {
    body: String,
    from: OffsetDateTime,
    to: OffsetDateTime,
    height: f64,
    end: u64,
}

/// The class of an element, which has its look in the style sheet.
#[derive(Clone, Copy)]
pub struct Look(pub &'static str);

impl Plot {
    /// Creates a frame that ends at `now` and begins with the first run.
    pub fn new(
        first: OffsetDateTime,
        now: OffsetDateTime,
        height: f64,
        axis: &Axis,
        label: impl Fn(u64) -> String,
    ) -> Self {
        let from = first.max(now - LONGEST).min(now - SHORTEST);
        let mut plot = Self { body: String::new(), from, to: now, height, end: axis.end };
        for mark in &axis.marks {
            let y = plot.y(*mark);
            plot.add(format_args!(r#"<line class="grid" x1="0" x2="100%" y1="{y:.1}" y2="{y:.1}"/>"#));
            let (label, y) = (label(*mark), y + 4.0);
            plot.add(format_args!(r#"<text class="mark" x="-8" y="{y:.1}">{label}</text>"#));
        }
        let bottom = plot.y(0);
        for (time, label) in times(from, now) {
            let x = plot.x(time);
            let (tick, below) = (bottom + 5.0, bottom + 20.0);
            plot.add(format_args!(
                r#"<line class="tick" x1="{x:.2}%" x2="{x:.2}%" y1="{bottom:.1}" y2="{tick:.1}"/>"#
            ));
            plot.add(format_args!(
                r#"<text class="time" x="{x:.2}%" y="{below:.1}">{}</text>"#,
                Escaped(label)
            ));
        }
        plot
    }

    /// Adds a line from one point to another. Its part before the plot is drawn at the plot's beginning.
    pub fn line(
        &mut self,
        Look(look): Look,
        (from, begin): (OffsetDateTime, u64),
        (to, end): (OffsetDateTime, u64),
        title: &str,
    ) {
        let (x1, x2, y1, y2) = (self.x(from), self.x(to), self.y(begin), self.y(end));
        let title = titled(title);
        self.add(format_args!(
            r#"<line class="{look}" x1="{x1:.2}%" x2="{x2:.2}%" y1="{y1:.1}" y2="{y2:.1}">{title}</line>"#
        ));
    }

    /// Adds a dot.
    pub fn dot(&mut self, Look(look): Look, time: OffsetDateTime, value: u64, title: &str) {
        let (x, y, title) = (self.x(time), self.y(value), titled(title));
        self.add(format_args!(r#"<circle class="{look}" cx="{x:.2}%" cy="{y:.1}" r="3">{title}</circle>"#));
    }

    /// Adds a cross, which differs from a dot without colours too.
    pub fn cross(&mut self, Look(look): Look, time: OffsetDateTime, value: u64, title: &str) {
        let (x, y, title) = (self.x(time), self.y(value) + 5.5, titled(title));
        self.add(format_args!(r#"<text class="{look}" x="{x:.2}%" y="{y:.1}">×{title}</text>"#));
    }

    /// Returns the SVG element, labelled by the element with the id `name`.
    pub fn finish(self, name: &str) -> String {
        let (height, body) = (ABOVE + self.height + BELOW, self.body);
        format!(
            "<svg role=\"img\" aria-labelledby=\"{name}\" width=\"100%\" height=\"{height:.0}\">\n{body}</svg>\n"
        )
    }

    /// Returns the place of `time` in percent of the width.
    fn x(&self, time: OffsetDateTime) -> f64 {
        let part = (time - self.from).as_seconds_f64() / (self.to - self.from).as_seconds_f64();
        BESIDE + part.clamp(0.0, 1.0) * (100.0 - 2.0 * BESIDE)
    }

    /// Returns the place of `value` in pixels from the top.
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a pixel is enough")]
    fn y(&self, value: u64) -> f64 {
        ABOVE + self.height * (1.0 - value.min(self.end) as f64 / self.end as f64)
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("a String takes everything");
    }
}

fn titled(title: &str) -> String {
    match title {
        "" => String::new(),
        title => format!("<title>{}</title>", Escaped(title)),
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn points_lie_between_the_ends_and_titles_are_no_markup() {
        let now = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
        let first = now - Duration::hours(10);
        let mut plot = Plot::new(first, now, 100.0, &Axis::of_counts(10), |mark| mark.to_string());
        plot.dot(Look("dot"), now, 10, "a < b");
        plot.dot(Look("dot"), first, 0, "");
        plot.line(Look("line"), (first - Duration::days(1), 0), (now - Duration::hours(5), 5), "");
        let svg = plot.finish("name");
        for part in [
            r#"<circle class="dot" cx="98.00%" cy="12.0" r="3"><title>a &lt; b</title></circle>"#,
            r#"<circle class="dot" cx="2.00%" cy="112.0" r="3"></circle>"#,
            r#"<line class="line" x1="2.00%" x2="50.00%" y1="112.0" y2="62.0"></line>"#,
            r#"<text class="mark" x="-8" y="16.0">10</text>"#,
            r#"<text class="time" x="21.20%" y="132.0">22:00</text>"#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(svg.contains(r#"aria-labelledby="name" width="100%" height="138""#), "{svg}");
    }
}
