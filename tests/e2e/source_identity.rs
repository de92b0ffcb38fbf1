//! Another tenant's Defender: the source identity reads it, and the app's own identity does everything else.

use serde_json::Value;
use simulator::{
    Fault, Route, Service,
    Sink::{self, DataCollector, LogsIngestion},
    functions_host::Payload,
    tenant,
};

use crate::stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, succeed};

const OTHER_ID: &str = "00000000-0000-0000-0000-000000000001";

/// What the source identity shows to Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Secret,
    /// The token of the user-assigned identity, which a setting of its own names.
    ManagedIdentity,
    /// The workload identity's, which is the app's own identity too.
    File,
}

pub const PROOFS: [Proof; 3] = [Proof::Secret, Proof::ManagedIdentity, Proof::File];

/// An app in the one tenant, and Defender with 20 alerts in the other.
pub async fn across(sink: Sink, proof: Proof) -> Stage {
    let route = if proof == Proof::File { Route::WorkloadIdentity } else { Route::ManagedIdentity };
    let mut stage = Stage::with_route(sink, route).await;
    stage.cloud.move_defender();
    stage.generate(20, 3);
    let entra = stage.served.settings(sink, Route::WorkloadIdentity).into_iter();
    stage
        .settings
        .extend(entra.filter(|(name, _)| name == "AZURE_AUTHORITY_HOST" || name == "SSL_CERT_FILE"));
    stage.set("MDATP_TENANT_ID", tenant::OTHER_TENANT_ID);
    stage.set("MDATP_CLIENT_ID", tenant::SHARED_CLIENT_ID);
    match proof {
        Proof::Secret => stage.set("MDATP_CLIENT_SECRET", tenant::SHARED_CLIENT_SECRET),
        Proof::ManagedIdentity => stage.set("MDATP_MANAGED_IDENTITY_CLIENT_ID", tenant::CLIENT_ID),
        Proof::File => {}
    }
    stage
}

/// How often the managed identity was asked for an assertion.
fn assertions(stage: &Stage) -> usize {
    let requests = stage.cloud.requests();
    requests.iter().filter(|seen| seen.path_and_query.contains("resource=api://AzureADTokenExchange")).count()
}

#[tokio::test]
async fn another_tenants_defender_is_read_whatever_the_proof_and_nothing_else_gets_its_tokens() {
    for sink in BOTH_SINKS {
        for proof in PROOFS {
            let mut stage = across(sink, proof).await;
            stage.set("MDATP_HEALTH", "on");
            stage.cloud.declare_stream("Custom-MDATPAlertsHealth_CL");
            let report = stage.tick().await;
            assert_eq!(
                (&report["alertsSent"], &report["machinesNotFound"]),
                (&20.into(), &0.into()),
                "{report}"
            );
            let counts = stage.cloud.counts();
            assert!(counts.machine_lists + counts.machine_gets > 0, "{counts:?}");
            assert!(stage.cloud.rejected().is_empty(), "{:?}", stage.cloud.rejected());
            let health = |log: &str| log.contains("MDATPAlertsHealth");
            assert!(stage.cloud.received().iter().any(|post| health(&post.log_type_or_stream)));
            stage.set("MDATP_ALERT_FETCH", "by-id");
            stage.generate(5, 0);
            assert_eq!(stage.tick().await["alertsSent"], 5, "{sink:?} {proof:?}");
        }
    }
}

/// What made this necessary: Defender in another tenant, and one credential for everything.
#[tokio::test]
async fn one_credential_cannot_serve_two_tenants() {
    let mut stage = Stage::with_route(LogsIngestion, Route::ClientSecret).await;
    stage.cloud.move_defender();
    stage.generate(3, 1);
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("Defender answered 401"), "{error}");

    stage.set("AZURE_TENANT_ID", tenant::OTHER_TENANT_ID);
    stage.set("AZURE_CLIENT_ID", tenant::SHARED_CLIENT_ID);
    stage.set("AZURE_CLIENT_SECRET", tenant::SHARED_CLIENT_SECRET);
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("the Logs Ingestion API answered 403"), "{error}");
    assert_eq!(stage.cloud.counts().records, 0);
}

#[tokio::test]
async fn in_one_tenant_a_source_identity_works_as_well() {
    let mut stage = Stage::with_route(LogsIngestion, Route::ClientSecret).await;
    stage.generate(20, 3);
    stage.set("MDATP_TENANT_ID", tenant::TENANT_ID);
    stage.set("MDATP_CLIENT_ID", tenant::SHARED_CLIENT_ID);
    stage.set("MDATP_CLIENT_SECRET", tenant::SHARED_CLIENT_SECRET);
    assert_eq!(stage.tick().await["alertsSent"], 20);
    assert_eq!(stage.cloud.counts().tokens, 2, "one of each");
}

