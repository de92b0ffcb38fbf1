//! A call of a function with an HTTP trigger: what the host sends the handler for it, and what the caller gets.
//!
//! The host puts the whole request into the invocation, the function's key included, and its body as one string. It leaves
//! the body out when the request says no length (chunked) or has none. Of the handler's reply the caller sees the output
//! `res`, and nothing of a reply that is not a success (observed on Azure/azure-functions-host 4.1037; `tests/fixtures/host`
//! has the invocations).

use azure_core::time::{OffsetDateTime, to_rfc3339};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::invocation::Invocation;

/// The key by which callers are let in.
pub const KEY: &str = "k3y-of-the-function";

/// A request to a function, as its caller makes it.
#[derive(Clone, Debug)]
pub struct HttpCall {
    body: String,
    is_chunked: bool,
    has_key_in_query: bool,
}

impl HttpCall {
    /// A POST of JSON, with the key in the header `x-functions-key`.
    pub fn post(body: &str) -> Self {
        Self { body: body.to_owned(), is_chunked: false, has_key_in_query: false }
    }

    /// The same in chunks, so without a length.
    pub fn chunked(self) -> Self {
        Self { is_chunked: true, ..self }
    }

    /// The same with the key as `?code=`.
    pub fn key_in_query(self) -> Self {
        Self { has_key_in_query: true, ..self }
    }

