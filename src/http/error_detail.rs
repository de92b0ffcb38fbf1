//! What the body of a response says that rejects a call. It is read here, once; all decisions use the values. Pure.

use serde::Deserialize;

use crate::{
    error_chain::one_line,
    http::{claims::Claims, service::Service},
};

/// The most characters of the service's own message.
const MAX_MESSAGE: usize = 600;

/// The most characters that are kept of a body in an unknown form.
const MAX_TEXT: usize = 200;

/// The bytes at the start of a body in an unknown form that are looked at.
const TEXT_START: usize = 2_000;

/// What the Logs Ingestion API writes into the message of an `OperationFailed` when the rule belongs to another data
/// collection endpoint than the one called. It is used as the code, since the service's own is the same for other
/// causes (form of the message: the SDKs' troubleshooting guides, such as `Azure/azure-sdk-for-net#37173`).
pub const INVALID_BINDING: &str = "IsDcrDceBindingValid: False";

/// The Logs Ingestion API's code for a post that spans more than 30 minutes (tutorial of the API, section
/// "Troubleshooting"), wherever in the body it stands.
pub const TIME_RANGE_TOO_LONG: &str = "RecordsTimeRangeIsMoreThan30Minutes";

/// What the body of an error response says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorDetail {
    /// The form of the body, with the service's code if it has one.
    pub form: ErrorForm,
    /// Whether the caller holds the roles that the call needs.
    pub roles: Roles,
    /// The service's message, on one line.
    pub message: String,
}

/// The form of an error response's body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ErrorForm {
    /// There is no body.
    #[default]
    Empty,
    /// The service's own form, with this code, which may be an empty string.
    Code(String),
    /// A web page. No service sends one, so something in between does.
    WebPage,
    /// Another text.
    Text,
}

/// Whether a caller holds the roles that a call needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Roles {
    /// Not known.
    #[default]
    Unknown,
    /// It holds them, so the rejection has another cause.
    Held,
    /// It lacks at least one.
    Missing,
}

impl ErrorDetail {
    /// Reads the body of an error response of `service`.
    pub fn read(service: Service, body: &[u8]) -> Self {
        let mut detail = Self::read_form(body);
        if service == Service::LogsIngestion && detail.form != ErrorForm::WebPage {
            let text = String::from_utf8_lossy(body);
            if detail.code().is_some() {
                detail.roles = match () {
                    () if text.contains("IsRbacPresent: True") => Roles::Held,
                    () if text.contains("IsRbacPresent: False") => Roles::Missing,
                    () => Roles::Unknown,
                };
            }
            let codes = [INVALID_BINDING, TIME_RANGE_TOO_LONG];
            if let Some(code) = codes.into_iter().find(|code| text.contains(code)) {
                detail.form = ErrorForm::Code(code.to_owned());
            }
        }
        detail
    }

    /// Reads the code and message of the forms that services use, or the start of a text.
    fn read_form(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Document {
            Nested { error: Parts },
            Flat(Parts),
        }
        #[derive(Deserialize)]
        struct Parts {
            #[serde(alias = "Error", default)]
            code: Option<String>,
            #[serde(alias = "Message", default)]
            message: Option<String>,
        }

        let (form, message) = match serde_json::from_slice(body) {
            Ok(
                Document::Nested { error: Parts { code: Some(code), message } }
                | Document::Flat(Parts { code: Some(code), message }),
            ) => {
                let message = one_line(&format!("{code} {}", message.unwrap_or_default()), MAX_MESSAGE);
                (ErrorForm::Code(code), message)
            }
            _ => {
                let text = String::from_utf8_lossy(&body[..body.len().min(TEXT_START)]);
                match one_line(&text, MAX_TEXT) {
                    text if text.is_empty() => (ErrorForm::Empty, text),
                    text if text.starts_with('<') => (ErrorForm::WebPage, "an HTML page".to_owned()),
                    text => (ErrorForm::Text, text),
                }
            }
        };
        Self { form, message, roles: Roles::Unknown }
    }

    /// Adds what the token of a forbidden call says about the roles that the call needs.
    #[must_use]
    pub fn with_claims(self, claims: &Claims, needed: &[&'static str]) -> Self {
        let roles = match claims.missing_roles(needed).as_slice() {
            // A user's permissions are not in the token.
            _ if claims.is_of_user() => Roles::Unknown,
            [] => Roles::Held,
            _ => Roles::Missing,
        };
        let message = one_line(&format!("{}; {}", self.message, claims.describe()), MAX_MESSAGE);
        Self { roles, message, ..self }
    }

    /// Returns the service's code, or `None` when the body is not in the service's form.
    pub fn code(&self) -> Option<&str> {
        match &self.form {
            ErrorForm::Code(code) => Some(code),
            ErrorForm::Empty | ErrorForm::WebPage | ErrorForm::Text => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_message_are_found_in_every_form_that_services_use() {
        let code = |code: &str| ErrorForm::Code(code.to_owned());
        for (body, form, message) in [
            (
                r#"{"error":{"code":"ResourceNotFound","message":"Machine 1 was not found","target":"t"}}"#,
                code("ResourceNotFound"),
                "ResourceNotFound Machine 1 was not found",
            ),
            (
                r#"{"error":{"code":"","message":"The query is not valid.","details":[]}}"#,
                code(""),
                "The query is not valid.",
            ),
            (
                r#"{"Error":"InvalidAuthorization","Message":"An invalid signature"}"#,
                code("InvalidAuthorization"),
                "InvalidAuthorization An invalid signature",
            ),
            ("<html><body>Bad gateway</body></html>", ErrorForm::WebPage, "an HTML page"),
            ("plain\r\nwords", ErrorForm::Text, "plain words"),
            ("", ErrorForm::Empty, ""),
        ] {
            let detail = ErrorDetail::read(Service::Defender, body.as_bytes());
            assert_eq!((detail.form, detail.message.as_str()), (form, message), "{body}");
        }
    }

    #[test]
    fn the_logs_ingestion_api_says_within_its_message_what_its_code_does_not() {
        let read = |message: &str| {
            let body = format!(r#"{{"error":{{"code":"OperationFailed","message":"{message}"}}}}"#);
            ErrorDetail::read(Service::LogsIngestion, body.as_bytes())
        };
        for (message, code, roles) in [
            ("No.", "OperationFailed", Roles::Unknown),
            ("IsRbacPresent: False, IsDcrDceBindingValid: ,", "OperationFailed", Roles::Missing),
            ("IsRbacPresent: True, IsDcrDceBindingValid: False,", INVALID_BINDING, Roles::Held),
            ("RecordsTimeRangeIsMoreThan30Minutes: 31", TIME_RANGE_TOO_LONG, Roles::Unknown),
        ] {
            let detail = read(message);
            assert_eq!((detail.code(), detail.roles), (Some(code), roles), "{message}");
            assert!(detail.message.starts_with("OperationFailed "), "{}", detail.message);
        }
        let text = ErrorDetail::read(Service::LogsIngestion, TIME_RANGE_TOO_LONG.as_bytes());
        assert_eq!(text.code(), Some(TIME_RANGE_TOO_LONG));
    }
}
