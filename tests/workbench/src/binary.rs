//! The forwarder's binary, built here so that nobody watches yesterday's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The repository's top folder.
pub(crate) fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders down")
}

/// The release binary: what is deployed, and what figures are about.
pub(crate) fn release() -> Result<PathBuf, String> {
    build("mdatp-forward", &["--release", "-p", "mdatp-forward", "--bin", "mdatp-forward"])
}

/// The same program, built quickly. Whoever was built as the aliases in .cargo/config.toml do it has built all that
/// the two share.
pub(crate) fn demo() -> Result<PathBuf, String> {
    build("mdatp-forward", &["--profile", "demo", "--bin", "mdatp-forward"])
}

/// Builds an executable with the cargo that runs us, which shows its progress itself, and tells where it is.
pub(crate) fn build(name: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What the cargo that runs us has set would have ring compiled anew.
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

/// Cargo tells by message where its output lies: a target folder may be set anywhere.
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
