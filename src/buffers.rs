//! Large pieces of memory, used again. To get one anew means to get each of its pages from the system when it is
//! first written, which takes longer than decompressing into it (measured), and leaves the heap in pieces. Pure.

use std::{
    mem,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// The spare memory of this process.
pub static POOL: Spare = Spare(Mutex::new(Vec::new()));

/// Smaller pieces are the allocator's, and larger ones go back to the system. In bytes: from what glibc takes from
/// the system for each piece, to twice a page of alerts.
const KEPT: RangeInclusive<usize> = 128 * 1024..=8 * 1024 * 1024;

/// So many pieces are kept at most: for two pages, as they come and without their compression, and for three posts.
const PIECES: usize = 7;

/// Memory that nobody uses for now.
#[derive(Debug)]
pub struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    /// Memory for `room` bytes or more, with nothing in it.
    pub fn take(&self, room: usize) -> Vec<u8> {
        if room < *KEPT.start() {
            return Vec::with_capacity(room);
        }
        // Of a few sizes only, so that there is one that fits.
        let room = room.next_power_of_two();
        let mut pieces = self.lock();
        match pieces.iter().position(|piece| piece.capacity() == room) {
            Some(place) => pieces.remove(place),
            None => Vec::with_capacity(room),
        }
    }

    /// `text` to be shared. When nobody has any of it any more, its memory is spare.
    pub fn share(&'static self, text: Vec<u8>) -> Bytes {
        if !KEPT.contains(&text.capacity()) {
            return text.into();
        }
        Bytes::from_owner(Shared { text, spare: self })
    }

    fn keep(&self, mut text: Vec<u8>) {
        text.clear();
        let mut pieces = self.lock();
        // The one that has been spare for longest makes room.
        if pieces.len() == PIECES {
            pieces.remove(0);
        }
        pieces.push(text);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    text: Vec<u8>,
    spare: &'static Spare,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.spare.keep(mem::take(&mut self.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_with_the_last_slice() {
        static POOL: Spare = Spare(Mutex::new(Vec::new()));
        let mut text = POOL.take(300_000);
        text.extend_from_slice(b"some text");
        let place = text.as_ptr();
        let whole = POOL.share(text);
        let slice = whole.slice(5..);
        drop(whole);
        assert_eq!(slice, "text");
        let other = POOL.take(300_000);
        assert_ne!(other.as_ptr(), place, "a slice of it is in use");
        drop(slice);
        let larger = POOL.take(600_000);
        assert_ne!(larger.as_ptr(), place, "it is too small");
        let again = POOL.take(400_000);
        assert!(again.as_ptr() == place && again.is_empty());
    }

    #[test]
    fn few_pieces_are_kept_and_none_too_small_or_too_large() {
        static POOL: Spare = Spare(Mutex::new(Vec::new()));
        for room in [*KEPT.start() - 1, *KEPT.end() + 1] {
            drop(POOL.share(Vec::with_capacity(room)));
        }
        assert!(POOL.lock().is_empty());
        let all: Vec<_> = (0..PIECES).map(|_| POOL.share(POOL.take(*KEPT.start()))).collect();
        drop(POOL.share(POOL.take(*KEPT.end())));
        drop(all);
        let rooms: Vec<_> = POOL.lock().iter().map(Vec::capacity).collect();
        assert_eq!(rooms, [*KEPT.start(); PIECES]);
    }
}
