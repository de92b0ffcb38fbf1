//! A screenshot of the status page for the documents: the real binary runs for some minutes with alerts and failures,
//! writes the page, and a browser takes the screenshot. The clock is the real one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use azure_core::time::to_rfc3339;
use clap::Args;
use simulator::functions_host::{FunctionsHost, Payload, Start};
use simulator::{Cloud, Fault, Ports, Route, Service, Sink, Volume, clock, printed_rule};

use crate::app_root::AppRoot;
use crate::binary;

/// The options of `screenshot`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The picture to write (PNG)
    file: PathBuf,
    /// Number of times the timer fires
    #[arg(long, default_value_t = 120)]
    ticks: usize,
    /// Seconds between two ticks
    #[arg(long, default_value_t = 6)]
    every: u64,
    /// The browser: Chromium, or one that takes its options
    #[arg(long, default_value = "chromium")]
    browser: PathBuf,
    /// Width and height of the picture in pixels
    #[arg(long, default_value = "1000,1600")]
    size: String,
}

/// Runs the forwarder, and takes the screenshot.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    let binary = binary::release()?;
    let app_root = AppRoot::with(&binary)?;
    let cloud = Cloud::new(1);
    cloud.deploy_rule(&printed_rule(&binary)?)?;
    let served = cloud.serve(Ports::Free).await?;
    let mut settings = served.settings(Sink::LogsIngestion, Route::ManagedIdentity);
    settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
    // In proportion to so short a time: else each run would list all of it again.
    settings.push(("MDATP_LOOKBACK".to_owned(), "30s".to_owned()));
    let host = FunctionsHost::start(Start::new(app_root.path(), settings.clone())).await?;
    run_with_failures(&cloud, &host, &options).await;

    let page = app_root.path().join("status.html");
    // The copy that has run: the original may have been built again since.
    let mut status = Command::new(app_root.path().join("mdatp-forward"));
    status.args(["status", "--html"]).arg(&page).env_clear().envs(settings).stdout(Stdio::null());
    let ended = exit_code(&mut status)?;
    // Exit code 1 only means that runs have failed, which the page shows.
    if !matches!(ended, Some(0 | 1)) {
        return Err(format!("mdatp-forward status --html: exit code {ended:?}"));
    }
    take_screenshot(&options, &page)
}

/// Fires all ticks: alerts come in waves, the sink and Defender reject calls for a while, and one record is too long.
async fn run_with_failures(cloud: &Cloud, host: &FunctionsHost, options: &Options) {
    let ticks = options.ticks;
    let mut since = clock::now() - Duration::from_secs(1800);
    let mut timer = tokio::time::interval(Duration::from_secs(options.every));
    for tick in 0..ticks {
        timer.tick().await;
        let (until, machines) = (clock::now(), if tick == 0 { 60 } else { 0 });
        let wave = [90, 35, 0, 0, 12, 140, 60, 20, 0, 8];
        cloud.generate(&Volume { alerts: wave[tick % wave.len()], machines, since, until });
        since = until;
        // Which tenth of the ticks this is.
        match 10 * tick / ticks {
            3 if 10 * (tick - 1) / ticks == 2 => cloud.add_alert(&long_alert()),
            5 => cloud.fault(Fault::status(403).on(Service::LogsIngestion)),
            8 if 10 * (tick - 1) / ticks == 7 => cloud.fault(Fault::status(403).on(Service::Defender)),
            _ => {}
        }
        host.fire(if tick == 0 { Payload::FirstRun } else { Payload::Regular }).await;
    }
}

/// An alert that is longer than the sink takes a record.
fn long_alert() -> String {
    let now = clock::now();
    // Defender's times are no finer than 100 ns.
    let now = to_rfc3339(&(now - azure_core::time::Duration::nanoseconds(now.nanosecond().into())));
    let description = "A very long description. ".repeat(70_000);
    format!(
        r#"{{"id":"da-with-a-long-description","severity":"High","title":"A long description","description":"{description}","alertCreationTime":"{now}","lastUpdateTime":"{now}","machineId":null,"evidence":[]}}"#
    )
}

fn take_screenshot(options: &Options, page: &Path) -> Result<(), String> {
    let Options { file, browser, size, .. } = options;
    let profile = tempfile::tempdir().map_err(|problem| format!("no folder for the browser: {problem}"))?;
    let mut command = Command::new(browser);
    // A container offers no sandbox, and the page is our own.
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={size}"))
        .arg(format!("--screenshot={}", file.display()))
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null());
    match exit_code(&mut command)? {
        Some(0) if file.is_file() => Ok(()),
        code => Err(format!("{} took no screenshot: exit code {code:?}", browser.display())),
    }
}

/// Runs a command, and returns its exit code.
fn exit_code(command: &mut Command) -> Result<Option<i32>, String> {
    let ended = command.status();
    ended
        .map(|status| status.code())
        .map_err(|problem| format!("{}: {problem}", Path::new(command.get_program()).display()))
}
