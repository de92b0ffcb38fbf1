//! All settings, read once into typed values. [`Config::parse`] looks at every setting before it
//! fails, so that one restart mends all typing errors.

pub mod cloud;
pub mod endpoint;
mod identity;
pub mod local_settings;
pub mod partial;
mod problem;
pub mod reference;
pub mod settings;
mod sink;
pub mod storage;
pub mod time;

use std::{path::PathBuf, time::Duration};

use crate::{record::alert::Mode, schema::Shape};
use cloud::Cloud;
use endpoint::Endpoint;
pub use identity::{Identity, IdentitySettings, Owner, SourceIdentity};
use partial::PartialConfig;
pub use problem::{SettingProblem, SettingsError};
use settings::Settings;
pub use sink::SinkConfig;
use storage::BlobAccount;
pub use time::Start;
use time::duration;

/// The most alerts a page can have (List alerts API: the maximum value of `$top` is 10,000).
pub const LARGEST_PAGE: u32 = 10_000;

/// Everything the program can be told. The doc of each field names its setting and default.
#[derive(Debug, Clone)]
pub struct Config {
    /// The app's own identity: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`,
    /// `AZURE_FEDERATED_TOKEN_FILE`, `IDENTITY_ENDPOINT`.
    pub identity: Identity,
    /// Who asks Defender: `MDATP_TENANT_ID`, `MDATP_CLIENT_ID`, `MDATP_CLIENT_SECRET`,
    /// `MDATP_MANAGED_IDENTITY_CLIENT_ID` (default: the app's own identity).
    pub source: SourceIdentity,
    /// Entra ID's host, `AZURE_AUTHORITY_HOST` (default by cloud).
    pub authority: Endpoint,
    /// `MDATP_API_URL` (default by cloud).
    pub api_url: Endpoint,
    /// `MDATP_API_SCOPE` (default by cloud).
    pub api_scope: String,
    /// `MDATP_SINK` and the settings of the sink chosen.
    pub sink: SinkConfig,
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
    /// `MDATP_PAGE_SIZE` (default 1000): how many alerts make a full page.
    pub page_size: u32,
    /// `MDATP_RUN_BUDGET` (default 8m).
    pub run_budget: Duration,
    /// `MDATP_QUOTA_SHARE` (default 0.8): how much of Defender's quotas may be used.
    pub quota_share: f64,
    /// `MDATP_ENRICH_PATIENCE` (default 30m): how old an alert may get while its machine cannot be read.
    pub enrich_patience: Duration,
    /// `MDATP_MACHINE_TTL` (default 1h): how long a machine is kept between runs.
    pub machine_ttl: Duration,
    /// `MDATP_HEALTH` (default off): whether each run is told to the sink, too.
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

/// Where the checkpoint and what was set aside are kept.
#[derive(Debug, Clone)]
pub enum StateConfig {
    /// A folder of the local disk.
    Folder(PathBuf),
    /// A container of the host's storage account.
    Blob {
        /// The account of `AzureWebJobsStorage`.
        account: BlobAccount,
        /// The container's name.
        container: String,
        /// What every blob's name begins with; empty or ends without a slash.
        prefix: String,
    },
}

impl Config {
    /// Reads and checks every setting.
    pub fn parse(settings: &Settings) -> Result<Self, SettingsError> {
        let mut read = SettingsReader::of(settings);

        let PartialConfig { cloud: _, identity, source, authority, api_url, api_scope, sink, shape, state } =
            PartialConfig::of(&mut read);
        let fetch = read.one_of(
            "MDATP_ALERT_FETCH",
            "list",
            &[("list", AlertFetch::List), ("by-id", AlertFetch::ById)],
        );
        let mode =
            read.one_of("MDATP_MODE", "created", &[("created", Mode::Created), ("updated", Mode::Updated)]);
        let start = read.parsed("MDATP_START", "24h", Start::parse);
        let lookback = read.parsed("MDATP_LOOKBACK", "1h", duration);
        let page_size = read.parsed("MDATP_PAGE_SIZE", "1000", |text| {
            let size = text.parse().ok().filter(|size| (1..=LARGEST_PAGE).contains(size));
            size.ok_or_else(|| format!("must be a whole number from 1 to {LARGEST_PAGE}"))
        });
        let run_budget = read.parsed("MDATP_RUN_BUDGET", "8m", |text| {
            let budget = duration(text)?;
            if budget.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(budget) }
        });
        let quota_share = read.parsed("MDATP_QUOTA_SHARE", "0.8", |text| {
            let part = text.parse().ok().filter(|part| *part > 0.0 && *part <= 1.0);
            part.ok_or("must be a number above 0, at most 1".to_owned())
        });
        let enrich_patience = read.parsed("MDATP_ENRICH_PATIENCE", "30m", duration);
        let machine_ttl = read.parsed("MDATP_MACHINE_TTL", "1h", duration);
        // A `true` of local.settings.json is the text `True` when it gets here.
        let health = read.one_of(
            "MDATP_HEALTH",
            "off",
            &[("on", true), ("off", false), ("true", true), ("false", false)],
        );

