//! The responses of issuers of tokens, in the forms that the identity library does not read. Pure.

use std::time::Duration;

use azure_core::time::parse_rfc3339;
use serde::{Deserialize, de::Error};
use serde_json::{Map, Value, json};

use super::sign_in::code_in;
use crate::error_chain::one_line;

/// The longest time that a token is kept, in seconds: a managed identity's is valid for a day, all others for less. So
/// a wrong clock cannot make a token valid for ever.
const MAX_LIFETIME: i64 = 24 * 60 * 60;

/// The most characters of an issuer's message.
const MAX_MESSAGE: usize = 400;

/// What an issuer says that rejects a request.
#[derive(Debug, PartialEq, Eq)]
pub struct IssuerError {
    /// Entra ID's code, such as `AADSTS7000215`; `None` where the message has none.
    pub code: Option<String>,
    /// The code, and the message without the identifiers behind it, on one line.
    pub message: String,
}

/// Returns the body of a response with a token at `now`, in seconds since 1970, as the library reads it from any issuer.
/// Platforms write the expiry in different ways: as a string or a number, in seconds or, App Service in its version
/// 2017-09-01, as a date. A token whose expiry cannot be read is used once.
///
/// # Errors
///
/// Says what is wrong with the body, without quoting it, since it may contain a token.
pub fn token(body: &[u8], now: i64) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Document {
        access_token: Option<String>,
        expires_on: Option<Value>,
        /// Counts from when the token was issued, which may be long ago.
        expires_in: Option<Value>,
    }
    let document: Document = serde_json::from_slice(body)?;
    let token = document.access_token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| serde_json::Error::custom("it contains no access_token"))?;
    let end = document.expires_on.as_ref().and_then(unix_time);
    let lifetime = document.expires_in.as_ref().and_then(seconds);
    let end = end.or(lifetime.map(|lifetime| now.saturating_add(lifetime))).unwrap_or(now);
    let expiry = end.clamp(now, now.saturating_add(MAX_LIFETIME));
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "resource": "",
        "expires_on": expiry.to_string(),
        "expires_in": expiry - now,
    });
    Ok(body.to_string().into_bytes())
}

/// Returns a time in seconds since 1970.
fn unix_time(value: &Value) -> Option<i64> {
    seconds(value).or_else(|| date(value.as_str()?.trim()))
}

