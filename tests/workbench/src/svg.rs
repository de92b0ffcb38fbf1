//! SVG documents that need nothing from elsewhere.

use std::fmt::Display;

/// A document of this size in pixels. Screen readers say `label`.
pub(crate) fn document(
    width: impl Display,
    height: impl Display,
    label: &str,
    style: &str,
    body: &str,
) -> String {
    let (label, body) = (escaped(label), body.trim_end());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{label}\">\n<style>{style}</style>\n{body}\n</svg>\n"
    )
}

/// The text as it stands in an element or a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
