//! The finding of a call that failed. Pure.

use super::finding::Finding;
use crate::{
    error_chain::chain,
    http::{advice::Advice, call::CallError, credential::TokenError},
};

/// Returns the finding of a call that failed. `command` may return a command that shows or does what is advised.
pub fn call_finding(
    check: &'static str,
    error: &CallError,
    command: impl Fn(Advice) -> Option<String>,
) -> Finding {
    match error {
        CallError::OutOfTime => {
            let message =
                "the service's quota is used up, which all callers with the same app registration share";
            Finding::warning(check, message, "check again in a few minutes")
        }
        CallError::Token(error) => token_finding(check, error, "see the check of the token"),
        CallError::Rejected(response) => {
            let fix = response.advice().map(|advice| match command(advice) {
                Some(command) => format!("{}: {command}", advice.text()),
                None => advice.text().to_owned(),
            });
            Finding::failure(check, chain(error), fix.unwrap_or_default())
        }
        CallError::Unreachable { service, .. } | CallError::Unreadable { service, .. } => {
            let own = match error {
                CallError::Unreachable { error, .. } => error.fix(),
                _ => None,
            };
            let setting = service.address_setting();
            let usual = || format!("check {setting}, and that no proxy or firewall blocks the address");
            Finding::failure(check, chain(error), own.map_or_else(usual, str::to_owned))
        }
    }
}

/// Returns the finding of a token that was not issued. `usual` is the fix for an error without one of its own.
pub fn token_finding(check: &'static str, error: &TokenError, usual: &str) -> Finding {
    Finding::failure(check, chain(error), error.fix().unwrap_or_else(|| usual.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::{
        cli::check::finding::CheckResult,
        http::{
            ExchangeError,
            call::ErrorResponse,
            error_detail::{ErrorDetail, ErrorForm},
            service::Service,
        },
    };

    fn rejected(status: u16) -> CallError {
        CallError::Rejected(ErrorResponse {
            operation: "POST /api/logs".to_owned(),
            service: Service::DataCollector,
            status: StatusCode::from_u16(status).expect("a status"),
            detail: ErrorDetail {
                form: ErrorForm::Code("InvalidAuthorization".to_owned()),
                message: "InvalidAuthorization".to_owned(),
                ..ErrorDetail::default()
            },
            date: None,
        })
    }

    #[test]
    fn the_fix_is_printed_once_and_followed_by_the_command() {
        let finding = call_finding("sink", &rejected(403), |_| Some("az login".to_owned()));
        assert_eq!(
            finding.to_string(),
            "failure  sink               the Data Collector API answered 403 to POST /api/logs (InvalidAuthorization). \
             Fix: check that MDATP_WORKSPACE_KEY is a key of MDATP_WORKSPACE_ID and that the clock is right: az login"
        );
        let finding = call_finding("sink", &rejected(418), |_| None);
        assert_eq!(
            (finding.message.as_str(), finding.fix),
            ("the Data Collector API answered 418 to POST /api/logs (InvalidAuthorization)", None)
        );
        let (operation, service) = ("POST /api/logs".to_owned(), Service::DataCollector);
        let silent = CallError::Unreachable { operation, service, error: ExchangeError::TimedOut };
        let finding = call_finding("sink", &silent, |_| Some("az login".to_owned()));
        assert_eq!(
            finding.message,
            "the Data Collector API did not return a complete response to POST /api/logs: the request timed out"
        );
        assert!(finding.fix.is_some_and(|fix| fix.starts_with("check MDATP_COLLECTOR_URL")));
        assert_eq!(call_finding("sink", &CallError::OutOfTime, |_| None).result, CheckResult::Warning);
    }
}
