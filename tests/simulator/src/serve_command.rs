//! `cargo simulator`: the cloud on fixed ports, with alerts that keep coming, for a forwarder started by
//! `cargo host`, by `func start` or by hand. The committed local.settings.json names these ports.

mod arrivals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use clap::Args;
use simulator::azurite::Azurite;
use simulator::{Cloud, Ports, Route, Service, Sink, Volume, clock, printed_rule};

use self::arrivals::Arrivals;

/// The port local.settings.json begins with.
const FIRST_PORT: u16 = 17070;

/// The emulated storage account of `UseDevelopmentStorage=true`.
const STORAGE_PORT: u16 = 10000;

/// The executable that host.json names, in the folder where `cargo host` and `func start` run.
const EXECUTABLE: &str = "./mdatp-forward";

/// The settings that are the same for both sinks.
const LIKE_IN_LOCAL_SETTINGS: [&str; 3] = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MDATP_API_URL"];

/// The options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The first of five ports: Entra, managed identity, Defender, Data Collector, Logs Ingestion
    #[arg(long, default_value_t = FIRST_PORT)]
    port: u16,
    /// Seed of the generated data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of alerts at the start, spread over the last 23 hours
    #[arg(long, default_value_t = 200)]
    alerts: usize,
    /// Number of new alerts each minute
    #[arg(long, default_value_t = 4)]
    each_minute: u32,
    /// Deploy this data collection rule (JSON), and print which values it drops. By default the rule that
    /// ./mdatp-forward prints; while there is no ./mdatp-forward, any column is accepted
    #[arg(long, value_name = "FILE")]
    rule: Option<PathBuf>,
    /// Do not start Azurite, the storage that the Functions host needs, on port 10000
    #[arg(long)]
    no_storage: bool,
}

/// Serves until Ctrl+C.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    let cloud = Cloud::new(options.seed);
    let rule = deploy(&cloud, options.rule.as_deref())?;
    let day = Duration::from_secs(23 * 3600);
    generate(&cloud, options.alerts, 20, clock::now() - day);
    let served = cloud.serve(Ports::From(options.port)).await?;
    for service in Service::ALL {
        println!("{:16}{}", format!("{service:?}"), served.url(service));
    }
    println!("{:16}{rule}", "the rule");
    let storage = if options.no_storage { None } else { storage().await };
    if options.port == FIRST_PORT {
        println!("\nlocal.settings.json points here: run cargo host or func start in another terminal.");
    }
    println!("For the Data Collector API instead:");
    for (name, value) in served.settings(Sink::DataCollector, Route::ManagedIdentity) {
        if !LIKE_IN_LOCAL_SETTINGS.contains(&name.as_str()) {
            println!("    \"{name}\": \"{value}\",");
        }
    }
    println!("Ctrl+C ends it.\n");

    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped.map_err(|problem| format!("Ctrl+C: {problem}"))?,
        () = keep_coming(&cloud, options.each_minute) => {}
        () = tell(&cloud) => {}
    }
    drop(storage);
    Ok(())
}

/// Deploys the rule, and says which one it is.
fn deploy(cloud: &Cloud, file: Option<&Path>) -> Result<String, String> {
    let executable = Path::new(EXECUTABLE);
    let (from, document) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            (file, text.map_err(|problem| problem.to_string())?)
        }
        None if executable.is_file() => (executable, printed_rule(executable)?),
        None => return Ok(format!("takes any column, since {EXECUTABLE} is not there to print one")),
    };
    match cloud.deploy_rule(&document) {
        Ok(()) => Ok(format!("is that of {}", from.display())),
        Err(problem) => Err(format!("the data collection rule of {}: {problem}", from.display())),
    }
}

fn generate(cloud: &Cloud, alerts: usize, machines: usize, since: OffsetDateTime) {
    cloud.generate(&Volume { alerts, machines, since, until: clock::now() });
}

async fn storage() -> Option<Azurite> {
    match Azurite::try_start_on(STORAGE_PORT).await {
        Ok(azurite) => {
            println!("{:16}{}", "Azurite", azurite.account_url());
            Some(azurite)
        }
        Err(problem) => {
            println!("{:16}not started, so func start needs one of yours: {problem}", "Azurite");
            None
        }
    }
}

/// Adds alerts for ever, evenly.
async fn keep_coming(cloud: &Cloud, each_minute: u32) {
    let Some(pause) = Duration::from_secs(60).checked_div(each_minute) else {
        return std::future::pending().await;
    };
    loop {
        let since = clock::now();
        tokio::time::sleep(pause).await;
        generate(cloud, 1, 0, since);
    }
}

async fn tell(cloud: &Cloud) {
    let mut arrivals = Arrivals::default();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for line in arrivals.since_last(cloud) {
            println!("{line}");
        }
    }
}

#[cfg(test)]
mod tests;
