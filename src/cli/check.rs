//! `mdatp-forward check`: what works and what does not, before the first run or after one failed.

mod call_failure;
mod checks;
mod credentials;
mod defender;
mod finding;
pub mod last_run;
mod principal;
mod proxy;
mod schedule;
mod settings;
mod show;
mod sink;
mod skew;
mod sources;
mod state;
mod support;
mod token;

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    time::Duration,
};

use clap::Args;
use tracing::error;

use super::{
    EXIT_USAGE,
    failure::Failure,
    home::{Home, TenantOption},
    print_line,
};
use crate::{
    clock::Clock,
    config::{local_settings, settings::Settings, time::duration},
};
pub use checks::check as check_services;
use checks::compare_sources;
pub use finding::{CheckResult, Finding, Findings};
pub use settings::findings as settings_findings;

/// The options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Also send one marked test record to the sink. Without this option nothing is written there.
    #[arg(long)]
    pub send: bool,
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
    /// Compare the alerts of Defender's own API with those of Microsoft Graph, of this long until ten minutes ago, and check
    /// nothing else.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub compare_sources: Option<Duration>,
    /// Add the settings of this `local.settings.json`, as func start does: those of the shell take precedence, and the file's
    /// folder becomes the current one.
    #[arg(long, value_name = "FILE")]
    pub local_settings: Option<PathBuf>,
    #[command(flatten)]
    pub tenant: TenantOption,
}

/// Runs all checks, and prints their findings.
pub async fn check(args: &CheckArgs, settings: &Settings, clock: Clock) -> ExitCode {
    if let Some(file) = &args.local_settings {
        let problem = restart(args, file);
        error!("{}: {problem}", file.display());
        return ExitCode::from(EXIT_USAGE);
    }
    let settings = match settings_of(args, settings, clock).await {
        Ok(settings) => settings,
        Err(failure) => return failure.report(),
    };
    let mut findings = Vec::new();
    let mut report = |finding: Finding| {
        if !args.json {
            print_line(finding.to_string().as_bytes());
        }
        findings.push(finding);
    };
    match args.compare_sources {
        Some(span) => compare_sources(&settings, clock, span, &mut report).await,
        None => {
            check_services(&settings, clock, args.send, args.tenant.tenant.as_ref(), &mut report).await;
        }
    }
    let findings = Findings::from(findings);
    if args.json {
        print_line(&serde_json::to_vec(&findings).expect("texts can be written as JSON"));
    }
    findings.result.exit_code()
}

/// Returns the settings to check: the app's own, or those of one of its tenants.
async fn settings_of(args: &CheckArgs, settings: &Settings, clock: Clock) -> Result<Settings, Failure> {
    let Some(tenant) = &args.tenant.tenant else { return Ok(settings.clone()) };
    let home = Home::open(settings, clock)?;
    home.settings_of(&home.entry(tenant).await?)
}

/// Replaces this process by one with the values of `file` in its environment: the libraries for identities read the
/// environment too, and a process cannot change its own safely. Returns only if that fails, with the problem.
fn restart(args: &CheckArgs, file: &Path) -> String {
    let read = fs::read(file).map_err(|error| format!("cannot be read: {error}"));
    let read = read.and_then(|text| local_settings::values(&text).map_err(|error| error.to_string()));
    let values = match read {
        Ok(values) => values,
        Err(problem) => return problem,
    };
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("the path of this program is unknown: {error}"),
    };
    let mut command = process::Command::new(program);
    command.arg("check");
    command.args(args.send.then_some("--send")).args(args.json.then_some("--json"));
    let compared = args.compare_sources.map(|span| format!("--compare-sources={}s", span.as_secs()));
    command.args(compared);
    command.args(args.tenant.tenant.iter().map(|tenant| format!("--tenant={tenant}")));
    // Variables of the shell take precedence over the file, as with func start.
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let values = values.into_iter().filter(|(name, _)| !is_set(name));
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    format!("the check cannot be started: {}", command.envs(values).current_dir(folder).exec())
}
