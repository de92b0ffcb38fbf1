//! All settings, read once into typed values. [`Config::parse`] looks at every setting before it
//! fails, so that one restart mends all typing errors.

pub mod cloud;
pub mod endpoint;
mod health;
pub mod local_settings;
pub mod parts;
pub mod settings;
pub mod storage;

use std::{fmt, path::PathBuf, time::Duration};

use azure_core::{
    credentials::Secret,
    time::{OffsetDateTime, parse_rfc3339},
};

use crate::{schema::Shape, sink::signature::SigningKey, walk::LARGEST_PAGE};
use cloud::Cloud;
use endpoint::Endpoint;
use parts::Parts;
use settings::Settings;
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
    /// `MDATP_PAGE_SIZE` (default 1000).
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

/// Where records go.
#[derive(Debug, Clone)]
pub enum SinkConfig {
    /// The HTTP Data Collector API, signed with the workspace key.
    DataCollector {
        /// `MDATP_WORKSPACE_ID`
        workspace_id: String,
        /// `MDATP_WORKSPACE_KEY`
        key: SigningKey,
        /// `MDATP_COLLECTOR_URL` (default `https://<workspace id>.ods.opinsights.azure.com`)
        url: Endpoint,
        /// `MDATP_LOG_NAME` (default `MDATPAlerts`); the service appends `_CL`.
        log_name: String,
    },
    /// The Logs Ingestion API, through a data collection rule.
    LogsIngestion {
        /// `MDATP_INGESTION_ENDPOINT`
        endpoint: Endpoint,
        /// `MDATP_DCR_ID`
        rule: String,
        /// `MDATP_STREAM` (default `Custom-<log name>_CL`)
        stream: String,
        /// `MDATP_LOG_NAME`
        log_name: String,
        /// `MDATP_INGESTION_SCOPE` (default by cloud)
        scope: String,
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

    fn sink(&mut self, cloud: &Cloud) -> Option<SinkConfig> {
        let log_name = self.parsed("MDATP_LOG_NAME", "MDATPAlerts", log_name)?;
        let collector = self.get("MDATP_WORKSPACE_ID").is_some() || self.get("MDATP_WORKSPACE_KEY").is_some();
        let ingestion = self.get("MDATP_INGESTION_ENDPOINT").is_some() || self.get("MDATP_DCR_ID").is_some();
        match (self.get("MDATP_SINK").as_deref(), ingestion, collector) {
            (Some("logs-ingestion"), ..) | (None, true, false) => self.logs_ingestion(cloud, log_name),
            (Some("data-collector"), ..) | (None, false, true) => self.data_collector(cloud, log_name),
            (Some(_), ..) => self.problem("MDATP_SINK must be logs-ingestion or data-collector".to_owned()),
            (None, true, true) => self.problem(
                "MDATP_SINK is not set, and both sinks are configured: say logs-ingestion or data-collector"
                    .to_owned(),
            ),
            (None, false, false) => self.problem(
                "no sink is configured: set MDATP_INGESTION_ENDPOINT and MDATP_DCR_ID for the Logs Ingestion \
                 API, or MDATP_WORKSPACE_ID and MDATP_WORKSPACE_KEY for the Data Collector API"
                    .to_owned(),
            ),
        }
    }

    fn logs_ingestion(&mut self, cloud: &Cloud, log_name: String) -> Option<SinkConfig> {
        let why =
            "the Logs Ingestion API needs the endpoint and the immutable id of the data collection rule";
        let endpoint = match self.required("MDATP_INGESTION_ENDPOINT", why) {
            Some(_) => self.endpoint("MDATP_INGESTION_ENDPOINT", ""),
            None => None,
        };
        let rule = self.required("MDATP_DCR_ID", why);
        let stream = self.parsed("MDATP_STREAM", &format!("Custom-{log_name}_CL"), |text| {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            match plain(text) && text.starts_with("Custom-") {
                true => Ok(text.to_owned()),
                false => {
                    Err("must begin with Custom- and hold letters, digits, '_', '-' and '.' only".to_owned())
                }
            }
        });
        let rule = rule.and_then(|rule| match rule.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            true => Some(rule),
            false => {
                self.problem("MDATP_DCR_ID must be the rule's immutable id, dcr- and 32 hex digits".into())
            }
        });
        let scope = self.text("MDATP_INGESTION_SCOPE", cloud.ingestion_scope);
        Some(SinkConfig::LogsIngestion { endpoint: endpoint?, rule: rule?, stream: stream?, log_name, scope })
    }

    fn data_collector(&mut self, cloud: &Cloud, log_name: String) -> Option<SinkConfig> {
        let why = "the Data Collector API needs the workspace's id and its primary or secondary key";
        let id = self.required("MDATP_WORKSPACE_ID", why);
        let id = id.and_then(|id| match id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            true => Some(id),
            false => self.problem("MDATP_WORKSPACE_ID must be the workspace's id, a GUID".into()),
        });
        let key = self.required("MDATP_WORKSPACE_KEY", why).and_then(|text| {
            SigningKey::from_base64(&text).or_else(|| {
                self.problem("MDATP_WORKSPACE_KEY is not base64: copy the whole key again".into())
            })
        });
        let id = id?;
        let url = self.endpoint("MDATP_COLLECTOR_URL", &format!("https://{id}.{}", cloud.collector_suffix));
        Some(SinkConfig::DataCollector { workspace_id: id, key: key?, url: url?, log_name })
    }

    fn shape(&mut self, sink: Option<&SinkConfig>) -> Option<Shape> {
        let makes_its_columns = matches!(sink, Some(SinkConfig::DataCollector { .. }));
        let default = if makes_its_columns { "union" } else { "native" };
        self.parsed("MDATP_RECORD_SHAPE", default, |text| match text {
            "union" => Ok(Shape::Union),
            "native" | "classic" if makes_its_columns => Err(format!(
                "{text} is for the Logs Ingestion API: the Data Collector API makes its columns itself, of \
                 records in the shape union"
            )),
            "native" => Ok(Shape::Native),
            "classic" => Ok(Shape::Classic),
            _ => Err("must be union, native or classic".to_owned()),
        })
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
