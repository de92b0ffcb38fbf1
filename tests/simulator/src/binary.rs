//! The forwarder's release binary, built here so that nobody watches yesterday's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The repository's top folder.
pub(crate) fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders down")
}

/// Builds it with the cargo that runs us, which shows its progress itself, and tells where it is.
pub(crate) fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", "mdatp-forward", "--message-format=json-render-diagnostics"])
        .current_dir(workspace_root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| format!("cargo build: {problem}"))?;
    if !output.status.success() {
        return Err(format!("cargo build --release -p mdatp-forward: {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).ok_or_else(|| "cargo build named no executable called mdatp-forward".to_owned())
}

/// The data collection rule for what the binary sends, as it prints it itself.
pub(crate) fn rule(binary: &Path) -> Result<String, String> {
    let workspace = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/simulated/providers/\
                     Microsoft.OperationalInsights/workspaces/simulated";
    let output = Command::new(binary)
        .args(["schema", "--format", "dcr", "--location", "simulated", "--workspace", workspace])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| format!("{}: {problem}", binary.display()))?;
    match output.status.success() {
        true => String::from_utf8(output.stdout).map_err(|_| "the rule is no text".to_owned()),
        false => Err(format!("{} schema --format dcr: {}", binary.display(), output.status)),
    }
}

/// Cargo tells by message where its output lies: a target folder may be set anywhere.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == "mdatp-forward" && message["reason"] == "compiler-artifact";
        message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_of_that_name() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"build-script"},"executable":"/t/build-script"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"mdatp-forward"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"mdatp-forward"},"executable":"/t/mdatp-forward"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some("/t/mdatp-forward".into()));
        assert_eq!(executable(""), None);
    }
}
