//! Settings that do not work.

use simulator::{Sink, functions_host::Payload};

use crate::stage::{Stage, succeed};

#[tokio::test]
async fn the_server_names_all_bad_settings_at_each_invocation_and_stays_up() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_PAGE_SIZE", "0");
    stage.set("MDATP_WORKSPACE_KEY", "nonsense!");
    let host = stage.host().await;
    for _ in 0..2 {
        let invocation = host.fire(Payload::regular()).await;
        assert_eq!(invocation.status, 500);
        for name in ["MDATP_PAGE_SIZE", "MDATP_WORKSPACE_KEY"] {
            assert!(invocation.body.contains(name) && invocation.reason.contains(name), "{invocation:#?}");
        }
        assert!(!invocation.body.contains("nonsense!"));
    }
    assert_eq!(host.get("/").await, Ok(200));
    assert_eq!(stage.cloud.counts().requests, 0);
}

#[tokio::test]
async fn without_port_and_without_command_it_says_how_it_is_started() {
    let stage = Stage::new(Sink::DataCollector).await;
    let output = stage.command(&[]).await;
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("FUNCTIONS_CUSTOMHANDLER_PORT") && text.contains("func start"), "{text}");
}

#[tokio::test]
async fn the_folder_of_the_state_is_made() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let folder = stage.folder.path().join("a/b/c");
    stage.set("MDATP_STATE", &format!("file:{}", folder.display()));
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    assert!(folder.join("checkpoint.json").exists());
}

#[tokio::test]
async fn a_state_that_cannot_be_kept_fails_the_run_before_anything_is_sent() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let file = stage.folder.path().join("a-file");
    std::fs::write(&file, "").expect("written");
    stage.set("MDATP_STATE", &format!("file:{}", file.display()));
    let invocation = stage.host().await.fire(Payload::regular()).await;
    assert_eq!(invocation.status, 500);
    assert!(invocation.reason.contains("a-file"), "{}", invocation.reason);
    assert_eq!(stage.cloud.counts().posts, 0);

    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage", "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a");
    let invocation = stage.host().await.fire(Payload::regular()).await;
    assert_eq!(invocation.status, 500);
    assert!(invocation.reason.contains("checkpoint.json"), "{}", invocation.reason);
    assert_eq!(stage.cloud.counts().posts, 0);
}
