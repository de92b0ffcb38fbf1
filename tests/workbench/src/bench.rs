//! Measures whole runs: the release binary as the Functions host starts it, and beside it two programs that do the
//! same job with the services' SDKs, all on the same alerts. Every figure comes from outside of the programs: from the
//! operating system, from the simulated services, and from this program's clock.

mod candidate;
mod ceiling;
mod chart;
mod critical_path;
mod empty_tick;
mod goal;
mod growth;
mod peer;
mod readiness;
mod run;
mod tenants;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::candidate::{Candidate, Program};
use self::chart::Chart;
use self::critical_path::CriticalPath;
use self::goal::{Goal, Measured};
use self::run::{Run, Runs};
use self::workload::Workload;
use crate::figure::{as_f64, grouped, median, of_bytes};
use crate::{binary, environment};

/// The options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of alerts
    #[arg(long, default_value_t = 10_000)]
    alerts: usize,
    /// Number of machines they are on
    #[arg(long, default_value_t = 500)]
    machines: usize,
    /// Runs of each program; the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Latency of every response in the runs with latency
    #[arg(long, default_value_t = 100, value_name = "MS")]
    latency_ms: u64,
    /// Also run over 1,000 to 200,000 alerts, which takes minutes
    #[arg(long)]
    growth: bool,
    /// Leave out the programs in Python and JavaScript
    #[arg(long)]
    no_peers: bool,
    /// Measure the package for many tenants instead, over 100 tenants and ten times as many up to this number
    #[arg(long, value_name = "N")]
    tenants: Option<usize>,
    /// Write the comparison as a bar chart
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Returns true if all goals are reached.
pub(crate) async fn run(options: Options) -> Result<bool, String> {
    println!("Building the release binary of mdatp-forward");
    let binary = binary::release()?;
    if let Some(tenants) = options.tenants {
        println!("\n{}", environment::describe());
        return tenants::measure(&binary, tenants).await;
    }
    let candidates = candidates(&options);
    for candidate in &candidates {
        candidate.install()?;
    }
    println!("\n{}", environment::describe());

    let workload = Workload::new(options.alerts, options.machines, Duration::ZERO).await?;
    let volume = format!("{} alerts of {} bytes", grouped(as_f64(options.alerts)), workload.mean_bytes());
    println!("{volume} on {} machines\n", options.machines);
    let all = compare(&binary, &workload, &candidates, options.rounds).await?;
    let ceiling = ceiling::measure(&workload, &all.last_posts).await?;
    println!(
        "Ceiling of the simulated services, with a client that only transfers: {} alerts/s",
        grouped(ceiling)
    );
    drop(workload);

    let latency = Duration::from_millis(options.latency_ms);
    let (workload, mut ratios) =
        (Workload::new(options.alerts, options.machines, latency).await?, Vec::new());
    println!("\nEvery response takes {} ms", options.latency_ms);
    for candidate in candidates.iter().filter(|candidate| candidate.program == Program::Forwarder) {
        ratios.push((candidate.sink, with_latency(&binary, &workload, *candidate, latency).await?));
    }
    drop(workload);

    let empty = empty_tick::measure(&binary, options.machines).await?;
    println!("\nEmpty ticks, {} of them\n{empty}", empty.ticks);
    let start = readiness::measure(&binary).await?;
    println!("\nFrom start to first response, {} times each in turn\n{start}", readiness::TIMES);
    let grown = match options.growth {
        true => growth::measure(&binary, options.machines).await?,
        false => Vec::new(),
    };
    if let Some(file) = &options.svg {
        let title = format!("{volume} on {} machines, from Defender to Log Analytics", options.machines);
        let svg = Chart { runs: &all.runs, grown: &grown, title }.svg();
        std::fs::write(file, svg).map_err(|problem| format!("{}: {problem}", file.display()))?;
        println!("\nThe chart is in {}", file.display());
    }
    let binary_bytes = of_bytes(std::fs::metadata(&binary).map_err(|problem| problem.to_string())?.len());
    Ok(Goal::print_all(&Measured {
        runs: &all.runs,
        ratios: &ratios,
        empty,
        start,
        grown: &grown,
        binary_bytes,
    }))
}

fn candidates(options: &Options) -> Vec<Candidate> {
    let all = Candidate::all();
    all.into_iter().filter(|one| !(options.no_peers && one.program.is_peer())).collect()
}

struct Compared {
    runs: Vec<Runs>,
    /// The posts of the forwarder's last signed run, with which the ceiling is measured.
    last_posts: Vec<bytes::Bytes>,
}

/// Runs all candidates in each round; each round begins with another one.
async fn compare(
    binary: &Path,
    workload: &Workload,
    candidates: &[Candidate],
    rounds: usize,
) -> Result<Compared, String> {
    let mut all: Vec<_> = candidates.iter().map(|candidate| Runs::of(*candidate)).collect();
    let (ours, mut last_posts) = (candidates[0], Vec::new());
    for round in 0..rounds {
        for place in 0..candidates.len() {
            let place = (place + round) % candidates.len();
            let candidate = candidates[place];
            let run = Run::of(candidate, binary, workload).await?;
            println!("round {} of {rounds}: {candidate:28} {run}", round + 1);
            if candidate == ours {
                last_posts.clone_from(&run.posts);
            }
            all[place].push(run);
        }
    }
    println!("\n{}", Runs::HEAD);
    for runs in &all {
        println!("{runs}");
    }
    Ok(Compared { runs: all, last_posts })
}

/// The run's time over that of its critical path, the median of three runs.
async fn with_latency(
    binary: &Path,
    workload: &Workload,
    candidate: Candidate,
    latency: Duration,
) -> Result<f64, String> {
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let run = Run::of(candidate, binary, workload).await?;
        let path = CriticalPath::of(&run.calls);
        let shortest = latency * path.calls;
        let ratio = run.took.as_secs_f64() / shortest.as_secs_f64();
        println!(
            "{candidate:28} {:.2} s for {} calls; critical path {path}: {ratio:.2} times its {:.1} s",
            run.took.as_secs_f64(),
            run.calls.len(),
            shortest.as_secs_f64()
        );
        ratios.push(ratio);
    }
    Ok(median(ratios))
}
