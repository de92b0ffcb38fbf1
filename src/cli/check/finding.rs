//! What a check found, for a reader and as JSON. Pure.

use std::fmt;

use serde::Serialize;

use crate::error_chain::one_line;

/// How a check ended. The names are part of the contract with whoever reads the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// It works.
    Ok,
    /// It works, or may work, but somebody should look.
    Warning,
    /// It does not work.
    Failure,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: &'static str,
    /// How that ended.
    pub result: CheckResult,
    /// What was found.
    pub message: String,
    /// What to do about it: the setting, role or command.
    pub mend: Option<String>,
}

/// All findings, as `check --json` prints them.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// In the order of the checks.
    pub findings: Vec<Finding>,
    /// The worst of them.
    pub result: CheckResult,
}

impl Finding {
    /// It works.
    pub fn ok(check: &'static str, message: impl AsRef<str>) -> Self {
        Self::new(check, CheckResult::Ok, message.as_ref(), "")
    }

    /// Somebody should look.
    pub fn warning(check: &'static str, message: impl AsRef<str>, mend: impl AsRef<str>) -> Self {
        Self::new(check, CheckResult::Warning, message.as_ref(), mend.as_ref())
    }

    /// It does not work.
    pub fn failure(check: &'static str, message: impl AsRef<str>, mend: impl AsRef<str>) -> Self {
        Self::new(check, CheckResult::Failure, message.as_ref(), mend.as_ref())
    }

    /// Nobody knows, because something before it does not work.
    pub fn not_checked(check: &'static str, why: &str) -> Self {
        Self::new(check, CheckResult::Warning, &format!("not checked: {why}"), "")
    }

    fn new(check: &'static str, result: CheckResult, message: &str, mend: &str) -> Self {
        const LONGEST: usize = 1_000;
        // Some of it are a server's words, which must not forge a line.
        let mend = Some(one_line(mend, LONGEST)).filter(|mend| !mend.is_empty());
        Self { check, result, message: one_line(message, LONGEST), mend }
    }
}

impl From<Vec<Finding>> for Findings {
    fn from(findings: Vec<Finding>) -> Self {
        let result = findings.iter().map(|finding| finding.result).max().unwrap_or(CheckResult::Ok);
        Self { findings, result }
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
        write!(f, "{:7}  {:17}  {}", self.result, self.check, self.message)?;
        self.mend.iter().try_for_each(|mend| write!(f, "; mend: {mend}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_the_worst_counts() {
        let findings = [
            Finding::ok("settings", "all read"),
            Finding::failure("sink", "it said:\r\nno", "MDATP_WORKSPACE_KEY"),
            Finding::not_checked("clock", "nobody has answered"),
        ];
        let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(
            lines,
            [
                "ok       settings           all read",
                "failure  sink               it said: no; mend: MDATP_WORKSPACE_KEY",
                "warning  clock              not checked: nobody has answered",
            ]
        );
        let json = serde_json::to_string(&Findings::from(findings[..2].to_vec())).expect("JSON");
        assert_eq!(
            json,
            r#"{"findings":[{"check":"settings","result":"ok","message":"all read","mend":null},{"check":"sink","result":"failure","message":"it said: no","mend":"MDATP_WORKSPACE_KEY"}],"result":"failure"}"#
        );
        assert_eq!(Findings::from(findings[2..].to_vec()).result, CheckResult::Warning);
    }
}
