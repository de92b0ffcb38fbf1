//! A call that brought nothing, as a finding. Pure.

use super::finding::Finding;
use crate::{
    error_chain::chain,
    http::{advice::Advice, call::CallError, credential::TokenError},
};

/// The finding of a call that failed. `command` may have one that shows or does what is advised.
pub fn of_call(
    check: &'static str,
    error: &CallError,
    command: impl Fn(Advice) -> Option<String>,
) -> Finding {
    match error {
        CallError::OutOfTime => {
            let message =
                "the service asks for patience: its quota is used up, also by others with the same app";
            Finding::warning(check, message, "check again in a few minutes")
        }
        CallError::Token(error) => of_token(check, error, "see what the check of the token says"),
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
            let usual =
                || format!("check {setting}, and that the network lets it through without a proxy's page");
            Finding::failure(check, chain(error), own.map_or_else(usual, str::to_owned))
        }
    }
}

/// The finding of a token that did not come. `usual` is the fix where the error itself has none.
pub fn of_token(check: &'static str, error: &TokenError, usual: &str) -> Finding {
    Finding::failure(check, chain(error), error.fix().unwrap_or_else(|| usual.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::{
        cli::check::finding::Outcome,
        http::{
            ExchangeError,
            call::ErrorResponse,
            error_detail::{ErrorDetail, ErrorForm},
            service::Service,
        },
    };

    fn refused(status: u16) -> CallError {
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
    fn the_mend_is_said_once_and_followed_by_the_command() {
        let finding = of_call("sink", &refused(403), |_| Some("az login".to_owned()));
        assert_eq!(
            finding.to_string(),
            "failure  sink               the Data Collector API answered 403 to POST /api/logs (InvalidAuthorization); \
             mend: check that MDATP_WORKSPACE_KEY is a key of MDATP_WORKSPACE_ID and that the clock is right: az login"
        );
        let finding = of_call("sink", &refused(418), |_| None);
        assert_eq!(
            (finding.message.as_str(), finding.mend),
            ("the Data Collector API answered 418 to POST /api/logs (InvalidAuthorization)", None)
        );
        let (operation, service) = ("POST /api/logs".to_owned(), Service::DataCollector);
        let silent = CallError::Unreachable { operation, service, error: ExchangeError::TimedOut };
        let finding = of_call("sink", &silent, |_| Some("az login".to_owned()));
        assert_eq!(
            finding.message,
            "the Data Collector API did not return a complete response to POST /api/logs: the request timed out"
        );
        assert!(finding.mend.is_some_and(|mend| mend.starts_with("check MDATP_COLLECTOR_URL")));
        assert_eq!(of_call("sink", &CallError::OutOfTime, |_| None).result, Outcome::Warning);
    }
}
