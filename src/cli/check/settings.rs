//! The problems with the settings, one finding each. Pure.

use super::finding::Finding;
use crate::config::{AlertSource, Config, SettingProblem, SettingsError, SinkConfig};

/// The name of the check.
pub const CHECK: &str = "settings";

/// Returns a finding for each problem with the settings, or one for settings without a problem.
pub fn findings(config: Result<Config, SettingsError>) -> Vec<Finding> {
    match config {
        Ok(config) => {
            let sink = match &config.sink {
                SinkConfig::DataCollector { log_name, .. } => {
                    format!("the Data Collector API ({log_name}_CL)")
                }
                SinkConfig::LogsIngestion { stream, .. } => format!("the Logs Ingestion API ({stream})"),
            };
            let url = match config.alert_source {
                AlertSource::Defender => &config.api_url,
                AlertSource::Graph => &config.graph_url,
            };
            vec![Finding::ok(CHECK, format!("all read: from {url} to {sink}"))]
        }
        Err(SettingsError(problems)) => problems.iter().map(finding).collect(),
    }
}

fn finding(problem: &SettingProblem) -> Finding {
    let fix = match (&problem.fix, &problem.setting) {
        (Some(fix), _) => fix.clone(),
        (None, Some(name)) => format!(
            "set {name}; in Azure: az functionapp config appsettings set --resource-group GROUP --name APP \
             --settings {name}=VALUE"
        ),
        (None, None) => String::new(),
    };
    Finding::failure(CHECK, problem.without_fix(), fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn each_problem_is_a_failure_with_its_setting() {
        let found = findings(Config::parse(
            &[("MDATP_MODE", "all"), ("MDATP_STATE", "file:s")].into_iter().collect(),
        ));
        let [sink, mode] = &found[..] else { panic!("two problems: {found:?}") };
        assert!(sink.message.contains("no sink is configured"), "{sink}");
        assert!(mode.message.starts_with("MDATP_MODE must be"), "{mode}");
        assert!(mode.fix.as_ref().is_some_and(|fix| fix.ends_with("--settings MDATP_MODE=VALUE")), "{mode}");
        assert!(found.iter().all(|finding| finding.result == CheckResult::Failure));
        assert!(found.iter().all(|finding| finding.fix.is_some()), "{found:?}");
    }

    #[test]
    fn a_reference_is_reported_with_what_makes_it_resolve() {
        let settings = [("MDATP_STATE", "file:s"), ("MDATP_LOG_FORMAT", "@Microsoft.KeyVault(VaultName=v)")];
        let found = findings(Config::parse(&settings.into_iter().collect()));
        let reference = found.iter().find(|finding| finding.message.starts_with("MDATP_LOG_FORMAT"));
        let reference = reference.expect("a finding");
        assert_eq!(
            reference.message,
            "MDATP_LOG_FORMAT is a Key Vault reference that App Service has not resolved"
        );
        assert!(reference.fix.as_ref().is_some_and(|fix| fix.contains("Key Vault Secrets User")));
    }
}
