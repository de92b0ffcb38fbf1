//! A function app as it is deployed: host.json, the function's folder, and the binary where host.json says.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::workspace_root;

/// A temporary function app. Dropping it deletes the folder.
#[derive(Debug)]
pub(crate) struct AppRoot(TempDir);

impl AppRoot {
    /// The repository's files with `binary`.
    pub(crate) fn with(binary: &Path) -> Result<Self, String> {
        Self::of(workspace_root(), &["MdatpForward"], binary)
    }

    /// Those of the package for many tenants with `binary`.
    pub(crate) fn for_tenants(binary: &Path) -> Result<Self, String> {
        Self::of(&workspace_root().join("deploy/tenants"), &["MdatpForward", "MdatpTenant"], binary)
    }

    fn of(from: &Path, functions: &[&str], binary: &Path) -> Result<Self, String> {
        let folder =
            TempDir::new().map_err(|problem| format!("no folder for the function app: {problem}"))?;
        let to = folder.path();
        let host: Value = std::fs::read(from.join("host.json"))
            .map_err(|problem| problem.to_string())
            .and_then(|text| serde_json::from_slice(&text).map_err(|problem| problem.to_string()))
            .map_err(|problem| format!("host.json: {problem}"))?;
        let executable = host["customHandler"]["description"]["defaultExecutablePath"].as_str();
        let executable = to.join(executable.ok_or("host.json names no defaultExecutablePath")?);
        copy(&from.join("host.json"), &to.join("host.json"))?;
        for function in functions {
            let name = format!("{function}/function.json");
            copy(&from.join(&name), &to.join(&name))?;
        }
        // The host restarts when a folder appears later.
        copy(&workspace_root().join(".state/.gitignore"), &to.join(".state/.gitignore"))?;
        copy(binary, &executable)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The folder for the forwarder's state, which is not deployed.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.path().join(".state")
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let folder = to.parent().unwrap_or(to);
    let copied = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(from, to));
    copied.map(drop).map_err(|problem| format!("copying {} to {}: {problem}", from.display(), to.display()))
}
