//! `mdatp-forward tenants check`: the list, the settings of each tenant, how its last run ended, and what its services say.

use std::{process::ExitCode, time::Duration};

use serde::Serialize;
use tokio::time::Instant;
use tracing::info;

use super::CheckArgs;
use crate::{
    cli::{
        check::{self, CheckResult, Finding, Findings, last_run},
        failure::Failure,
        home::{self, Home},
        print_line,
        status::of_tenants,
    },
    config::Config,
    error_chain::chain,
    state::StateErrorKind,
    status::tenants::TenantStatus,
    tenants::TenantEntry,
};

/// The name of the check of the list.
const LIST: &str = "tenants";

/// The time between two looks at the state while waiting for a run.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The findings about a tenant, as `tenants check --json` prints them.
#[derive(Debug, Serialize)]
struct TenantFindings<'a> {
    tenant: &'a str,
    name: &'a str,
    #[serde(flatten)]
    findings: Findings,
}

/// Checks the list and the tenants on it.
pub(super) async fn check(args: &CheckArgs, home: &Home<'_>) -> Result<ExitCode, Failure> {
    let list = match home.store.load_tenants().await {
        Ok(list) => list.map(|(list, _)| list).unwrap_or_default(),
        Err(error) if matches!(error.kind, StateErrorKind::DamagedList(_)) => {
            let finding = Finding::failure(LIST, chain(&error), error.fix().unwrap_or_default());
            print_line(finding.to_string().as_bytes());
            return Ok(CheckResult::Failure.exit_code());
        }
        Err(error) => return Err(error.into()),
    };
    let mut chosen = Vec::new();
    for id in &args.ids {
        chosen.push(list.get(id).ok_or_else(|| home::unknown(id, &home.store))?);
    }
    if args.ids.is_empty() {
        chosen.extend(list.entries().iter().filter(|entry| entry.enabled));
    }
    if chosen.is_empty() {
        let place = home.store.tenants_place();
        let finding =
            Finding::warning(LIST, format!("no tenant is enabled in {place}"), "mdatp-forward tenants add");
        print_line(finding.to_string().as_bytes());
        return Ok(CheckResult::Warning.exit_code());
    }
    let read = async || of_tenants(&chosen, &home.store, home.clock.now()).await;
    let mut states = read().await?;
    let until = Instant::now() + args.wait.unwrap_or_default();
    let mut said = String::new();
    let is_waited_for = |(_, found): &(&TenantStatus, Finding)| found.result != CheckResult::Ok;
    while let Some((state, found)) =
        states.iter().map(|state| (state, last_run(state, home))).find(is_waited_for)
        && Instant::now() < until
    {
        let line = format!("{}: {}; waiting for a run that succeeds", state.name, found.message);
        if line != said {
            info!("{line}");
            said = line;
        }
        tokio::time::sleep(POLL_INTERVAL.min(until - Instant::now())).await;
        states = read().await?;
    }
    let mut worst = CheckResult::Ok;
    for (entry, state) in chosen.iter().zip(&states) {
        // Those that are named are checked as a whole; to call the services of all would take long.
        let findings = findings(entry, last_run(state, home), home, !args.ids.is_empty()).await?;
        worst = worst.max(findings.result);
        print(entry, findings, args.json);
    }
    Ok(worst.exit_code())
}

fn last_run(state: &TenantStatus, home: &Home<'_>) -> Finding {
    last_run::finding(state, home.clock.now())
}

async fn findings(
    entry: &TenantEntry,
    last_run: Finding,
    home: &Home<'_>,
    is_whole: bool,
) -> Result<Findings, Failure> {
    let mut findings = Vec::new();
    match is_whole && home.can_sign_in(entry) {
        true => {
            let (settings, mut report) = (home.settings_of(entry)?, |finding| findings.push(finding));
            check::check_services(&settings, home.clock, false, Some(&entry.id), &mut report).await;
        }
        false => {
            let config = Config::parse(&home.settings_in_the_app(entry)?);
            findings.extend(check::settings_findings(config));
            // A run that has succeeded has used them all.
            if is_whole && last_run.result != CheckResult::Ok {
                let why =
                    "the app registration cannot sign in here: set MDATP_CLIENT_SECRET to one of its secrets";
                findings.push(Finding::not_checked("services", why));
            }
        }
    }
    findings.push(last_run);
    Ok(Findings::from(findings))
}

fn print(entry: &TenantEntry, findings: Findings, as_json: bool) {
    let (tenant, name) = (entry.id.as_str(), entry.name.as_str());
    if as_json {
        let line = serde_json::to_vec(&TenantFindings { tenant, name, findings });
        return print_line(&line.expect("texts can be written as JSON"));
    }
    for finding in findings.findings {
        print_line(format!("{tenant}  {finding}").as_bytes());
    }
}