#[tokio::test]
async fn the_managed_identity_is_the_apps_user_assigned_one_where_no_setting_names_another() {
    let mut stage = across(DataCollector, Proof::ManagedIdentity).await;
    stage.unset("MDATP_MANAGED_IDENTITY_CLIENT_ID");
    stage.set("AZURE_CLIENT_ID", tenant::CLIENT_ID);
    assert_eq!(stage.tick().await["alertsSent"], 20);
    // Beside a client secret it is the app registration's, which no managed identity has.
    stage.set("AZURE_TENANT_ID", tenant::TENANT_ID);
    stage.set("AZURE_CLIENT_SECRET", tenant::CLIENT_SECRET);
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains(tenant::SYSTEM_OBJECT_ID), "the system-assigned one was asked: {error}");
    stage.set("MDATP_MANAGED_IDENTITY_CLIENT_ID", tenant::CLIENT_ID);
    assert_eq!(stage.tick().await["alertsSent"], 0);
}

#[tokio::test]
async fn every_command_signs_in_as_the_right_one() {
    let mut stage = across(LogsIngestion, Proof::ManagedIdentity).await;
    stage.set("MDATP_START", "1h");
    stage.cloud.add_alert(&alert("da-old", None, &minutes_ago(60 * 24)));
    let works = |output: std::process::Output| assert_eq!(output.status.code(), Some(0), "{output:?}");
    works(stage.command(&["run", "--dry-run"]).await);
    works(stage.command(&["run", "--json"]).await);
    works(stage.command(&["status"]).await);
    works(stage.command(&["backfill", "--from", &minutes_ago(60 * 48)]).await);
    let folder = stage.state_file("set-aside");
    std::fs::create_dir_all(&folder).expect("a folder");
    let document = r#"{"id":"late","reason":"refused: on purpose","record":{"id":"late"}}"#;
    std::fs::write(folder.join("late.1.json"), document).expect("written");
    works(stage.command(&["set-aside", "replay"]).await);
    let sent = stage.sent_ids();
    assert!(sent.iter().any(|id| id == "da-old") && sent.iter().any(|id| id == "late"), "{sent:?}");
    assert_eq!(sent.len(), 22);
}

#[tokio::test]
async fn revoked_tokens_are_renewed_each_with_its_own_credential() {
    for proof in PROOFS {
        let stage = across(LogsIngestion, proof).await;
        let host = stage.host().await;
        succeed(&host.fire(Payload::regular()).await);
        stage.generate(10, 0);
        // Assertions are revoked too: Entra refuses the one at hand.
        stage.cloud.revoke_tokens();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 10, "{proof:?}");
        assert_eq!(stage.sent_ids().len(), 30);
    }
}

#[tokio::test]
async fn a_token_that_one_service_refuses_costs_the_other_none() {
    let stage = across(LogsIngestion, Proof::ManagedIdentity).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let before = stage.cloud.counts();
    assert_eq!((before.tokens, before.identity_tokens), (1, 2), "Defender's; its assertion and the sink's");

    stage.cloud.fault(Fault::status(401).on(Service::Defender));
    stage.generate(5, 0);
    succeed(&host.fire(Payload::regular()).await);
    let after = stage.cloud.counts();
    assert_eq!((after.tokens, after.identity_tokens), (2, 3), "Defender's, with a new assertion");

    stage.cloud.fault(Fault::status(401).on(Service::LogsIngestion));
    stage.generate(5, 0);
    succeed(&host.fire(Payload::regular()).await);
    let last = stage.cloud.counts();
    assert_eq!((last.tokens, last.identity_tokens), (2, 4), "the sink's");
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn an_assertion_that_is_refused_is_not_kept() {
    let stage = across(LogsIngestion, Proof::ManagedIdentity).await;
    let host = stage.host().await;
    let body = r#"{"error":"invalid_client","error_description":"AADSTS700024: Client assertion is not within its valid time range."}"#;
    stage.cloud.fault(Fault::body(401, body).on(Service::Entra));
    let error = fail(&host.fire(Payload::regular()).await);
    assert!(error.contains("AADSTS700024") && error.contains("clock"), "{error}");
    assert_eq!(assertions(&stage), 1);
    succeed(&host.fire(Payload::regular()).await);
    assert_eq!(assertions(&stage), 2, "the next tick has a new one");
    stage.assert_all_sent_once();
}

/// A mistake, and what the error says and names.
type Mistake = (Proof, fn(&mut Stage), &'static [&'static str]);

