//! The function app as the host finds it on disk: host.json and the folders of its functions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::queue_trigger::QueueSettings;

/// What host.json and the function.json files say about starting and calling the handler.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) root: PathBuf,
    pub(super) executable: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) working_directory: PathBuf,
    pub(super) initialization_timeout: Duration,
    /// `None`: the app runs without a limit.
    pub(super) function_timeout: Option<Duration>,
    pub(super) queues: QueueSettings,
    pub(super) functions: Vec<Function>,
    /// Why functions are left out, as the host says it at its start.
    pub(super) disabled: Vec<String>,
}

/// A function that can be invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// The name of its folder, with its case: the path of every invocation.
    pub(super) name: String,
    pub(super) trigger: Trigger,
    pub(super) outputs: Vec<QueueBinding>,
}

/// What invokes a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    Timer {
        /// The name of the binding: the key under `Data`.
        binding: String,
        /// As it is written: a setting's name between percent signs, or NCRONTAB.
        schedule: String,
    },
    Queue(QueueBinding),
    /// Something that tests do themselves, such as a call.
    Other,
}

/// A binding to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueBinding {
    pub(super) name: String,
    pub(super) queue: String,
    /// Whether its `dataType` is binary.
    pub(super) is_binary: bool,
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
        let has_bundle = host["extensionBundle"]["id"].is_string();
        let (mut functions, mut disabled) = (Vec::new(), Vec::new());
        for name in folders(&root)? {
            match function(&root, &name, has_bundle)? {
                Ok(function) => functions.push(function),
                Err(problem) => disabled.push(problem),
            }
        }
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
            queues: QueueSettings::read(&host["extensions"]["queues"])?,
            functions,
            disabled,
            root,
        })
    }

    /// The function of this name; one that this app does not have is called by hand, and has no outputs.
    pub(super) fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// The function with a timer: its name, its binding's, and the schedule.
    pub(super) fn timer(&self) -> Option<(&str, &str, &str)> {
        self.functions.iter().find_map(|Function { name, trigger, .. }| match trigger {
            Trigger::Timer { binding, schedule } => Some((&**name, &**binding, &**schedule)),
            Trigger::Queue(_) | Trigger::Other => None,
        })
    }
}

/// A relative path counts from the app root if there is such a file; else it is left for PATH to find.
fn resolve(root: &Path, path: &str) -> PathBuf {
    let inside = root.join(path);
    if inside.is_file() { inside } else { path.into() }
}

/// The folders with a function, in order.
fn folders(root: &Path) -> Result<Vec<String>, String> {
    let entries = root.read_dir().map_err(|problem| format!("{}: {problem}", root.display()))?;
    let entries = entries.filter_map(Result::ok);
    let functions = entries.filter(|entry| entry.path().join("function.json").is_file());
    let mut names: Vec<_> = functions.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    match names.is_empty() {
        true => Err(format!(
            "{}: no folder with a function.json, so the host would start nothing",
            root.display()
        )),
        false => Ok(names),
    }
}

/// Reads a function, or says why the host runs the others without it.
fn function(root: &Path, name: &str, has_bundle: bool) -> Result<Result<Function, String>, String> {
    let path = root.join(name).join("function.json");
    let bindings = json(&path)?["bindings"].take();
    let bindings: Vec<_> = bindings.as_array().into_iter().flatten().collect();
    let text = |binding: &Value, member: &str| binding[member].as_str().unwrap_or_default().to_owned();
    let queue = |binding: &Value| QueueBinding {
        name: text(binding, "name"),
        queue: text(binding, "queueName"),
        is_binary: binding["dataType"] == "binary",
    };
    let outputs: Vec<_> =
        bindings.iter().filter(|binding| binding["type"] == "queue").map(|it| queue(it)).collect();
    let kind = |binding: &&&Value| text(binding, "type").ends_with("Trigger");
    let Some(trigger) = bindings.iter().find(kind).filter(|it| !text(it, "name").is_empty()) else {
        return Err(format!("{}: no trigger with a name", path.display()));
    };
    let trigger = match text(trigger, "type").as_str() {
        "timerTrigger" => {
            Trigger::Timer { binding: text(trigger, "name"), schedule: text(trigger, "schedule") }
        }
        "queueTrigger" => Trigger::Queue(queue(trigger)),
        _ => Trigger::Other,
    };
    let own = match &trigger {
        Trigger::Queue(binding) => Some(binding),
        Trigger::Timer { .. } | Trigger::Other => None,
    };
    for QueueBinding { queue, .. } in own.into_iter().chain(&outputs) {
        if !has_bundle {
            return Ok(Err(format!(
                "The '{name}' function is in error: The binding type(s) 'queueTrigger' or 'queue' are not registered. \
                 Please ensure the type is correct and the binding extension is installed."
            )));
        }
        if !(3..=63).contains(&queue.len()) {
            return Ok(Err(format!(
                "Function 'Functions.{name}' failed indexing and will be disabled: {queue:?}"
            )));
        }
    }
    Ok(Ok(Function { name: name.to_owned(), trigger, outputs }))
}

fn json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|problem| format!("{}: {problem}", path.display()))?;
    serde_json::from_slice(&text).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// `hh:mm:ss`, the part of .NET's `TimeSpan` that host.json files use.
pub(super) fn time_span(text: &str) -> Result<Duration, String> {
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
        assert_eq!(app.timer(), Some(("MdatpForward", "mdatpTimer", "%S%")));
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
    fn a_function_that_cannot_be_indexed_is_left_out_and_the_others_run() {
        let host = |bundle: &str| {
            format!(
                r#"{{"version":"2.0",{bundle}"extensions":{{"queues":{{"batchSize":32,"newBatchThreshold":96}}}},
                    "customHandler":{{"description":{{"defaultExecutablePath":"handler"}}}}}}"#
            )
        };
        let bundle = r#""extensionBundle":{"id":"Microsoft.Azure.Functions.ExtensionBundle","version":"[4.*, 5.0.0)"},"#;
        for (bundle, queue, is_there) in
            [(bundle, "tenants", true), (bundle, "ab", false), ("", "tenants", false)]
        {
            let (root, _) = app(&host(bundle));
            let function = format!(
                r#"{{"bindings":[{{"type":"queueTrigger","name":"message","queueName":"{queue}"}}]}}"#
            );
            std::fs::create_dir(root.path().join("MdatpTenant")).expect("the folder is ours");
            std::fs::write(root.path().join("MdatpTenant/function.json"), function)
                .expect("the folder is ours");
            let app = App::read(root.path()).expect("a complete app");
            assert!(app.timer().is_some());
            assert_eq!(app.function("MdatpTenant").is_some(), is_there, "{:?}", app.disabled);
            assert_eq!(app.disabled.is_empty(), is_there);
            assert_eq!((app.queues.batch_size, app.queues.new_batch_threshold), (32, 96));
            assert_eq!((app.queues.max_dequeue_count, app.queues.visibility_timeout), (5, Duration::ZERO));
        }
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
            (
                r#"{"version":"2.0","extensions":{"queues":{"batchSize":33}},"customHandler":{"description":{"defaultExecutablePath":"h"}}}"#,
                "batchSize",
            ),
        ] {
            let rejected = app(host).1.expect_err(host);
            assert!(rejected.contains(problem), "{rejected}");
        }
    }
}
