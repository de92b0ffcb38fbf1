//! The forwarder's binary, built anew so that no outdated one is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The repository's top folder.
pub(crate) fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders down")
}

/// Builds the release binary, which is what is deployed and measured.
pub(crate) fn release() -> Result<PathBuf, String> {
    build("mdatp-forward", &["--release", "-p", "mdatp-forward", "--bin", "mdatp-forward"])
}

/// Builds the same program quickly: with the profile that `cargo demo` was built with, all that the two share is there
/// already.
pub(crate) fn demo() -> Result<PathBuf, String> {
    build("mdatp-forward", &["--profile", "demo", "--bin", "mdatp-forward"])
}

/// Builds an executable with the cargo that runs this program, and returns its path.
pub(crate) fn build(name: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With the variables of the cargo that runs this program, ring would be compiled again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_"))
    {
        cargo.env_remove(name);
    }
    let output = cargo
        .env_remove("CARGO_MANIFEST_DIR")
        .args(["build", "--locked", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .current_dir(workspace_root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| format!("cargo build: {problem}"))?;
    if !output.status.success() {
        return Err(format!("cargo build {}: {}", arguments.join(" "), output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(name, &messages).ok_or_else(|| format!("cargo build named no executable called {name}"))
}

/// The path in cargo's messages: the target folder may be anywhere.
fn executable(name: &str, messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == name && message["reason"] == "compiler-artifact";
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
        assert_eq!(executable("mdatp-forward", messages), Some("/t/mdatp-forward".into()));
        assert_eq!(executable("mdatp-forward", ""), None);
    }
}
