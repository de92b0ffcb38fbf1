//! `cargo simulator`: the cloud on fixed ports, with alerts that keep coming, for a forwarder started by
//! `func start` or by hand. The committed local.settings.json names these ports.

mod arrivals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use clap::Args;
use simulator::azurite::Azurite;
use simulator::functions_host::{FunctionsHost, Start};
use simulator::{Cloud, Ports, Route, Service, Sink, Volume, clock};

use self::arrivals::Arrivals;
use crate::app_root::AppRoot;
use crate::binary;

/// The port local.settings.json begins with.
const FIRST_PORT: u16 = 17070;

/// The emulated storage account of `UseDevelopmentStorage=true`.
const STORAGE_PORT: u16 = 10000;

/// The options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The first of five ports: Entra, managed identity, Defender, Data Collector, Logs Ingestion
    #[arg(long, default_value_t = FIRST_PORT)]
    port: u16,
    /// Decides over the data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many alerts there are at the start, spread over the last 23 hours
    #[arg(long, default_value_t = 200)]
    alerts: usize,
    /// How many come each minute
    #[arg(long, default_value_t = 4)]
    each_minute: u32,
    /// Deploy this data collection rule (JSON): what it keeps from the table is told. Without one, any column
    /// is taken
    #[arg(long, value_name = "FILE")]
    rule: Option<PathBuf>,
    /// Start no Azurite on port 10000, the storage that the Functions host needs
    #[arg(long)]
    no_storage: bool,
    /// Also build the forwarder, start it as the Functions host does, and invoke it every so many seconds
    #[arg(long, value_name = "SECONDS")]
    every: Option<u32>,
}

/// Serves until Ctrl+C.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    let cloud = Cloud::new(options.seed);
    if let Some(file) = &options.rule {
        deploy(&cloud, file)?;
    }
    let day = Duration::from_secs(23 * 3600);
    generate(&cloud, options.alerts, 20, clock::now() - day);
    let served = cloud.serve(Ports::From(options.port)).await?;
    for service in Service::ALL {
        println!("{:16}{}", format!("{service:?}"), served.url(service));
    }
    let storage = if options.no_storage { None } else { storage().await };
    if options.port == FIRST_PORT {
        println!("\nlocal.settings.json points here: run func start in another terminal.");
    }
    println!("Ctrl+C ends it.\n");

    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped.map_err(|problem| format!("Ctrl+C: {problem}"))?,
        () = keep_coming(&cloud, options.each_minute) => {}
        () = tell(&cloud) => {}
        ended = tick(&options, served.settings(Sink::DataCollector, Route::ManagedIdentity)) => ended?,
    }
    drop(storage);
    Ok(())
}

fn deploy(cloud: &Cloud, file: &Path) -> Result<(), String> {
    let document = std::fs::read_to_string(file).map_err(|problem| problem.to_string());
    let deployed = document.and_then(|document| cloud.deploy_rule(&document));
    deployed.map_err(|problem| format!("the data collection rule {}: {problem}", file.display()))
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

/// New alerts for ever, evenly.
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

/// Stands in for the Functions host, if asked to.
async fn tick(options: &Options, mut settings: Vec<(String, String)>) -> Result<(), String> {
    let Some(every) = options.every else {
        return std::future::pending().await;
    };
    let binary =
        tokio::task::spawn_blocking(binary::build).await.map_err(|problem| problem.to_string())??;
    let app_root = AppRoot::with(&binary)?;
    settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
    let host = FunctionsHost::start(Start::new(app_root.path(), settings)).await?;
    let every = azure_core::time::Duration::seconds(every.max(1).into());
    host.run_timer(every, std::future::pending(), |invocation| {
        println!("invocation {} {:?}", invocation.id, invocation.outcome);
        for line in &invocation.logs {
            println!("  {line}");
        }
    })
    .await;
    Err(format!("the handler ended and the host would not start it again: {:?}", host.stderr()))
}

#[cfg(test)]
mod tests;
