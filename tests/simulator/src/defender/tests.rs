//! The API as a caller sees it, without a socket.

use serde_json::Value;

use super::*;
use crate::tenant;
use crate::token::Principal;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const AUDIENCE: &str = "https://api.securitycenter.microsoft.com";

struct World {
    catalogue: Catalogue,
    tokens: Tokens,
    token: String,
    quirks: BTreeSet<Quirk>,
}

impl World {
    fn new(audience: &str, roles: &[Role]) -> Self {
        let mut catalogue = Catalogue::default();
        for (id, created) in [("a", 3), ("b", 1), ("c", 2)] {
            let text = format!(
                r#"{{"id":"{id}","alertCreationTime":"2026-11-24T06:00:0{created}.5Z","evidence":[{{"sha1":1.0}}]}}"#
            );
            catalogue.add_alert(text, None);
        }
        let text = r#"{"id":"m1","computerDnsName":"Host-1"}"#.to_owned();
        catalogue.add_machine(text);
        let tokens = Tokens::new(1);
        let resource = Resource::named(audience).expect("a known audience");
        let token = tokens.issue(Principal::user_assigned(), audience, resource, roles, NOW).text.clone();
        Self { catalogue, tokens, token, quirks: BTreeSet::new() }
    }

    fn get(&mut self, target: &str) -> (u16, String) {
        let request =
            Request::new(Method::GET, target).with_header("authorization", &format!("Bearer {}", self.token));
        let mut defender = Defender {
            catalogue: &mut self.catalogue,
            tokens: &self.tokens,
            tenant: tenant::TENANT_ID,
            limits: None,
            quirks: &self.quirks,
            page_cap: None,
            rng: &mut Rng::with_seed(1),
        };
        let answer = defender.answer(&request, NOW);
        let body = String::from_utf8(answer.body.to_vec()).expect("UTF-8");
        (answer.status, body)
    }

    fn ids(&mut self, target: &str) -> String {
        let (status, body) = self.get(target);
        assert_eq!(status, 200, "{target}: {body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let rows = body["value"].as_array().expect("a list").iter();
        rows.map(|row| row["id"].as_str().expect("an id")).collect()
    }
}

fn world() -> World {
    World::new(AUDIENCE, &[Role::AlertRead, Role::MachineRead])
}

#[test]
fn a_list_shows_evidence_only_when_expanded_and_one_alert_always() {
    let mut world = world();
    let (_, plain) = world.get("/api/alerts?$top=1");
    let (_, expanded) = world.get("/api/v1.0/alerts?$top=1&$expand=evidence");
    let (_, single) = world.get("/api/alerts/a");
    let context = "https://api.security.microsoft.com/api/$metadata#Alerts";
    let fields = r#""id":"a","alertCreationTime":"2026-11-24T06:00:03.5Z","evidence""#;
    assert_eq!(plain, format!(r#"{{"@odata.context":"{context}","value":[{{{fields}:[]}}]}}"#));
    assert_eq!(
        expanded,
        format!(r#"{{"@odata.context":"{context}","value":[{{{fields}:[{{"sha1":1.0}}]}}]}}"#)
    );
    assert_eq!(single, format!(r#"{{"@odata.context":"{context}/$entity",{fields}:[{{"sha1":1.0}}]}}"#));
}

#[test]
fn what_was_stored_with_a_context_keeps_it() {
    let mut world = world();
    let text = r#"{ "@odata.context": "elsewhere", "id": "m2" }"#;
    world.catalogue.add_machine(text.to_owned());
    assert_eq!(world.get("/api/machines/m2"), (200, text.to_owned()));
}

#[test]
fn the_next_link_leads_to_the_rest() {
    let mut world = world();
    for number in 10_000..20_001 {
        world.catalogue.add_alert(format!(r#"{{"id":"{number}","severity":"High & low"}}"#), None);
    }
    let (_, body) = world.get("/api/alerts?$filter=severity+eq+'High+%26+low'");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["value"].as_array().map(Vec::len), Some(10_000));
    let link = body["@odata.nextLink"].as_str().expect("a link");
    let target = link.strip_prefix("http://api.security.microsoft.com").expect("the same host");
    assert_eq!(world.ids(target), "20000");
}

#[test]
fn lists_are_filtered_ordered_and_paged() {
    let mut world = world();
    let filter =
        "$filter=alertCreationTime+ge+2026-11-24T06:00:01.5Z+and+alertCreationTime+lt+2026-11-24T06:00:03.5Z";
    assert_eq!(world.ids("/api/alerts"), "abc");
    assert_eq!(world.ids(&format!("/api/alerts?{filter}")), "bc");
    assert_eq!(world.ids("/api/alerts?$orderby=alertCreationTime%20asc"), "bca");
    assert_eq!(world.ids("/api/alerts?$skip=1&$top=1"), "b");
    assert_eq!(world.ids(r#"/api/machines?$filter=id+in+("m1","m2")"#), "m1");
}

#[test]
fn quirks_make_the_service_deaf() {
    for (quirk, deaf) in [(Quirk::IgnoreOrderBy, "bc"), (Quirk::IgnoreTop, "ca"), (Quirk::IgnoreSkip, "bc")] {
        let mut world = world();
        world.quirks.insert(quirk);
        let skipped = "/api/alerts?$orderby=alertCreationTime&$skip=1";
        let target = match quirk {
            Quirk::IgnoreTop => format!("{skipped}&$top=1"),
            _ => format!("{skipped}&$top=2"),
        };
        assert_eq!(world.ids(&target), deaf, "{quirk:?}");
    }
    let mut world = world();
    world.quirks.insert(Quirk::RepeatPage);
    assert_eq!(world.ids("/api/alerts?$top=1"), "a");
    assert_eq!(world.ids("/api/alerts?$top=1&$skip=1"), "a");
}

#[test]
fn a_machine_answers_to_id_and_name() {
    let mut world = world();
    for target in ["/api/machines/m1", "/api/machines/host-1"] {
        let (status, body) = world.get(target);
        assert_eq!(status, 200);
        assert!(body.ends_with(r#"/$entity","id":"m1","computerDnsName":"Host-1"}"#), "{body}");
    }
    let (status, body) = world.get("/api/machines/m2");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["error"]["code"]), (404, &json!("ResourceNotFound")));
    assert_eq!(body["error"]["message"], "Machine m2 was not found");
    assert!(body["error"]["target"].is_string());
}

#[test]
fn a_query_it_cannot_read_gets_the_empty_code() {
    for target in [
        "/api/alerts?$select=id",
        "/api/alerts?$filter=machineId eq 'm1'",
        "/api/alerts?$top=10001",
        "/api/alerts?$expand=machine",
        "/api/machines?$expand=evidence",
    ] {
        let (status, body) = world().get(target);
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &body["error"]["code"]), (400, &json!("")), "{target}");
        assert_eq!(body["error"]["details"], json!([]));
    }
}

#[test]
fn a_token_opens_only_what_it_was_issued_for() {
    let mut xdr = World::new("https://api.security.microsoft.com", &[Role::AlertRead]);
    assert_eq!(xdr.get("/api/alerts").0, 403);

    let mut reader = World::new(AUDIENCE, &[Role::AlertRead]);
    assert_eq!(reader.get("/api/alerts").0, 200);
    assert_eq!(reader.get("/api/machines/m1").0, 403);

    reader.tokens.revoke(&[tenant::TENANT_ID.into()]);
    assert_eq!(reader.get("/api/alerts").0, 401);
}
