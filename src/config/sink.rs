//! The settings of the sink: where records go, and in which shape. Pure.

use super::{SettingProblem, cloud::Cloud, endpoint::Endpoint, reader::SettingsReader};
use crate::{
    schema::{Shape, health, table},
    sink::shared_key::SigningKey,
};

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

impl SinkConfig {
    /// Returns the same sink for the table of the rows about runs (`MDATP_HEALTH`).
    pub fn for_health(&self) -> Self {
        let mut config = self.clone();
        match &mut config {
            Self::DataCollector { log_name, .. } => *log_name = health::log_name(log_name),
            Self::LogsIngestion { stream, log_name, .. } => *stream = health::stream(log_name),
        }
        config
    }
}

impl SettingsReader<'_> {
    pub(super) fn sink(&mut self, cloud: &Cloud) -> Option<SinkConfig> {
        let log_name = self.parsed("MDATP_LOG_NAME", "MDATPAlerts", log_name)?;
        let collector = self.is_set("MDATP_WORKSPACE_ID") || self.is_set("MDATP_WORKSPACE_KEY");
        let ingestion = self.is_set("MDATP_INGESTION_ENDPOINT") || self.is_set("MDATP_DCR_ID");
        let is_ingestion = match (self.is_set("MDATP_SINK"), ingestion, collector) {
            (true, ..) => {
                self.one_of("MDATP_SINK", "", &[("logs-ingestion", true), ("data-collector", false)])?
            }
            (false, true, false) => true,
            (false, false, true) => false,
            (false, true, true) => {
                return self.problem(
                    "MDATP_SINK",
                    "is not set, and both sinks are configured: set it to logs-ingestion or data-collector",
                );
            }
            (false, false, false) => {
                return self.add(SettingProblem {
                    setting: None,
                    what: "no sink is configured".to_owned(),
                    fix: Some(
                        "set MDATP_INGESTION_ENDPOINT and MDATP_DCR_ID for the Logs Ingestion API, or \
                         MDATP_WORKSPACE_ID and MDATP_WORKSPACE_KEY for the Data Collector API"
                            .to_owned(),
                    ),
                });
            }
        };
        match is_ingestion {
            true => self.logs_ingestion(cloud, log_name),
            false => self.data_collector(cloud, log_name),
        }
    }

    fn logs_ingestion(&mut self, cloud: &Cloud, log_name: String) -> Option<SinkConfig> {
        let why =
            "the Logs Ingestion API needs the endpoint and the immutable id of the data collection rule";
        let endpoint = self
            .required("MDATP_INGESTION_ENDPOINT", why)
            .and_then(|_| self.endpoint("MDATP_INGESTION_ENDPOINT", ""));
        let rule = self.required("MDATP_DCR_ID", why);
        let stream = self.parsed("MDATP_STREAM", &table::stream(&log_name), |text| {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
            match plain(text) && text.starts_with(table::STREAM_PREFIX) {
                true => Ok(text.to_owned()),
                false => {
                    Err("must begin with Custom- and contain only letters, digits, '_', '-' and '.'"
                        .to_owned())
                }
            }
        });
        let rule = rule.and_then(|rule| match rule.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            true => Some(rule),
            false => self.problem("MDATP_DCR_ID", "must be the rule's immutable id, dcr- and 32 hex digits"),
        });
        let scope = self.text("MDATP_INGESTION_SCOPE", cloud.ingestion_scope);
        Some(SinkConfig::LogsIngestion { endpoint: endpoint?, rule: rule?, stream: stream?, log_name, scope })
    }

    fn data_collector(&mut self, cloud: &Cloud, log_name: String) -> Option<SinkConfig> {
        let why = "the Data Collector API needs the workspace's id and its primary or secondary key";
        let id = self.required("MDATP_WORKSPACE_ID", why);
        let id = id.and_then(|id| match id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            true => Some(id),
            false => self.problem("MDATP_WORKSPACE_ID", "must be the workspace's id, a GUID"),
        });
        let key = self.required("MDATP_WORKSPACE_KEY", why).and_then(|text| {
            SigningKey::from_base64(&text)
                .or_else(|| self.problem("MDATP_WORKSPACE_KEY", "is not base64: copy the whole key again"))
        });
        let id = id?;
        let url = self.endpoint("MDATP_COLLECTOR_URL", &format!("https://{id}.{}", cloud.collector_suffix));
        Some(SinkConfig::DataCollector { workspace_id: id, key: key?, url: url?, log_name })
    }

    pub(super) fn shape(&mut self, sink: Option<&SinkConfig>) -> Option<Shape> {
        let creates_columns = matches!(sink, Some(SinkConfig::DataCollector { .. }));
        let default = if creates_columns { "union" } else { "native" };
        let choices = [("union", Shape::Union), ("native", Shape::Native), ("classic", Shape::Classic)];
        let shape = self.one_of("MDATP_RECORD_SHAPE", default, &choices)?;
        let name = if shape == Shape::Classic { "classic" } else { "native" };
        match shape {
            Shape::Native | Shape::Classic if creates_columns => self.problem(
                "MDATP_RECORD_SHAPE",
                format!(
                    "{name} is for the Logs Ingestion API: the Data Collector API creates its columns itself, from \
                     records in the shape union"
                ),
            ),
            shape => Some(shape),
        }
    }
}

/// Returns the name of a custom log: letters, digits and underscores, at most 100 characters (documentation page "Send log
/// data to Azure Monitor by using the HTTP Data Collector API", header `Log-Type`).
///
/// # Errors
/// Returns what is wrong with `text`. A name that ends in `_CL` is nearly always a mistake, because the service appends
/// that itself.
pub fn log_name(text: &str) -> Result<String, String> {
    if text.len() > 100 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        Err("must be at most 100 letters, digits and underscores".to_owned())
    } else if text.to_ascii_uppercase().ends_with("_CL") {
        Err("must be given without _CL, which the service appends".to_owned())
    } else {
        Ok(text.to_owned())
    }
}
