//! The checkpoint in Blob Storage opened by an identity, as the template deploys it: a real Azurite, which looks at the
//! tokens' form, behind a door that knows whose they are.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};
use simulator::{
    Fault, Route, Service,
    Sink::{self, DataCollector, LogsIngestion},
    azurite::{Azurite, Relay},
    functions_host::Payload,
    tenant,
};

use crate::{
    blob_state::second_writer,
    source_identity::{PROOFS, across},
    stage::{Stage, fail, succeed},
};

/// Puts the stage's state into the storage account, which is opened by identity.
async fn keep_state(stage: &mut Stage, azurite: &Azurite) -> Relay {
    let relay = azurite.relay_of(&stage.cloud).await.expect("a relay");
    let file = stage.folder.path().join("authorities.pem");
    let known =
        stage.settings.get("SSL_CERT_FILE").map(|file| fs::read_to_string(file).expect("an authority"));
    let authorities = known.unwrap_or_default() + azurite.authority_pem().expect("it speaks TLS");
    fs::write(&file, authorities).expect("written");
    stage.set("SSL_CERT_FILE", &file.display().to_string());
    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage__blobServiceUri", &relay.account_url());
    relay
}

/// As the template deploys it.
async fn deployed(sink: Sink, azurite: &Azurite) -> (Stage, Relay) {
    let mut stage = Stage::with_alerts(sink, 30, 3).await;
    let relay = keep_state(&mut stage, azurite).await;
    stage.set("AzureWebJobsStorage__credential", "managedidentity");
    (stage, relay)
}

async fn checkpoint(azurite: &Azurite) -> (String, Bytes) {
    azurite.get_blob("mdatp-forward", "checkpoint.json").await.expect("a checkpoint")
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn the_deployed_default_makes_swaps_and_reads_back_its_checkpoint_by_managed_identity() {
    for sink in [DataCollector, LogsIngestion] {
        let azurite = Azurite::start_with_tokens().await;
        let (stage, _relay) = deployed(sink, &azurite).await;
        let check = stage.command(&["check", "--json"]).await;
        let found: Value = serde_json::from_slice(&check.stdout).expect("JSON");
        let told = found["findings"].as_array().expect("a list").iter().find(|f| f["check"] == "state");
        assert_eq!(told.map(|told| &told["result"]), Some(&json!("ok")), "{found:#}");
        assert!(azurite.list_blobs("mdatp-forward").await.is_empty(), "check leaves nothing");

        assert_eq!(stage.tick().await["alertsSent"], 30);
        assert_eq!(azurite.list_blobs("mdatp-forward").await, ["checkpoint.json"]);
        let (first, _) = checkpoint(&azurite).await;
        stage.generate(12, 0);
        let report = stage.tick().await;
        assert_eq!((&report["alertsSent"], &report["alertsAlreadySent"]), (&json!(12), &json!(30)));
        let (second, text) = checkpoint(&azurite).await;
        assert_ne!(first, second);
        let document: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(document["version"], 1);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn what_is_set_aside_is_kept_listed_and_removed_by_managed_identity() {
    let azurite = Azurite::start_with_tokens().await;
    let (stage, _relay) = deployed(LogsIngestion, &azurite).await;
    let page = r#"{"value":[{"id":null}]}"#;
    stage.cloud.fault(Fault::body(200, page).on(Service::Defender).matching("/api/alerts"));
    assert_eq!(stage.tick().await["alertsSetAside"], 1);
    let listed = stage.command(&["set-aside", "list"]).await;
    assert!(String::from_utf8_lossy(&listed.stdout).contains("no-id"), "{listed:?}");

    let document = r#"{"id":"late","reason":"refused: on purpose","record":{"id":"late"}}"#;
    azurite.put_blob("mdatp-forward", "set-aside/late.1.json", document).await;
    stage.command(&["set-aside", "replay"]).await;
    assert!(stage.cloud.records().iter().any(|record| record["AlertId"] == "late"));
    let blobs = azurite.list_blobs("mdatp-forward").await;
    assert!(!blobs.iter().any(|name| name.contains("late")), "{blobs:?}");
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_second_writer_is_seen_with_tokens_too() {
    let azurite = Azurite::start_with_tokens().await;
    let (stage, _relay) = deployed(DataCollector, &azurite).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let (_, saved) = checkpoint(&azurite).await;
    stage.generate(10, 0);
    stage.cloud.fault(Fault::slow(azure_core::time::Duration::milliseconds(700)).on(Service::DataCollector));
    let run = host.fire(Payload::regular());
    let (invocation, ()) = tokio::join!(run, second_writer(&stage, &azurite, saved));
    assert!(invocation.reason.contains("another process"), "{}", invocation.reason);
}

/// No secret anywhere: Defender in the one tenant; workspace, storage and identities in the other.
#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn another_tenants_defender_is_read_and_the_state_kept_in_the_apps_own() {
    let azurite = Azurite::start_with_tokens().await;
    for sink in [DataCollector, LogsIngestion] {
        for proof in PROOFS {
            let mut stage = across(sink, proof).await;
            let _relay = keep_state(&mut stage, &azurite).await;
            let container = format!("{sink:?}-{proof:?}").to_lowercase();
            stage.set("MDATP_STATE", &format!("blob:{container}"));
            assert_eq!(stage.tick().await["alertsSent"], 20, "{container}");
            stage.generate(5, 0);
            assert_eq!(stage.tick().await["alertsSent"], 5, "{container}");
            assert_eq!(azurite.list_blobs(&container).await, ["checkpoint.json"]);
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn tokens_that_are_revoked_are_renewed_for_the_storage_alone_too() {
    let azurite = Azurite::start_with_tokens().await;
    // No other service asks for a token of the app's own identity here.
    let mut stage = across(DataCollector, crate::source_identity::Proof::ManagedIdentity).await;
    let _relay = keep_state(&mut stage, &azurite).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    for _ in 0..2 {
        stage.cloud.revoke_tokens();
        stage.generate(5, 0);
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 5);
    }
    stage.assert_all_sent_once();
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_token_of_another_tenant_does_not_open_the_storage_and_the_error_says_so() {
    let azurite = Azurite::start_with_tokens().await;
    for own in [false, true] {
        let mut stage = Stage::with_route(DataCollector, Route::ClientSecret).await;
        stage.generate(3, 1);
        let _relay = keep_state(&mut stage, &azurite).await;
        let names = match own {
            false => ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"],
            true => ["tenantId", "clientId", "clientSecret"].map(|name| match name {
                "tenantId" => "AzureWebJobsStorage__tenantId",
                "clientId" => "AzureWebJobsStorage__clientId",
                _ => "AzureWebJobsStorage__clientSecret",
            }),
        };
        let values = [tenant::OTHER_TENANT_ID, tenant::OTHER_CLIENT_ID, tenant::OTHER_CLIENT_SECRET];
        for (name, value) in names.iter().zip(values) {
            stage.set(name, value);
        }
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        for part in
            ["401 InvalidAuthenticationInfo", "Issuer validation failed", "the identity is of another tenant"]
        {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        assert_eq!(stage.cloud.counts().alert_lists, 0, "{error}");
    }
}
