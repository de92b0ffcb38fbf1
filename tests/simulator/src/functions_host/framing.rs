//! How the end of an invocation's body is marked.
//!
//! In Azure the host sends one chunk, and what ends the body often in a packet of its own; where the level of its log
//! is Trace it sends a length, because tracing reads the body first.

use bytes::Bytes;

use crate::connection::Outgoing;

/// The framings a handler meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding: chunked`, the body as one chunk, as recorded.
    Chunked,
    /// The same in several chunks, which HTTP allows.
    Torn,
}

impl Framing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ContentLength, Self::Chunked, Self::Torn];

    pub(super) fn frame(self, body: Bytes) -> Outgoing {
        match self {
            Self::ContentLength => Outgoing::whole(body),
            Self::Chunked => Outgoing::chunked(vec![body]),
            Self::Torn => Outgoing::chunked(pieces(&body)),
        }
    }
}

/// Cuts after the first byte, before the last, in the middle, and inside the first character that takes
/// more than one byte.
fn pieces(body: &Bytes) -> Vec<Bytes> {
    let inside_a_character = body.iter().position(|byte| *byte >= 0x80).map(|at| at + 1);
    let mut cuts: Vec<_> =
        [1, body.len() / 2, body.len().saturating_sub(1)].into_iter().chain(inside_a_character).collect();
    cuts.sort_unstable();
    cuts.push(body.len());
    let mut from = 0;
    let mut pieces = Vec::new();
    for cut in cuts.into_iter().filter(|cut| *cut <= body.len()) {
        // A chunk of length zero would end the body.
        if cut > from {
            pieces.push(body.slice(from..cut));
            from = cut;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &'static str) -> Vec<Bytes> {
        pieces(&Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn the_first_wide_character_is_cut_in_two() {
        assert_eq!(cut("{\"ü\":12345}"), [&b"{"[..], b"\"\xc3", b"\xbc\":", b"12345", b"}"]);
    }

    #[test]
    fn no_piece_is_empty() {
        assert_eq!(cut("abc"), ["a", "b", "c"]);
        assert_eq!(cut("a"), ["a"]);
        assert_eq!(cut(""), Vec::<Bytes>::new());
    }
}
