//! What is wrong with the settings, one finding each. Pure.

use super::finding::Finding;
use crate::config::{Config, SettingProblem, SettingsError, SinkConfig};

/// The name of the check.
pub const CHECK: &str = "settings";

/// Each problem that reading the settings brought; one finding too when there was none.
pub fn judge(config: Result<Config, SettingsError>) -> Vec<Finding> {
    match config {
        Ok(config) => {
            let sink = match &config.sink {
                SinkConfig::DataCollector { log_name, .. } => {
                    format!("the Data Collector API ({log_name}_CL)")
                }
                SinkConfig::LogsIngestion { stream, .. } => format!("the Logs Ingestion API ({stream})"),
            };
            vec![Finding::ok(CHECK, format!("all read: from {} to {sink}", config.api_url))]
        }
        Err(SettingsError(problems)) => problems.iter().map(of).collect(),
    }
}

fn of(problem: &SettingProblem) -> Finding {
    let mend = match (&problem.fix, &problem.setting) {
        (Some(fix), _) => fix.clone(),
        (None, Some(name)) => format!(
            "set {name}; in Azure: az functionapp config appsettings set --resource-group GROUP --name APP \
             --settings {name}=VALUE"
        ),
        (None, None) => String::new(),
    };
    Finding::failure(CHECK, SettingProblem { fix: None, ..problem.clone() }.to_string(), mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn each_problem_is_a_failure_with_its_setting() {
        let findings =
            judge(Config::parse(&[("MDATP_MODE", "all"), ("MDATP_STATE", "file:s")].into_iter().collect()));
        let [sink, mode] = &findings[..] else { panic!("two problems: {findings:?}") };
        assert!(sink.message.contains("no sink is configured"), "{sink}");
        assert!(mode.message.starts_with("MDATP_MODE must be"), "{mode}");
        assert!(
            mode.mend.as_ref().is_some_and(|mend| mend.ends_with("--settings MDATP_MODE=VALUE")),
            "{mode}"
        );
        assert!(findings.iter().all(|finding| finding.result == CheckResult::Failure));
        assert!(findings.iter().all(|finding| finding.mend.is_some()), "{findings:?}");
    }

    #[test]
    fn a_reference_is_told_with_what_makes_it_resolve() {
        let settings = [("MDATP_STATE", "file:s"), ("MDATP_LOG_FORMAT", "@Microsoft.KeyVault(VaultName=v)")];
        let findings = judge(Config::parse(&settings.into_iter().collect()));
        let reference = findings.iter().find(|finding| finding.message.starts_with("MDATP_LOG_FORMAT"));
        let reference = reference.expect("a finding");
        assert_eq!(
            reference.message,
            "MDATP_LOG_FORMAT is a Key Vault reference that App Service has not resolved"
        );
        assert!(reference.mend.as_ref().is_some_and(|mend| mend.contains("Key Vault Secrets User")));
    }
}
