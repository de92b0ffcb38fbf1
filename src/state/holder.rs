//! The name of a process, for its leases, by which another process on the same machine also sees that it is gone.

use std::{fmt, fs, path::Path, process};

use serde::{Deserialize, Serialize};

/// The name of a process: `machine/pid/start`, or without `/proc` something that is only unique.
///
/// `machine` stands for the boot of a machine and its namespace of process ids, so that the same process id in another
/// container is another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(String);

impl Holder {
    /// The name of this process.
    pub fn this_process() -> Self {
        let pid = process::id();
        match (machine(), start_of(pid)) {
            (Some(machine), Some(start)) => Self(format!("{machine}/{pid}/{start}")),
            _ => Self(format!("process-{:016x}", fastrand::u64(..))),
        }
    }

    /// A given name, for one of several processes of a test.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// True when this names a process of this machine that no longer runs. A handler that was killed, and that the host
    /// starts again at once, need not wait for its own lease.
    pub fn is_gone(&self) -> bool {
        let mut parts = self.0.split('/');
        let (Some(place), Some(pid), Some(start)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let Some(pid) = pid.parse().ok().filter(|_| machine().as_deref() == Some(place)) else {
            return false;
        };
        start_of(pid).as_deref() != Some(start)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The machine since it was booted, and the namespace of its process ids.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{namespace}", boot.trim()))
}

/// The time at which a process started, in clock ticks since boot (`proc_pid_stat(5)`, field 22); `None` when it does not
/// run. A process that has ended but was not waited for yet does not run either (state `Z`).
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The second field, the name in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| ticks.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_not_gone_and_one_that_has_ended_is() {
        let own = Holder::this_process();
        assert!(!own.is_gone() && own == Holder::this_process());
        let mut child = process::Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = child.id();
        let of_child =
            Holder(format!("{}/{pid}/{}", machine().expect("/proc"), start_of(pid).expect("it runs")));
        assert!(!of_child.is_gone());
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
        assert!(of_child.is_gone());
    }

    #[test]
    fn nothing_is_known_of_processes_elsewhere() {
        let own = Holder::this_process().to_string();
        let (machine, process) = own.split_once('/').expect("/proc");
        let (pid, _) = process.split_once('/').expect("/proc");
        for name in ["a", "process-00", &format!("other-machine/{process}"), "other/x/y"] {
            assert!(!Holder::named(name).is_gone(), "{name}");
        }
        assert!(Holder::named(&format!("{machine}/{pid}/1")).is_gone(), "another process had this id before");
    }
}