fn seconds(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    let seconds = Duration::try_from_secs_f64(seconds?).ok()?.as_secs();
    Some(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Reads a date such as `2026-09-14T10:00:00Z`, `09/14/2026 10:00:00 +00:00` or `9/14/2026 10:00:00 AM +00:00`: with
/// slashes the month comes first, and without a zone it is UTC.
fn date(text: &str) -> Option<i64> {
    let (day, rest) = text.split_once(['T', ' '])?;
    let [year, month, day] = match day.split_once('/') {
        Some((month, rest)) => {
            let (day, year) = rest.split_once('/')?;
            [year, month, day]
        }
        None => {
            let (year, rest) = day.split_once('-')?;
            let (month, day) = rest.split_once('-')?;
            [year, month, day]
        }
    };
    let (time, zone) = rest.split_at(rest.find(['+', '-', 'Z', 'U', 'G']).unwrap_or(rest.len()));
    let mut words = time.split_whitespace();
    let mut parts = words.next()?.split(':');
    let hour: u8 = parts.next()?.parse().ok()?;
    let hour = match (words.next().map(str::to_ascii_uppercase).as_deref(), hour) {
        (Some("AM"), 12) => 0,
        (Some("PM"), 1..=11) => hour + 12,
        _ => hour,
    };
    let minute: u8 = parts.next()?.parse().ok()?;
    let second: u8 = parts.next().unwrap_or("0").split('.').next()?.parse().ok()?;
    let zone = match zone.trim() {
        "" | "UTC" | "GMT" => "Z",
        zone => zone,
    };
    let number = |text: &str| text.parse::<u16>().ok();
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let time =
        parse_rfc3339(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"));
    Some(time.ok()?.unix_timestamp())
}

/// Reads the body of a response that rejects a request.
pub fn read_error(body: &[u8]) -> IssuerError {
    let text = String::from_utf8_lossy(body);
    let message = match serde_json::from_str(&text) {
        Ok(Value::Object(document)) => match message(&document) {
            message if message.is_empty() => one_line(&text, MAX_MESSAGE),
            message => one_line(&message, MAX_MESSAGE),
        },
        _ if text.trim_start().starts_with('<') => "a web page".to_owned(),
        _ => one_line(&text, MAX_MESSAGE / 2),
    };
    IssuerError { code: code_in(&message).map(str::to_owned), message }
}

/// Returns code and description. Entra ID has `error`, `error_description` and `error_codes`; App Service `statusCode`
/// and `message` in either case, or `errorCode` and `exceptionMessage`; others an `error` with `code` and `message`.
fn message(document: &Map<String, Value>) -> String {
    let inner = find(document, "error").and_then(Value::as_object);
    let document = inner.unwrap_or(document);
    let first = |names: &[&str]| {
        let texts = names.iter().filter_map(|name| find(document, name)?.as_str());
        texts.map(str::trim).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let description = first(&["error_description", "message", "exceptionMessage"]);
    let description = description.lines().next().unwrap_or_default();
    let description = description.split("Trace ID:").next().unwrap_or_default().trim();
    let number = find(document, "error_codes").and_then(|codes| codes.get(0)?.as_u64());
    let code = match number {
        Some(number) => format!("AADSTS{number}"),
        None => first(&["error", "code", "errorCode"]).to_owned(),
    };
    match (code.as_str(), description) {
        ("", description) => description.to_owned(),
        (code, "") => code.to_owned(),
        (_, description) if description.starts_with("AADSTS") => description.to_owned(),
        (code, description) => format!("{code}: {description}"),
    }
}

fn find<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    document.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-09-14T00:00:00Z by `date -d 2026-09-14T00:00:00Z +%s`, and ten hours before.
    const MIDNIGHT: i64 = 1_789_344_000;
    const NOW: i64 = MIDNIGHT - 36_000;

    /// When the token of such a response expires, in both of the library's spellings.
    fn expiry(members: &str) -> i64 {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{members}}}"#);
        let read = token(body.as_bytes(), NOW).expect(&body);
        let read: Value = serde_json::from_slice(&read).expect("JSON");
        assert_eq!((&read["access_token"], &read["resource"]), (&json!("t"), &json!("")), "{members}");
        let on: i64 = read["expires_on"].as_str().expect("text").parse().expect("seconds");
        assert_eq!(read["expires_in"], on - NOW, "{members}");
        on
    }

    #[test]
    fn an_expiry_is_read_in_every_form_that_a_platform_writes() {
        for members in [
            r#","expires_on":1789344000"#,
            r#","expires_on":1789344000.0"#,
            r#","expires_on":"1789344000""#,
            r#","expires_on":" 1789344000 ""#,
            r#","expires_on":"09/14/2026 00:00:00 +00:00""#,
            r#","expires_on":"9/14/2026 12:00:00 AM +00:00""#,
            r#","expires_on":"9/14/2026 12:0:0 am +00:00""#,
            r#","expires_on":"9/13/2026 7:00:00 PM -05:00""#,
            r#","expires_on":"9/14/2026 12:00:00 PM +12:00""#,
            r#","expires_on":"09/14/2026 00:00:00""#,
            r#","expires_on":"2026-09-14T00:00:00Z""#,
            r#","expires_on":"2026-09-14T02:00:00.1234567+02:00""#,
            r#","expires_on":"2026-09-14 00:00:00 UTC""#,
            r#","expires_on":"2026-09-14T00:00:00""#,
            r#","expires_in":36000"#,
            r#","expires_in":"36000""#,
            r#","expires_on":"soon","expires_in":"36000""#,
            // A kept token's life has begun before.
            r#","expires_in":"86399","expires_on":"1789344000""#,
        ] {
            assert_eq!(expiry(members), MIDNIGHT, "{members}");
        }
        for members in [
            "",
            r#","expires_on":"soon""#,
            r#","expires_on":null,"expires_in":null"#,
            r#","expires_on":"13/45/2026 00:00:00 +00:00""#,
            r#","expires_on":"1""#,
            r#","expires_in":-5"#,
            r#","expires_on":["1789344000"]"#,
        ] {
            assert_eq!(expiry(members), NOW, "{members}");
        }
        for members in [r#","expires_on":"4102444800""#, r#","expires_in":9223372036854775807"#] {
            assert_eq!(expiry(members), NOW + 86_400, "{members}");
        }
    }

    #[test]
    fn a_response_without_a_token_is_reported_without_its_text() {
        for body in [
            "",
            "<html>s3cret</html>",
            r#"{"accessToken":"s3cret"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":{"s3cret":1}}"#,
        ] {
            let error = token(body.as_bytes(), NOW).expect_err(body).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_rejection_is_reported_by_its_code_and_message_in_every_form() {
        for (body, words) in [
            // Microsoft's sample of an error response, "Microsoft identity platform and OAuth 2.0 client credentials".
            (
                r#"{"error":"invalid_scope","error_description":"AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope https://foo.microsoft.com/.default is not valid.\r\nTrace ID: 0000aaaa-11bb-cccc-dd22-eeeeee333333\r\nCorrelation ID: aaaa0000-bb11-2222-33cc-444444dddddd\r\nTimestamp: 2016-01-09 02:02:12Z","error_codes":[70011]}"#,
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope https://foo.microsoft.com/.default is not valid.",
            ),
            (
                r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2"}"#,
                "AADSTS7000215: Invalid client secret provided.",
            ),
            (
                r#"{"error_codes":[7000215],"error_description":"Invalid \u201csecret\u201d"}"#,
                "AADSTS7000215: Invalid “secret”",
            ),
            (r#"{"error":"temporarily_unavailable"}"#, "temporarily_unavailable"),
            (
                r#"{"statusCode":400,"message":"No Managed Identity found.\nSee the logs","correlationId":"c"}"#,
                "No Managed Identity found.",
            ),
            (
                r#"{"StatusCode":500,"Message":"An unexpected error","CorrelationId":""}"#,
                "An unexpected error",
            ),
            (
                r#"{"exceptionMessage":"unknown resource","errorCode":"invalid_resource","message":null}"#,
                "invalid_resource: unknown resource",
            ),
            (
                r#"{"error":"invalid_request","error_description":"Identity not found"}"#,
                "invalid_request: Identity not found",
            ),
            (r#"{"error":{"code":"BadRequest","message":"no"}}"#, "BadRequest: no"),
            ("<!DOCTYPE html><title>503</title>", "a web page"),
            ("upstream\r\ntimed out", "upstream timed out"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("", ""),
        ] {
            let error = read_error(body.as_bytes());
            assert_eq!((error.message.as_str(), error.code.as_deref()), (words, code_in(words)), "{body}");
        }
    }
}
