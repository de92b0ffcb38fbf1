//! The Logs Ingestion endpoint of one data collection rule.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use azure_core::time::{Duration, OffsetDateTime};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, Method};
use serde_json::json;

use crate::guid::is_guid;
use crate::journal::Received;
use crate::post::{Record, records};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;
use crate::rule::Stream;
use crate::service::Service;
use crate::token::{Principal, Resource, Tokens};

/// The most bytes of one post, compressed and decompressed.
const MOST_BYTES: usize = 1_048_576;
/// The most bytes that are kept of a field.
pub(crate) const MOST_FIELD_BYTES: usize = 64 * 1024;

/// Names a post in `DCRLogErrors`.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// The most time between a post's first and last record, where that is limited.
const LONGEST_TIME_RANGE: Duration = Duration::minutes(30);

/// The streams there are, and what a deployed rule declares of each; any column is taken where none did.
pub(crate) type Streams = BTreeMap<String, Option<Arc<Stream>>>;

/// Who may post where.
pub(crate) struct Endpoint<'a> {
    /// The immutable id of the rule.
    pub rule: &'a str,
    pub tokens: &'a Tokens,
    /// Who is Monitoring Metrics Publisher on the rule.
    pub publishers: &'a [Principal],
    pub streams: &'a Streams,
    /// Whether records that lie far apart are rejected.
    pub limits_time_range: bool,
}

impl Endpoint<'_> {
    /// Accepts a post, or says why not.
    pub fn accept(&self, request: &Request, now: OffsetDateTime) -> Result<Received, Rejection> {
        let stream = self.route(request)?;
        self.authorize(request, now)?;
        let Some(stream) = stream else {
            let message = "no data collection rule or stream of this name";
            return Err(Rejection::new(404, "NotFound", message));
        };
        check_content_type(request)?;
        check_request_id(request)?;
        let body = decompressed(request)?;
        if !body.trim_start().starts_with('[') {
            return Err(invalid("the body is not a JSON array".to_owned()));
        }
        let records = records(&body).map_err(invalid)?;
        let mut times = Vec::new();
        for record in &records {
            times.extend(Record::parse(record).map_err(invalid)?.time("TimeGenerated"));
        }
        if self.limits_time_range {
            check_time_range(&times)?;
        }
        Ok(Received {
            service: Service::LogsIngestion,
            log_type_or_stream: stream,
            headers: request.headers.clone(),
            records: records.into_iter().map(str::to_owned).collect(),
            body_bytes: body.len(),
            wire_bytes: request.body.len(),
            body,
            at: now,
        })
    }

    /// The stream the path names, if the rule declares it.
    fn route(&self, request: &Request) -> Result<Option<String>, Rejection> {
        let segments = request.segments();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let ["dataCollectionRules", rule, "streams", stream] = segments[..] else {
            return Err(Rejection::new(404, "NotFound", "there is no such resource"));
        };
        if request.method != Method::POST {
            return Err(Rejection::new(405, "MethodNotAllowed", "only POST is known here"));
        }
        match request.parameter("api-version") {
            Some("2023-01-01") => {}
            version => {
                let message = format!("the API version {version:?} is not supported");
                return Err(Rejection::new(400, "InvalidApiVersion", message));
            }
        }
        let known = rule == self.rule && self.streams.contains_key(stream);
        Ok(known.then(|| stream.to_owned()))
    }

    fn authorize(&self, request: &Request, now: OffsetDateTime) -> Result<(), Rejection> {
        let unauthorized = |message: &str| Rejection::new(401, "InvalidToken", message);
        let token = self.tokens.check(request.bearer(), now);
        let token = token.map_err(unauthorized)?;
        if token.resource != Resource::Monitor {
            return Err(unauthorized("the token is for another audience"));
        }
        // A principal of another tenant can have no role on the rule.
        if !self.publishers.contains(&token.holder) {
            let message = format!(
                "The authentication token provided does not have access to ingest data for the data \
                 collection rule with immutable Id '{}' PipelineAccessResult: AccessGranted: False, \
                 IsRbacPresent: False, IsDcrDceBindingValid: , DcrArmId: , Message: Required \
                 authorization action was not found for tenantId {} objectId {}",
                self.rule, token.holder.tenant, token.holder.object
            );
            return Err(Rejection::new(403, "OperationFailed", message));
        }
        Ok(())
    }
}

