//! Entra ID's token endpoint for client credentials: a secret, or a federated assertion in its place.

mod directory;

pub use self::directory::FederatedCredential;
pub(crate) use self::directory::{Directory, Registration};

use azure_core::time::{Duration, OffsetDateTime, to_rfc3339};
use fastrand::Rng;
use http::Method;
use serde_json::json;

use crate::guid::guid;
use crate::request::Request;
use crate::response::Response;
use crate::role::Role;
use crate::tenant;
use crate::token::{Principal, Resource, Tokens, exchange_issuer};

/// Why no token is issued.
#[derive(Debug, PartialEq, Eq)]
struct Denial {
    status: u16,
    error: &'static str,
    code: u32,
    message: String,
}

impl Denial {
    fn new(status: u16, error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self { status, error, code, message: message.into() }
    }

    /// The error's JSON. Entra's own description has four lines; some proxies and libraries flatten
    /// them, and a client has to read both.
    fn answer(&self, one_line: bool, rng: &mut Rng, now: OffsetDateTime) -> Response {
        let (trace, correlation) = (guid(rng), guid(rng));
        let second = now - Duration::nanoseconds(now.nanosecond().into());
        let timestamp = to_rfc3339(&second).replace('T', " ");
        let description = [
            format!("AADSTS{}: {}", self.code, self.message),
            format!("Trace ID: {trace}"),
            format!("Correlation ID: {correlation}"),
            format!("Timestamp: {timestamp}"),
        ]
        .join(if one_line { " " } else { "\r\n" });
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        Response::json(self.status, body.to_string())
    }
}

/// What the endpoint needs of the cloud's state.
pub(crate) struct Entra<'a> {
    pub directory: &'a Directory,
    pub tokens: &'a Tokens,
    pub held: &'a [Role],
    pub one_line_errors: bool,
    pub text_expiry: bool,
    pub rng: &'a mut Rng,
}

impl Entra<'_> {
    pub fn answer(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let segments = request.segments();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let [tenant, "oauth2", "v2.0", "token"] = segments[..] else {
            return Response::empty(404);
        };
        if request.method != Method::POST {
            return Response::empty(405);
        }
        match self.audience(tenant, request, now) {
            Ok((holder, audience, resource)) => {
                let token = self.tokens.issue(holder, &audience, resource, self.held, now);
                let seconds = json!((token.expires_at - now).whole_seconds());
                let seconds = if self.text_expiry { seconds.to_string().into() } else { seconds };
                let body = json!({
                    "token_type": "Bearer",
                    "expires_in": seconds,
                    "ext_expires_in": seconds,
                    "access_token": token.text,
                });
                Response::json(200, body.to_string())
            }
            Err(denial) => denial.answer(self.one_line_errors, self.rng, now),
        }
    }
}

