use azure_core::time::parse_rfc3339;
use serde_json::json;

use super::*;
use crate::config::{Config, Owner, SinkConfig, SourceIdentity, settings::Settings};

const CONTOSO: &str = "5f3a1c9e-0b1d-4f7e-9a55-2d6c8e4b7f10";
const FABRIKAM: &str = "a839b112-1253-4432-9bf6-94542403f21c";

/// A list in which a person has added members of their own.
const LIST: &str = r#"{
  "version": 1,
  "tenants": [
    {
      "id": "5f3a1c9e-0b1d-4f7e-9a55-2d6c8e4b7f10",
      "name": "Contoso",
      "enabled": true,
      "credential": "federated",
      "sink": {
        "endpoint": "https://contoso-ab12.westeurope-1.ingest.monitor.azure.com",
        "dcr": "dcr-0123456789abcdef0123456789abcdef",
        "stream": "Custom-MDATPAlerts_CL",
        "tokenFrom": "tenant",
        "region": "westeurope"
      },
      "start": "12h",
      "ticket": 4711
    },
    {
      "id": "a839b112-1253-4432-9bf6-94542403f21c",
      "name": "Fabrikam",
      "enabled": false,
      "credential": "secret:FABRIKAM_SECRET",
      "clientId": "2b0e8c4d-9f6a-4c3b-8d7e-1a2b3c4d5e6f",
      "sink": {
        "endpoint": "https://msp-cd34.westeurope-1.ingest.monitor.azure.com",
        "dcr": "dcr-fedcba9876543210fedcba9876543210",
        "tokenFrom": "home"
      }
    }
  ],
  "owner": "SOC"
}"#;

fn id(text: &str) -> TenantId {
    TenantId::parse(text).expect(text)
}

fn list() -> TenantList {
    TenantList::from_json(LIST.as_bytes()).expect("a list")
}

/// The entry of Contoso with one member replaced, as a list of its own.
fn with(member: &str, value: Value) -> Result<TenantList, ListDamage> {
    let mut document: Value = serde_json::from_str(LIST).expect("JSON");
    document.pointer_mut("/tenants").and_then(Value::as_array_mut).expect("an array").truncate(1);
    match member.rsplit_once('/') {
        Some((parent, name)) => document.pointer_mut(parent).expect("it is there")[name] = value,
        None => document = value,
    }
    TenantList::from_json(document.to_string().as_bytes())
}