/// The response to a rejected post.
pub(crate) fn error(rejection: &Rejection) -> Response {
    let error = json!({ "code": rejection.code, "message": rejection.message });
    Response::json(rejection.status, json!({ "error": error }).to_string())
}

fn check_content_type(request: &Request) -> Result<(), Rejection> {
    match request.header(CONTENT_TYPE) {
        Some("application/json" | "application/json; charset=utf-8") => Ok(()),
        other => {
            let message = format!("the content type {other:?} is not application/json");
            Err(Rejection::new(400, "ContentTypeNotSupported", message))
        }
    }
}

/// The header may be left out; its value is a GUID (documentation page "Logs Ingestion API in Azure Monitor", section
/// Headers). What the service answers to another value is nowhere written.
fn check_request_id(request: &Request) -> Result<(), Rejection> {
    match request.header(REQUEST_ID) {
        Some(id) if !is_guid(id) => {
            Err(Rejection::new(400, "InvalidHeader", format!("the {REQUEST_ID} {id:?} is not a GUID")))
        }
        _ => Ok(()),
    }
}

fn decompressed(request: &Request) -> Result<String, Rejection> {
    check_length(request.body.len())?;
    let body = match request.header(CONTENT_ENCODING) {
        None => request.body.to_vec(),
        Some("gzip") => {
            let mut body = Vec::new();
            let mut decoder = MultiGzDecoder::new(&request.body[..]);
            decoder
                .read_to_end(&mut body)
                .map_err(|error| invalid(format!("the body is not gzip: {error}")))?;
            body
        }
        Some(other) => return Err(invalid(format!("the content encoding {other} is not gzip"))),
    };
    check_length(body.len())?;
    String::from_utf8(body).map_err(|error| invalid(format!("the body is not UTF-8: {error}")))
}

fn check_length(length: usize) -> Result<(), Rejection> {
    if length <= MOST_BYTES {
        return Ok(());
    }
    let message = format!(
        "Maximum allowed content length: {MOST_BYTES} bytes (1 MB). Provided content length: \
         {length} bytes."
    );
    Err(Rejection::new(413, "ContentLengthLimitExceeded", message))
}

fn check_time_range(times: &[OffsetDateTime]) -> Result<(), Rejection> {
    match (times.iter().min(), times.iter().max()) {
        (Some(first), Some(last)) if *last - *first > LONGEST_TIME_RANGE => {
            let message = "the time range of the records is more than 30 minutes";
            Err(Rejection::new(400, "RecordsTimeRangeIsMoreThan30Minutes", message))
        }
        _ => Ok(()),
    }
}