        let problems = read.problems;
        let config = || {
            Some(Self {
                identity: identity?,
                source: source?,
                authority: authority?,
                api_url: api_url?,
                api_scope,
                sink: sink?,
                shape: shape?,
                fetch: fetch?,
                mode: mode?,
                start: start?,
                lookback: lookback?,
                page_size: page_size?,
                run_budget: run_budget?,
                quota_share: quota_share?,
                enrich_patience: enrich_patience?,
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

/// Reads setting after setting and remembers what was wrong.
struct SettingsReader<'a> {
    settings: &'a Settings,
    problems: Vec<SettingProblem>,
}

impl<'a> SettingsReader<'a> {
    /// A reader that knows of the references that nobody has resolved, whether or not it comes to read them.
    fn of(settings: &'a Settings) -> Self {
        Self { settings, problems: settings.unresolved().into_iter().map(SettingProblem::from).collect() }
    }

    fn get(&mut self, name: &str) -> Option<String> {
        self.settings.read(name).unwrap_or_else(|unresolved| self.tell(unresolved.into()))
    }

    fn is_set(&self, name: &str) -> bool {
        self.settings.is_set(name)
    }

    fn text(&mut self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    /// Remembers a problem, once.
    fn tell<T>(&mut self, problem: SettingProblem) -> Option<T> {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        None
    }

    fn problem<T>(&mut self, name: &str, what: impl Into<String>) -> Option<T> {
        self.tell(SettingProblem::with(name, what))
    }

    fn required(&mut self, name: &str, why: &str) -> Option<String> {
        match self.is_set(name) {
            true => self.get(name),
            false => self.problem(name, format!("is not set: {why}")),
        }
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = match self.is_set(name) {
            true => self.get(name)?,
            false => default.to_owned(),
        };
        parse(&text).map_or_else(|what| self.problem(name, what), Some)
    }

    /// One of the values that have names, whose case does not matter.
    fn one_of<T: Copy>(&mut self, name: &str, default: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(name, default, |text| {
            let chosen = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(text));
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                let (last, others) = names.split_last().expect("there is a choice");
                format!("must be {} or {last}", others.join(", "))
            })
        })
    }

    fn endpoint(&mut self, name: &str, default: &str) -> Option<Endpoint> {
        self.parsed(name, default, |text| Endpoint::parse(text).map_err(str::to_owned))
    }

    fn state(&mut self, cloud: &Cloud) -> Option<StateConfig> {
        let text = self.parsed("MDATP_STATE", "blob:mdatp-forward", |text| Ok(text.to_owned()))?;
        if let Some(folder) = text.strip_prefix("file:").filter(|folder| !folder.is_empty()) {
            return Some(StateConfig::Folder(PathBuf::from(folder)));
        }
        let Some(path) = text.strip_prefix("blob:") else {
            return self.problem("MDATP_STATE", "must be blob:CONTAINER[/PREFIX] or file:FOLDER");
        };
        let (container, prefix) = path.split_once('/').unwrap_or((path, ""));
        // Azure's naming rule for containers: 3 to 63 lower-case letters, digits and single hyphens.
        let legal = (3..=63).contains(&container.len())
            && container.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !container.starts_with('-')
            && !container.ends_with('-')
            && !container.contains("--");
        if !legal {
            return self.problem(
                "MDATP_STATE",
                "names a container that Azure does not allow: 3 to 63 lower-case letters, digits and single hyphens",
            );
        }
        match BlobAccount::read(self.settings, cloud) {
            Ok(account) => Some(StateConfig::Blob {
                account,
                container: container.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            }),
            Err(problem) => self.tell(problem),
        }
    }
}

/// Letters, digits and underscore, at most 100 characters (Data Collector API, `Log-Type`). The
/// service appends `_CL` itself, so a name that ends in it is nearly always a mistake.
pub fn log_name(text: &str) -> Result<String, String> {
    if text.len() > 100 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        Err("must be at most 100 letters, digits and underscores".to_owned())
    } else if text.to_ascii_uppercase().ends_with("_CL") {
        Err("must be given without _CL, which the service appends".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests;
