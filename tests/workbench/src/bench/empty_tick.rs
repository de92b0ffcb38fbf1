//! Ticks without new alerts, as most are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use simulator::functions_host::{FunctionsHost, Payload, Start, footprint};
use simulator::{Sink, clock};

use super::workload::{Kind, Workload};
use crate::app_root::AppRoot;

/// Defender's quota allows 100 calls a minute: these and the run before them do not wait for it.
const TICKS: u32 = 60;

/// What an empty tick costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct EmptyTick {
    pub(super) ticks: u32,
    /// Calls of the alerts list, in all ticks.
    pub(super) lists: usize,
    /// Other calls, in all ticks.
    pub(super) others: usize,
    /// Processor time of one tick.
    pub(super) processor: Duration,
    /// From the invocation to the reply of one tick.
    pub(super) took: Duration,
    /// Ticks that wrote to the state.
    pub(super) writes: u32,
}

/// Runs once over alerts that are all older than the look-back, then fires the empty ticks.
pub(super) async fn measure(binary: &Path, machines: usize) -> Result<EmptyTick, String> {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let now = clock::now();
    let workload = Workload::between(1000, machines, Duration::ZERO, now - hours(20), now - hours(2)).await?;
    let app_root = AppRoot::with(binary)?;
    let state = app_root.state();
    let mut settings = workload.settings(Sink::DataCollector);
    settings.push(("MDATP_STATE".to_owned(), format!("file:{}", state.display())));
    let host = FunctionsHost::start(Start::new(app_root.path(), settings)).await?;
    fire(&host).await?;
    workload.verify(0)?;

    let seen = workload.seen();
    let processor = |host: &FunctionsHost| footprint::cpu_time(host.pid()).ok_or("no /proc to read");
    let mut tick = EmptyTick {
        ticks: TICKS,
        lists: 0,
        others: 0,
        processor: Duration::ZERO,
        took: Duration::ZERO,
        writes: 0,
    };
    let (before, mut written) = (processor(&host)?, times(&state)?);
    for _ in 0..TICKS {
        tick.took += fire(&host).await?;
        let now = times(&state)?;
        tick.writes += u32::from(now != written);
        written = now;
    }
    tick.processor = processor(&host)?.saturating_sub(before) / TICKS;
    tick.took /= TICKS;
    let calls = workload.calls_since(seen);
    tick.lists = calls.iter().filter(|call| call.kind == Kind::Page).count();
    tick.others = calls.len() - tick.lists + workload.served.take_unread().len();
    Ok(tick)
}

async fn fire(host: &FunctionsHost) -> Result<Duration, String> {
    let invocation = host.fire(Payload::Regular).await;
    match invocation.succeeded() && invocation.report["complete"] == true {
        true => Ok(invocation.took),
        false => Err(format!("a tick: {:?}: {}", invocation.outcome, invocation.body)),
    }
}

/// The time at which each file of the state was last written.
fn times(folder: &Path) -> Result<BTreeMap<PathBuf, SystemTime>, String> {
    let mut times = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let read = || -> std::io::Result<Vec<_>> {
            std::fs::read_dir(&folder)?
                .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))))
                .collect()
        };
        for (path, file) in read().map_err(|problem| format!("{}: {problem}", folder.display()))? {
            match file.is_dir() {
                true => folders.push(path),
                false => {
                    times.insert(path, file.modified().map_err(|problem| problem.to_string())?);
                }
            }
        }
    }
    Ok(times)
}

impl fmt::Display for EmptyTick {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(
            formatter,
            "{} list calls, {} others, {:.2} ms of processor time and {:.2} ms each; {} wrote to the state",
            self.lists,
            self.others,
            self.processor.as_secs_f64() * 1e3,
            self.took.as_secs_f64() * 1e3,
            self.writes
        )
    }
}
