//! The folder of a checkpoint, from outside.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use simulator::Steps;

/// Watches the checkpoint's file until it is dropped, as closely as one can: a thread that looks without a
/// pause.
pub struct SkewProbe {
    is_over: Arc<AtomicBool>,
    seen: Arc<AtomicUsize>,
}

impl SkewProbe {
    /// Halts the world when `file` has been replaced `times` times.
    pub fn over(file: PathBuf, times: usize, steps: Steps) -> Self {
        let watch = Self { is_over: Arc::default(), seen: Arc::default() };
        let (is_over, seen) = (watch.is_over.clone(), watch.seen.clone());
        thread::spawn(move || {
            let mut before = None;
            while !is_over.load(Ordering::Relaxed) {
                let now = file.metadata().ok().map(|file| file.ino());
                if now.is_some() && now != before && seen.fetch_add(1, Ordering::Relaxed) + 1 == times {
                    return steps.halt();
                }
                before = now;
            }
        });
        watch
    }

    /// How often it has been replaced so far.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for SkewProbe {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Leaves what a death in the middle of a save leaves: the old checkpoint, and half of a new one beside it
/// under the name that the store gives it.
pub fn half_write(checkpoint: &Path) -> std::io::Result<()> {
    let whole = std::fs::read(checkpoint)?;
    std::fs::write(checkpoint.with_extension("json#1"), &whole[..whole.len() / 2])
}
