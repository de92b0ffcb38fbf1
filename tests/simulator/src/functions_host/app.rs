//! The function app as the host finds it on disk: host.json and the folder of its one function.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// What host.json and function.json say about starting and calling the handler.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) root: PathBuf,
    pub(super) executable: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) working_directory: PathBuf,
    pub(super) initialization_timeout: Duration,
    /// `None`: the app runs without a limit.
    pub(super) function_timeout: Option<Duration>,
    /// The name of the function's folder, with its case: the path of every invocation.
    pub(super) function: String,
    /// The name of its trigger binding: the key under `Data`.
    pub(super) binding: String,
    /// The trigger's schedule as it is written: a setting's name between percent signs, or NCRONTAB.
    pub(super) schedule: String,
}

impl App {
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let root = root.canonicalize().map_err(|problem| format!("{}: {problem}", root.display()))?;
        let host = json(&root.join("host.json"))?;
        if host["version"] != "2.0" {
            return Err(r#"host.json: "version" has to be "2.0""#.into());
        }
        let description = &host["customHandler"]["description"];
        let executable = match description["defaultExecutablePath"].as_str() {
            None | Some("") => {
                return Err("host.json: customHandler.description has no defaultExecutablePath".into());
            }
            Some(path) => resolve(&root, path),
        };
        let arguments = description["arguments"].as_array().into_iter().flatten();
        let (function, binding, schedule) = function(&root)?;
        Ok(Self {
            executable,
            arguments: arguments.filter_map(|argument| Some(argument.as_str()?.to_owned())).collect(),
            working_directory: root.join(description["workingDirectory"].as_str().unwrap_or_default()),
            initialization_timeout: match host["customHandler"]["initializationTimeout"].as_str() {
                None => Duration::from_secs(30),
                Some(text) => time_span(text)?,
            },
            function_timeout: match host["functionTimeout"].as_str() {
                None => Some(Duration::from_secs(1800)),
                Some("-1") => None,
                Some(text) => Some(time_span(text)?),
            },
            function,
            binding,
            schedule,
            root,
        })
    }
}

/// A relative path counts from the app root if there is such a file; else it is left for PATH to find.
fn resolve(root: &Path, path: &str) -> PathBuf {
    let inside = root.join(path);
    if inside.is_file() { inside } else { path.into() }
}

/// The function's name, and its trigger's name and schedule.
fn function(root: &Path) -> Result<(String, String, String), String> {
    let entries = root.read_dir().map_err(|problem| format!("{}: {problem}", root.display()))?;
    let folder = entries
        .filter_map(Result::ok)
        .find(|entry| entry.path().join("function.json").is_file())
        .ok_or_else(|| {
            format!("{}: no folder with a function.json, so the host would start nothing", root.display())
        })?;
    let path = folder.path().join("function.json");
    let bindings = json(&path)?["bindings"].take();
    let trigger = bindings.as_array().into_iter().flatten().find(|binding| binding["type"] == "timerTrigger");
    let name = trigger.and_then(|trigger| trigger["name"].as_str());
    let schedule = trigger.and_then(|trigger| trigger["schedule"].as_str()).unwrap_or_default();
    match (folder.file_name().into_string(), name) {
        (Ok(function), Some(binding)) => Ok((function, binding.to_owned(), schedule.to_owned())),
        _ => Err(format!("{}: no timerTrigger with a name", path.display())),
    }
}

fn json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|problem| format!("{}: {problem}", path.display()))?;
    serde_json::from_slice(&text).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// `hh:mm:ss`, the part of .NET's `TimeSpan` that host.json files use.
fn time_span(text: &str) -> Result<Duration, String> {
    let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([hours, minutes, seconds]) => Ok(Duration::from_secs(hours * 3600 + minutes * 60 + seconds)),
        _ => Err(format!("host.json: {text:?} is not a time span like 00:10:00")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(host: &str) -> (tempfile::TempDir, Result<App, String>) {
        let root = tempfile::tempdir().expect("a folder for temporary files");
        std::fs::create_dir(root.path().join("MdatpForward")).expect("the folder is ours");
        std::fs::write(root.path().join("host.json"), host).expect("the folder is ours");
        let function = r#"{"bindings":[{"type":"timerTrigger","name":"mdatpTimer","schedule":"%S%"}]}"#;
        std::fs::write(root.path().join("MdatpForward/function.json"), function).expect("the folder is ours");
        std::fs::write(root.path().join("handler"), "").expect("the folder is ours");
        let read = App::read(root.path());
        (root, read)
    }

    #[test]
    fn the_handler_is_found_beside_host_json() {
        let host = r#"{"version":"2.0","functionTimeout":"00:10:00",
            "customHandler":{"description":{"defaultExecutablePath":"handler","arguments":["-v"]}}}"#;
        let (root, app) = app(host);
        let app = app.expect("a complete app");
        assert_eq!(app.executable, root.path().canonicalize().expect("it is there").join("handler"));
        assert_eq!(app.arguments, ["-v"]);
        assert_eq!(app.function_timeout, Some(Duration::from_secs(600)));
        assert_eq!(app.initialization_timeout, Duration::from_secs(30));
        assert_eq!((app.function.as_str(), app.binding.as_str()), ("MdatpForward", "mdatpTimer"));
        assert_eq!(app.schedule, "%S%");
    }

    #[test]
    fn a_name_that_is_no_file_is_left_to_path() {
        let host = r#"{"version":"2.0","functionTimeout":"-1",
            "customHandler":{"description":{"defaultExecutablePath":"elsewhere"}}}"#;
        let app = app(host).1.expect("a complete app");
        assert_eq!(app.executable, Path::new("elsewhere"));
        assert_eq!(app.function_timeout, None);
    }

    #[test]
    fn an_unfit_host_json_is_rejected() {
        for (host, problem) in [
            (r#"{"customHandler":{"description":{"defaultExecutablePath":"handler"}}}"#, "version"),
            (r#"{"version":"2.0","customHandler":{}}"#, "defaultExecutablePath"),
            (
                r#"{"version":"2.0","functionTimeout":"600","customHandler":{"description":{"defaultExecutablePath":"h"}}}"#,
                "time span",
            ),
        ] {
            let rejected = app(host).1.expect_err(host);
            assert!(rejected.contains(problem), "{rejected}");
        }
    }
}
