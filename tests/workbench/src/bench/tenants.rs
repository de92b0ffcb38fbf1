//! Many tenants on one instance: what a quiet run costs and whether that stays so however many there are, and how much
//! memory as many runs at once take as the host starts.

mod instance;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use simulator::functions_host::footprint;

use self::instance::Instance;
use super::goal::{Goal, milliseconds, times};
use crate::figure::{as_f64, grouped, megabytes, of_bytes};

/// The smallest number of tenants that is measured.
const FEWEST: usize = 100;

/// Quiet ticks that are measured, after one that delivers something and one that is not counted.
const TICKS: usize = 3;

/// So many runs are under way at once: `batchSize` and `newBatchThreshold` of the package's host.json.
const AT_ONCE: usize = 128;

/// The alerts of each tenant that is measured for memory: several full pages.
const BACKLOG: usize = 1_000;

/// Makes runs overlap that are measured for memory.
const LATENCY: Duration = Duration::from_millis(50);

/// What the quiet runs of so many tenants cost.
struct Quiet {
    tenants: usize,
    /// Processor time of a run.
    processor: Duration,
    runs_a_second: f64,
    resident_bytes: f64,
    peak_bytes: f64,
    /// Operations of the queue in a tick.
    queue: BTreeMap<&'static str, f64>,
    /// Requests to the services in a tick.
    requests: f64,
}

/// Prints what was measured beside the goals; true if all are reached.
pub(super) async fn measure(binary: &Path, most: usize) -> Result<bool, String> {
    println!("\nQuiet ticks of many tenants on one instance, state in files");
    println!(
        "{:>8} {:>10} {:>14} {:>10} {:>10} {:>12}",
        "tenants", "runs/s", "processor/run", "resident", "peak", "requests/run"
    );
    let mut sizes: Vec<_> =
        std::iter::successors(Some(FEWEST), |size| Some(size * 10)).take_while(|size| *size < most).collect();
    sizes.push(most);
    let mut all = Vec::new();
    for tenants in sizes {
        let quiet = quiet(binary, tenants).await?;
        println!("{quiet}");
        all.push(quiet);
    }
    let (Some(few), Some(many)) = (all.first(), all.last()) else { return Ok(false) };
    println!("\nOperations a message, of the queue: {}", operations(many));
    println!("The cost table counts 2.1 a message, and one read of a checkpoint a quiet run");

    let peak = at_once(binary).await?;
    println!("\n{AT_ONCE} runs at once over {} alerts each: peak {}", grouped(BACKLOG), megabytes(peak));
    let most_processor = all.iter().map(|quiet| quiet.processor).max().unwrap_or_default();
    let growth = many.processor.as_secs_f64() / few.processor.as_secs_f64();
    Ok(Goal::print(&[
        Goal::at_most("quiet run, processor", 1.0, most_processor.as_secs_f64() * 1e3, milliseconds),
        Goal::at_most(
            format!("the same, {} over {} tenants", grouped(many.tenants), few.tenants),
            1.25,
            growth,
            times,
        ),
        Goal::at_most(format!("peak memory, {AT_ONCE} runs at once"), 256e6, peak, megabytes),
        Goal::at_most(
            format!("peak memory, {} tenants", grouped(many.tenants)),
            256e6,
            many.peak_bytes,
            megabytes,
        ),
    ]))
}

/// Ticks over tenants of whom each has a few alerts, all older than the look-back.
async fn quiet(binary: &Path, tenants: usize) -> Result<Quiet, String> {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let instance = Instance::start(binary, tenants, Duration::ZERO).await?;
    instance.generate(2, 1, hours(20)..hours(2));
    for _ in 0..2 {
        instance.tick().await?;
    }
    instance.verify(2)?;
    let (processor, requests, queue) = (instance.processor()?, instance.requests(), instance.operations());
    let mut took = Duration::ZERO;
    for _ in 0..TICKS {
        took += instance.tick().await?;
    }
    let runs = u32::try_from(tenants * TICKS).map_err(|problem| problem.to_string())?;
    let spent = instance.processor()?.saturating_sub(processor);
    let ticks = as_f64(TICKS);
    let count = |(name, after): (&'static str, u64)| {
        let before = queue.get(name).copied().unwrap_or_default();
        (name, of_bytes(after - before) / ticks)
    };
    let memory = |field| footprint::memory(instance.worker.pid(), field).map_or(f64::NAN, of_bytes);
    Ok(Quiet {
        tenants,
        processor: spent / runs,
        runs_a_second: f64::from(runs) / took.as_secs_f64(),
        resident_bytes: memory("VmRSS"),
        peak_bytes: memory("VmHWM"),
        queue: instance.operations().into_iter().map(count).collect(),
        requests: of_bytes(instance.requests() - requests) / ticks,
    })
}

/// The highest resident memory over as many tenants with a backlog as the host runs at once.
async fn at_once(binary: &Path) -> Result<f64, String> {
    let instance = Instance::start(binary, AT_ONCE, LATENCY).await?;
    instance.generate(BACKLOG, 50, Duration::from_secs(20 * 3600)..Duration::ZERO);
    instance.tick().await?;
    instance.verify(BACKLOG)?;
    footprint::memory(instance.worker.pid(), "VmHWM")
        .map(of_bytes)
        .ok_or_else(|| "no /proc to read".to_owned())
}

fn operations(quiet: &Quiet) -> String {
    let tenants = as_f64(quiet.tenants);
    let each = quiet.queue.iter().filter(|(_, count)| **count > 0.0);
    let each: Vec<_> = each.map(|(name, count)| format!("{name} {:.3}", count / tenants)).collect();
    let sum: f64 = quiet.queue.values().sum();
    format!("{:.2} ({})", sum / tenants, each.join(", "))
}

impl std::fmt::Display for Quiet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            formatter,
            "{:>8} {:>10} {:>14} {:>10} {:>10} {:>12.2}",
            grouped(self.tenants),
            grouped(self.runs_a_second),
            milliseconds(self.processor.as_secs_f64() * 1e3),
            megabytes(self.resident_bytes),
            megabytes(self.peak_bytes),
            self.requests / as_f64(self.tenants)
        )
    }
}
