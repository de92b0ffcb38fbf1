//! A pool of large buffers. In a new one, the system has to supply each page of memory when it is first written, which
//! takes longer than decompressing into it (measured), and freed ones fragment the heap. Pure.

use std::{
    mem,
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// The buffers of this process.
pub static POOL: BufferPool = BufferPool(Mutex::new(Vec::new()));

/// The capacities of the buffers that are kept, in bytes: from the size above which glibc asks the system for each
/// allocation, to twice a page of alerts. Smaller buffers are left to the allocator, and larger ones are freed.
const KEPT: RangeInclusive<usize> = 128 * 1024..=8 * 1024 * 1024;

/// The most buffers that are kept: for two pages, as received and decompressed, and for three batches.
const MAX_KEPT: usize = 7;

/// Buffers that are not in use.
#[derive(Debug)]
pub struct BufferPool(Mutex<Vec<Vec<u8>>>);

impl BufferPool {
    /// Returns an empty buffer for at least `capacity` bytes.
    pub fn take(&self, capacity: usize) -> Vec<u8> {
        if capacity < *KEPT.start() {
            return Vec::with_capacity(capacity);
        }
        // Of a few sizes only, so that a kept one fits.
        let capacity = capacity.next_power_of_two();
        let mut buffers = self.lock();
        match buffers.iter().position(|buffer| buffer.capacity() == capacity) {
            Some(place) => buffers.remove(place),
            None => Vec::with_capacity(capacity),
        }
    }

    /// Makes `buffer` shared memory. When its last slice is dropped, it returns to the pool.
    pub fn share(&'static self, buffer: Vec<u8>) -> Bytes {
        if !KEPT.contains(&buffer.capacity()) {
            return buffer.into();
        }
        Bytes::from_owner(Shared { buffer, pool: self })
    }

    fn keep(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.lock();
        // The one that has been unused for longest is freed.
        if buffers.len() == MAX_KEPT {
            buffers.remove(0);
        }
        buffers.push(buffer);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    buffer: Vec<u8>,
    pool: &'static BufferPool,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.keep(mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_with_its_last_slice() {
        static POOL: BufferPool = BufferPool(Mutex::new(Vec::new()));
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
    fn few_buffers_are_kept_and_none_too_small_or_too_large() {
        static POOL: BufferPool = BufferPool(Mutex::new(Vec::new()));
        for capacity in [*KEPT.start() - 1, *KEPT.end() + 1] {
            drop(POOL.share(Vec::with_capacity(capacity)));
        }
        assert!(POOL.lock().is_empty());
        let all: Vec<_> = (0..MAX_KEPT).map(|_| POOL.share(POOL.take(*KEPT.start()))).collect();
        drop(POOL.share(POOL.take(*KEPT.end())));
        drop(all);
        let capacities: Vec<_> = POOL.lock().iter().map(Vec::capacity).collect();
        assert_eq!(capacities, [*KEPT.start(); MAX_KEPT]);
    }
}