impl Entra<'_> {
    /// Who may have a token, and for which audience, or why not.
    fn audience(
        &self,
        tenant: &str,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<(Principal, String, Resource), Denial> {
        let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let Some(tenant) = self.directory.tenants.iter().find(|known| ***known == *tenant) else {
            let message = format!("Tenant '{tenant}' not found.");
            return Err(Denial::new(400, "invalid_request", 90002, message));
        };
        if field("grant_type") != "client_credentials" {
            let message = "The grant type is missing or not supported.";
            return Err(Denial::new(400, "unsupported_grant_type", 70003, message));
        }
        let client = field("client_id");
        let known = self.directory.registrations.iter().find(|known| known.client == client);
        let Some(registration) = known.filter(|known| known.tenants.contains(tenant)) else {
            let message =
                format!("Application with identifier '{client}' was not found in the directory '{tenant}'.");
            return Err(Denial::new(400, "unauthorized_client", 700_016, message));
        };
        self.check_credential(registration, field, now)?;
        let scope = field("scope");
        let audience = scope.strip_suffix("/.default").ok_or_else(|| {
            let message = format!("The scope '{scope}' does not end in /.default.");
            Denial::new(400, "invalid_scope", 1_002_012, message)
        })?;
        let resource = Resource::named(audience).ok_or_else(|| {
            let message = format!("The resource principal named {audience} was not found.");
            Denial::new(400, "invalid_resource", 500_011, message)
        })?;
        Ok((Principal::of(tenant, &registration.client), audience.to_owned(), resource))
    }

    fn check_credential<'a>(
        &self,
        registration: &Registration,
        field: impl Fn(&'static str) -> &'a str,
        now: OffsetDateTime,
    ) -> Result<(), Denial> {
        let denied = |code, message: &str| Err(Denial::new(401, "invalid_client", code, message));
        match (field("client_secret"), field("client_assertion")) {
            ("", "") => denied(7_000_216, "A secret or an assertion is required."),
            ("", assertion) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                if field("client_assertion_type") != kind {
                    return denied(7_000_218, "The type of the assertion is not supported.");
                }
                self.check_assertion(registration, assertion, now)
            }
            (secret, _) if secret == registration.secret => Ok(()),
            _ => denied(7_000_215, "Invalid client secret provided."),
        }
    }

    /// The order and the codes of Entra: arsenvlad/entra-cross-tenant-app-fic-managed-identity, "Review Failure
    /// Modes"; Azure/azure-workload-identity#1200 for the codes of issuer and subject.
    fn check_assertion(
        &self,
        registration: &Registration,
        assertion: &str,
        now: OffsetDateTime,
    ) -> Result<(), Denial> {
        let denied = |code, message: String| Err(Denial::new(401, "invalid_client", code, message));
        let no_record = |code, what: &str| {
            denied(
                code,
                format!(
                    "No matching federated identity record found for presented assertion {what}. Check your federated \
                     identity credential Subject, Audience and Issuer against the presented assertion."
                ),
            )
        };
        let presented = if assertion == tenant::FEDERATED_ASSERTION {
            FederatedCredential::of_the_workload()
        } else {
            let Some(token) = self.tokens.issued(assertion) else {
                return denied(50013, "Assertion failed signature validation.".to_owned());
            };
            if self.tokens.check(Some(assertion), now).is_err() {
                let message = "Client assertion is not within its valid time range.";
                return denied(700_024, message.to_owned());
            }
            if token.resource != Resource::Exchange {
                return no_record(7_002_121, "audience");
            }
            let Principal { tenant, object, .. } = &token.holder;
            let issuer = exchange_issuer(tenant);
            if *tenant != registration.home {
                return denied(
                    700_236,
                    format!(
                        "Entra ID tokens issued by issuer '{issuer}' may not be used for federated identity credential \
                         flows for applications or managed identities registered in this tenant."
                    ),
                );
            }
            let (subject, audience) = (object.to_string(), token.audience.clone());
            FederatedCredential { issuer, subject, audience }
        };
        let FederatedCredential { issuer, subject, audience } = &presented;
        let mut known: Vec<_> = registration.federated.iter().collect();
        known.retain(|known| known.issuer == *issuer);
        if known.is_empty() {
            return no_record(700_211, &format!("issuer '{issuer}'"));
        }
        // The system-assigned identity gets this too: no credential can name it.
        known.retain(|known| known.subject == *subject);
        if known.is_empty() {
            return no_record(700_213, &format!("subject '{subject}'"));
        }
        known.retain(|known| known.audience == *audience);
        if known.is_empty() {
            return no_record(700_212, &format!("audience '{audience}'"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const DEFENDER: &str = "https://api.securitycenter.microsoft.com/.default";

    fn ask(tenant: &str, fields: &[(&str, &str)], one_line: bool) -> (u16, Value) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let target = format!("/{tenant}/oauth2/v2.0/token");
        let request = Request::new(Method::POST, &target).with_body(body);
        let mut entra = Entra {
            directory: &Directory::of_the_app(),
            tokens: &Tokens::new(1),
            held: &[Role::AlertRead],
            one_line_errors: one_line,
            text_expiry: false,
            rng: &mut Rng::with_seed(1),
        };
        let response = entra.answer(&request, NOW);
        let body = serde_json::from_slice(&response.body).expect("a JSON body");
        (response.status, body)
    }

    /// The code of the denial that a managed identity's assertion meets; 0 for a token.
    fn exchange(tenant: &str, client: &str, holder: Principal, resource: (&str, Resource), age: i64) -> u64 {
        let tokens = Tokens::new(1);
        let assertion = tokens.issue(holder, resource.0, resource.1, &[], NOW).text.clone();
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("grant_type", "client_credentials"),
                ("client_id", client),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &assertion),
                ("scope", DEFENDER),
            ])
            .finish();
        let request = Request::new(Method::POST, &format!("/{tenant}/oauth2/v2.0/token")).with_body(body);
        let mut entra = Entra {
            directory: &Directory::of_the_app(),
            tokens: &tokens,
            held: &[],
            one_line_errors: false,
            text_expiry: false,
            rng: &mut Rng::with_seed(1),
        };
        let response = entra.answer(&request, NOW + Duration::seconds(age));
        let body: Value = serde_json::from_slice(&response.body).expect("a JSON body");
        body["error_codes"][0].as_u64().unwrap_or_default()
    }

    #[test]
    fn an_assertion_is_held_to_its_tenant_audience_subject_and_time() {
        use tenant::{CLIENT_ID, OTHER_CLIENT_ID, OTHER_TENANT_ID, SHARED_CLIENT_ID, TENANT_ID};
        let exchange_token = ("api://AzureADTokenExchange", Resource::Exchange);
        let monitor = ("https://monitor.azure.com", Resource::Monitor);
        let (user, system) = (&Principal::user_assigned(), &Principal::system_assigned());
        for (tenant, client, holder, resource, age, code) in [
            (OTHER_TENANT_ID, SHARED_CLIENT_ID, user, exchange_token, 0, 0),
            (TENANT_ID, SHARED_CLIENT_ID, user, exchange_token, 0, 0),
            (OTHER_TENANT_ID, SHARED_CLIENT_ID, user, exchange_token, 3599, 700_024),
            (OTHER_TENANT_ID, SHARED_CLIENT_ID, user, monitor, 0, 7_002_121),
            (OTHER_TENANT_ID, SHARED_CLIENT_ID, system, exchange_token, 0, 700_213),
            (OTHER_TENANT_ID, OTHER_CLIENT_ID, user, exchange_token, 0, 700_236),
            (OTHER_TENANT_ID, CLIENT_ID, user, exchange_token, 0, 700_016),
            (TENANT_ID, CLIENT_ID, user, exchange_token, 0, 700_211),
            ("nowhere", SHARED_CLIENT_ID, user, exchange_token, 0, 90002),
        ] {
            let got = exchange(tenant, client, holder.clone(), resource, age);
            assert_eq!(got, code, "{tenant} {client} {holder:?} {resource:?} {age}");
        }
    }

    fn form<'a>(id: &'a str, secret: &'a str, scope: &'a str) -> [(&'a str, &'a str); 4] {
        [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret), ("scope", scope)]
    }

    #[test]
    fn a_secret_or_an_assertion_buys_a_token() {
        let secret = form(tenant::CLIENT_ID, tenant::CLIENT_SECRET, DEFENDER);
        let assertion = [
            ("grant_type", "client_credentials"),
            ("client_id", tenant::CLIENT_ID),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", tenant::FEDERATED_ASSERTION),
            ("scope", DEFENDER),
        ];
        for fields in [&secret[..], &assertion[..]] {
            let (status, body) = ask(tenant::TENANT_ID, fields, false);
            assert_eq!((status, &body["expires_in"]), (200, &json!(3599)));
            assert_eq!(body["token_type"], "Bearer");
        }
    }

    #[test]
    fn each_mistake_has_its_code() {
        let (tenant, id, secret) = (tenant::TENANT_ID, tenant::CLIENT_ID, tenant::CLIENT_SECRET);
        let unknown = "https://example.com/.default";
        let bare = "https://api.securitycenter.microsoft.com";
        for (tenant, fields, status, code) in [
            ("other", form(id, secret, DEFENDER), 400, 90002),
            (tenant, form("other", secret, DEFENDER), 400, 700_016),
            (tenant, form(id, "other", DEFENDER), 401, 7_000_215),
            (tenant, form(id, secret, unknown), 400, 500_011),
            (tenant, form(id, secret, bare), 400, 1_002_012),
        ] {
            let (got, body) = ask(tenant, &fields, false);
            assert_eq!((got, &body["error_codes"]), (status, &json!([code])));
        }
    }

    #[test]
    fn errors_come_in_four_lines_or_in_one() {
        let fields = form(tenant::CLIENT_ID, "other", DEFENDER);
        for (one_line, breaks) in [(false, 3), (true, 0)] {
            let (_, body) = ask(tenant::TENANT_ID, &fields, one_line);
            let text = body["error_description"].as_str().expect("a text");
            assert!(text.starts_with("AADSTS7000215: Invalid client secret"), "{text}");
            assert_eq!(text.matches("\r\n").count(), breaks, "{text}");
        }
    }
}
