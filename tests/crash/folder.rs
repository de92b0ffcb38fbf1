//! Watches a checkpoint's file from outside, as closely as one can: a thread that looks without a pause.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use simulator::Steps;

use crate::point::Change;

/// Looks until it is dropped.
pub struct Watch {
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Halts the world when `change` has shown itself `times` times.
    pub fn over(file: PathBuf, change: Change, times: usize, steps: Steps) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        thread::spawn(move || {
            let (mut before, mut seen) = (None, 0);
            while !ends.load(Ordering::Relaxed) {
                let now = look(&file, change);
                if now.is_some() && now != before {
                    seen += 1;
                }
                if seen == times {
                    return steps.halt();
                }
                before = now;
            }
        });
        Self { is_over }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The file that the change brings, by its number: it is there, or there in place of another.
fn look(checkpoint: &Path, change: Change) -> Option<u64> {
    let found = match change {
        Change::Replaced => checkpoint.metadata(),
        Change::Staged => {
            let mut beside = checkpoint.parent()?.read_dir().ok()?.filter_map(Result::ok);
            beside.find(|entry| entry.path() != checkpoint)?.metadata()
        }
    };
    found.ok().map(|file| file.ino())
}
