//! The whole run against the stopwatch: the real release binary as the Functions host starts it, and beside it
//! two programs that do the same job with the services' own SDKs, all on the same alerts. What is measured of
//! them comes from the operating system, from the services, and from clocks outside of them.

mod ceiling;
mod chain;
mod chart;
mod contender;
mod empty_tick;
mod figure;
mod goal;
mod growth;
mod peer;
mod readiness;
mod run;
mod scene;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::chart::Chart;
use self::contender::{Contender, Program};
use self::figure::{as_f64, grouped, median, of_bytes};
use self::goal::{Goal, Measured};
use self::run::{Run, Runs};
use self::scene::Scene;
use crate::binary;

/// The options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many alerts there are
    #[arg(long, default_value_t = 10_000)]
    alerts: usize,
    /// On how many machines they are
    #[arg(long, default_value_t = 500)]
    machines: usize,
    /// How often each program runs; the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long every answer takes in the run with latency
    #[arg(long, default_value_t = 100, value_name = "MS")]
    latency_ms: u64,
    /// Also run over 1,000 to 200,000 alerts, which takes some minutes
    #[arg(long)]
    growth: bool,
    /// Leave the programs in Python and JavaScript out
    #[arg(long)]
    no_peers: bool,
    /// Write the comparison as a bar chart
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Measures; true when all goals are reached.
pub(crate) async fn run(options: Options) -> Result<bool, String> {
    println!("Building the release binary of mdatp-forward");
    let binary = binary::release()?;
    let contenders = contenders(&options);
    for contender in &contenders {
        contender.install()?;
    }
    println!("\n{}", crate::surroundings::now());

    let scene = Scene::new(options.alerts, options.machines, Duration::ZERO).await?;
    let volume = format!("{} alerts of {} bytes", grouped(as_f64(options.alerts)), scene.mean_bytes());
    println!("{volume} on {} machines\n", options.machines);
    let all = compare(&binary, &scene, &contenders, options.rounds).await?;
    let ceiling = ceiling::measure(&scene, &all.last_posts).await?;
    println!("The services alone, to a client that only pulls and pushes: {} alerts/s", grouped(ceiling));
    drop(scene);

    let latency = Duration::from_millis(options.latency_ms);
    let (scene, mut ratios) = (Scene::new(options.alerts, options.machines, latency).await?, Vec::new());
    println!("\nEvery answer takes {} ms", options.latency_ms);
    for contender in contenders.iter().filter(|contender| contender.program == Program::Forwarder) {
        ratios.push((contender.sink, with_latency(&binary, &scene, *contender, latency).await?));
    }
    drop(scene);

    let empty = empty_tick::measure(&binary, options.machines).await?;
    println!("\nEmpty ticks, {} of them\n{empty}", empty.ticks);
    let start = readiness::measure(&binary).await?;
    println!("\nFrom start to first answer, {} times each in turn\n{start}", readiness::TIMES);
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

fn contenders(options: &Options) -> Vec<Contender> {
    let all = Contender::all();
    all.into_iter().filter(|one| !options.no_peers || one.program == Program::Forwarder).collect()
}

struct Compared {
    runs: Vec<Runs>,
    /// The posts of our own last run with the plain sink: what the ceiling is measured with.
    last_posts: Vec<bytes::Bytes>,
}

/// Round after round, each begun by another one.
async fn compare(
    binary: &Path,
    scene: &Scene,
    contenders: &[Contender],
    rounds: usize,
) -> Result<Compared, String> {
    let mut all: Vec<_> = contenders.iter().map(|contender| Runs::of(*contender)).collect();
    let (ours, mut last_posts) = (contenders[0], Vec::new());
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let place = (place + round) % contenders.len();
            let contender = contenders[place];
            let run = Run::of(contender, binary, scene).await?;
            println!("round {} of {rounds}: {contender:28} {run}", round + 1);
            if contender == ours {
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

/// The run's time over that of the calls that had to follow each other, the median of three runs.
async fn with_latency(
    binary: &Path,
    scene: &Scene,
    contender: Contender,
    latency: Duration,
) -> Result<f64, String> {
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let run = Run::of(contender, binary, scene).await?;
        let chain = chain::longest(&run.calls);
        let shortest = latency * chain.calls;
        let ratio = run.took.as_secs_f64() / shortest.as_secs_f64();
        println!(
            "{contender:28} {:.2} s for {} calls, of which {chain} must follow each other: {ratio:.2} times their {:.1} s",
            run.took.as_secs_f64(),
            run.calls.len(),
            shortest.as_secs_f64()
        );
        ratios.push(ratio);
    }
    Ok(median(ratios))
}
