//! The finding about the last run of a tenant, by its state. Pure.

use azure_core::time::OffsetDateTime;

use super::finding::Finding;
use crate::status::{ago, tenants::TenantStatus};

/// The name of the check.
pub const CHECK: &str = "last-run";

/// Returns the finding about the runs of a tenant.
pub fn finding(status: &TenantStatus, now: OffsetDateTime) -> Finding {
    let id = &status.id;
    let lag = status.lag_seconds.map(|lag| format!(", and everything older than {lag} s is delivered"));
    let lag = lag.unwrap_or_default();
    match (&status.problems[..], status.last_run) {
        (_, None) if status.damage.is_none() => Finding::warning(
            CHECK,
            "there has been no run yet",
            "none needed: the next tick of the timer asks for one; if none comes, see the app's log",
        ),
        ([], Some(run)) => Finding::ok(CHECK, format!("the last run, {}, succeeded{lag}", ago(run, now))),
        (problems, _) => Finding::failure(
            CHECK,
            problems.join("; "),
            format!("mdatp-forward status --tenant {id}, then mdatp-forward check --tenant {id}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::{Duration, parse_rfc3339};

    use super::*;
    use crate::{
        cli::check::finding::CheckResult,
        report::RunReport,
        state::{checkpoint::Checkpoint, history::HistoryEntry},
        status::{SetAsideSummary, Status},
    };

    fn of(text: Option<&[u8]>, now: OffsetDateTime) -> Finding {
        let status = Status::new("here".to_owned(), text, SetAsideSummary::default(), now);
        finding(&TenantStatus::new("t".to_owned(), "Contoso".to_owned(), true, status), now)
    }

    #[test]
    fn no_run_is_a_warning_and_a_failed_one_a_failure_with_its_reason() {
        let now = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
        let runs = |reports: &[(i64, RunReport)]| {
            let mut checkpoint = Checkpoint::starting_at(now - Duration::minutes(5));
            for (minutes, report) in reports {
                checkpoint.history.add(HistoryEntry::of(now - Duration::minutes(*minutes), report));
            }
            checkpoint.to_json()
        };
        let ok = || RunReport { complete: true, lag_seconds: Some(0), ..RunReport::default() };
        let failed = RunReport { error: Some("no consent".to_owned()), ..RunReport::default() };
        for (text, result, part) in [
            (None, CheckResult::Warning, "no run yet"),
            (Some(runs(&[])), CheckResult::Warning, "no run yet"),
            (Some(runs(&[(3, ok())])), CheckResult::Ok, "the last run, 3m ago, succeeded"),
            (Some(runs(&[(8, ok()), (3, failed)])), CheckResult::Failure, "the last run failed: no consent"),
            (
                Some(runs(&[(130, ok())])),
                CheckResult::Failure,
                "no run has succeeded within the last 2 hours",
            ),
            (Some(b"{".to_vec()), CheckResult::Failure, "cannot be used"),
        ] {
            let finding = of(text.as_deref(), now);
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
        }
    }
}
