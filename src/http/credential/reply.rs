//! What issuers of tokens reply, in the forms that the identity library does not read. Pure.

use std::time::Duration;

use azure_core::time::parse_rfc3339;
use serde::{Deserialize, de::Error};
use serde_json::{Map, Value, json};

use crate::error_chain::one_line;

/// The longest that a token is kept, in seconds: a managed identity's lives for a day, all others for less. A clock
/// that is wrong makes no token immortal.
const LONGEST_LIFE: i64 = 24 * 60 * 60;

/// The longest text of a refusal, in characters.
const LONGEST: usize = 400;

/// The reply with a token at `now`, in seconds since 1970, as the library reads it from either issuer. The platforms
/// write the expiry as they like: as text or number, as seconds or, App Service in its version 2017-09-01, as a date.
/// A token whose expiry nobody can read is good for one call.
///
/// # Errors
///
/// Says what is not as it should be, and nothing of what there is: that may be a token.
pub fn token(body: &[u8], now: i64) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Told {
        access_token: Option<String>,
        expires_on: Option<Value>,
        /// From when it was issued on, which for a kept one was before.
        expires_in: Option<Value>,
    }
    let told: Told = serde_json::from_slice(body)?;
    let token = told.access_token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| serde_json::Error::custom("it holds no access_token"))?;
    let end = told.expires_on.as_ref().and_then(moment);
    let life = told.expires_in.as_ref().and_then(seconds);
    let end = end.or(life.map(|life| now.saturating_add(life))).unwrap_or(now);
    let expiry = end.clamp(now, now.saturating_add(LONGEST_LIFE));
    let reply = json!({
        "access_token": token,
        "token_type": "Bearer",
        "resource": "",
        "expires_on": expiry.to_string(),
        "expires_in": expiry - now,
    });
    Ok(reply.to_string().into_bytes())
}

/// The time in seconds since 1970.
fn moment(value: &Value) -> Option<i64> {
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

/// A date such as `2026-09-14T10:00:00Z`, `09/14/2026 10:00:00 +00:00` or `9/14/2026 10:00:00 AM +00:00`: with slashes
/// the month comes first, and without a zone it is UTC.
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

/// Why there is no token, in the issuer's own words on one line: its code, such as `AADSTS7000215`, and what it says,
/// without the identifiers behind that.
pub fn refusal(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str(&text) {
        Ok(Value::Object(told)) => {
            let said = said(&told);
            if said.is_empty() { one_line(&text, LONGEST) } else { one_line(&said, LONGEST) }
        }
        _ if text.trim_start().starts_with('<') => "a web page".to_owned(),
        _ => one_line(&text, LONGEST / 2),
    }
}

/// Entra has `error`, `error_description` and `error_codes`; App Service `statusCode` and `message` in either case,
/// or `errorCode` and `exceptionMessage`; others an `error` with `code` and `message` in it.
fn said(told: &Map<String, Value>) -> String {
    let inner = find(told, "error").and_then(Value::as_object);
    let told = inner.unwrap_or(told);
    let first = |names: &[&str]| {
        let texts = names.iter().filter_map(|name| find(told, name)?.as_str());
        texts.map(str::trim).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let description = first(&["error_description", "message", "exceptionMessage"]);
    let description = description.lines().next().unwrap_or_default();
    let description = description.split("Trace ID:").next().unwrap_or_default().trim();
    let number = find(told, "error_codes").and_then(|codes| codes.get(0)?.as_u64());
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

fn find<'a>(told: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    told.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-09-14T00:00:00Z by `date -d 2026-09-14T00:00:00Z +%s`, and ten hours before.
    const MIDNIGHT: i64 = 1_789_344_000;
    const NOW: i64 = MIDNIGHT - 36_000;

    /// When the token of this reply expires, in both of the library's spellings.
    fn expiry(members: &str) -> i64 {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{members}}}"#);
        let reply = token(body.as_bytes(), NOW).expect(&body);
        let reply: Value = serde_json::from_slice(&reply).expect("JSON");
        assert_eq!((&reply["access_token"], &reply["resource"]), (&json!("t"), &json!("")), "{members}");
        let on: i64 = reply["expires_on"].as_str().expect("text").parse().expect("seconds");
        assert_eq!(reply["expires_in"], on - NOW, "{members}");
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
    fn a_reply_without_a_token_is_told_without_its_text() {
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
    fn a_refusal_is_told_by_its_code_and_words_in_every_form() {
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
            assert_eq!(refusal(body.as_bytes()), words, "{body}");
        }
    }
}
