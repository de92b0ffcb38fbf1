//! A call that brought nothing, as a finding. Pure.

use super::finding::Finding;
use crate::{
    error_chain::chain,
    http::{
        ExchangeError,
        advice::trust_advice,
        call::{CallError, Refusal},
        credential::TokenError,
    },
};

/// The finding of a call that failed. Where the service has refused, `command` may have one to add to the
/// advice.
pub fn of_call(
    check: &'static str,
    error: &CallError,
    command: impl Fn(&Refusal) -> Option<String>,
) -> Finding {
    let message = without_advice(error);
    match error {
        CallError::OutOfTime => {
            let message =
                "the service asks for patience: its quota is used up, also by others with the same app";
            Finding::warning(check, message, "check again in a few minutes")
        }
        CallError::Token(error) => of_token(check, error, "see what the check of the token says"),
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
            let mend =
                format!("check {setting}, and that the network lets it through without a proxy's page");
            Finding::failure(check, message, mend)
        }
    }
}

/// The finding of a token that did not come. `usual` is the mend where the error itself names none.
pub fn of_token(check: &'static str, error: &TokenError, usual: &str) -> Finding {
    match error.advice().as_str() {
        "" => Finding::failure(check, chain(error), usual),
        advice => Finding::failure(check, chain(error).replacen(&format!(" ({advice})"), "", 1), advice),
    }
}

/// The error in words, less what the mend says anyhow.
fn without_advice(error: &CallError) -> String {
    let text = chain(error);
    match error {
        CallError::Refused(refusal) => {
            let advice = refusal.advice();
            text.strip_suffix(&format!("; {advice}")).map_or(text.clone(), str::to_owned)
        }
        CallError::Unreachable { error: ExchangeError::Untrusted(problem), .. } => {
            text.replacen(&format!(" ({})", trust_advice(problem)), "", 1)
        }
        CallError::Unreachable { service, .. } => {
            text.replacen(&format!(" (if this lasts, check {})", service.address_setting()), "", 1)
        }
        _ => text,
    }
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
        let (what, service) = ("POST /api/logs".to_owned(), Service::DataCollector);
        let silent = CallError::Unreachable { what, service, error: ExchangeError::TimedOut };
        let finding = of_call("sink", &silent, |_| Some("az login".to_owned()));
        assert_eq!(
            finding.message,
            "the Data Collector API gave no whole reply to POST /api/logs: no whole reply in time"
        );
        assert!(finding.mend.is_some_and(|mend| mend.starts_with("check MDATP_COLLECTOR_URL")));
        assert_eq!(of_call("sink", &CallError::OutOfTime, |_| None).result, CheckResult::Warning);
    }
}
