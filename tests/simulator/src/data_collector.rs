//! The HTTP Data Collector API of the workspace: it rejects posts that are not signed, dated, named and shaped as its
//! documents say.

mod shared_key;

use azure_core::time::{Duration, OffsetDateTime, parse_rfc7231};
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::json;

use crate::journal::Received;
use crate::members::{Member, members};
use crate::post::{Record, records};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use crate::tenant;

/// The most bytes of one post.
const MOST_BYTES: usize = 30_000_000;
/// The most bytes that are kept of a field.
pub(crate) const MOST_FIELD_BYTES: usize = 32 * 1024;
/// How far the signed date may be from the service's own.
const SKEW: Duration = Duration::minutes(15);
/// Property names that are the service's own.
const RESERVED: [&str; 3] = ["tenant", "TimeGenerated", "RawData"];

/// The member that gives a record its time, if the post names one.
pub(crate) fn time_field(received: &Received) -> Option<&str> {
    let name = received.headers.get("time-generated-field")?.to_str().ok()?;
    (!name.is_empty()).then_some(name)
}

/// Accepts a post, or says why not.
pub(crate) fn accept(request: &Request, now: OffsetDateTime) -> Result<Received, Rejection> {
    if request.method != Method::POST || request.path != "/api/logs" {
        return Err(Rejection::new(404, "NotFound", "there is no such resource"));
    }
    check_version(request)?;
    let log_type = check_log_type(request)?;
    check_content(request)?;
    check_signature(request, now)?;
    let text = std::str::from_utf8(&request.body)
        .map_err(|error| invalid(format!("the body is not UTF-8: {error}")))?;
    let records = records(text).map_err(invalid)?;
    for record in &records {
        let record = Record::parse(record).map_err(invalid)?;
        check_names(record.members())?;
    }
    Ok(Received {
        service: Service::DataCollector,
        log_type_or_stream: log_type.to_owned(),
        headers: request.headers.clone(),
        records: records.into_iter().map(str::to_owned).collect(),
        body: text.to_owned(),
        body_bytes: text.len(),
        wire_bytes: text.len(),
        at: now,
    })
}

/// The response to a rejected post.
pub(crate) fn error(rejection: &Rejection) -> Response {
    let body = json!({ "Error": rejection.code, "Message": rejection.message });
    Response::json(rejection.status, body.to_string())
}

fn check_version(request: &Request) -> Result<(), Rejection> {
    match request.parameter("api-version") {
        Some("2016-04-01") => Ok(()),
        Some(other) => {
            Err(Rejection::new(400, "InvalidApiVersion", format!("the API version {other} is not supported")))
        }
        None => Err(Rejection::new(400, "MissingApiVersion", "api-version is missing")),
    }
}

fn check_log_type(request: &Request) -> Result<&str, Rejection> {
    let Some(name) = request.header("log-type") else {
        return Err(Rejection::new(400, "MissingLogType", "Log-Type is missing"));
    };
    let usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > 100 || !name.chars().all(usual) {
        let message = format!("{name:?} is not a log type: letters, digits, _, at most 100");
        return Err(Rejection::new(400, "InvalidLogType", message));
    }
    Ok(name)
}

fn check_content(request: &Request) -> Result<(), Rejection> {
    match request.header(CONTENT_TYPE) {
        Some("application/json") => {}
        Some(other) if other.starts_with("application/json") => {
            let message = format!("the content type {other:?} is not the signed application/json");
            return Err(forbidden(message));
        }
        Some(other) => {
            let message = format!("the content type {other:?} is not application/json");
            return Err(Rejection::new(400, "UnsupportedContentType", message));
        }
        None => {
            let message = "Content-Type is missing";
            return Err(Rejection::new(400, "MissingContentType", message));
        }
    }
    if let Some(encoding) = request.header(CONTENT_ENCODING) {
        return Err(invalid(format!("the body must be plain, not {encoding}")));
    }
    let length = request.body.len();
    if request.header(CONTENT_LENGTH) != Some(&length.to_string()) {
        return Err(Rejection::new(411, "LengthRequired", "Content-Length is missing"));
    }
    if length > MOST_BYTES {
        let message = format!("{length} bytes are more than the {MOST_BYTES} of one post");
        return Err(Rejection::new(404, "RequestTooLarge", message));
    }
    Ok(())
}

fn check_signature(request: &Request, now: OffsetDateTime) -> Result<(), Rejection> {
    let date = request.header("x-ms-date").ok_or_else(|| forbidden("x-ms-date is missing".to_owned()))?;
    let signed_at =
        parse_rfc7231(date).map_err(|_| forbidden(format!("x-ms-date {date:?} is not an RFC 1123 date")))?;
    if (now - signed_at).abs() > SKEW {
        return Err(forbidden(format!("x-ms-date {date} is too far from now")));
    }
    let signature =
        shared_key::signature(tenant::WORKSPACE_KEY, request.body.len(), date).map_err(forbidden)?;
    let expected = format!("SharedKey {}:{signature}", tenant::WORKSPACE_ID);
    if request.header(AUTHORIZATION) != Some(&expected) {
        let message = "workspace, key, length or date are not the ones that were signed";
        return Err(forbidden(message.to_owned()));
    }
    Ok(())
}

/// Objects are flattened into columns, so the names within them count too; arrays become text.
fn check_names(record: &[Member]) -> Result<(), Rejection> {
    for Member { name, value } in record {
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(usual) {
            return Err(invalid(format!("{name:?} is not a property name")));
        }
        if RESERVED.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(invalid(format!("the property name {name} is reserved")));
        }
        if value.get().starts_with('{') {
            check_names(&members(value.get()).map_err(|error| invalid(error.to_string()))?)?;
        }
    }
    Ok(())
}

fn invalid(message: String) -> Rejection {
    Rejection::new(400, "InvalidDataFormat", message)
}

fn forbidden(message: String) -> Rejection {
    Rejection::new(403, "InvalidAuthorization", message)
}

#[cfg(test)]
mod tests;
