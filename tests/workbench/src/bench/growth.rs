//! The same run over ever more alerts: time is to grow with them and memory is not.

use std::path::Path;
use std::time::Duration;

use simulator::Sink;

use super::contender::{Contender, Program};
use super::figure::{as_f64, grouped, megabytes};
use super::run::Run;
use super::scene::Scene;

const SIZES: [usize; 4] = [1_000, 10_000, 50_000, 200_000];

/// A pause between two calls that is none of the program's own work.
const A_PAUSE: Duration = Duration::from_secs(1);

/// A run over so many alerts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grown {
    pub(super) alerts: f64,
    pub(super) seconds: f64,
    /// The part of the time in which the quotas of Defender allowed no call.
    pub(super) waiting: f64,
    pub(super) processor_an_alert: f64,
    pub(super) peak_bytes: f64,
}

pub(super) async fn measure(binary: &Path, machines: usize) -> Result<Vec<Grown>, String> {
    println!("\nGrowth, signed      seconds  of them waiting for quotas  µs/alert     peak");
    let contender = Contender { program: Program::Forwarder, sink: Sink::DataCollector };
    let mut grown = Vec::new();
    for alerts in SIZES {
        let scene = Scene::new(alerts, machines, Duration::ZERO).await?;
        let run = Run::of(contender, binary, &scene).await?;
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
