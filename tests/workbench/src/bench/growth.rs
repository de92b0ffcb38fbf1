//! The same run over more and more alerts: its time may grow in proportion, its memory may not grow.

use std::path::Path;
use std::time::Duration;

use simulator::Sink;

use super::candidate::{Candidate, Program};
use super::run::Run;
use super::workload::Workload;
use crate::figure::{as_f64, grouped, megabytes};

const SIZES: [usize; 4] = [1_000, 10_000, 50_000, 200_000];

/// A longer pause between two calls is a wait for Defender's quota.
const A_PAUSE: Duration = Duration::from_secs(1);

/// The figures of a run over this many alerts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grown {
    pub(super) alerts: f64,
    pub(super) seconds: f64,
    /// How many of the seconds were waits for Defender's quota.
    pub(super) waiting: f64,
    pub(super) processor_an_alert: f64,
    pub(super) peak_bytes: f64,
}

pub(super) async fn measure(binary: &Path, machines: usize) -> Result<Vec<Grown>, String> {
    println!("\nGrowth, signed      seconds   of which waiting for quota  µs/alert     peak");
    let candidate = Candidate { program: Program::Forwarder, sink: Sink::DataCollector };
    let mut grown = Vec::new();
    for alerts in SIZES {
        let workload = Workload::new(alerts, machines, Duration::ZERO).await?;
        let run = Run::of(candidate, binary, &workload).await?;
        let pauses = run.calls.windows(2).filter_map(|pair| Duration::try_from(pair[1].at - pair[0].at).ok());
        let waiting: Duration = pauses.filter(|pause| *pause > A_PAUSE).sum();
        let one = Grown {
            alerts: as_f64(alerts),
            seconds: run.took.as_secs_f64(),
            waiting: waiting.as_secs_f64(),
            processor_an_alert: run.processor_an_alert(),
            peak_bytes: run.peak_bytes(),
        };
        println!(
            "{:>14} {:>12.2} {:>27.1} {:>9.1} {:>8}",
            grouped(one.alerts),
            one.seconds,
            one.waiting,
            one.processor_an_alert,
            megabytes(one.peak_bytes)
        );
        grown.push(one);
    }
    Ok(grown)
}
