//! What is wrong with the settings, one finding each.

use super::finding::Finding;
use crate::config::{Config, SettingsError, SinkConfig};

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
        Err(SettingsError(problems)) => {
            problems.into_iter().map(|problem| Finding::failure(CHECK, &problem, mend(&problem))).collect()
        }
    }
}

/// A problem begins with the setting that it is about, unless it is about several and names them all.
fn mend(problem: &str) -> String {
    let is_setting = |word: &&str| word.starts_with(|first: char| first.is_ascii_uppercase());
    match problem.split(' ').next().filter(is_setting) {
        Some(name) => format!(
            "set {name}; in Azure: az functionapp config appsettings set --resource-group GROUP --name APP \
             --settings {name}=VALUE"
        ),
        None => "set those of the sink that you want".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Outcome;

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
        assert!(findings.iter().all(|finding| finding.result == Outcome::Failure));
    }
}
