//! Figures as the tables and charts show them.

use std::fmt::Display;

/// A count as a figure.
pub(crate) fn as_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// Bytes as a figure.
#[expect(clippy::cast_precision_loss, reason = "what is measured here is far below 2^52 bytes")]
pub(crate) fn of_bytes(bytes: u64) -> f64 {
    bytes as f64
}

/// The middle one; of an even number, the higher of the two in the middle. 0 of none.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Rounded to a whole number, with a comma between thousands.
pub(crate) fn grouped(number: impl Display) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in megabytes with one decimal.
pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_figure_that_was_measured() {
        for (figures, middle) in
            [(vec![], 0.0), (vec![7.0], 7.0), (vec![9.0, 1.0, 3.0], 3.0), (vec![2.0, 1.0], 2.0)]
        {
            assert!((median(figures) - middle).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn digits_stand_in_threes() {
        for (number, text) in [(0.0, "0"), (999.4, "999"), (999.6, "1,000"), (8_146_961.0, "8,146,961")] {
            assert_eq!(grouped(number), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (8_146_961, "8,146,961")] {
            assert_eq!(grouped(number), text);
        }
    }
}