#[tokio::test]
async fn each_refusal_names_the_source_identitys_own_settings() {
    use Proof::{File, ManagedIdentity, Secret};
    let mistakes: &[Mistake] = &[
        (
            Secret,
            |s| s.set("MDATP_CLIENT_SECRET", "wrong"),
            &["AADSTS7000215", "MDATP_CLIENT_SECRET is wrong"],
        ),
        (
            Secret,
            |s| s.set("MDATP_CLIENT_ID", tenant::CLIENT_ID),
            &["AADSTS700016", "MDATP_CLIENT_ID is not an app of the tenant MDATP_TENANT_ID", "multi-tenant"],
        ),
        (Secret, |s| s.set("MDATP_TENANT_ID", OTHER_ID), &["AADSTS90002", "MDATP_TENANT_ID is not a tenant"]),
        (ManagedIdentity, |s| s.set("MDATP_TENANT_ID", OTHER_ID), &["AADSTS90002", "MDATP_TENANT_ID is not"]),
        (
            ManagedIdentity,
            |s| s.set("MDATP_CLIENT_ID", tenant::OTHER_CLIENT_ID),
            &[
                "AADSTS700236",
                "MDATP_CLIENT_ID must be of the tenant of the managed identity",
                "MDATP_CLIENT_SECRET",
            ],
        ),
        (
            ManagedIdentity,
            |s| s.set("MDATP_CLIENT_ID", tenant::CLIENT_ID),
            &["AADSTS700016", "MDATP_CLIENT_ID is not an app of the tenant MDATP_TENANT_ID", "admin consent"],
        ),
        (
            ManagedIdentity,
            |s| s.unset("MDATP_MANAGED_IDENTITY_CLIENT_ID"),
            &[
                "AADSTS700213",
                "MDATP_MANAGED_IDENTITY_CLIENT_ID names",
                "a system-assigned identity is not accepted",
            ],
        ),
        (
            ManagedIdentity,
            |s| {
                s.set("MDATP_TENANT_ID", tenant::TENANT_ID);
                s.set("MDATP_CLIENT_ID", tenant::CLIENT_ID);
            },
            &["AADSTS700211", "MDATP_CLIENT_ID has this issuer"],
        ),
        (
            ManagedIdentity,
            |s| s.set("MDATP_MANAGED_IDENTITY_CLIENT_ID", OTHER_ID),
            &[
                "answered 400",
                "MDATP_MANAGED_IDENTITY_CLIENT_ID must be unset, or the client id of an identity",
            ],
        ),
        (
            ManagedIdentity,
            |s| s.set("IDENTITY_HEADER", "another"),
            &["no token for", "the managed identity's endpoint answered 401"],
        ),
        (
            File,
            |s| s.set("MDATP_CLIENT_ID", tenant::OTHER_CLIENT_ID),
            &["AADSTS700211", "MDATP_CLIENT_ID has this issuer", "the token in AZURE_FEDERATED_TOKEN_FILE"],
        ),
        (
            ManagedIdentity,
            |s| s.set("MDATP_API_SCOPE", "https://nowhere.example/.default"),
            &["AADSTS500011", "MDATP_API_SCOPE"],
        ),
        // The simulated cloud has the audience of the public one only.
        (
            ManagedIdentity,
            |s| s.set("MDATP_CLOUD", "dod"),
            &["AADSTS500011", "AzureADTokenExchangeUSGov", "MDATP_CLOUD"],
        ),
    ];
    for (proof, make, parts) in mistakes {
        let mut stage = across(DataCollector, *proof).await;
        make(&mut stage);
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        for part in *parts {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        for other in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"] {
            // MDATP_MANAGED_IDENTITY_CLIENT_ID and the like are other names.
            assert!(!error.contains(other), "{other} is not at fault: {error}");
        }
        let counts = stage.cloud.counts();
        assert_eq!((counts.records, counts.alert_lists), (0, 0), "{error}");
    }
}

