//! The API as a caller sees it, without a socket.

use serde_json::Value;

use super::*;
use crate::tenant;
use crate::token::Principal;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const AUDIENCE: &str = "https://graph.microsoft.com";
const LIST: &str = "/v1.0/security/alerts_v2";

struct World {
    catalogue: Catalogue,
    tokens: Tokens,
    token: String,
    quirks: BTreeSet<Quirk>,
    limits: BTreeMap<Quota, RateLimit>,
}

impl World {
    fn new(audience: &str, roles: &[Role]) -> Self {
        let mut catalogue = Catalogue::default();
        for (id, created) in [("a", 3), ("b", 1), ("c", 2)] {
            let text = format!(
                r#"{{"id":"{id}","severity":"High","alertCreationTime":"2026-11-24T06:00:0{created}.5Z","machineId":"m1"}}"#
            );
            catalogue.add_alert(text, None);
        }
        catalogue.add_machine(
            r#"{"id":"m1","computerDnsName":"host","osBuild":7,"machineTags":["x"]}"#.to_owned(),
        );
        let tokens = Tokens::new(1);
        let resource = Resource::named(audience).expect("a known audience");
        let token = tokens.issue(Principal::user_assigned(), audience, resource, roles, NOW).text.clone();
        Self { catalogue, tokens, token, quirks: BTreeSet::new(), limits: BTreeMap::new() }
    }

    fn send(&mut self, request: Request) -> (u16, Value) {
        let request = request.with_header("authorization", &format!("Bearer {}", self.token));
        let mut graph = Graph {
            catalogue: &self.catalogue,
            tokens: &self.tokens,
            tenant: tenant::TENANT_ID,
            limits: Some(&mut self.limits),
            quirks: &self.quirks,
            page_cap: None,
            rng: &mut Rng::with_seed(1),
        };
        let response = graph.answer(&request, NOW);
        (response.status, serde_json::from_slice(&response.body).expect("JSON"))
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        self.send(Request::new(Method::GET, target))
    }

    fn ids(&mut self, query: &str) -> String {
        let (status, body) = self.get(&format!("{LIST}?{query}"));
        assert_eq!(status, 200, "{query}: {body}");
        let rows = body["value"].as_array().expect("a list").iter();
        rows.map(|row| row["id"].as_str().expect("an id")).collect()
    }
}

fn world() -> World {
    World::new(AUDIENCE, &[Role::SecurityAlertRead, Role::ThreatHuntingRead])
}

#[test]
fn the_newest_alerts_come_first_unless_another_order_is_asked_for_and_kept() {
    let mut world = world();
    assert_eq!(world.ids(""), "acb");
    assert_eq!(world.ids("$orderby=createdDateTime%20asc"), "bca");
    assert_eq!(world.ids("$top=1&$skip=1"), "c");
    let filter =
        "$filter=serviceSource+eq+'microsoftDefenderForEndpoint'+and+createdDateTime+ge+2026-11-24T06:00:02Z";
    assert_eq!(world.ids(filter), "ac");
    assert_eq!(world.ids("$filter=severity+eq+'high'"), "acb");
    assert_eq!(world.ids("$filter=serviceSource+eq+'microsoftDefenderForIdentity'"), "");
    world.quirks.insert(Quirk::IgnoreOrderBy);
    assert_eq!(world.ids("$orderby=createdDateTime%20asc"), "acb");
}

#[test]
fn a_page_has_a_thousand_alerts_at_most_and_reaches_no_further_than_six_thousand() {
    let mut world = world();
    for number in 0..2_500 {
        world.catalogue.add_alert(format!(r#"{{"id":"n{number:04}"}}"#), None);
    }
    let length = |world: &mut World, query: &str| {
        let (status, body) = world.get(&format!("{LIST}?{query}"));
        (status, body["value"].as_array().map(Vec::len), body["@odata.nextLink"].is_string())
    };
    assert_eq!(length(&mut world, "$top=5000"), (200, Some(1_000), true));
    assert_eq!(length(&mut world, "$top=20000&$skip=2000"), (200, Some(503), false));
    assert_eq!(length(&mut world, "$top=1000&$skip=5000"), (200, Some(0), false));
    let (status, body) = world.get(&format!("{LIST}?$top=1000&$skip=5001"));
    assert_eq!((status, &body["error"]["code"]), (400, &json!("BadRequest")));
    assert!(body["error"]["innerError"]["request-id"].is_string());
}

#[test]
fn what_the_service_does_not_know_is_rejected_in_its_form() {
    for (target, status, code) in [
        ("/v1.0/security/alerts_v2?$filter=investigationState+eq+'running'", 400, "BadRequest"),
        ("/v1.0/security/alerts_v2?$expand=evidence", 400, "BadRequest"),
        ("/v1.0/security/alerts_v2/nobody", 404, "ResourceNotFound"),
        ("/v1.0/security/alerts", 404, "UnknownError"),
    ] {
        let (found, body) = world().get(target);
        assert_eq!((found, &body["error"]["code"]), (status, &json!(code)), "{target}");
    }
}

#[test]
fn a_token_opens_only_what_it_was_issued_for() {
    let mut defender = World::new("https://api.securitycenter.microsoft.com", &[Role::AlertRead]);
    assert_eq!(defender.get(LIST).0, 401);
    let mut hunter = World::new(AUDIENCE, &[Role::ThreatHuntingRead]);
    assert_eq!(hunter.get(LIST).0, 403);
}

#[test]
fn the_hundred_and_fifty_first_call_of_a_minute_is_throttled() {
    let mut world = world();
    for _ in 0..150 {
        assert_eq!(world.get(&format!("{LIST}?$top=1")).0, 200);
    }
    let (status, body) = world.get(LIST);
    assert_eq!((status, &body["error"]["code"]), (429, &json!("TooManyRequests")));
}

#[test]
fn the_device_of_an_alert_is_in_its_evidence() {
    let (_, alert) = world().get(&format!("{LIST}/a"));
    let device = &alert["evidence"][0];
    assert_eq!(device["@odata.type"], "#microsoft.graph.security.deviceEvidence");
    assert_eq!((&device["mdeDeviceId"], &device["osBuild"]), (&json!("m1"), &json!(7)));
    assert_eq!(device["deviceDnsName"], "host");
}

#[test]
fn the_devices_of_a_query_are_found_and_another_query_is_not_understood() {
    let query = |text: &str| {
        let body = json!({ "Query": text, "Timespan": "P1D" }).to_string();
        Request::new(Method::POST, "/v1.0/security/runHuntingQuery")
            .with_header("content-type", "application/json")
            .with_body(body)
    };
    let known = "DeviceInfo | where Timestamp > ago(1d) and DeviceId in ('m1', 'm2') | summarize arg_max(Timestamp, *) by DeviceId";
    let (status, body) = world().send(query(known));
    assert_eq!((status, body["results"].as_array().map(Vec::len)), (200, Some(1)));
    assert_eq!(body["results"][0]["DeviceManualTags"], r#"["x"]"#);
    assert_eq!(world().send(query("DeviceInfo | take 1")).0, 400);
}
