//! One good post, and all the ways to spoil it.

use azure_core::time::parse_rfc3339;

use super::*;

const BODY: &str = r#"[{"id":"da1","n":{"ü_ok":1}}]"#;

fn now() -> OffsetDateTime {
    parse_rfc3339("2026-11-24T06:00:00Z").expect("a time")
}

fn post(body: &str) -> Request {
    let date = "Tue, 24 Nov 2026 05:50:00 GMT";
    let signature = shared_key::signature(tenant::WORKSPACE_KEY, body.len(), date).expect("a signature");
    Request::new(Method::POST, "/api/logs?api-version=2016-04-01")
        .with_header("content-type", "application/json")
        .with_header("log-type", "MDATPAlerts")
        .with_header("x-ms-date", date)
        .with_header("authorization", &format!("SharedKey {}:{signature}", tenant::WORKSPACE_ID))
        .with_body(body.to_owned())
}

fn rejected(request: &Request) -> (u16, &'static str) {
    let rejection = accept(request, now()).expect_err("a spoiled post");
    (rejection.status, rejection.code)
}

#[test]
fn a_good_post_is_kept_as_it_came() {
    let body = r#"[{"id":"da1", "n":1.0},{"text":"Zażółć"}]"#;
    let received = accept(&post(body), now()).expect("a good post");
    assert_eq!(received.log_type_or_stream, "MDATPAlerts");
    assert_eq!(received.body, body);
    assert_eq!(received.records, [r#"{"id":"da1", "n":1.0}"#, r#"{"text":"Zażółć"}"#]);
}

#[test]
fn a_spoiled_head_is_rejected_by_its_code() {
    let good = || post("[{\"id\":\"da1\"}]");
    let without = |name: &str| {
        let mut request = good();
        request.headers.remove(name);
        request
    };
    for (request, status, code) in [
        (without("log-type"), 400, "MissingLogType"),
        (without("content-type"), 400, "MissingContentType"),
        (without("content-length"), 411, "LengthRequired"),
        (without("x-ms-date"), 403, "InvalidAuthorization"),
        (without("authorization"), 403, "InvalidAuthorization"),
        (good().with_header("log-type", "a-b"), 400, "InvalidLogType"),
        (good().with_header("content-type", "application/json; charset=utf-8"), 403, "InvalidAuthorization"),
        (good().with_header("content-type", "text/plain"), 400, "UnsupportedContentType"),
        (good().with_header("content-encoding", "gzip"), 400, "InvalidDataFormat"),
        (good().with_header("x-ms-date", "2026-11-24T06:00:00Z"), 403, "InvalidAuthorization"),
        (good().with_body("[{\"id\":\"da22\"}]"), 403, "InvalidAuthorization"),
    ] {
        assert_eq!(rejected(&request), (status, code));
    }
}

#[test]
fn a_spoiled_target_is_rejected_by_its_code() {
    for (target, status, code) in [
        ("/api/logs", 400, "MissingApiVersion"),
        ("/api/logs?api-version=2023-01-01", 400, "InvalidApiVersion"),
        ("/api/log?api-version=2016-04-01", 404, "NotFound"),
    ] {
        let Request { path, query, .. } = Request::new(Method::POST, target);
        let request = Request { path, query, ..post("[]") };
        assert_eq!(rejected(&request), (status, code), "{target}");
    }
}

#[test]
fn a_body_that_makes_no_columns_is_rejected() {
    for body in [
        "",
        "not json",
        "[1]",
        r#"[{"a":1}"#,
        r#"[{"@odata.context":"x"}]"#,
        r#"[{"a":1,"a":2}]"#,
        r#"[{"TimeGenerated":"2026-11-24T06:00:00Z"}]"#,
        BODY,
    ] {
        assert_eq!(rejected(&post(body)), (400, "InvalidDataFormat"), "{body}");
    }
    let arrays_are_text = r#"[{"evidence":[{"@odata.type":"x"}]}]"#;
    assert!(accept(&post(arrays_are_text), now()).is_ok());
}

#[test]
fn the_date_may_be_a_quarter_of_an_hour_off_and_no_more() {
    let post = post("[]");
    for (minutes, accepted) in [(5, true), (6, false), (-25, true), (-26, false)] {
        let now = now() + Duration::minutes(minutes);
        assert_eq!(accept(&post, now).is_ok(), accepted, "{minutes} minutes");
    }
}

#[test]
fn thirty_million_bytes_are_the_most() {
    let body = |length: usize| format!(r#"[{{"a":"{}"}}]"#, "x".repeat(length - 10));
    assert!(accept(&post(&body(30_000_000)), now()).is_ok());
    assert_eq!(rejected(&post(&body(30_000_001))), (404, "RequestTooLarge"));
}
