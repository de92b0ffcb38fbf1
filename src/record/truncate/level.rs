//! How far to cut if several values together are too long: the longest are cut to one length, and the shorter ones stay
//! as they are.

use super::LEAST;

/// The length of a value, and what it costs to cut it.
pub struct Length {
    /// The bytes of the value.
    pub bytes: usize,
    /// The bytes that are written elsewhere if it is cut: its name in the list.
    pub cost: usize,
}

/// Returns the length to which all longer values have to be cut to save `excess` bytes. Returns `None` if that is not
/// enough with all of them cut to `LEAST`.
pub fn level(mut lengths: Vec<Length>, excess: usize) -> Option<usize> {
    lengths.sort_unstable_by_key(|length| std::cmp::Reverse(length.bytes));
    // With the first `count` values cut to nothing, `gain` bytes are saved. What of them is not needed is distributed;
    // if that leaves each at least as long as the next value, no more of them have to be cut.
    let mut gain = 0_usize;
    for (at, length) in lengths.iter().enumerate() {
        gain = (gain + length.bytes).saturating_sub(length.cost);
        let count = at + 1;
        let next = lengths.get(count).map_or(LEAST, |next| next.bytes.max(LEAST));
        if let Some(level) = gain.checked_sub(excess).map(|unused| unused / count)
            && level >= next
        {
            return Some(level);
        }
    }
    None
}
