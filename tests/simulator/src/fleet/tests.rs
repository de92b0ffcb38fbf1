use http::Method;
use serde_json::Value;

use super::*;
use crate::fault::Fault;
use crate::reaction::Outcome;
use crate::role::Role;
use crate::tenant;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const DEFENDER: &str = "https://api.securitycenter.microsoft.com";
const MONITOR: &str = "https://monitor.azure.com";

fn answer(fleet: &Fleet, service: Service, request: &Request) -> (u16, Value) {
    match fleet.react(service, request, NOW).outcome {
        Outcome::Response(response) => {
            (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
        }
        other => panic!("{other:?} is no response"),
    }
}

/// A token of the managed identity, or of the system-assigned one.
fn identity(fleet: &Fleet, resource: &str, client: Option<&str>) -> String {
    let client = client.map(|client| format!("&client_id={client}")).unwrap_or_default();
    let target = format!("/msi/token?resource={resource}&api-version=2019-08-01{client}");
    let request =
        Request::new(Method::GET, &target).with_header("x-identity-header", tenant::IDENTITY_HEADER);
    let (_, body) = answer(fleet, Service::Identity, &request);
    body["access_token"].as_str().expect("a token").to_owned()
}

/// What Entra answers in `tenant` to an app registration with this proof.
fn sign_in(fleet: &Fleet, tenant: &str, client: &str, proof: (&str, &str), resource: &str) -> (u16, Value) {
    let scope = format!("{resource}/.default");
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            proof,
            ("scope", &scope),
        ])
        .finish();
    let request = Request::new(Method::POST, &format!("/{tenant}/oauth2/v2.0/token")).with_body(body);
    answer(fleet, Service::Entra, &request)
}

