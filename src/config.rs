//! All settings, read once into typed values. [`Config::parse`] looks at every setting before it
//! fails, so that one restart mends all typing errors.

pub mod cloud;
pub mod endpoint;
pub mod local_settings;
pub mod parts;
pub mod settings;
mod sink;
pub mod storage;

use std::{fmt, path::PathBuf, time::Duration};

use azure_core::{
    credentials::Secret,
    time::{OffsetDateTime, parse_rfc3339},
};

use crate::{schema::Shape, walk::LARGEST_PAGE};
use cloud::Cloud;
use endpoint::Endpoint;
use parts::Parts;
use settings::Settings;
pub use sink::SinkConfig;
use storage::BlobAccount;

/// Everything the program can be told. The doc of each field names its setting and default.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who asks for tokens: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`,
    /// `AZURE_FEDERATED_TOKEN_FILE`, `IDENTITY_ENDPOINT`.
    pub identity: Identity,
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

/// Which credential is used. There is no blind fallback to the virtual machine's metadata address:
/// off Azure that is a wait of more than a minute.
#[derive(Debug, Clone)]
pub enum Identity {
    /// An app registration with a secret.
    ClientSecret {
        /// `AZURE_TENANT_ID`
        tenant: String,
        /// `AZURE_CLIENT_ID`
        client: String,
        /// `AZURE_CLIENT_SECRET`
        secret: Secret,
    },
    /// Workload identity: a token file that Kubernetes or a CI system keeps fresh.
    WorkloadIdentity {
        /// `AZURE_TENANT_ID`
        tenant: String,
        /// `AZURE_CLIENT_ID`
        client: String,
        /// `AZURE_FEDERATED_TOKEN_FILE`
        file: PathBuf,
    },
    /// The managed identity of the Function App.
    ManagedIdentity {
        /// `AZURE_CLIENT_ID` of a user-assigned identity; none for the system-assigned one.
        client: Option<String>,
    },
    /// The developer's own sign-in with `az login`.
    AzureCli {
        /// `AZURE_TENANT_ID`, when another than the account's home tenant is meant.
        tenant: Option<String>,
    },
}

/// Whether the list's own alerts are forwarded or each is fetched again by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertFetch {
    /// Whole alerts from the list, evidence expanded: one call a page.
    List,
    /// The list only names the alerts; each is fetched by `GET /api/alerts/{id}`, as the Logic App did.
    ById,
}

/// What makes an alert new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each alert is sent once, walked by `alertCreationTime`.
    Created,
    /// An alert is sent again at each `lastUpdateTime`, walked by that.
    Updated,
}

/// Where the very first run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A fixed time.
    At(OffsetDateTime),
    /// So long before the first run.
    Ago(Duration),
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

/// All settings that are wrong or missing, each with its name and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<String>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings need mending: {}", self.0.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl Config {
    /// Reads and checks every setting.
    pub fn parse(settings: &Settings) -> Result<Self, SettingsError> {
        let mut read = Reader { settings, problems: Vec::new() };

        let Parts { cloud: _, identity, authority, api_url, api_scope, sink, shape, state } =
            Parts::of(&mut read);
        let fetch = read.parsed("MDATP_ALERT_FETCH", "list", |text| match text {
            "list" => Ok(AlertFetch::List),
            "by-id" => Ok(AlertFetch::ById),
            _ => Err("must be list or by-id".to_owned()),
        });
        let mode = read.parsed("MDATP_MODE", "created", |text| match text {
            "created" => Ok(Mode::Created),
            "updated" => Ok(Mode::Updated),
            _ => Err("must be created or updated".to_owned()),
        });
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
        let health = read.parsed("MDATP_HEALTH", "off", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("must be on or off".to_owned()),
        });

        let problems = read.problems;
        let config = || {
            Some(Self {
                identity: identity?,
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

impl Start {
    /// A time or a duration, as `MDATP_START` has it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ago = |_| duration(text).map(Start::Ago);
        parse_rfc3339(text)
            .map(Start::At)
            .or_else(ago)
            .map_err(|_| "must be an RFC 3339 time (2026-11-24T00:00:00Z) or a duration (24h)".to_owned())
    }
}

/// Reads setting after setting and remembers what was wrong.
struct Reader<'a> {
    settings: &'a Settings,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.settings.get(name)
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    fn problem<T>(&mut self, problem: String) -> Option<T> {
        self.problems.push(problem);
        None
    }

    fn required(&mut self, name: &str, why: &str) -> Option<String> {
        self.get(name).or_else(|| self.problem(format!("{name} is not set: {why}")))
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.text(name, default)) {
            Ok(value) => Some(value),
            Err(problem) => self.problem(format!("{name} {problem}")),
        }
    }

    fn endpoint(&mut self, name: &str, default: &str) -> Option<Endpoint> {
        self.parsed(name, default, |text| Endpoint::parse(text).map_err(str::to_owned))
    }

    fn identity(&mut self) -> Option<Identity> {
        let tenant = self.get("AZURE_TENANT_ID");
        let client = self.get("AZURE_CLIENT_ID");
        let app = |reader: &mut Self, by: &str| {
            let why = format!("{by} needs the app registration's tenant and client id");
            let tenant = reader.required("AZURE_TENANT_ID", &why);
            let client = reader.required("AZURE_CLIENT_ID", &why);
            tenant.zip(client)
        };
        if let Some(secret) = self.get("AZURE_CLIENT_SECRET") {
            let (tenant, client) = app(self, "AZURE_CLIENT_SECRET")?;
            Some(Identity::ClientSecret { tenant, client, secret: Secret::new(secret) })
        } else if let Some(file) = self.get("AZURE_FEDERATED_TOKEN_FILE") {
            let (tenant, client) = app(self, "AZURE_FEDERATED_TOKEN_FILE")?;
            Some(Identity::WorkloadIdentity { tenant, client, file: PathBuf::from(file) })
        } else if self.get("IDENTITY_ENDPOINT").is_some() {
            Some(Identity::ManagedIdentity { client })
        } else {
            Some(Identity::AzureCli { tenant })
        }
    }

    fn state(&mut self, cloud: &Cloud) -> Option<StateConfig> {
        let text = self.text("MDATP_STATE", "blob:mdatp-forward");
        if let Some(folder) = text.strip_prefix("file:").filter(|folder| !folder.is_empty()) {
            return Some(StateConfig::Folder(PathBuf::from(folder)));
        }
        let Some(path) = text.strip_prefix("blob:") else {
            return self.problem("MDATP_STATE must be blob:CONTAINER[/PREFIX] or file:FOLDER".to_owned());
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
                "MDATP_STATE names a container that Azure does not allow: 3 to 63 lower-case letters, digits \
                 and single hyphens"
                    .to_owned(),
            );
        }
        match BlobAccount::read(self.settings, cloud) {
            Ok(account) => Some(StateConfig::Blob {
                account,
                container: container.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            }),
            Err(problem) => self.problem(problem),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "must be a duration such as 90s, 8m, 1h or 7d".to_owned())
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
