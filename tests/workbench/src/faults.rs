//! The fault table: the real release binary goes through everything that is known to go wrong, on both
//! sinks, and each row tells what arrived, what came twice, what the runs said of it and how long it took.
//! The exit code is 1 when an alert is lost, when one repeats without a lost reply or a killed process, or
//! when a run reports success over something else.

mod table;
mod trial;
mod trouble;

use clap::Args;
use simulator::Sink;

use self::trial::Trial;
use crate::binary;

/// The options of `faults`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many alerts there are, where the fault does not say
    #[arg(long, default_value_t = 3000)]
    alerts: usize,
    /// On how many machines they are
    #[arg(long, default_value_t = 100)]
    machines: usize,
    /// Decides over the data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the faults whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// Goes through all faults; true when all is as promised.
pub(crate) async fn run(options: Options) -> Result<bool, String> {
    let binary = binary::release()?;
    let sinks = [Sink::DataCollector, Sink::LogsIngestion];
    let troubles = sinks.map(|sink| trouble::all(sink.service()));
    let mut trials = Vec::new();
    table::head();
    for (first, second) in troubles[0].iter().zip(&troubles[1]) {
        for (sink, trouble) in sinks.into_iter().zip([first, second]) {
            if trouble.name.contains(&options.only) {
                let trial = Trial::run(&binary, &options, sink, trouble).await?;
                table::row(&trial);
                trials.push(trial);
            }
        }
    }
    table::reasons(&trials);
    Ok(table::verdict(&trials))
}