#[tokio::test]
async fn settings_that_are_not_whole_are_told_together_and_nobody_is_asked() {
    let mut stage = Stage::with_alerts(DataCollector, 3, 1).await;
    stage.unset("IDENTITY_ENDPOINT");
    stage.set("MDATP_TENANT_ID", tenant::OTHER_TENANT_ID);
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    for part in ["MDATP_CLIENT_ID is not set", "MDATP_CLIENT_SECRET is not set", "IDENTITY_ENDPOINT"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(stage.cloud.counts().requests, 0);
}

/// The findings of `check`, each as its name, result, and text.
async fn findings(stage: &Stage) -> Vec<[String; 3]> {
    let output = stage.command(&["check", "--json"]).await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let findings = document["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| {
            let [check, result, message, fix] = ["check", "result", "message", "fix"]
                .map(|member| finding[member].as_str().unwrap_or_default());
            [check.to_owned(), result.to_owned(), format!("{message}; {fix}")]
        })
        .collect()
}

#[track_caller]
fn assert_told(findings: &[[String; 3]], check: &str, result: &str, parts: &[&str]) {
    let is_told = findings.iter().any(|[found, how, text]| {
        found == check && how == result && parts.iter().all(|part| text.contains(part))
    });
    assert!(is_told, "{check} {result} {parts:?}: {findings:#?}");
}

#[tokio::test]
async fn check_tells_both_identities_and_looks_at_the_token_of_each() {
    let mut stage = across(LogsIngestion, Proof::ManagedIdentity).await;
    stage.set("MDATP_SCHEDULE", "0 */5 * * * *");
    let output = stage.command(&["check"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found = findings(&stage).await;
    let client = tenant::SHARED_CLIENT_ID;
    let by = format!("by the token of the user-assigned managed identity {}", tenant::CLIENT_ID);
    assert_told(&found, "credentials", "ok", &["Defender: the app", client, tenant::OTHER_TENANT_ID, &by]);
    assert_told(
        &found,
        "credentials",
        "ok",
        &["sink and state: the app's own (system-assigned) managed identity"],
    );
    assert_told(&found, "defender-token", "ok", &["Alert.Read.All"]);
    assert_told(&found, "defender-alerts", "ok", &["read one of the alerts"]);
    assert_told(&found, "sink-token", "ok", &["https://monitor.azure.com"]);
    assert_told(&found, "sink", "ok", &["accepts the token"]);

    stage.unset("MDATP_MANAGED_IDENTITY_CLIENT_ID");
    let found = findings(&stage).await;
    let setting = "MDATP_MANAGED_IDENTITY_CLIENT_ID";
    assert_told(&found, "credentials", "warning", &["which Entra ID does not accept", setting]);
    assert_told(&found, "defender-token", "failure", &["AADSTS700213", setting]);
    assert_told(&found, "sink-token", "ok", &[]);
    assert_told(&found, "sink", "ok", &[]);

    let mut stage = across(LogsIngestion, Proof::Secret).await;
    stage.set("MDATP_CLIENT_SECRET", "wrong");
    let found = findings(&stage).await;
    assert_told(&found, "credentials", "ok", &["Defender: a client secret of the app", client]);
    assert_told(&found, "defender-token", "failure", &["AADSTS7000215", "; MDATP_CLIENT_SECRET is wrong"]);
    assert_told(&found, "sink", "ok", &[]);

    // Consent is given in Defender's tenant.
    stage.set("MDATP_CLIENT_SECRET", tenant::SHARED_CLIENT_SECRET);
    stage.cloud.deny_role(simulator::Role::AlertRead);
    let consent = format!("{}/adminconsent?client_id={client}", tenant::OTHER_TENANT_ID);
    assert_told(&findings(&stage).await, "defender-token", "failure", &["not Alert.Read.All", &consent]);
}

#[tokio::test]
async fn check_does_not_miss_an_identity_that_nothing_needs() {
    let mut stage = across(DataCollector, Proof::Secret).await;
    stage.unset("IDENTITY_ENDPOINT");
    stage.set("WEBSITE_SITE_NAME", "forward");
    let found = findings(&stage).await;
    let credentials: Vec<_> = found.iter().filter(|[check, ..]| check == "credentials").collect();
    assert!(matches!(credentials[..], [[_, result, _]] if result == "ok"), "{found:#?}");

    stage.unset("MDATP_CLIENT_ID");
    let found = findings(&stage).await;
    assert_told(&found, "settings", "failure", &["MDATP_CLIENT_ID is not set"]);
    assert_told(&found, "credentials", "warning", &["not checked"]);
    assert_told(&found, "defender-token", "warning", &["not checked"]);
    assert_told(&found, "sink", "ok", &[]);
}
