//! The comparison as a bar chart in SVG, which follows the reader's colour scheme.

use std::fmt::Write;

use super::growth::Grown;
use super::run::Runs;
use crate::figure::{grouped, megabytes};
use crate::{environment, svg};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 180.0;
/// The longest bar leaves room for its figure.
const LONGEST: f64 = 460.0;
const ROW: f64 = 24.0;

/// The colours of a light page, and of a dark one.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}\
    .head{font-size:15px;font-weight:600}\
    .small{font-size:12px;fill:#59636e}\
    .ours{fill:#0969da}\
    .peer{fill:#afb8c1}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.ours{fill:#4493f8}.peer{fill:#656c76}}";

/// What is shown.
pub(super) struct Chart<'a> {
    pub(super) runs: &'a [Runs],
    pub(super) grown: &'a [Grown],
    pub(super) title: String,
}

/// A bar with its name and its figure.
struct Bar {
    name: String,
    value: f64,
    shown: String,
    is_ours: bool,
}

impl Chart<'_> {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let mut drawing = Drawing { body: String::new(), y: 30.0 };
        drawing.text(16.0, "head", &self.title);
        drawing.y += 20.0;
        drawing.text(16.0, "small", &environment::describe());
        let microseconds = |value: f64| format!("{value:.1} µs");
        drawing.panel("Alerts a second (more is better)", &self.bars(Runs::alerts_a_second, grouped));
        drawing.panel(
            "Processor time for each alert (less is better)",
            &self.bars(Runs::processor_an_alert, microseconds),
        );
        drawing.panel("Peak memory (less is better)", &self.bars(Runs::peak_bytes, megabytes));
        let grown: Vec<_> = self
            .grown
            .iter()
            .map(|grown| Bar {
                name: format!("{} alerts", grouped(grown.alerts)),
                value: grown.peak_bytes,
                shown: megabytes(grown.peak_bytes),
                is_ours: true,
            })
            .collect();
        if !grown.is_empty() {
            drawing.panel("Peak memory of mdatp-forward, by the number of alerts", &grown);
        }
        drawing.finish(&self.title)
    }

    fn bars(&self, figure: impl Fn(&Runs) -> f64, show: impl Fn(f64) -> String) -> Vec<Bar> {
        let bar = |runs: &Runs| {
            let value = figure(runs);
            let is_ours = !runs.candidate.program.is_peer();
            Bar { name: runs.candidate.to_string(), value, shown: show(value), is_ours }
        };
        self.runs.iter().map(bar).collect()
    }
}

struct Drawing {
    body: String,
    y: f64,
}

impl Drawing {
    fn panel(&mut self, title: &str, bars: &[Bar]) {
        self.y += 36.0;
        self.text(16.0, "head", title);
        let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        self.y += 12.0;
        for bar in bars {
            let (length, class) = (bar.value / most * LONGEST, if bar.is_ours { "ours" } else { "peer" });
            let (y, width) = (self.y, length.max(1.0));
            self.add(format_args!(
                r#"<rect class="{class}" x="{LEFT}" y="{y:.0}" width="{width:.1}" height="16" rx="2"/>"#
            ));
            self.y += 13.0;
            self.text(16.0, "name", &bar.name);
            self.text(LEFT + length + 8.0, "figure", &bar.shown);
            self.y += ROW - 13.0;
        }
    }

    fn text(&mut self, x: f64, class: &str, text: &str) {
        let (text, y) = (svg::escaped(text), self.y);
        self.add(format_args!(r#"<text class="{class}" x="{x:.0}" y="{y:.0}">{text}</text>"#));
    }

    fn add(&mut self, element: std::fmt::Arguments) {
        writeln!(self.body, "{element}").expect("writing to a String cannot fail");
    }

    fn finish(self, label: &str) -> String {
        svg::document(WIDTH, self.y + 12.0, label, STYLE, &self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_figure_has_the_longest_bar_and_text_cannot_be_markup() {
        let bar =
            |name: &str, value, is_ours| Bar { name: name.to_owned(), value, shown: "x".to_owned(), is_ours };
        let mut drawing = Drawing { body: String::new(), y: 0.0 };
        drawing.panel("a < b & c", &[bar("one", 50.0, true), bar("two", 200.0, false)]);
        let svg = drawing.finish("figures");
        assert!(svg.contains(r#"class="ours" x="180" y="48" width="115.0""#), "{svg}");
        assert!(svg.contains(r#"class="peer" x="180" y="72" width="460.0""#), "{svg}");
        assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
    }
}
