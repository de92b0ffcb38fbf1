//! The fault table: the release binary runs through every scenario on both sinks, and each row shows what arrived,
//! what was repeated, what the runs reported and how long it took. The exit code is 1 if an alert is lost, if one is
//! repeated without a lost reply or a killed process, or if a run reports success over a failure.

mod scenario;
mod table;
mod trial;

use clap::Args;
use simulator::{Service, Sink};

use self::scenario::Scenario;
use self::trial::Trial;
use crate::binary;

/// The options of `faults`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of alerts, unless the fault has its own
    #[arg(long, default_value_t = 3000)]
    alerts: usize,
    /// Number of machines they are on
    #[arg(long, default_value_t = 100)]
    machines: usize,
    /// Seed of the generated data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the alerts come from
    #[arg(long, default_value = "defender", value_parser = ["defender", "graph"])]
    source: String,
    /// Only the faults whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

impl Options {
    /// The service with the alerts.
    fn source(&self) -> Service {
        if self.source == "graph" { Service::Graph } else { Service::Defender }
    }
}

/// Runs all scenarios; returns true if every promise is kept.
pub(crate) async fn run(options: Options) -> Result<bool, String> {
    let binary = binary::release()?;
    let sinks = [Sink::DataCollector, Sink::LogsIngestion];
    let source = options.source();
    let scenarios = sinks.map(|sink| Scenario::all(source, sink.service()));
    let mut trials = Vec::new();
    table::head();
    for (first, second) in scenarios[0].iter().zip(&scenarios[1]) {
        for (sink, scenario) in sinks.into_iter().zip([first, second]) {
            if scenario.name.contains(&options.only) {
                let trial = Trial::run(&binary, &options, sink, scenario).await?;
                table::row(&trial);
                trials.push(trial);
            }
        }
    }
    table::reasons(&trials);
    Ok(table::verdict(&trials))
}
