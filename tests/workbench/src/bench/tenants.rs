//! Many tenants on one instance: what a quiet run costs and whether that stays so however many there are, and how much
//! memory as many runs at once take as the host starts.

mod instance;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use simulator::functions_host::footprint;

use self::instance::{Instance, Place};
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

/// Of 10,000 tenants, every five minutes for thirty days.
const RUNS_A_MONTH: f64 = 86.4e6;

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
    /// Operations of queue and blobs in a tick.
    operations: BTreeMap<String, f64>,
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
        let quiet = quiet(binary, tenants, Place::Files).await?;
        println!("{quiet}");
        all.push(quiet);
    }
    println!("The same, state in blobs, in Azurite on this machine");
    let blobs = quiet(binary, FEWEST, Place::Blobs).await?;
    println!("{blobs}");
    let (Some(few), Some(many)) = (all.first(), all.last()) else { return Ok(false) };
    blobs.print_operations();

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
async fn quiet(binary: &Path, tenants: usize, place: Place) -> Result<Quiet, String> {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let instance = Instance::start(binary, tenants, Duration::ZERO, place).await?;
    instance.generate(2, 1, hours(20)..hours(2));
    for _ in 0..2 {
        instance.tick().await?;
    }
    instance.verify(2)?;
    let (processor, requests, operations) =
        (instance.processor()?, instance.requests(), instance.operations());
    let mut took = Duration::ZERO;
    for _ in 0..TICKS {
        took += instance.tick().await?;
    }
    let runs = u32::try_from(tenants * TICKS).map_err(|problem| problem.to_string())?;
    let spent = instance.processor()?.saturating_sub(processor);
    let ticks = as_f64(TICKS);
    let count = |(name, after): (String, u64)| {
        let before = operations.get(&name).copied().unwrap_or_default();
        (name, of_bytes(after - before) / ticks)
    };
    let memory = |field| footprint::memory(instance.worker.pid(), field).map_or(f64::NAN, of_bytes);
    Ok(Quiet {
        tenants,
        processor: spent / runs,
        runs_a_second: f64::from(runs) / took.as_secs_f64(),
        resident_bytes: memory("VmRSS"),
        peak_bytes: memory("VmHWM"),
        operations: instance.operations().into_iter().map(count).collect(),
        requests: of_bytes(instance.requests() - requests) / ticks,
    })
}

/// The highest resident memory over as many tenants with a backlog as the host runs at once.
async fn at_once(binary: &Path) -> Result<f64, String> {
    let instance = Instance::start(binary, AT_ONCE, LATENCY, Place::Files).await?;
    instance.generate(BACKLOG, 50, Duration::from_secs(20 * 3600)..Duration::ZERO);
    instance.tick().await?;
    instance.verify(BACKLOG)?;
    footprint::memory(instance.worker.pid(), "VmHWM")
        .map(of_bytes)
        .ok_or_else(|| "no /proc to read".to_owned())
}

impl Quiet {
    /// Prints the operations of a run, and what they are in a month, beside the counts of the cost table in
    /// docs/tenants.md.
    fn print_operations(&self) {
        println!(
            "\n{:14} {:>8} {:>32} {:>12}",
            "operations", "a run", "a month of 10,000 tenants", "cost table"
        );
        let of = |kind: &str| {
            let counts = self.operations.iter().filter(|(name, _)| name.starts_with(kind));
            counts.map(|(_, count)| count / as_f64(self.tenants)).sum::<f64>()
        };
        let rows = [("queue", "181 million"), ("blob GET", "86.4 million"), ("blob PUT", "7.2 million")];
        for (kind, table) in rows {
            let month = of(kind) * RUNS_A_MONTH / 1e6;
            println!("{kind:14} {:>8.2} {:>24.1} million {table:>12}", of(kind), month);
        }
        println!("Writes of a quiet tenant come once an hour, and so in few of the ticks that are measured");
    }
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
