//! `mdatp-forward check`: what works and what does not, before the first run or when one fails.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use clap::Args;
use tracing::error;

use super::{EXIT_USAGE, print_line};
use crate::{
    check::{
        check as check_all,
        finding::{Finding, Findings, Outcome},
    },
    clock::Clock,
    config::{local_settings, settings::Settings},
};

/// The options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Also send one marked test record to the sink. Without this nothing is written there.
    #[arg(long)]
    pub send: bool,
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
    /// Take the settings from the Values of this `local.settings.json`, and its folder for the current one, as
    /// func start does.
    #[arg(long, value_name = "FILE")]
    pub local_settings: Option<PathBuf>,
}

/// Checks.
pub async fn check(args: &CheckArgs, settings: &Settings, clock: Clock) -> ExitCode {
    if let Some(file) = &args.local_settings {
        let problem = again(args, file);
        error!("{}: {problem}", file.display());
        return ExitCode::from(EXIT_USAGE);
    }
    let mut findings = Vec::new();
    let mut tell = |finding: Finding| {
        if !args.json {
            print_line(finding.to_string().as_bytes());
        }
        findings.push(finding);
    };
    check_all(settings, clock, args.send, &mut tell).await;
    let findings = Findings::from(findings);
    if args.json {
        print_line(&serde_json::to_vec(&findings).expect("texts can be written as JSON"));
    }
    match findings.result {
        Outcome::Ok => ExitCode::SUCCESS,
        Outcome::Warning => ExitCode::from(1),
        Outcome::Failure => ExitCode::from(2),
    }
}

/// Becomes this program anew with the file's values as its settings: the libraries for identities read the
/// environment too, which a process had better not change under itself. Comes back only with a problem.
fn again(args: &CheckArgs, file: &Path) -> String {
    let read = fs::read(file).map_err(|error| format!("it cannot be read: {error}"));
    let values = match read.and_then(|text| local_settings::values(&text)) {
        Ok(values) => values,
        Err(problem) => return problem,
    };
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("this program does not find itself: {error}"),
    };
    let mut command = process::Command::new(program);
    command.arg("check");
    command.args(args.send.then_some("--send")).args(args.json.then_some("--json"));
    for (name, _) in env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    format!("the check does not start: {}", command.envs(values).current_dir(folder).exec())
}

/// True for what the file stands in the place of. The rest is this machine's, such as where `az` is and keeps
/// its sign-in.
fn is_setting(name: &OsStr) -> bool {
    const OURS: [&str; 7] =
        ["MDATP_", "AZURE_", "AzureWebJobs", "IDENTITY_", "MSI_", "FUNCTIONS_", "WEBSITE_"];
    let name = name.to_string_lossy();
    name != "AZURE_CONFIG_DIR" && OURS.iter().any(|ours| name.starts_with(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_from_what_is_this_machines() {
        for name in
            ["MDATP_SINK", "AZURE_CLIENT_SECRET", "AzureWebJobsStorage__accountName", "IDENTITY_HEADER"]
        {
            assert!(is_setting(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "AZURE_CONFIG_DIR", "SSL_CERT_FILE", "HTTPS_PROXY"] {
            assert!(!is_setting(OsStr::new(name)), "{name}");
        }
    }
}