    /// The invocation for the function `name` at `address`.
    pub(super) fn invocation(&self, address: &str, name: &str, guid: &str, now: OffsetDateTime) -> Bytes {
        let Self { body, is_chunked, has_key_in_query } = self;
        let (host, _) = address.split_once('/').expect("a host and a path");
        let query = if *has_key_in_query { format!("?code={KEY}") } else { String::new() };
        let framing = match is_chunked {
            true => ("Transfer-Encoding", "chunked".to_owned()),
            false => ("Content-Length", body.len().to_string()),
        };
        let mut headers = vec![
            ("Host", host.to_owned()),
            ("Accept-Encoding", "identity".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            framing,
        ];
        if !has_key_in_query {
            headers.push(("x-functions-key", KEY.to_owned()));
        }
        let list = |one: fn(&str) -> String| {
            let members = headers.iter().map(|(name, value)| format!("{}:{}", json!(name), one(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let many = list(|value| json!([value]).to_string());
        let single = list(|value| json!(value).to_string());
        let code = if *has_key_in_query { json!({ "code": KEY }).to_string() } else { "{}".to_owned() };
        let has_body = !is_chunked && !body.is_empty();
        let text = if has_body { format!(r#","Body":{}"#, json!(body)) } else { String::new() };
        let url = json!(format!("http://{address}{query}"));
        let members = if has_body { metadata(body) } else { String::new() };
        let now = to_rfc3339(&now);
        format!(
            r#"{{"Data":{{"req":{{"Url":{url},"Method":"POST","Query":{code},"Headers":{many},"Params":{{}},"Identities":{IDENTITIES}{text}}}}},"Metadata":{{{members}"Query":{code},"Headers":{single},"sys":{{"MethodName":"{name}","UtcNow":"{now}","RandGuid":"{guid}"}}}}}}"#
        )
        .into()
    }
}

/// The members of a JSON object in the body, which the host adds to the metadata as texts of JSON texts.
fn metadata(body: &str) -> String {
    let object: Map<String, Value> = serde_json::from_str(body).unwrap_or_default();
    let member = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{}:{},", json!(name), json!(json!(text).to_string())),
        Value::Number(number) => format!("{}:{},", json!(name), json!(format!("\"{number}\""))),
        Value::Object(_) => format!("{}:{value},", json!(name)),
        _ => String::new(),
    };
    object.iter().map(member).collect()
}

/// What the host says of a caller with a function's key.
const IDENTITIES: &str = r#"[{"AuthenticationType":"WebJobsAuthLevel","IsAuthenticated":true,"Actor":null,"BootstrapContext":null,"Claims":[{"Issuer":"LOCAL AUTHORITY","OriginalIssuer":"LOCAL AUTHORITY","Properties":{},"Type":"http://schemas.microsoft.com/2017/07/functions/claims/authlevel","Value":"Function","ValueType":"http://www.w3.org/2001/XMLSchema#string"},{"Issuer":"LOCAL AUTHORITY","OriginalIssuer":"LOCAL AUTHORITY","Properties":{},"Type":"http://schemas.microsoft.com/2017/07/functions/claims/invoke","Value":"true","ValueType":"http://www.w3.org/2001/XMLSchema#string"},{"Issuer":"LOCAL AUTHORITY","OriginalIssuer":"LOCAL AUTHORITY","Properties":{},"Type":"http://schemas.microsoft.com/2017/07/functions/claims/keyid","Value":"default","ValueType":"http://www.w3.org/2001/XMLSchema#string"}],"Label":null,"Name":null,"NameClaimType":"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name","RoleClaimType":"http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}]"#;

/// What the caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl HttpReply {
    /// What the host makes of the handler's reply.
    pub(super) fn of(invocation: &Invocation) -> Self {
        let empty = |status| Self { status, content_type: String::new(), body: String::new() };
        if !invocation.succeeded() {
            return empty(500);
        }
        let response = match &invocation.outputs["res"] {
            Value::Null => {
                return Self {
                    status: 200,
                    content_type: "application/json".to_owned(),
                    body: "{}".to_owned(),
                };
            }
            Value::Object(response) => response,
            _ => return empty(500),
        };
        let member = |name: &str| {
            response
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map_or(&Value::Null, |(_, value)| value)
        };
        let status = member("statusCode");
        let status = status.as_u64().or_else(|| status.as_str()?.parse().ok()).unwrap_or(200);
        let content_type = member("headers")["Content-Type"].as_str().unwrap_or("text/plain; charset=utf-8");
        let body = match member("body") {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Indented, and with its dates rewritten.
            other => serde_json::to_string_pretty(other).expect("a value"),
        };
        let status = u16::try_from(status).unwrap_or(500);
        Self { status, content_type: content_type.to_owned(), body }
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn the_invocations_are_the_recorded_ones_to_the_byte() {
        let call = HttpCall::post(r#"{"a":1}"#);
        for (call, recorded, guid, now) in [
            (
                call.clone(),
                include_str!("../../../fixtures/host/http-function-key-header.json"),
                "9bd47e3a-d92b-43a6-9f4b-979c28526a5a",
                "2026-11-27T23:39:13.5165234Z",
            ),
            (
                call.key_in_query(),
                include_str!("../../../fixtures/host/http-function-key-query.json"),
                "85ec038d-67cd-4a33-a148-0a487cabd6d8",
                "2026-11-27T23:39:13.8322998Z",
            ),
        ] {
            let now = parse_rfc3339(now).expect("a time");
            let sent = call.invocation("127.0.0.1:7071/api/HF", "HF", guid, now);
            let sent = String::from_utf8_lossy(&sent).replace(KEY, "fk");
            assert_eq!(sent, recorded.trim_end());
        }
    }

    #[test]
    fn a_request_without_a_length_or_a_body_has_no_body_as_recorded() {
        for (call, recorded) in [
            (
                HttpCall::post("").chunked(),
                include_str!("../../../fixtures/host/http-post-json-chunked.json"),
            ),
            (
                HttpCall::post(r#"{"id":"a"}"#).chunked(),
                include_str!("../../../fixtures/host/http-post-json-chunked.json"),
            ),
            (HttpCall::post(""), include_str!("../../../fixtures/host/http-post-empty.json")),
        ] {
            let sent = call.invocation("127.0.0.1:7071/api/h", "H", "guid", OffsetDateTime::UNIX_EPOCH);
            let sent: Value = serde_json::from_slice(&sent).expect("JSON");
            let recorded: Value = serde_json::from_str(recorded).expect("JSON");
            let [mut sent_headers, recorded_headers] =
                [&sent, &recorded].map(|one| one["Data"]["req"]["Headers"].clone());
            sent_headers.as_object_mut().expect("an object").remove("x-functions-key");
            assert_eq!(sent_headers, recorded_headers);
            assert!(
                sent["Data"]["req"].get("Body").is_none() && recorded["Data"]["req"].get("Body").is_none()
            );
        }
    }
}
