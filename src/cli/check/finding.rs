//! The finding of a check, as a line and as JSON. Pure.

use std::{fmt, process::ExitCode};

use serde::Serialize;

use crate::error_chain::{one_line, with_fix};

/// How a check ended. The names are part of the contract with the readers of `check --json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// It works.
    Ok,
    /// It works or may work, but needs attention.
    Warning,
    /// It does not work.
    Failure,
}

/// What one check found. The names of its members are part of the contract with the readers of `check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// How the check ended.
    pub result: CheckResult,
    /// What was found.
    pub message: String,
    /// What to do: the setting, role or command. `None` if there is nothing to do.
    pub fix: Option<String>,
}

/// All findings, as `check --json` prints them.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The findings, in the order of the checks.
    pub findings: Vec<Finding>,
    /// The worst result.
    pub result: CheckResult,
}

impl Finding {
    /// Creates the finding of something that works.
    pub fn ok(check: &'static str, message: impl AsRef<str>) -> Self {
        Self::new(check, CheckResult::Ok, message.as_ref(), "")
    }

    /// Creates the finding of something that needs attention. An empty `fix` is none.
    pub fn warning(check: &'static str, message: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self::new(check, CheckResult::Warning, message.as_ref(), fix.as_ref())
    }

    /// Creates the finding of something that does not work. An empty `fix` is none.
    pub fn failure(check: &'static str, message: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self::new(check, CheckResult::Failure, message.as_ref(), fix.as_ref())
    }

    /// Creates the finding of a check that was left out because something before it does not work.
    pub fn not_checked(check: &'static str, why: &str) -> Self {
        Self::new(check, CheckResult::Warning, &format!("not checked: {why}"), "")
    }

    fn new(check: &'static str, result: CheckResult, message: &str, fix: &str) -> Self {
        const LONGEST: usize = 1_000;
        // Parts of it are texts of a service, which must not be able to forge a line.
        let fix = Some(one_line(fix, LONGEST)).filter(|fix| !fix.is_empty());
        Self { check, result, message: one_line(message, LONGEST), fix }
    }
}

impl From<Vec<Finding>> for Findings {
    fn from(findings: Vec<Finding>) -> Self {
        let result = findings.iter().map(|finding| finding.result).max().unwrap_or(CheckResult::Ok);
        Self { findings, result }
    }
}

impl CheckResult {
    /// Returns the exit code of a command that checks.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Failure => 2,
        })
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = with_fix(&self.message, self.fix.as_deref());
        write!(f, "{:7}  {:17}  {text}", self.result, self.check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_the_worst_result_counts() {
        let findings = [
            Finding::ok("settings", "all read"),
            Finding::failure("sink", "it said:\r\nno", "MDATP_WORKSPACE_KEY"),
            Finding::not_checked("clock", "no response"),
        ];
        let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(
            lines,
            [
                "ok       settings           all read",
                "failure  sink               it said: no. Fix: MDATP_WORKSPACE_KEY",
                "warning  clock              not checked: no response",
            ]
        );
        let json = serde_json::to_string(&Findings::from(findings[..2].to_vec())).expect("JSON");
        assert_eq!(
            json,
            r#"{"findings":[{"check":"settings","result":"ok","message":"all read","fix":null},{"check":"sink","result":"failure","message":"it said: no","fix":"MDATP_WORKSPACE_KEY"}],"result":"failure"}"#
        );
        assert_eq!(Findings::from(findings[2..].to_vec()).result, CheckResult::Warning);
    }
}
