//! A picture of a terminal in SVG, which follows the reader's colour scheme.

use std::fmt::Write;

use crate::svg::{self, escaped};

/// The number of columns; longer lines are cut.
const COLUMNS: usize = 118;
/// The heights of a line and of the frame's head, and the margin beside the text, in pixels.
const LINE: usize = 17;
const HEAD: usize = 40;
const MARGIN: usize = 16;
/// A monospaced character is 0.6 as wide as it is high in every common font; these are 12 pixels high.
const WIDTH: usize = COLUMNS * 72 / 10 + 2 * MARGIN;

/// The colours of a light terminal, and of a dark one.
const STYLE: &str = "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
    white-space:pre;fill:#1f2328}\
    .frame{fill:#f6f8fa;stroke:#d1d9e0}\
    .light{fill:#afb8c1}\
    .small{fill:#59636e}\
    .prompt{font-weight:600}\
    .ok{fill:#1a7f37}\
    .warn{fill:#9a6700}\
    .bad{fill:#cf222e}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.frame{fill:#0d1117;stroke:#3d444d}.light{fill:#656c76}\
    .small{fill:#9198a1}.ok{fill:#3fb950}.warn{fill:#d29922}.bad{fill:#f85149}}";

/// The picture of `lines` as `command` printed them; `note` stands in the frame's head.
pub(super) fn svg(command: &str, lines: &[String], note: &str) -> String {
    let height = HEAD + LINE * (lines.len() + 1) + MARGIN;
    let mut body = format!(
        r#"<rect class="frame" x="0.5" y="0.5" width="{}" height="{}" rx="8"/>"#,
        WIDTH - 1,
        height - 1
    );
    for x in [20, 40, 60] {
        write!(body, r#"<circle class="light" cx="{x}" cy="20" r="6"/>"#).expect("a String takes it all");
    }
    text(&mut body, 84, 24, "small", note);
    text(&mut body, MARGIN, HEAD + LINE, "prompt", &format!("$ {command}"));
    let mut y = HEAD + LINE;
    for line in lines {
        y += LINE;
        text(&mut body, MARGIN, y, class(line), &cut(line));
    }
    svg::document(WIDTH, height, command, STYLE, &body)
}

fn text(body: &mut String, x: usize, y: usize, class: &str, text: &str) {
    let text = escaped(text);
    if !text.is_empty() {
        let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
        write!(body, "\n<text{class} x=\"{x}\" y=\"{y}\" xml:space=\"preserve\">{text}</text>")
            .expect("a String takes it all");
    }
}

/// The class for the colour of a line that says ok, warning or failure.
fn class(line: &str) -> &'static str {
    match line.split_whitespace().next() {
        Some("ok") => "ok",
        Some("Warning:") => "warn",
        Some("MISSED" | "Error:") => "bad",
        _ => "",
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(COLUMNS) {
        None => line.to_owned(),
        Some(_) => line.chars().take(COLUMNS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_place_and_no_text_can_be_markup() {
        let lines =
            ["ok     all <is> \"well\" & done", "", &"x".repeat(119), "MISSED nothing"].map(str::to_owned);
        let svg = svg("cargo demo", &lines, "2026-11-24");
        for part in [
            "height=\"141\"",
            r#"<text class="prompt" x="16" y="57" xml:space="preserve">$ cargo demo</text>"#,
            r#"<text class="ok" x="16" y="74" xml:space="preserve">ok     all &lt;is> &quot;well&quot; &amp; done</text>"#,
            &format!(r#"<text x="16" y="108" xml:space="preserve">{}…</text>"#, "x".repeat(117)),
            r#"<text class="bad" x="16" y="125" xml:space="preserve">MISSED nothing</text>"#,
        ] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert!(!svg.contains(r#"y="91""#), "an empty line is only room: {svg}");
    }
}
