//! The checkpoint in Blob Storage, as a real Azurite has it.

use bytes::Bytes;
use serde_json::{Value, json};
use simulator::{Fault, Service, Sink, azurite::Azurite, functions_host::Payload};

use crate::stage::{Stage, fail, succeed};

async fn stage(storage: &str) -> Stage {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 30, 3).await;
    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage", storage);
    stage
}

/// Saves `saved` as the checkpoint, as another process would, while a fault slows a request of the run down.
pub async fn second_writer(stage: &Stage, azurite: &Azurite, saved: Bytes) {
    while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
        tokio::task::yield_now().await;
    }
    azurite.put_blob("mdatp-forward", "checkpoint.json", saved).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn container_and_checkpoint_are_made_and_found_again_with_key_and_signature() {
    let azurite = Azurite::start().await;
    let forms = [azurite.connection_string(), azurite.sas_connection_string()];
    for (number, storage) in forms.iter().enumerate() {
        let mut stage = stage(storage).await;
        let container = format!("state-{number}");
        stage.set("MDATP_STATE", &format!("blob:{container}/some/prefix"));
        assert_eq!(stage.tick().await["alertsSent"], 30);
        assert!(azurite.list_containers().await.contains(&container));
        assert_eq!(azurite.list_blobs(&container).await, ["some/prefix/checkpoint.json"]);
        stage.generate(12, 0);
        let report = stage.tick().await;
        assert_eq!((&report["alertsSent"], &report["alertsAlreadySent"]), (&json!(12), &json!(30)));
        stage.assert_all_sent_once();
        let (_, text) =
            azurite.get_blob(&container, "some/prefix/checkpoint.json").await.expect("a checkpoint");
        let document: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(document["version"], 1);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn the_emulators_short_form_means_port_10000() {
    let azurite = Azurite::start_on(10_000).await;
    let stage = stage("UseDevelopmentStorage=true").await;
    assert_eq!(stage.tick().await["alertsSent"], 30);
    assert_eq!(azurite.list_blobs("mdatp-forward").await, ["checkpoint.json"]);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_save_lost_to_a_second_writer_stops_the_run_and_loses_nothing() {
    let azurite = Azurite::start().await;
    let stage = stage(&azurite.connection_string()).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let (_, saved) = azurite.get_blob("mdatp-forward", "checkpoint.json").await.expect("a checkpoint");

    stage.generate(10, 0);
    stage.cloud.fault(Fault::slow(azure_core::time::Duration::milliseconds(700)).on(Service::DataCollector));
    let run = host.fire(Payload::regular());
    let (invocation, ()) = tokio::join!(run, second_writer(&stage, &azurite, saved.clone()));
    assert_eq!(invocation.status, 500);
    assert!(invocation.reason.contains("another process"), "{}", invocation.reason);
    let (_, after) = azurite.get_blob("mdatp-forward", "checkpoint.json").await.expect("a checkpoint");
    assert_eq!(after, saved, "the other's document is untouched");

    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 10);
    assert_eq!(stage.sent_ids().len(), 30 + 10 + 10);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn what_is_set_aside_is_a_blob() {
    let azurite = Azurite::start().await;
    let stage = stage(&azurite.connection_string()).await;
    let page = r#"{"value":[{"id":null}]}"#;
    stage.cloud.fault(Fault::body(200, page).on(Service::Defender).matching("/api/alerts"));
    assert_eq!(stage.tick().await["alertsSetAside"], 1);
    let blobs = azurite.list_blobs("mdatp-forward").await;
    assert!(blobs.iter().any(|name| name.starts_with("set-aside/no-id.")), "{blobs:?}");
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_wrong_key_is_told_by_its_setting_before_anything_is_sent() {
    let azurite = Azurite::start().await;
    let right = azurite.connection_string();
    let wrong = right.replacen("AccountKey=Eby8", "AccountKey=Abc8", 1);
    assert_ne!(right, wrong);
    let stage = stage(&wrong).await;
    let invocation = stage.host().await.fire(Payload::regular()).await;
    assert!(fail(&invocation).contains("AzureWebJobsStorage"), "{invocation:#?}");
    assert_eq!(stage.cloud.counts().posts, 0);
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn what_is_replayed_is_removed_with_key_and_signature() {
    let azurite = Azurite::start().await;
    let forms = [azurite.connection_string(), azurite.sas_connection_string()];
    for (number, storage) in forms.iter().enumerate() {
        let mut stage = stage(storage).await;
        let container = format!("aside-{number}");
        stage.set("MDATP_STATE", &format!("blob:{container}/some/prefix"));
        stage.tick().await;
        let document = r#"{"id":"late","reason":"refused: on purpose","record":{"id":"late"}}"#;
        azurite.put_blob(&container, "some/prefix/set-aside/late.1.json", document).await;

        let replayed = stage.command(&["set-aside", "replay"]).await;
        assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
        assert_eq!(stage.sent_ids().last().map(String::as_str), Some("late"));
        assert_eq!(azurite.list_blobs(&container).await, ["some/prefix/checkpoint.json"]);
    }
}
