//! Packages from npm that tests need, in the versions their lock files name.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder `name` under `tests/`, with `package` in its `node_modules`, which is installed now if it is missing.
///
/// The lock on package-lock.json lets test processes that start together install it once.
pub fn installed(name: &str, package: &str) -> Result<PathBuf, String> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies under tests").join(name);
    let wanted_path = folder.join("package-lock.json");
    let lock = File::open(&wanted_path).map_err(|problem| format!("{}: {problem}", wanted_path.display()))?;
    lock.lock().map_err(|problem| format!("{}: {problem}", wanted_path.display()))?;
    let wanted = version(&wanted_path, package);
    // npm writes this copy of the lock file last, so half an installation does not pass for one.
    if wanted.is_none() || version(&folder.join("node_modules/.package-lock.json"), package) != wanted {
        npm_ci(&folder)?;
    }
    Ok(folder)
}

fn version(lock: &Path, package: &str) -> Option<Value> {
    let mut lock: Value = serde_json::from_slice(&std::fs::read(lock).ok()?).ok()?;
    Some(lock["packages"][format!("node_modules/{package}")]["version"].take()).filter(Value::is_string)
}

fn npm_ci(folder: &Path) -> Result<(), String> {
    let output = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(folder)
        .output()
        .map_err(|problem| format!("npm, which comes with Node.js: {problem}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("npm ci in {}: {}", folder.display(), String::from_utf8_lossy(&output.stderr)))
}
