//! All settings, read once into typed values. [`Config::parse`] looks at every setting before it fails, so that an
//! operator sees all problems at once.

pub mod cloud;
pub mod endpoint;
mod identity;
pub mod local_settings;
pub mod partial;
mod problem;
mod reader;
pub mod reference;
pub mod settings;
mod shared;
mod sink;
mod source;
mod state;
pub mod storage;
pub mod time;

use std::time::Duration;

use crate::{record::alert::Mode, schema::Shape};
use endpoint::Endpoint;
pub use identity::{Identity, IdentitySettings, Owner, SourceIdentity};
use partial::PartialConfig;
pub use problem::{SettingProblem, SettingsError};
use reader::SettingsReader;
use settings::Settings;
pub use shared::SharedConfig;
pub use sink::{SinkConfig, log_name};
pub use source::{AlertSource, MachineSource};
pub use state::StateConfig;
pub use time::Start;
use time::duration;

/// The largest page of alerts that can be asked for: the maximum value of `$top` (documentation page "List alerts API").
pub const LARGEST_PAGE: u32 = 10_000;

/// All settings of the program. The documentation of each field names its setting and the default.
#[derive(Debug, Clone)]
pub struct Config {
    /// The app's own identity: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`,
    /// `AZURE_FEDERATED_TOKEN_FILE`, `IDENTITY_ENDPOINT`.
    pub identity: Identity,
    /// The identity that calls Defender: `MDATP_TENANT_ID`, `MDATP_CLIENT_ID`, `MDATP_CLIENT_SECRET`,
    /// `MDATP_MANAGED_IDENTITY_CLIENT_ID` (default: the app's own identity).
    pub source: SourceIdentity,
    /// Entra ID's host, `AZURE_AUTHORITY_HOST` (default by cloud).
    pub authority: Endpoint,
    /// `MDATP_SOURCE` (default `defender`): where alerts are read.
    pub alert_source: AlertSource,
    /// `MDATP_MACHINES` (default `api` with Defender, `evidence` with Graph): where machines are read.
    pub machine_source: MachineSource,
    /// `MDATP_GRAPH_URL` (default by cloud).
    pub graph_url: Endpoint,
    /// `MDATP_GRAPH_SCOPE` (default by cloud).
    pub graph_scope: String,
    /// `MDATP_API_URL` (default by cloud).
    pub api_url: Endpoint,
    /// `MDATP_API_SCOPE` (default by cloud).
    pub api_scope: String,
    /// `MDATP_SINK` and the settings of the chosen sink.
    pub sink: SinkConfig,
    /// `MDATP_SINK_IDENTITY` (default `app`): whose token the Logs Ingestion API gets.
    pub sink_identity: Owner,
    /// `MDATP_RECORD_SHAPE` (default `native` for the Logs Ingestion API, else `union`).
    pub shape: Shape,
    /// `MDATP_ALERT_FETCH` (default `list`).
    pub fetch: AlertFetch,
    /// `MDATP_MODE` (default `created`).
    pub mode: Mode,
    /// `MDATP_START` (default 24h).
    pub start: Start,
    /// `MDATP_LOOKBACK` (default 1h).
    pub lookback: Duration,
    /// `MDATP_PAGE_SIZE` (default 1000): the number of alerts of a full page.
    pub page_size: u32,
    /// `MDATP_RUN_BUDGET` (default 8m).
    pub run_budget: Duration,
    /// `MDATP_QUOTA_SHARE` (default 0.8): the part of Defender's quotas that may be used.
    pub quota_share: f64,
    /// `MDATP_ENRICH_PATIENCE` (default 30m): the enrichment timeout, that is how old an alert may get while its machine
    /// cannot be read.
    pub enrichment_timeout: Duration,
    /// `MDATP_MACHINE_TTL` (default 1h): how long a machine is kept between runs.
    pub machine_ttl: Duration,
    /// `MDATP_HEALTH` (default off): whether a row about each run is sent to the sink.
    pub health: bool,
    /// `MDATP_STATE` (default `blob:mdatp-forward`).
    pub state: StateConfig,
}

/// Whether the list's own alerts are forwarded or each is fetched again by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertFetch {
    /// Whole alerts from the list, evidence expanded: one call a page.
    List,
    /// The list only names the alerts; each is fetched by `GET /api/alerts/{id}`, as the Logic App did.
    ById,
}

impl Config {
    /// Reads and checks every setting.
    ///
    /// # Errors
    /// Returns all problems with the settings together.
    pub fn parse(settings: &Settings) -> Result<Self, SettingsError> {
        let mut reader = SettingsReader::new(settings);

        let PartialConfig {
            cloud: _,
            identity,
            source,
            authority,
            alerts_and_machines,
            api_url,
            api_scope,
            graph_url,
            graph_scope,
            sink,
            sink_identity,
            shape,
            state,
        } = PartialConfig::read_with(&mut reader);
        let fetch = reader.one_of(
            "MDATP_ALERT_FETCH",
            "list",
            &[("list", AlertFetch::List), ("by-id", AlertFetch::ById)],
        );
        let mode =
            reader.one_of("MDATP_MODE", "created", &[("created", Mode::Created), ("updated", Mode::Updated)]);
        let start = reader.parsed("MDATP_START", "24h", Start::parse);
        let lookback = reader.parsed("MDATP_LOOKBACK", "1h", duration);
        let page_size = reader.parsed("MDATP_PAGE_SIZE", "1000", |text| {
            let size = text.parse().ok().filter(|size| (1..=LARGEST_PAGE).contains(size));
            size.ok_or_else(|| format!("must be a whole number from 1 to {LARGEST_PAGE}"))
        });
        let run_budget = reader.parsed("MDATP_RUN_BUDGET", "8m", |text| {
            let budget = duration(text)?;
            if budget.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(budget) }
        });
        let quota_share = reader.parsed("MDATP_QUOTA_SHARE", "0.8", |text| {
            let part = text.parse().ok().filter(|part| *part > 0.0 && *part <= 1.0);
            part.ok_or("must be a number above 0, at most 1".to_owned())
        });
        let enrichment_timeout = reader.parsed("MDATP_ENRICH_PATIENCE", "30m", duration);
        let machine_ttl = reader.parsed("MDATP_MACHINE_TTL", "1h", duration);
        // `true` in local.settings.json arrives as the text `True`.
        let health = reader.one_of(
            "MDATP_HEALTH",
            "off",
            &[("on", true), ("off", false), ("true", true), ("false", false)],
        );

        let problems = reader.problems;
        let config = || {
            let (alert_source, machine_source) = alerts_and_machines?;
            Some(Self {
                alert_source,
                machine_source,
                graph_url: graph_url?,
                graph_scope,
                identity: identity?,
                source: source?,
                authority: authority?,
                api_url: api_url?,
                api_scope,
                sink: sink?,
                sink_identity: sink_identity?,
                shape: shape?,
                fetch: fetch?,
                mode: mode?,
                start: start?,
                lookback: lookback?,
                page_size: page_size?,
                run_budget: run_budget?,
                quota_share: quota_share?,
                enrichment_timeout: enrichment_timeout?,
                machine_ttl: machine_ttl?,
                health: health?,
                state: state?,
            })
        };
        match config() {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(SettingsError(problems)),
        }
    }
}

#[cfg(test)]
mod tests;
