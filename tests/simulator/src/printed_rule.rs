//! The data collection rule as the forwarder's binary prints it.

use std::path::Path;
use std::process::{Command, Stdio};

/// Asks `binary` for the data collection rule of what it sends, for [`Cloud::deploy_rule`](crate::Cloud::deploy_rule).
///
/// # Errors
///
/// The binary does not start, or does not print a rule.
pub fn printed_rule(binary: &Path) -> Result<String, String> {
    let workspace = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/simulated/providers/\
                     Microsoft.OperationalInsights/workspaces/simulated";
    let output = Command::new(binary)
        .args(["schema", "--format", "dcr", "--location", "simulated", "--workspace", workspace])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| format!("{}: {problem}", binary.display()))?;
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|_| "the rule is not UTF-8".to_owned()),
        false => Err(format!("{} schema --format dcr: {}", binary.display(), output.status)),
    }
}
