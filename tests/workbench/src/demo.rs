//! The demo: the real binary, started and invoked as the Functions host does, for two ticks. Between them come new
//! alerts and alerts that become visible late. Then the run reports are compared with what the services counted. The
//! exit code is 1 if a check fails.

mod check;
mod fault_mix;
mod indent;
mod measured;
mod picture;
mod printout;
mod terminal;
mod tick;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use simulator::functions_host::{FunctionsHost, Payload, Start};
use simulator::{Cloud, Ports, Route, Service, Sink, Volume, clock, printed_rule};

use self::fault_mix::FaultMix;
use self::measured::Measured;
use self::tick::Tick;
use crate::app_root::AppRoot;
use crate::binary;

/// The services whose requests a run report does not count.
const TOKENS: [Service; 2] = [Service::Entra, Service::Identity];

/// The demo's options.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of alerts
    #[arg(long, default_value_t = 2000)]
    alerts: usize,
    /// Number of machines they are on
    #[arg(long, default_value_t = 100)]
    machines: usize,
    /// The API they are sent to
    #[arg(long, value_enum, default_value_t = SinkName::DataCollector)]
    sink: SinkName,
    /// Seed of the generated data: the same seed gives the same alerts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What goes wrong during the demo
    #[arg(long, value_enum, default_value_t = FaultMix::None)]
    faults: FaultMix,
    /// Also draw the output as a picture of a terminal (SVG)
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SinkName {
    DataCollector,
    LogsIngestion,
}

/// Runs the demo; returns true if all checks pass.
pub(crate) async fn run(options: Options) -> Result<bool, String> {
    if let Some(file) = &options.svg {
        return picture::draw(file);
    }
    println!("Building mdatp-forward like this program, so that most of it is there already");
    let binary = binary::demo()?;
    let app_root = AppRoot::with(&binary)?;

    let cloud = Cloud::new(options.seed);
    cloud.deploy_rule(&printed_rule(&binary)?)?;
    let served = cloud.serve(Ports::Free).await?;
    let sink = match options.sink {
        SinkName::DataCollector => Sink::DataCollector,
        SinkName::LogsIngestion => Sink::LogsIngestion,
    };
    let mut settings = served.settings(sink, Route::ClientSecret);
    settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
    let host = FunctionsHost::start(Start::new(app_root.path(), settings)).await?;

    // A tenth of the alerts come after the first tick.
    let later = options.alerts / 10;
    let (first, late) = (options.alerts - later, later / 2);
    let begin = clock::now();
    cloud.generate(&Volume {
        alerts: first,
        machines: options.machines,
        since: begin - Duration::from_secs(23 * 3600),
        until: begin,
    });
    options.faults.set(&cloud, sink);
    println!("First tick: {first} alerts on {} machines", options.machines);
    let first_tick = Tick::fire(&host, &cloud, Payload::FirstRun, first).await;

    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let (since, until) = (begin - minutes(40), begin - minutes(1));
    cloud.generate(&Volume { alerts: late, machines: 0, since, until });
    cloud.generate(&Volume { alerts: later - late, machines: 0, since: begin, until: clock::now() });
    println!("Second tick: {} new alerts, {late} created earlier but only visible now", later - late);
    let second_tick = Tick::fire(&host, &cloud, Payload::Regular, later).await;

    let measured = Measured {
        ticks: [first_tick, second_tick],
        expected: cloud.alert_ids(),
        records: cloud.records(),
        rejected: cloud.rejected().len(),
        requests: cloud.requests().iter().filter(|seen| !TOKENS.contains(&seen.service)).count(),
        counts: cloud.counts(),
        peak_bytes: host.peak_bytes(),
    };
    let written = write_records(&cloud)?;
    printout::warnings(&host);
    printout::record(&cloud);
    printout::counts(&measured);
    println!("\nThe records are in {}", written.display());
    Ok(printout::checks(&check::all(&measured)))
}

/// Writes every accepted record as it was sent, one per line.
fn write_records(cloud: &Cloud) -> Result<PathBuf, String> {
    let folder = binary::workspace_root().join("out").join("demo");
    let path = folder.join("records.jsonl");
    let posts = cloud.received();
    let lines: String =
        posts.iter().flat_map(|post| &post.records).flat_map(|record| [record, "\n"]).collect();
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, lines));
    written.map_err(|problem| format!("{}: {problem}", path.display()))?;
    Ok(path)
}
