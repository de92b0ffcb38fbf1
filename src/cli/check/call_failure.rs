//! The finding of a call that failed. Pure.

use super::finding::Finding;
use crate::{
    error_chain::chain_without_advice,
    http::{
        ExchangeError,
        advice::trust_advice,
        call::{CallError, Refusal},
        credential::TokenError,
    },
};

/// Returns the finding of a call that failed. If the service rejected it, `command` may return a command that the advice is
/// about.
pub fn call_finding(
    check: &'static str,
    error: &CallError,
    command: impl Fn(&Refusal) -> Option<String>,
) -> Finding {
    let message = chain_without_advice(error);
    match error {
        CallError::OutOfTime => {
            let message =
                "the service's quota is used up, which all callers with the same app registration share";
            Finding::warning(check, message, "check again in a few minutes")
        }
        CallError::Token(error) => token_finding(check, error, "see the check of the token"),
        CallError::Refused(refusal) => {
            let advice = refusal.advice();
            let command = command(refusal).map(|command| format!(": {command}")).unwrap_or_default();
            Finding::failure(check, message, format!("{advice}{command}"))
        }
        CallError::Unreachable { error: ExchangeError::Untrusted(problem), .. } => {
            Finding::failure(check, message, trust_advice(problem))
        }
        CallError::Unreachable { service, .. } | CallError::Unreadable { service, .. } => {
            let setting = service.address_setting();
            let fix = format!("check {setting}, and that no proxy or firewall blocks the address");
            Finding::failure(check, message, fix)
        }
    }
}

/// Returns the finding of a token that was not issued. `usual` is the fix for an error without advice of its own.
pub fn token_finding(check: &'static str, error: &TokenError, usual: &str) -> Finding {
    let advice = error.advice();
    let fix = if advice.is_empty() { usual } else { &advice };
    Finding::failure(check, chain_without_advice(error), fix)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::{
        cli::check::finding::CheckResult,
        http::{
            ExchangeError,
            advice::{Reason, Service},
        },
    };

    fn refused(status: u16) -> CallError {
        CallError::Refused(Refusal {
            what: "POST /api/logs".to_owned(),
            service: Service::DataCollector,
            status: StatusCode::from_u16(status).expect("a status"),
            reason: Reason { code: Some("InvalidAuthorization".to_owned()), ..Reason::default() },
            message: "InvalidAuthorization".to_owned(),
            date: None,
        })
    }

    #[test]
    fn the_fix_is_printed_once_and_followed_by_the_command() {
        let finding = call_finding("sink", &refused(403), |_| Some("az login".to_owned()));
        assert_eq!(
            finding.to_string(),
            "failure  sink               the Data Collector API answered 403 to POST /api/logs (InvalidAuthorization); \
             fix: check that MDATP_WORKSPACE_KEY is a key of MDATP_WORKSPACE_ID and that the clock is right: az login"
        );
        let finding = call_finding("sink", &refused(418), |_| None);
        assert_eq!(
            (finding.message.as_str(), finding.fix),
            ("the Data Collector API answered 418 to POST /api/logs (InvalidAuthorization)", None)
        );
        let (what, service) = ("POST /api/logs".to_owned(), Service::DataCollector);
        let silent = CallError::Unreachable { what, service, error: ExchangeError::TimedOut };
        let finding = call_finding("sink", &silent, |_| Some("az login".to_owned()));
        assert_eq!(
            finding.message,
            "the Data Collector API gave no whole reply to POST /api/logs: no whole reply in time"
        );
        assert!(finding.fix.is_some_and(|fix| fix.starts_with("check MDATP_COLLECTOR_URL")));
        assert_eq!(call_finding("sink", &CallError::OutOfTime, |_| None).result, CheckResult::Warning);
    }
}
