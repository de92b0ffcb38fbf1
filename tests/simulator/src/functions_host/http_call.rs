//! A request to a function with an HTTP trigger, and the invocation that the host makes of it.
//!
//! The host puts the whole request into the invocation, the function's key included, and the body as one string. It leaves
//! out a body that comes in chunks or is empty. What it sends is held against recordings (`tests/fixtures/host`).

use azure_core::time::{OffsetDateTime, to_rfc3339};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::binding_data;

/// The function's key.
pub const KEY: &str = "k3y-of-the-function";

/// A POST to a function, as its caller makes it.
#[derive(Clone, Debug)]
pub struct HttpCall {
    content_type: &'static str,
    body: Bytes,
    is_chunked: bool,
    key: Key,
}

/// Where the caller puts the function's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Header,
    Query,
    Absent,
}

/// The function that is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpFunction<'a> {
    /// The name of its folder.
    pub(super) name: &'a str,
    /// Its host and path, without the scheme.
    pub(super) address: &'a str,
    /// The parameters of its route, in JSON.
    pub(super) params: &'a str,
}

impl HttpCall {
    /// A POST of JSON, with a length and with the key in the header `x-functions-key`.
    pub fn post(body: &str) -> Self {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self { content_type: "application/json", body, is_chunked: false, key: Key::Header }
    }

    /// The same with another content type.
    pub fn content_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// The same with a body that need not be text.
    pub fn body(self, body: &[u8]) -> Self {
        Self { body: Bytes::copy_from_slice(body), ..self }
    }

    /// The same in chunks, so without a length.
    pub fn chunked(self) -> Self {
        Self { is_chunked: true, ..self }
    }

    /// The same with the key in the query, as `code`.
    pub fn key_in_query(self) -> Self {
        Self { key: Key::Query, ..self }
    }

    /// The same without a key, which only a function with the `authLevel` `anonymous` takes.
    pub fn without_key(self) -> Self {
        Self { key: Key::Absent, ..self }
    }

