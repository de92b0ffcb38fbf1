//! The managed-identity endpoint of App Service: a plain GET that is trusted because of a header only
//! the app knows.

use azure_core::time::OffsetDateTime;
use http::Method;
use serde_json::{Value, json};

use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;
use crate::role::Role;
use crate::tenant;
use crate::token::{Principal, Resource, Tokens};

/// The form in which the endpoint returns a token's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// As a text of seconds since 1970, as it is documented.
    Seconds,
    /// As a number of them.
    Number,
    /// As a date in the manner of the United States.
    Date,
}

impl Expiry {
    fn tell(self, at: OffsetDateTime) -> Value {
        match self {
            Self::Seconds => at.unix_timestamp().to_string().into(),
            Self::Number => at.unix_timestamp().into(),
            Self::Date => {
                let (hour, half) = match at.hour() {
                    hour @ 0..12 => (hour, "AM"),
                    hour => (hour - 12, "PM"),
                };
                let hour = if hour == 0 { 12 } else { hour };
                let (month, day, year) = (u8::from(at.month()), at.day(), at.year());
                let (minute, second) = (at.minute(), at.second());
                format!("{month}/{day}/{year} {hour}:{minute:02}:{second:02} {half} +00:00").into()
            }
        }
    }
}

/// Issues a token to the app's identity.
pub(crate) fn answer(
    request: &Request,
    tokens: &Tokens,
    held: &[Role],
    expiry: Expiry,
    now: OffsetDateTime,
) -> Response {
    match resource(request) {
        Ok((holder, audience, resource)) => {
            let token = tokens.issue(holder, audience, resource, held, now);
            let body = json!({
                "access_token": token.text,
                "client_id": &*token.holder.client,
                "expires_on": expiry.tell(token.expires_at),
                "resource": audience,
                "token_type": "Bearer",
            });
            Response::json(200, body.to_string())
        }
        Err(rejection) => {
            let body = json!({ "statusCode": rejection.status, "message": rejection.message });
            Response::json(rejection.status, body.to_string())
        }
    }
}

fn resource(request: &Request) -> Result<(Principal, &str, Resource), Rejection> {
    let reject = |status, message: &str| Err(Rejection::new(status, "", message));
    if request.method != Method::GET || request.path != "/msi/token" {
        return reject(404, "there is no such resource");
    }
    if request.header("x-identity-header") != Some(tenant::IDENTITY_HEADER) {
        return reject(401, "X-IDENTITY-HEADER is not this app's");
    }
    if request.parameter("api-version") != Some("2019-08-01") {
        return reject(400, "api-version is not 2019-08-01");
    }
    let holder = match request.parameter("client_id") {
        None => Principal::system_assigned(),
        Some(tenant::CLIENT_ID) => Principal::user_assigned(),
        Some(_) => return reject(400, "no identity of this client id is assigned to the app"),
    };
    let audience = request.parameter("resource").unwrap_or_default();
    match Resource::named(audience) {
        Some(resource) => Ok((holder, audience, resource)),
        // Entra's message, which the platform passes on (AzureAD/microsoft-authentication-library-for-dotnet#3979).
        None => {
            let message =
                format!("AADSTS500011: The resource principal named {audience} was not found in the tenant.");
            reject(400, &message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "/msi/token?resource=https://monitor.azure.com&api-version=2019-08-01";

    fn ask(target: &str, header: &str) -> (u16, Value) {
        let request = Request::new(Method::GET, target).with_header("x-identity-header", header);
        let now = OffsetDateTime::UNIX_EPOCH;
        let response = answer(&request, &Tokens::new(1), &[], Expiry::Seconds, now);
        let body = serde_json::from_slice(&response.body).expect("a JSON body");
        (response.status, body)
    }

    #[test]
    fn the_expiry_is_a_text_of_seconds() {
        let (status, body) = ask(GOOD, tenant::IDENTITY_HEADER);
        assert_eq!(status, 200);
        assert_eq!(body["expires_on"], "3599");
        assert_eq!(body["resource"], "https://monitor.azure.com");
    }

    #[test]
    fn other_platforms_tell_the_expiry_in_other_forms() {
        // 2020-01-16 by `date -u -d @SECONDS`.
        for (seconds, number, date) in [
            (1_579_152_252, 1_579_152_252, "1/16/2020 5:24:12 AM +00:00"),
            (1_579_132_800, 1_579_132_800, "1/16/2020 12:00:00 AM +00:00"),
            (1_579_176_000, 1_579_176_000, "1/16/2020 12:00:00 PM +00:00"),
            (1_579_219_199, 1_579_219_199, "1/16/2020 11:59:59 PM +00:00"),
        ] {
            let at = OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
            assert_eq!((Expiry::Number.tell(at), Expiry::Date.tell(at)), (json!(number), json!(date)));
        }
    }

    #[test]
    fn strangers_and_wrong_parameters_get_nothing() {
        let header = tenant::IDENTITY_HEADER;
        for (target, header, status) in [
            (GOOD.to_owned(), "other", 401),
            (GOOD.replace("2019-08-01", "2017-09-01"), header, 400),
            (GOOD.replace(".com", ".com/.default"), header, 400),
            (format!("{GOOD}&client_id=other"), header, 400),
            (format!("{GOOD}&client_id={}", tenant::CLIENT_ID), header, 200),
            (GOOD.replace("/msi", "/metadata"), header, 404),
        ] {
            assert_eq!(ask(&target, header).0, status, "{target}");
        }
    }
}