#[test]
fn a_list_is_written_as_it_was_read_with_what_this_version_does_not_know() {
    let list = list();
    assert_eq!(list.entries().len(), 2);
    let written = String::from_utf8(list.to_json()).expect("text");
    assert_eq!(written, LIST);
    let empty = TenantList::from_json(br#"{"version":1,"tenants":[]}"#).expect("a list");
    assert_eq!(empty, TenantList::default());
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = json!({
        "version": 1,
        "tenants": [{ "id": CONTOSO.to_uppercase(), "clientId": " ", "sink": { "endpoint": " https://e ", "dcr": "dcr-1" } }],
    });
    let list = TenantList::from_json(text.to_string().as_bytes()).expect("a list");
    let [entry] = list.entries() else { panic!("one entry") };
    assert_eq!((entry.id.as_str(), &*entry.name, &*entry.label()), (CONTOSO, CONTOSO, CONTOSO));
    assert_eq!((entry.enabled, &entry.credential), (true, &TenantCredential::Federated));
    assert_eq!((&entry.client_id, &entry.start, &entry.sink.stream), (&None, &None, &None));
    assert_eq!((&*entry.sink.endpoint, entry.sink.token_from), ("https://e", TokenFrom::Home));
}

#[test]
fn an_entry_takes_the_place_of_the_tenants_earlier_one() {
    let mut list = list();
    let mut entry = list.get(&id(CONTOSO)).expect("it is there").clone();
    entry.enabled = false;
    assert!(list.insert(entry.clone()).is_some_and(|earlier| earlier.enabled));
    assert_eq!(list.entries()[0], entry);
    let removed = list.remove(&id(CONTOSO)).expect("it is there");
    assert!(list.get(&id(CONTOSO)).is_none() && list.remove(&id(CONTOSO)).is_none());
    assert_eq!(list.insert(removed), None);
    assert_eq!(list.entries().iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["Fabrikam", "Contoso"]);
}

#[test]
fn a_damaged_entry_damages_the_list_and_is_named_with_its_member() {
    for (member, value, expected) in [
        ("/tenants/0/id", json!("contoso.example"), "tenant 1: id must be a tenant id"),
        ("/tenants/0/id", json!(null), "tenant 1: id is missing"),
        ("/tenants/0/id", json!("../../../../../5f3a1c9e-0b1d-4f7e-9a5"), "tenant 1: id must be"),
        ("/tenants/0/name", json!(7), "tenant 1: name must be a text"),
        ("/tenants/0/enabled", json!("yes"), "tenant 1 (Contoso): enabled must be true or false"),
        (
            "/tenants/0/credential",
            json!("certificate:x"),
            "credential must be federated or secret:APP_SETTING",
        ),
        (
            "/tenants/0/credential",
            json!("secret:"),
            "credential must name MDATP_CLIENT_SECRET or an app setting",
        ),
        ("/tenants/0/credential", json!("secret:MDATP_WORKSPACE_KEY"), "does not begin with MDATP_"),
        ("/tenants/0/credential", json!("secret:AzureWebJobsStorage"), "does not begin with MDATP_"),
        ("/tenants/0/sink", json!(null), "tenant 1 (Contoso): sink is missing"),
        ("/tenants/0/sink", json!("https://e"), "tenant 1 (Contoso): sink must be an object"),
        ("/tenants/0/sink/endpoint", json!(""), "tenant 1 (Contoso): sink.endpoint is missing"),
        ("/tenants/0/sink/dcr", json!(["dcr-1"]), "tenant 1 (Contoso): sink.dcr must be a text"),
        ("/tenants/0/sink/tokenFrom", json!("app"), "sink.tokenFrom must be tenant or home"),
        ("/tenants/0/start", json!(24), "tenant 1 (Contoso): start must be a text"),
        ("/tenants", json!({}), "the list: tenants must be an array"),
        ("/version", json!(2), "its version is 2, and this program knows version 1"),
        ("/version", json!(null), "its version is null"),
        ("", json!([]), "the list must be an object"),
    ] {
        let damage = with(member, value.clone()).expect_err(member).to_string();
        assert!(damage.contains(expected), "{member} {value}: {damage}");
    }
    let first = LIST.replace(FABRIKAM, &CONTOSO.to_uppercase());
    let damage = TenantList::from_json(first.as_bytes()).expect_err("twice the same").to_string();
    assert_eq!(damage, format!("two entries are of the tenant {CONTOSO}"));
    for text in ["", "{", r#"{"version":1}"#, "7"] {
        assert!(TenantList::from_json(text.as_bytes()).is_err(), "{text}");
    }
}

/// The settings that the tenants of a process share.
fn process() -> Settings {
    Settings::from_iter([
        ("MDATP_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
        ("MDATP_CLIENT_SECRET", "a secret of the process"),
        ("MDATP_START", "3h"),
        ("MDATP_STATE", "file:state"),
        ("MDATP_WORKSPACE_ID", "w"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"),
        ("AZURE_CLIENT_ID", "66666666-7777-8888-9999-000000000000"),
        ("FABRIKAM_SECRET", "a secret of Fabrikam"),
    ])
}

fn config(tenant: &str, base: &Settings) -> Result<Config, String> {
    let list = list();
    let entry = list.get(&id(tenant)).expect("it is there");
    entry.config(base).map_err(|problems| problems.to_string())
}

#[test]
fn an_entry_stands_for_settings_over_those_of_the_process() {
    use crate::config::{Identity, Start};
    let hours = |hours: u64| Start::Ago(std::time::Duration::from_secs(hours * 3_600));

    let contoso = config(CONTOSO, &process()).expect("settings");
    let SourceIdentity::Separate(Identity::TrustsManagedIdentity { tenant, client, managed, .. }) =
        &contoso.source
    else {
        panic!("{:?}", contoso.source)
    };
    assert_eq!((&**tenant, &**client), (CONTOSO, "11111111-2222-3333-4444-555555555555"));
    assert_eq!(managed.as_deref(), Some("66666666-7777-8888-9999-000000000000"));
    let SinkConfig::LogsIngestion { endpoint, rule, stream, .. } = &contoso.sink else { panic!("the rule") };
    assert_eq!(endpoint.as_str(), "https://contoso-ab12.westeurope-1.ingest.monitor.azure.com");
    assert_eq!((&**rule, &**stream), ("dcr-0123456789abcdef0123456789abcdef", "Custom-MDATPAlerts_CL"));
    assert_eq!((contoso.sink_identity, contoso.start), (Owner::Source, hours(12)));
    assert_eq!(contoso.page_size, 250);

    let fabrikam =
        config(FABRIKAM, &process().over([("MDATP_PAGE_SIZE".to_owned(), "300".to_owned())].into()));
    let fabrikam = fabrikam.expect("settings");
    let SourceIdentity::Separate(Identity::ClientSecret { tenant, client, secret }) = &fabrikam.source else {
        panic!("{:?}", fabrikam.source)
    };
    assert_eq!((&**tenant, &**client), (FABRIKAM, "2b0e8c4d-9f6a-4c3b-8d7e-1a2b3c4d5e6f"));
    assert_eq!(secret.secret(), "a secret of Fabrikam");
    assert_eq!((fabrikam.sink_identity, fabrikam.start), (Owner::App, hours(3)));
    assert_eq!(fabrikam.page_size, 300);
}

#[test]
fn a_secret_that_is_not_there_is_reported_by_the_app_settings_name_and_concerns_its_tenant_alone() {
    let unset = process().over([("FABRIKAM_SECRET".to_owned(), String::new())].into());
    let problem = config(FABRIKAM, &unset).expect_err("it has no secret");
    assert!(
        problem.contains("FABRIKAM_SECRET is not set, and tenants.json names it as the secret of Fabrikam"),
        "{problem}"
    );
    assert!(config(CONTOSO, &unset).is_ok());

    let reference = "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/one/)";
    let unresolved = process().over([("FABRIKAM_SECRET".to_owned(), reference.to_owned())].into());
    let problem = config(FABRIKAM, &unresolved).expect_err("it has no secret");
    assert!(problem.contains("FABRIKAM_SECRET is a Key Vault reference"), "{problem}");
    assert!(config(CONTOSO, &unresolved).is_ok());
    // A secret that all tenants may share is not theirs who use none.
    let shared = process().over([("MDATP_CLIENT_SECRET".to_owned(), reference.to_owned())].into());
    assert!(config(CONTOSO, &shared).is_ok());
}

#[test]
fn a_value_that_cannot_be_used_is_reported_as_the_setting_that_it_stands_for() {
    for (member, value, expected) in [
        (
            "/tenants/0/sink/endpoint",
            json!("http://elsewhere.example"),
            "MDATP_INGESTION_ENDPOINT must be https",
        ),
        ("/tenants/0/sink/dcr", json!("no id!"), "MDATP_DCR_ID must be the rule's immutable id"),
        ("/tenants/0/start", json!("yesterday"), "MDATP_START must be"),
    ] {
        let list = with(member, value).expect("a list");
        let problem = list.entries()[0].config(&process()).expect_err(member).to_string();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_message_names_a_tenant_and_a_tick_and_nothing_else_counts() {
    let tick = parse_rfc3339("2026-11-27T10:05:00.1234567Z").expect("a time");
    let message = TenantMessage { tenant: id(CONTOSO), tick };
    let text = message.to_string();
    assert_eq!(text, format!(r#"{{"tenant":"{CONTOSO}","tick":"2026-11-27T10:05:00.1234567Z"}}"#));
    assert_eq!(TenantMessage::of(&serde_json::from_str(&text).expect("JSON")), Some(message.clone()));
    let more = json!({
        "tenant": CONTOSO, "tick": "2026-11-27T10:05:00.1234567Z", "sink": { "endpoint": "https://e" }, "tick2": 1,
    });
    assert_eq!(TenantMessage::of(&more), Some(message));
    for other in [
        json!({}),
        json!({ "tenant": CONTOSO }),
        json!({ "tenant": CONTOSO, "tick": "11/27/2026 10:00:00" }),
        json!({ "tenant": "..", "tick": "2026-11-27T10:05:00Z" }),
        json!({ "tenant": [CONTOSO], "tick": "2026-11-27T10:05:00Z" }),
        json!([CONTOSO, "2026-11-27T10:05:00Z"]),
        json!(42),
    ] {
        assert_eq!(TenantMessage::of(&other), None, "{other}");
    }
}