    /// The host's invocation of `function`.
    pub(super) fn invocation(&self, function: HttpFunction<'_>, guid: &str, now: OffsetDateTime) -> Bytes {
        let HttpFunction { name, address, params } = function;
        let (host, _) = address.split_once('/').expect("a host and a path");
        let framing = match self.is_chunked {
            true => ("Transfer-Encoding", "chunked".to_owned()),
            false => ("Content-Length", self.body.len().to_string()),
        };
        let headers = [
            ("Host", host.to_owned()),
            ("Accept-Encoding", "identity".to_owned()),
            ("Content-Type", self.content_type.to_owned()),
            framing,
        ];
        let key = (self.key == Key::Header).then(|| ("x-functions-key", KEY.to_owned()));
        let headers: Vec<_> = headers.into_iter().chain(key).collect();
        let object = |value: fn(&str) -> Value| {
            let members = headers.iter().map(|(name, text)| format!("{}:{}", json!(name), value(text)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let (lists, texts) = (object(|text| json!([text])), object(|text| json!(text)));
        let (code, query) = match self.key {
            Key::Query => (format!("?code={KEY}"), json!({ "code": KEY }).to_string()),
            Key::Header | Key::Absent => (String::new(), "{}".to_owned()),
        };
        let url = json!(format!("http://{address}{code}"));
        let identities = if self.key == Key::Absent { ANONYMOUS } else { WITH_KEY };
        let body = self.text().map(|text| format!(r#","Body":{}"#, json!(text))).unwrap_or_default();
        let (members, now) = (self.metadata(params), to_rfc3339(&now));
        format!(
            r#"{{"Data":{{"req":{{"Url":{url},"Method":"POST","Query":{query},"Headers":{lists},"Params":{params},"Identities":{identities}{body}}}}},"Metadata":{{{members}"Query":{query},"Headers":{texts},"sys":{{"MethodName":"{name}","UtcNow":"{now}","RandGuid":"{guid}"}}}}}}"#
        )
        .into()
    }

    /// The body as the host sends it; `None` when it leaves it out.
    fn text(&self) -> Option<String> {
        if self.is_chunked || self.body.is_empty() {
            return None;
        }
        Some(match self.content_type {
            "application/octet-stream" => STANDARD.encode(&self.body),
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        })
    }

    /// The members of a JSON object in the body, which the host adds to the metadata, but none that is named as a
    /// parameter of the route.
    fn metadata(&self, params: &str) -> String {
        let params: Map<String, Value> = serde_json::from_str(params).unwrap_or_default();
        let body = binding_data::metadata(&self.text().unwrap_or_default()).into_iter();
        let members = body.filter(|(name, _)| !params.contains_key(name));
        members.map(|(name, value)| format!("{}:{value},", json!(name))).collect::<Vec<_>>().concat()
    }
}

/// The identities of a caller with the function's key.
const WITH_KEY: &str = r#"[{"AuthenticationType":"WebJobsAuthLevel","IsAuthenticated":true,"Actor":null,"BootstrapContext":null,"Claims":[{"Issuer":"LOCAL AUTHORITY","OriginalIssuer":"LOCAL AUTHORITY","Properties":{},"Type":"http://schemas.microsoft.com/2017/07/functions/claims/authlevel","Value":"Function","ValueType":"http://www.w3.org/2001/XMLSchema#string"},{"Issuer":"LOCAL AUTHORITY","OriginalIssuer":"LOCAL AUTHORITY","Properties":{},"Type":"http://schemas.microsoft.com/2017/07/functions/claims/invoke","Value":"true","ValueType":"http://www.w3.org/2001/XMLSchema#string"},{"Issuer":"LOCAL AUTHORITY","OriginalIssuer":"LOCAL AUTHORITY","Properties":{},"Type":"http://schemas.microsoft.com/2017/07/functions/claims/keyid","Value":"default","ValueType":"http://www.w3.org/2001/XMLSchema#string"}],"Label":null,"Name":null,"NameClaimType":"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name","RoleClaimType":"http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}]"#;

/// The identities of a caller without one.
const ANONYMOUS: &str = r#"[{"AuthenticationType":null,"IsAuthenticated":false,"Actor":null,"BootstrapContext":null,"Claims":[],"Label":null,"Name":null,"NameClaimType":"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name","RoleClaimType":"http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}]"#;

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    /// Of the recordings only the one of a GET is not here: the host answers that itself for a function that takes POST.
    #[test]
    fn every_post_that_was_recorded_is_sent_as_it_was() {
        macro_rules! recorded {
            ($name:literal) => {
                include_str!(concat!("../../../fixtures/host/http-", $name, ".json"))
            };
        }
        let with_key = HttpFunction { name: "HF", address: "127.0.0.1:7071/api/HF", params: "{}" };
        let anonymous = HttpFunction { name: "H", address: "127.0.0.1:7071/api/h", params: r#"{"x":null}"# };
        let post = |body| HttpCall::post(body).without_key();
        for (function, call, recorded) in [
            (with_key, HttpCall::post(r#"{"a":1}"#), recorded!("function-key-header")),
            (with_key, HttpCall::post(r#"{"a":1}"#).key_in_query(), recorded!("function-key-query")),
            (
                anonymous,
                post(r#"{"a":1,"d":"2026-11-27T10:00:00.000Z","x":"bodyx"}"#),
                recorded!("post-json"),
            ),
            (anonymous, post(r#"{"a":1}"#).chunked(), recorded!("post-json-chunked")),
            (anonymous, post(""), recorded!("post-empty")),
            (anonymous, post(r#"{"a":"#), recorded!("post-bad-json")),
            (anonymous, post("hello").content_type("text/plain"), recorded!("post-text")),
            (
                anonymous,
                post("").body(&[0xff, 0, 1]).content_type("application/octet-stream"),
                recorded!("post-bytes"),
            ),
        ] {
            let json: Value = serde_json::from_str(recorded).expect("JSON");
            let member = |name| json["Metadata"]["sys"][name].as_str().expect("a string");
            let now = parse_rfc3339(member("UtcNow")).expect("a time");
            let sent = call.invocation(function, member("RandGuid"), now);
            let sent = String::from_utf8(sent.into()).expect("UTF-8");
            assert_eq!(sent.replace(KEY, "fk"), recorded.trim_end());
        }
    }
}
