//! How far to cut when several values together are too long: like water finding its level, the longest
//! are cut to one length, and the shorter ones stay as they are.

use super::LEAST;

/// The length of a value, and what it costs to cut it (its name in a list).
pub struct Length {
    /// The bytes it has.
    pub bytes: usize,
    /// The bytes that are to be written elsewhere if it is cut.
    pub cost: usize,
}

/// The length to which all longer values are to be cut, to be rid of `over` bytes. None when all of them
/// cut to `LEAST` would not be enough.
pub fn level(mut lengths: Vec<Length>, over: usize) -> Option<usize> {
    lengths.sort_unstable_by_key(|length| std::cmp::Reverse(length.bytes));
    // With the first `count` cut to nothing, `gain` bytes are won. What of them is not needed is shared
    // out; if that leaves all of them at least as long as the next, no more of them need be cut.
    let mut gain = 0_usize;
    for (at, length) in lengths.iter().enumerate() {
        gain = (gain + length.bytes).saturating_sub(length.cost);
        let count = at + 1;
        let next = lengths.get(count).map_or(LEAST, |next| next.bytes.max(LEAST));
        if let Some(level) = gain.checked_sub(over).map(|spare| spare / count)
            && level >= next
        {
            return Some(level);
        }
    }
    None
}
