//! One whole run of one program, and the medians of several.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use simulator::functions_host::{FunctionsHost, Payload, Start, footprint};
use simulator::{Sink, clock};

use super::contender::{Contender, Program};
use super::figure::{as_f64, grouped, median, megabytes, of_bytes};
use super::peer::Peer;
use super::scene::{Arrived, Call, Kind, Scene};
use crate::app_root::AppRoot;

/// What a run took.
#[derive(Clone, Debug)]
pub(super) struct Run {
    alerts: usize,
    /// From the start of the process until it could be told to run.
    ready_after: Duration,
    /// From the invocation until the last post had come whole, and been answered.
    pub(super) took: Duration,
    /// Processor time between the invocation and the end of the run.
    processor: Duration,
    /// The highest resident memory of the process.
    peak_bytes: u64,
    pub(super) calls: Vec<Call>,
    pub(super) posts: Vec<Bytes>,
}

enum Process {
    /// The app's folder is kept until the process has ended.
    Handler {
        host: Box<FunctionsHost>,
        _app_root: AppRoot,
    },
    Peer(Box<Peer>),
}

impl Run {
    /// Starts the program, has it forward everything once, and looks at what arrived.
    pub(super) async fn of(contender: Contender, binary: &Path, scene: &Scene) -> Result<Self, String> {
        let mut process = Process::start(contender, binary, scene).await?;
        Self::once(&mut process, scene, contender.sink)
            .await
            .map_err(|problem| format!("{contender}: {problem}"))
    }

    async fn once(process: &mut Process, scene: &Scene, sink: Sink) -> Result<Self, String> {
        let gone = || "the process is gone, or there is no /proc".to_owned();
        let pid = process.pid();
        let seen = scene.seen();
        let processor_before = footprint::cpu_time(pid).ok_or_else(gone)?;
        let began = clock::now();
        process.run().await?;
        let processor = footprint::cpu_time(pid).ok_or_else(gone)?.saturating_sub(processor_before);
        let peak_bytes = footprint::memory(pid, "VmHWM").ok_or_else(gone)?;
        let Arrived { calls, posts } = scene.look(seen)?;
        let last_post = calls.iter().rev().find(|call| matches!(call.kind, Kind::Post(_)));
        let last_post = last_post.ok_or_else(|| format!("nothing came to {sink:?}"))?.at;
        let took = Duration::try_from(last_post - began).map_err(|_| "the clock ran backwards".to_owned())?;
        Ok(Self {
            alerts: scene.alerts(),
            ready_after: process.ready_after(),
            took: took + scene.latency(),
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
    async fn start(contender: Contender, binary: &Path, scene: &Scene) -> Result<Self, String> {
        let mut settings = scene.settings(contender.sink);
        Ok(match contender.program {
            Program::Forwarder => {
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

/// The runs of one program.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) contender: Contender,
    runs: Vec<Run>,
}

impl Runs {
    pub(super) const HEAD: &str = "medians                         alerts/s  µs/alert     peak  alert lists  machine calls  posts  ready after";

    pub(super) fn of(contender: Contender) -> Self {
        Self { contender, runs: Vec::new() }
    }

    pub(super) fn push(&mut self, mut run: Run) {
        run.posts.clear();
        self.runs.push(run);
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(figure).collect())
    }

    /// A figure over that of another program in the same round: the machine is not as busy in every round.
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
            self.contender,
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