/// A token of the multi-tenant app registration in a tenant, for which the managed identity's is shown.
fn federated(fleet: &Fleet, tenant: &str, resource: &str) -> String {
    let assertion = identity(fleet, "api://AzureADTokenExchange", Some(tenant::CLIENT_ID));
    let proof = ("client_assertion", &*assertion);
    let (status, body) = sign_in(fleet, tenant, tenant::SHARED_CLIENT_ID, proof, resource);
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn list(fleet: &Fleet, token: &str) -> (u16, Value) {
    let request = Request::new(Method::GET, "/api/alerts");
    answer(fleet, Service::Defender, &request.with_header("authorization", &format!("Bearer {token}")))
}

fn post(fleet: &Fleet, rule: &str, token: &str) -> (u16, Value) {
    let target = format!("/dataCollectionRules/{rule}/streams/{}?api-version=2023-01-01", tenant::STREAM);
    let request = Request::new(Method::POST, &target)
        .with_header("authorization", &format!("Bearer {token}"))
        .with_header("content-type", "application/json")
        .with_body(r#"[{"id":"da1"}]"#);
    answer(fleet, Service::LogsIngestion, &request)
}

#[test]
fn the_tenant_of_the_token_decides_whose_alerts_are_listed() {
    let fleet = Fleet::new(1, 3);
    for (number, customer) in fleet.customers().iter().enumerate() {
        fleet.cloud(&customer.id).add_alert(&format!(r#"{{"id":"da{number}"}}"#));
    }
    for (number, customer) in fleet.customers().iter().enumerate() {
        let (status, body) = list(&fleet, &federated(&fleet, &customer.id, DEFENDER));
        assert_eq!((status, &body["value"][0]["id"]), (200, &format!("da{number}").into()));
        let proof = ("client_secret", &*customer.secret);
        let (status, body) = sign_in(&fleet, &customer.id, &customer.client, proof, DEFENDER);
        assert_eq!(status, 200, "{body}");
        let (_, body) = list(&fleet, body["access_token"].as_str().expect("a token"));
        assert_eq!(body["value"][0]["id"], format!("da{number}"));
        assert_eq!(body["value"].as_array().map(Vec::len), Some(1));
    }
    let own = identity(&fleet, DEFENDER, None);
    assert_eq!(list(&fleet, &own).1["value"], serde_json::json!([]), "the provider has none");
    assert_eq!(list(&fleet, "made up").0, 401);
}

#[test]
fn a_secret_opens_its_own_tenant_only() {
    let fleet = Fleet::new(1, 2);
    let [one, other] = fleet.customers() else { panic!("two") };
    let proof = ("client_secret", &*one.secret);
    for (tenant, client, code) in [
        (&other.id, &one.client, 700_016),
        (&one.id, &other.client, 700_016),
        (&other.id, &other.client, 7_000_215),
    ] {
        let (_, body) = sign_in(&fleet, tenant, client, proof, DEFENDER);
        assert_eq!(body["error_codes"][0], code);
    }
}

#[test]
fn a_rule_takes_the_tokens_of_its_own_tenant() {
    let fleet = Fleet::new(1, 2);
    let [one, other] = fleet.customers() else { panic!("two") };
    let token = federated(&fleet, &one.id, MONITOR);
    assert_eq!(post(&fleet, &one.rule, &token).0, 204);
    assert_eq!(fleet.cloud(&one.id).counts().records, 1);
    for rule in [&*other.rule, tenant::DCR_ID] {
        let (status, body) = post(&fleet, rule, &token);
        let message = body["error"]["message"].as_str().expect("a message");
        let who = format!("not found for tenantId {} objectId {}", one.id, tenant::SHARED_CLIENT_ID);
        assert!(status == 403 && message.contains(rule) && message.contains(&who), "{status} {message}");
    }
    let own = identity(&fleet, MONITOR, None);
    assert_eq!(post(&fleet, tenant::DCR_ID, &own).0, 204, "the provider's own rule");
    assert_eq!(post(&fleet, &one.rule, &own).0, 403);
    assert_eq!(post(&fleet, "dcr-unknown", &own).0, 404);
    assert_eq!(fleet.cloud(&other.id).counts().records, 0);
}

#[test]
fn an_assertion_of_the_wrong_audience_issuer_or_subject_is_refused() {
    let fleet = Fleet::new(1, 1);
    let customer = &fleet.customers()[0].id;
    let good = FederatedCredential::of_the_managed_identity();
    let assertion = identity(&fleet, "api://AzureADTokenExchange", Some(tenant::CLIENT_ID));
    let code = |assertion: &str| {
        let proof = ("client_assertion", assertion);
        let (_, body) = sign_in(&fleet, customer, tenant::SHARED_CLIENT_ID, proof, DEFENDER);
        body["error_codes"][0].as_u64().unwrap_or_default()
    };
    for (credential, expected) in [
        (
            FederatedCredential { audience: "api://AzureADTokenExchangeUSGov".to_owned(), ..good.clone() },
            700_212,
        ),
        (
            FederatedCredential { issuer: good.issuer.replace(tenant::TENANT_ID, customer), ..good.clone() },
            700_211,
        ),
        (FederatedCredential { subject: tenant::SYSTEM_OBJECT_ID.to_owned(), ..good.clone() }, 700_213),
        (good, 0),
    ] {
        fleet.trust_only(&credential);
        assert_eq!(code(&assertion), expected, "{credential:?}");
    }
    assert_eq!(code(&identity(&fleet, MONITOR, Some(tenant::CLIENT_ID))), 7_002_121);
    assert_eq!(code(&identity(&fleet, "api://AzureADTokenExchange", None)), 700_213);
    fleet.cloud(customer).withdraw_consent();
    assert_eq!(code(&assertion), 700_016);
}

#[test]
fn what_happens_to_one_tenant_does_not_touch_another() {
    let fleet = Fleet::new(1, 2);
    let [one, other] = fleet.customers() else { panic!("two") };
    let tokens = [one, other].map(|customer| federated(&fleet, &customer.id, DEFENDER));
    fleet.cloud(&one.id).fault(Fault::status(503).on(Service::Defender).always());
    assert_eq!(tokens.each_ref().map(|token| list(&fleet, token).0), [503, 200]);
    fleet.cloud(&one.id).clear_faults();
    fleet.cloud(&one.id).revoke_tokens();
    assert_eq!(tokens.each_ref().map(|token| list(&fleet, token).0), [401, 200]);
    fleet.cloud(&other.id).deny_role(Role::AlertRead);
    let tokens = [one, other].map(|customer| federated(&fleet, &customer.id, DEFENDER));
    assert_eq!(tokens.each_ref().map(|token| list(&fleet, token).0), [200, 403]);
    for customer in [one, other] {
        fleet.cloud(&customer.id).grant_role(Role::AlertRead);
        fleet.cloud(&customer.id).enforce_rate_limits(true);
    }
    let tokens = [one, other].map(|customer| federated(&fleet, &customer.id, DEFENDER));
    let statuses: Vec<_> = (0..101).map(|_| list(&fleet, &tokens[0]).0).collect();
    assert_eq!((statuses[99], statuses[100]), (200, 429));
    assert_eq!(list(&fleet, &tokens[1]).0, 200);
}
