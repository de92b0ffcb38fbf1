//! The entry of a tenant, and the settings that it stands for. Pure.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::TenantId;
use crate::config::{Config, SettingProblem, SettingsError, settings::Settings};

/// The number of alerts of a full page, unless `MDATP_PAGE_SIZE` is set: many runs at once each hold two pages in memory.
const PAGE_SIZE: &str = "250";

/// The setting of a secret that many tenants share.
const SHARED_SECRET: &str = "MDATP_CLIENT_SECRET";

/// The most characters of an app setting's name.
const MAX_NAME: usize = 200;

/// The entry of a tenant. The values of its members are checked as the settings that they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantEntry {
    /// The tenant whose alerts are forwarded.
    pub id: TenantId,
    /// Its name, for people.
    pub name: String,
    /// False for a tenant whose alerts are not forwarded at present.
    pub enabled: bool,
    /// How the app registration signs in to the tenant.
    pub credential: TenantCredential,
    /// The client id of the app registration; `None`: `MDATP_CLIENT_ID`, which all tenants share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where the alerts go.
    pub sink: TenantSink,
    /// Where the very first run begins; `None`: `MDATP_START`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The members that this version does not know.
    #[serde(flatten)]
    pub other_members: Map<String, Value>,
}

/// How the app registration signs in to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantCredential {
    /// With the token of the app's managed identity, or in `AZURE_FEDERATED_TOKEN_FILE`.
    Federated,
    /// With the secret in the app setting of this name.
    Secret(String),
}

/// Where the alerts of a tenant go: a stream of a data collection rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantSink {
    /// The endpoint of the Logs Ingestion API.
    pub endpoint: String,
    /// The immutable id of the data collection rule.
    #[serde(rename = "dcr")]
    pub rule: String,
    /// The rule's stream; `None`: `MDATP_STREAM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Whose token the endpoint gets.
    pub token_from: TokenFrom,
    /// The members that this version does not know.
    #[serde(flatten)]
    pub other_members: Map<String, Value>,
}

/// Whose token the sink gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFrom {
    /// That of the app registration in the tenant, for a rule of the tenant.
    Tenant,
    /// That of the app's own identity, for a rule of its own tenant.
    Home,
}

impl TenantEntry {
    /// Returns the tenant in words, for messages.
    pub fn label(&self) -> String {
        match self.name == self.id.as_str() {
            true => self.name.clone(),
            false => format!("{} ({})", self.name, self.id),
        }
    }

    /// Returns the settings of the tenant's runs: those of the process, `base`, with the entry's over them.
    ///
    /// # Errors
    /// The app setting of its secret is not set.
    pub fn settings(&self, base: &Settings) -> Result<Settings, SettingsError> {
        let sink_identity = match self.sink.token_from {
            TokenFrom::Tenant => "source",
            TokenFrom::Home => "app",
        };
        let secret = self.secret(base).map_err(|problem| SettingsError(vec![problem]))?;
        let mut values = BTreeMap::from([
            ("MDATP_TENANT_ID", self.id.to_string()),
            // Empty, so unset, without one: a secret of the process must not take the place of the assertion.
            (SHARED_SECRET, secret.unwrap_or_default()),
            ("MDATP_SINK", "logs-ingestion".to_owned()),
            ("MDATP_INGESTION_ENDPOINT", self.sink.endpoint.clone()),
            ("MDATP_DCR_ID", self.sink.rule.clone()),
            ("MDATP_SINK_IDENTITY", sink_identity.to_owned()),
        ]);
        let optional = [
            ("MDATP_CLIENT_ID", &self.client_id),
            ("MDATP_STREAM", &self.sink.stream),
            ("MDATP_START", &self.start),
        ];
        values.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        if !base.is_set("MDATP_PAGE_SIZE") {
            values.insert("MDATP_PAGE_SIZE", PAGE_SIZE.to_owned());
        }
        Ok(base.clone().over(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }

    /// Reads and checks the settings of the tenant's runs, over those of the process.
    ///
    /// # Errors
    /// Returns all problems with them together.
    pub fn config(&self, base: &Settings) -> Result<Config, SettingsError> {
        Config::parse(&self.settings(base)?)
    }

    fn secret(&self, base: &Settings) -> Result<Option<String>, SettingProblem> {
        let TenantCredential::Secret(setting) = &self.credential else { return Ok(None) };
        match base.read(setting)? {
            Some(secret) => Ok(Some(secret)),
            None => {
                let what = format!("is not set, and tenants.json names it as the secret of {}", self.label());
                Err(SettingProblem::with(setting, what))
            }
        }
    }
}

impl TenantCredential {
    /// Reads `federated` or `secret:APP_SETTING`.
    ///
    /// # Errors
    /// Returns what is wrong with `text`. The settings of this program are no tenant's secret: a reference in one of them
    /// that the platform cannot resolve would fail all tenants.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix("secret:") else {
            return match text {
                "federated" => Ok(Self::Federated),
                _ => Err("must be federated or secret:APP_SETTING".to_owned()),
            };
        };
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match name == SHARED_SECRET || is_name && !Settings::is_own(name) {
            true => Ok(Self::Secret(name.to_owned())),
            false => Err(format!(
                "must name {SHARED_SECRET} or an app setting of letters, digits and underscores that does not begin with \
                 MDATP_, AZURE_ or another prefix of the settings of mdatp-forward and the host"
            )),
        }
    }
}

impl fmt::Display for TenantCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Federated => f.write_str("federated"),
            Self::Secret(setting) => write!(f, "secret:{setting}"),
        }
    }
}

impl Serialize for TenantCredential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TokenFrom {
    /// Reads `tenant` or `home`.
    ///
    /// # Errors
    /// Returns what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "tenant" => Ok(Self::Tenant),
            "home" => Ok(Self::Home),
            _ => Err("must be tenant or home".to_owned()),
        }
    }
}

impl fmt::Display for TokenFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "tenant",
            Self::Home => "home",
        })
    }
}

impl Serialize for TokenFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
