//! A whole run of a candidate, and the medians of several.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use simulator::functions_host::{FunctionsHost, Payload, Start, footprint};
use simulator::{Sink, clock};

use super::candidate::{Candidate, Program};
use super::peer::Peer;
use super::workload::{Call, Kind, Traffic, Workload};
use crate::app_root::AppRoot;
use crate::figure::{as_f64, grouped, median, megabytes, of_bytes};

/// What was measured of a run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    alerts: usize,
    /// From the start of the process until it was ready to run.
    ready_after: Duration,
    /// From the invocation until the last post had arrived and been answered.
    pub(super) took: Duration,
    /// Processor time between the invocation and the end of the run.
    processor: Duration,
    /// The highest resident memory of the process.
    peak_bytes: u64,
    pub(super) calls: Vec<Call>,
    pub(super) posts: Vec<Bytes>,
}

enum Process {
    /// The app's folder has to outlive the process.
    Handler {
        host: Box<FunctionsHost>,
        _app_root: AppRoot,
    },
    Peer(Box<Peer>),
}

impl Run {
    /// Starts the program, has it forward everything once, and verifies what arrived.
    pub(super) async fn of(candidate: Candidate, binary: &Path, workload: &Workload) -> Result<Self, String> {
        let mut process = Process::start(candidate, binary, workload).await?;
        Self::once(&mut process, workload, candidate.sink)
            .await
            .map_err(|problem| format!("{candidate}: {problem}"))
    }

    async fn once(process: &mut Process, workload: &Workload, sink: Sink) -> Result<Self, String> {
        let gone = || "the process is gone, or there is no /proc".to_owned();
        let pid = process.pid();
        let seen = workload.seen();
        let processor_before = footprint::cpu_time(pid).ok_or_else(gone)?;
        let began = clock::now();
        process.run().await?;
        let processor = footprint::cpu_time(pid).ok_or_else(gone)?.saturating_sub(processor_before);
        let peak_bytes = footprint::memory(pid, "VmHWM").ok_or_else(gone)?;
        let Traffic { calls, posts } = workload.verify(seen)?;
        let last_post = calls.iter().rev().find(|call| matches!(call.kind, Kind::Post(_)));
        let last_post = last_post.ok_or_else(|| format!("nothing arrived at {sink:?}"))?.at;
        let took = Duration::try_from(last_post - began).map_err(|_| "the clock ran backwards".to_owned())?;
        Ok(Self {
            alerts: workload.alerts(),
            ready_after: process.ready_after(),
            took: took + workload.latency(),
            processor,
            peak_bytes,
            calls,
            posts,
        })
    }

    pub(super) fn alerts_a_second(&self) -> f64 {
        as_f64(self.alerts) / self.took.as_secs_f64()
    }

    /// Microseconds of processor time for each alert.
    pub(super) fn processor_an_alert(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / as_f64(self.alerts)
    }

    pub(super) fn peak_bytes(&self) -> f64 {
        of_bytes(self.peak_bytes)
    }

    pub(super) fn count(&self, is_counted: impl Fn(Kind) -> bool) -> usize {
        self.calls.iter().filter(|call| is_counted(call.kind)).count()
    }
}

impl Process {
    async fn start(candidate: Candidate, binary: &Path, workload: &Workload) -> Result<Self, String> {
        let mut settings = workload.settings(candidate.sink);
        Ok(match candidate.program {
            Program::Forwarder | Program::FromGraph => {
                let source = if candidate.program == Program::FromGraph { "graph" } else { "defender" };
                settings.push(("MDATP_SOURCE".to_owned(), source.to_owned()));
                let app_root = AppRoot::with(binary)?;
                settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
                let host = FunctionsHost::start(Start::new(app_root.path(), settings)).await?;
                Self::Handler { host: Box::new(host), _app_root: app_root }
            }
            Program::Python => Self::Peer(Box::new(Peer::python(&settings).await?)),
            Program::JavaScript => Self::Peer(Box::new(Peer::javascript(&settings).await?)),
        })
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Handler { host, .. } => host.pid(),
            Self::Peer(peer) => peer.pid,
        }
    }

    fn ready_after(&self) -> Duration {
        match self {
            Self::Handler { host, .. } => host.ready_after(),
            Self::Peer(peer) => peer.ready_after,
        }
    }

    async fn run(&mut self) -> Result<(), String> {
        match self {
            Self::Handler { host, .. } => {
                let invocation = host.fire(Payload::FirstRun).await;
                match invocation.succeeded() && invocation.report["complete"] == true {
                    true => Ok(()),
                    false => Err(format!("{:?}: {}", invocation.outcome, invocation.body)),
                }
            }
            Self::Peer(peer) => peer.run().await,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(
            formatter,
            "{:>8} alerts/s, {:>6.1} µs an alert, {:>9}",
            grouped(self.alerts_a_second()),
            self.processor_an_alert(),
            megabytes(self.peak_bytes())
        )
    }
}

/// The runs of a candidate.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) candidate: Candidate,
    runs: Vec<Run>,
}

impl Runs {
    pub(super) const HEAD: &str = "medians                         alerts/s  µs/alert     peak  alert lists  machine calls  posts  ready after";

    pub(super) fn of(candidate: Candidate) -> Self {
        Self { candidate, runs: Vec::new() }
    }

    pub(super) fn push(&mut self, mut run: Run) {
        run.posts.clear();
        self.runs.push(run);
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(figure).collect())
    }

    /// The median ratio of a figure to that of another candidate in the same round: the load of the machine differs
    /// from round to round.
    pub(super) fn over(&self, other: &Self, figure: impl Fn(&Run) -> f64) -> f64 {
        let rounds = self.runs.iter().zip(&other.runs);
        median(rounds.map(|(run, other)| figure(run) / figure(other)).collect())
    }

    pub(super) fn alerts_a_second(&self) -> f64 {
        self.median(Run::alerts_a_second)
    }

    pub(super) fn processor_an_alert(&self) -> f64 {
        self.median(Run::processor_an_alert)
    }

    pub(super) fn peak_bytes(&self) -> f64 {
        self.median(Run::peak_bytes)
    }

    pub(super) fn pages(&self) -> f64 {
        self.median(|run| as_f64(run.count(|kind| kind == Kind::Page)))
    }

    pub(super) fn machine_calls(&self) -> f64 {
        self.median(|run| as_f64(run.count(|kind| kind == Kind::Machines)))
    }

    fn posts(&self) -> f64 {
        self.median(|run| as_f64(run.count(|kind| matches!(kind, Kind::Post(_)))))
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(
            formatter,
            "{:28} {:>11} {:>9.1} {:>8} {:>12} {:>14} {:>6} {:>9.0} ms",
            self.candidate,
            grouped(self.alerts_a_second()),
            self.processor_an_alert(),
            megabytes(self.peak_bytes()),
            self.pages(),
            self.machine_calls(),
            self.posts(),
            self.median(|run| run.ready_after.as_secs_f64() * 1e3),
        )
    }
}
