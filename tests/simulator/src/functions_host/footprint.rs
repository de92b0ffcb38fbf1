//! Memory and processor time of a process, from /proc; `None` where there is none.

use std::time::Duration;

/// Resident memory in bytes: now (`VmRSS`) or at its highest (`VmHWM`).
pub fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&status, field).map(|kilobytes| kilobytes * 1024)
}

/// Processor time used so far, in user and kernel mode, over all threads. The scheduler's counts are in
/// nanoseconds but lose a thread when it ends; those in `stat` do not, so the larger number is right.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let coarse = Duration::from_millis(ticks(&stat)? * 10);
    Some(coarse.max(fine(pid).unwrap_or_default()))
}

fn fine(pid: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let books =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    let nanoseconds = books.filter_map(|book| book.split(' ').next()?.parse::<u64>().ok());
    Some(Duration::from_nanos(nanoseconds.sum()))
}

fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Fields 14 and 15, in hundredths of a second (`USER_HZ` is 100 on every Linux). The name in field 2 may
/// hold blanks and parentheses, so counting begins behind its last one.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_field_name() {
        let status = "Name:\thandler\nVmHWM:\t    9000 kB\nVmRSS:\t    8172 kB\nThreads:\t1\n";
        assert_eq!(kilobytes(status, "VmRSS"), Some(8172));
        assert_eq!(kilobytes(status, "VmHWM"), Some(9000));
        assert_eq!(kilobytes(status, "Vm"), None);
    }

    #[test]
    fn a_name_with_blanks_does_not_shift_the_fields() {
        let stat = "4711 (a ) b) S 1 4711 4711 0 -1 4194304 120 0 0 0 7 5 0 0 20 0 1 0 100 1000 200";
        assert_eq!(ticks(stat), Some(12));
    }
}
