//! A response that rejects a call. Pure.

use std::fmt;

use azure_core::time::OffsetDateTime;
use http::StatusCode;

use crate::{
    error_chain::with_fix,
    http::{
        advice::Advice,
        error_detail::{ErrorDetail, ErrorForm},
        service::Service,
    },
};

/// A response that rejects a call.
#[derive(Debug)]
pub struct ErrorResponse {
    /// The operation that was called, such as `GET /api/alerts`.
    pub operation: String,
    /// The service that was called.
    pub service: Service,
    /// The status of the response.
    pub status: StatusCode,
    /// What its body says.
    pub detail: ErrorDetail,
    /// The service's own time at the response.
    pub date: Option<OffsetDateTime>,
}

impl ErrorResponse {
    /// Returns the fix, or `None` where there is none to give.
    pub fn advice(&self) -> Option<Advice> {
        Advice::of(self.service, self.status.as_u16(), &self.detail)
    }

    /// Returns the response in words with the fix, on one line.
    pub fn describe(&self) -> String {
        with_fix(&self.to_string(), self.advice().map(Advice::text))
    }

    /// Returns true when settings, network or licence are the cause, whatever was asked for or sent.
    pub fn is_about_settings(&self) -> bool {
        self.detail.form == ErrorForm::WebPage || Advice::of_code(self.service, &self.detail).is_some()
    }

    /// Returns true when the service itself says that it does not know such an entity. (A 404 in another form may come
    /// from something in between.)
    pub fn is_unknown_entity(&self) -> bool {
        let is_the_services = matches!(self.detail.form, ErrorForm::Code(_) | ErrorForm::Empty);
        self.status == StatusCode::NOT_FOUND && is_the_services
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {} to {}", self.service.name(), self.status.as_u16(), self.operation)?;
        match self.detail.message.as_str() {
            "" => Ok(()),
            message => write!(f, " ({message})"),
        }
    }
}
