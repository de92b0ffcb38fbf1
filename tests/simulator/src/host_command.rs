//! `cargo host`: the function app of a folder under the simulated Functions host, for a machine without the
//! Azure Functions Core Tools. What `func start` would read is read: host.json, function.json and
//! local.settings.json, whose values give way to the environment's.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use azure_core::time::to_rfc3339;
use clap::Args;
use simulator::clock;
use simulator::functions_host::{Category, FunctionsHost, HostLog, Invocation, Level, Outcome, Start};
use tokio::sync::Notify;

/// The forwarder's own reader of the file, of which there is to be one only. This crate cannot depend on the
/// forwarder, whose tests depend on it.
#[path = "../../../src/config"]
mod config {
    pub(super) mod local_settings;
}

/// The options of `host`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder with host.json, local.settings.json, the function's folder and the binary
    #[arg(default_value = ".")]
    app: PathBuf,
    /// End after this many invocations
    #[arg(long)]
    ticks: Option<usize>,
}

/// Fires until Ctrl+C.
pub(crate) async fn run(options: Options) -> Result<(), String> {
    let settings = settings(&options.app.join("local.settings.json"))?;
    let host = FunctionsHost::start(Start::new(&options.app, settings)).await?;
    let schedule = host.schedule()?;
    let first = schedule.after(clock::now()).ok_or("the schedule names a day that no calendar has")?;
    println!("The handler answers. The timer fires first at {}; Ctrl+C ends it.", to_rfc3339(&first));

    let (enough, is_wanted) = (Notify::new(), Cell::new(false));
    let until = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = enough.notified() => {}
        }
        is_wanted.set(true);
    };
    let (mut log_lines, mut ticks) = (0, 0);
    host.run_timer(&schedule, until, |invocation| {
        print(invocation);
        log_lines += print_log(&host, log_lines);
        ticks += 1;
        if options.ticks == Some(ticks) {
            enough.notify_one();
        }
    })
    .await;
    match is_wanted.get() {
        true => Ok(()),
        false => Err(format!("the handler ended too often, so the host stopped: {:?}", host.stderr())),
    }
}

/// The file's values, where the environment has none of that name.
fn settings(file: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read(file).map_err(|problem| problem.to_string());
    let read =
        text.and_then(|text| config::local_settings::values(&text).map_err(|problem| problem.to_string()));
    let values = read.map_err(|problem| format!("{}: {problem}", file.display()))?;
    let own = |(name, value)| {
        let outer = std::env::var_os(&name).and_then(|outer| outer.into_string().ok());
        (name, outer.filter(|outer| !outer.is_empty()).unwrap_or(value))
    };
    Ok(values.into_iter().map(own).collect())
}

fn print(invocation: &Invocation) {
    let now = clock::now();
    let now = to_rfc3339(&(now - azure_core::time::Duration::nanoseconds(now.nanosecond().into())));
    let (now, seconds) = (now, invocation.took.as_secs_f64());
    match &invocation.outcome {
        Outcome::Succeeded => println!("{now} invocation {} succeeded in {seconds:.2} s", invocation.id),
        Outcome::Failed(exception) => println!("{now} invocation {} failed: {exception}", invocation.id),
    }
    for line in &invocation.logs {
        println!("  {line}");
    }
}

/// Prints the warnings and errors, and the lines of the host itself, since the log had `known` lines; returns how many
/// lines are new.
fn print_log(host: &FunctionsHost, known: usize) -> usize {
    let log = host.log().split_off(known);
    let is_told = |log: &&HostLog| log.level > Level::Information || log.category == Category::Host;
    for told in log.iter().filter(is_told) {
        println!("  {:?}: {}", told.level, told.line);
    }
    log.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("local.settings.json");
        let text =
            r#"{"IsEncrypted":false,"Values":{"PATH":"nowhere","MDATP_NEVER_SET":true,},} // as Core Tools"#;
        std::fs::write(&file, text).expect("written");
        let path = std::env::var_os("PATH").and_then(|path| path.into_string().ok()).expect("a PATH");
        let expected = [("MDATP_NEVER_SET", "True"), ("PATH", &path)];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        assert_eq!(settings(&file), Ok(expected.map(own).to_vec()));

        std::fs::write(&file, "{").expect("written");
        assert!(settings(&file).expect_err("no JSON").contains("local.settings.json"));
    }
}
