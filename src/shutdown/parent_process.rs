//! The process that started this one, whose end ends this one too.

use std::{os::unix::process::parent_id, time::Duration};

/// How often the parent is looked for. When a Functions host dies, another host fires the timer once the lease of the
/// dead one has expired: after 60 s in Azure, 15 s on a developer's machine (the `WebJobs` SDK's
/// `SingletonOptions.ListenerLockPeriod`). By then this process must have ended.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The parent process. When it ends, by SIGKILL too, the system gives its children another parent, so a changed parent
/// id is the sign; an id that is used again cannot mislead. (A signal at the parent's death, `PR_SET_PDEATHSIG`, would
/// be sent when the thread ends that started this process, which .NET's threads do early.) In a container the first
/// process is never replaced, and ends its children with it.
#[derive(Debug)]
pub struct ParentProcess {
    id: u32,
}

impl ParentProcess {
    /// Returns the parent as it is now. To be called first of all, since a parent that has already ended is not noticed.
    pub fn current() -> Self {
        Self { id: parent_id() }
    }

    /// Waits until the parent has ended, and up to [`POLL_INTERVAL`] longer.
    pub async fn ended(&self) {
        while parent_id() == self.id {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
