//! `mdatp-forward tenants`: the list of the tenants of an app that forwards the alerts of many.

mod change;
mod check;
mod row;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::Map;
use tracing::info;

use super::{failure::Failure, home::Home, print_line};
use crate::{
    clock::Clock,
    config::{Config, settings::Settings},
    state::{StateErrorKind, StateStore},
    tenants::{TenantCredential, TenantEntry, TenantId, TenantList, TenantSink, TokenFrom},
};
use change::Change;

/// How often a change of the list is tried again because somebody else has changed it meanwhile. Each time that other
/// change is in the list, so somebody makes progress.
const TRIES: usize = 50;

/// The commands of `tenants`.
#[derive(Debug, Subcommand)]
pub enum TenantsCommand {
    /// Add a tenant to the list. The next tick of the timer includes it.
    Add(AddArgs),
    /// Remove a tenant from the list. Its state stays where it is.
    Remove(TenantArgs),
    /// Forward the alerts of a tenant again, from where that stopped.
    Enable(TenantArgs),
    /// Stop forwarding the alerts of a tenant.
    Disable(TenantArgs),
    /// Print the list.
    List(ListArgs),
    /// Check the list and the tenants on it, and print what to fix.
    ///
    /// Prints how the last run of each enabled tenant ended. Of a tenant whose app registration can sign in here, everything is
    /// checked that a run needs, as check --tenant does. The exit code is 0 if all is well, 1 if there are warnings, such as no
    /// run yet, and 2 if something does not work.
    Check(CheckArgs),
}

/// The options of `tenants add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The tenant's id.
    #[arg(value_name = "ID", value_parser = TenantId::parse)]
    pub id: TenantId,
    /// Its name, for people.
    #[arg(long)]
    pub name: String,
    /// The client id of the app registration; `MDATP_CLIENT_ID`, if not given.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// The app setting with the app registration's secret. Without it the app's managed identity is the proof.
    #[arg(long, value_name = "NAME")]
    pub secret_setting: Option<String>,
    /// The endpoint of the Logs Ingestion API; `MDATP_INGESTION_ENDPOINT`, if not given.
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The immutable id of the data collection rule; `MDATP_DCR_ID`, if not given.
    #[arg(long, value_name = "ID")]
    pub dcr: Option<String>,
    /// The stream of the rule; `MDATP_STREAM` of the app, if not given.
    #[arg(long)]
    pub stream: Option<String>,
    /// Whose token the rule gets: home, the app's own identity; tenant, the app registration in the tenant.
    #[arg(long, value_name = "home|tenant", value_parser = TokenFrom::parse, default_value = "home")]
    pub token_from: TokenFrom,
    /// Where the first run begins: a time, or a duration ago; `MDATP_START` of the app, if not given.
    #[arg(long, value_name = "TIME|DURATION")]
    pub start: Option<String>,
    /// Do not forward its alerts yet.
    #[arg(long)]
    pub disabled: bool,
    /// Replace the tenant's entry, if it has another one.
    #[arg(long)]
    pub replace: bool,
}

/// The options of the commands about one tenant.
#[derive(Debug, Args)]
pub struct TenantArgs {
    /// The tenant's id.
    #[arg(value_name = "ID", value_parser = TenantId::parse)]
    pub id: TenantId,
}

/// The options of `tenants list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,
}

/// The options of `tenants check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The tenants' ids; all enabled ones, if none is given.
    #[arg(value_name = "ID", value_parser = TenantId::parse)]
    pub ids: Vec<TenantId>,
    /// Wait for so long, such as 30m, for a run that succeeds.
    #[arg(long, value_name = "DURATION", value_parser = crate::config::time::duration)]
    pub wait: Option<Duration>,
    /// Print the findings as JSON, one tenant per line.
    #[arg(long)]
    pub json: bool,
}

/// Executes a command.
pub async fn tenants(
    command: &TenantsCommand,
    settings: &Settings,
    clock: Clock,
) -> Result<ExitCode, Failure> {
    let home = Home::open(settings, clock)?;
    match command {
        TenantsCommand::Add(args) => add(args, &home, settings).await,
        TenantsCommand::Remove(TenantArgs { id }) => update(&home, &|list| change::remove(list, id)).await,
        TenantsCommand::Enable(TenantArgs { id }) => {
            update(&home, &|list| change::set_enabled(list, id, true)).await
        }
        TenantsCommand::Disable(TenantArgs { id }) => {
            update(&home, &|list| change::set_enabled(list, id, false)).await
        }
        TenantsCommand::List(args) => {
            row::print(&home.list().await?, args.json);
            Ok(ExitCode::SUCCESS)
        }
        TenantsCommand::Check(args) => check::check(args, &home).await,
    }
}

async fn add(args: &AddArgs, home: &Home<'_>, settings: &Settings) -> Result<ExitCode, Failure> {
    let entry = entry(args, settings)?;
    Config::parse(&home.settings_in_the_app(&entry)?)?;
    update(home, &|list| change::add(list, &entry, args.replace)).await
}

/// Makes the entry that the options ask for.
fn entry(args: &AddArgs, settings: &Settings) -> Result<TenantEntry, Failure> {
    let or_setting = |given: &Option<String>, option: &str, setting: &str| {
        given.clone().or_else(|| settings.get(setting)).ok_or_else(|| {
            Failure::usage(format!(
                "neither {option} nor {setting} is given. Fix: give {option}, or set {setting} as in the app"
            ))
        })
    };
    let credential = match &args.secret_setting {
        None => TenantCredential::Federated,
        Some(name) => TenantCredential::parse(&format!("secret:{name}"))
            .map_err(|what| Failure::usage(format!("--secret-setting {name}: {what}")))?,
    };
    Ok(TenantEntry {
        id: args.id.clone(),
        name: args.name.trim().to_owned(),
        enabled: !args.disabled,
        credential,
        client_id: args.client_id.clone(),
        sink: TenantSink {
            endpoint: or_setting(&args.endpoint, "--endpoint", "MDATP_INGESTION_ENDPOINT")?,
            rule: or_setting(&args.dcr, "--dcr", "MDATP_DCR_ID")?,
            stream: args.stream.clone(),
            token_from: args.token_from,
            other_members: Map::new(),
        },
        start: args.start.clone(),
        other_members: Map::new(),
    })
}

/// Changes the list, over the newest one, and prints what has changed.
async fn update(
    home: &Home<'_>,
    change: &dyn Fn(&mut TenantList) -> Result<Change, String>,
) -> Result<ExitCode, Failure> {
    let store = &home.store;
    for _ in 0..TRIES {
        let (mut list, tag) = match store.load_tenants().await? {
            Some((list, tag)) => (list, Some(tag)),
            None => (TenantList::default(), None),
        };
        let done = change(&mut list).map_err(|problem| fail(&problem, store))?;
        if !done.is_change {
            print_line(done.text.as_bytes());
            return Ok(ExitCode::SUCCESS);
        }
        match store.save_tenants(&list, tag.as_ref()).await {
            Ok(_) => {
                print_line(done.text.as_bytes());
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) if matches!(error.kind, StateErrorKind::Conflict) => {
                info!("somebody else has changed the list meanwhile; trying again on the new one");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(fail("somebody else changes it all the time. Fix: try again", store))
}

fn fail(problem: &str, store: &StateStore) -> Failure {
    Failure::usage(format!("{} is not changed: {problem}", store.tenants_place()))
}