fn invalid(message: String) -> Rejection {
    Rejection::new(400, "InvalidPayload", message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::tenant;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    struct Caller {
        tokens: Tokens,
        token: String,
        is_publisher: bool,
        limits_time_range: bool,
    }

    impl Caller {
        fn new(audience: &str) -> Self {
            let resource = Resource::named(audience).expect("a known audience");
            let tokens = Tokens::new(1);
            let token = tokens.issue(Principal::user_assigned(), audience, resource, &[], NOW).text.clone();
            Self { tokens, token, is_publisher: true, limits_time_range: false }
        }

        fn post(&self, target: &str, body: impl Into<bytes::Bytes>) -> Request {
            Request::new(Method::POST, target)
                .with_header("authorization", &format!("Bearer {}", self.token))
                .with_header("content-type", "application/json")
                .with_body(body)
        }

        fn send(&self, request: &Request) -> Result<Received, (u16, String)> {
            let publishers = if self.is_publisher { &Principal::the_apps_own()[..] } else { &[] };
            let endpoint = Endpoint {
                rule: tenant::DCR_ID,
                tokens: &self.tokens,
                publishers,
                streams: &Streams::from([(tenant::STREAM.to_owned(), None)]),
                limits_time_range: self.limits_time_range,
            };
            let received = endpoint.accept(request, NOW);
            received.map_err(|rejection| (rejection.status, rejection.message))
        }

        fn status(&self, target: &str, body: &str) -> u16 {
            match self.send(&self.post(target, body.to_owned())) {
                Ok(_) => 204,
                Err((status, _)) => status,
            }
        }
    }

    fn target() -> String {
        format!("/dataCollectionRules/{}/streams/{}?api-version=2023-01-01", tenant::DCR_ID, tenant::STREAM)
    }

    #[test]
    fn a_compressed_batch_is_kept_as_it_was_written() {
        let caller = Caller::new("https://monitor.azure.com");
        let body = r#"[{"id":"da1", "n":1.0}]"#;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.as_bytes()).expect("into memory");
        let compressed = encoder.finish().expect("into memory");
        let wire_bytes = compressed.len();
        let request = caller.post(&target(), compressed).with_header("content-encoding", "gzip");
        let received = caller.send(&request).expect("a good post");
        assert_eq!(received.body, body);
        assert_eq!(received.records, [r#"{"id":"da1", "n":1.0}"#]);
        assert_eq!((received.body_bytes, received.wire_bytes), (body.len(), wire_bytes));
    }

    #[test]
    fn one_mebibyte_is_the_most_and_the_rejection_names_both_numbers() {
        let caller = Caller::new("https://monitor.azure.com");
        let body = |length: usize| format!(r#"[{{"a":"{}"}}]"#, "x".repeat(length - 10));
        assert_eq!(caller.status(&target(), &body(1_048_576)), 204);
        let post = caller.post(&target(), body(1_068_792));
        let (status, message) = caller.send(&post).expect_err("too large");
        assert_eq!(status, 413);
        assert_eq!(
            message,
            "Maximum allowed content length: 1048576 bytes (1 MB). Provided content length: 1068792 bytes."
        );
    }

    #[test]
    fn only_the_rule_its_streams_and_arrays_of_objects_are_known() {
        let caller = Caller::new("https://monitor.azure.com/");
        for (target, body, status) in [
            (target(), "[]", 204),
            (target().replace("dcr-", "dcr-f"), "[]", 404),
            (target().replace("Custom-", "Custom-X"), "[]", 404),
            (target().replace("2023-01-01", "2021-11-01"), "[]", 400),
            ("/api/logs".to_owned(), "[]", 404),
            (target(), r#"{"a":1}"#, 400),
            (target(), "[1]", 400),
            (target(), r#"[{"a":1,"a":2}]"#, 400),
        ] {
            assert_eq!(caller.status(&target, body), status, "{target} {body}");
        }
    }

    #[test]
    fn records_more_than_half_an_hour_apart_are_rejected_where_that_is_limited() {
        let mut caller = Caller::new("https://monitor.azure.com");
        let body = |last: &str| {
            let times = ["2026-11-24T06:10:00Z", "2026-11-24T06:00:00Z", last];
            let records = times.map(|time| format!(r#"{{"TimeGenerated":"{time}"}}"#));
            format!(r#"[{},{{"TimeGenerated":null}}]"#, records.join(","))
        };
        let (short, long) = (body("2026-11-24T06:30:00Z"), body("2026-11-24T06:30:00.0000001Z"));
        assert_eq!(caller.status(&target(), &long), 204);
        caller.limits_time_range = true;
        assert_eq!(caller.status(&target(), &short), 204);
        let rejected = caller.send(&caller.post(&target(), long)).expect_err("too long");
        assert_eq!(rejected, (400, "the time range of the records is more than 30 minutes".to_owned()));
    }

    #[test]
    fn the_id_of_a_post_is_a_guid_or_not_there() {
        let caller = Caller::new("https://monitor.azure.com");
        for (id, is_taken) in [
            ("e10808d4-3975-8c40-8731-053386849f86", true),
            ("E10808D4-3975-8C40-8731-053386849F86", true),
            ("e10808d439758c408731053386849f86", false),
            ("e10808d4-3975-8c40-8731-053386849f8g", false),
            ("batch-7", false),
            ("", false),
        ] {
            let sent = caller.send(&caller.post(&target(), "[]").with_header("x-ms-client-request-id", id));
            assert_eq!(sent.is_ok(), is_taken, "{id}");
            if let Ok(received) = sent {
                assert_eq!(received.request_id(), Some(id));
            }
        }
    }

    #[test]
    fn a_wrong_audience_is_401_and_a_missing_role_403() {
        let stranger = Caller::new("https://api.securitycenter.microsoft.com");
        assert_eq!(stranger.status(&target(), "[]"), 401);

        let mut reader = Caller::new("https://monitor.azure.com");
        reader.is_publisher = false;
        let post = reader.post(&target(), "[]");
        let (status, message) = reader.send(&post).expect_err("no role");
        assert_eq!(status, 403);
        assert!(message.contains("does not have access to ingest"), "{message}");
    }
}
