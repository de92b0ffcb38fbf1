//! Settings that do not work.

use azure_core::time::{Duration, to_rfc3339};
use simulator::{Route, Service, Sink, azurite::Azurite, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, fail, now, succeed};

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

/// App Service leaves a reference that it cannot follow in the setting (documentation page "Use Key Vault
/// references", section "Troubleshooting").
#[tokio::test]
async fn a_reference_that_app_service_has_not_resolved_fails_the_run_by_name_and_is_sent_to_nobody() {
    const REFERENCE: &str = "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/one/)";
    for (sink, name, value) in [
        (Sink::LogsIngestion, "AZURE_CLIENT_SECRET", REFERENCE.to_owned()),
        (Sink::LogsIngestion, "AZURE_CLIENT_ID", REFERENCE.to_uppercase()),
        (Sink::LogsIngestion, "MDATP_CLIENT_SECRET", REFERENCE.to_owned()),
        (Sink::LogsIngestion, "MDATP_DCR_ID", REFERENCE.to_owned()),
        (Sink::LogsIngestion, "MDATP_LOG_LEVEL", REFERENCE.to_owned()),
        (Sink::DataCollector, "MDATP_WORKSPACE_KEY", format!("  {REFERENCE}")),
        (Sink::DataCollector, "AzureWebJobsStorage", REFERENCE.to_owned()),
        (Sink::DataCollector, "AzureWebJobsStorage__clientSecret", REFERENCE.to_owned()),
    ] {
        let mut stage = Stage::with_route(sink, Route::ClientSecret).await;
        stage.generate(3, 1);
        stage.set(name, &value);
        if name == "MDATP_CLIENT_SECRET" {
            stage.set("MDATP_TENANT_ID", simulator::tenant::TENANT_ID);
            stage.set("MDATP_CLIENT_ID", simulator::tenant::CLIENT_ID);
        }
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        let told = format!("{name} is a Key Vault reference that App Service has not resolved: ");
        assert!(error.contains(&told), "{error}");
        assert!(error.contains("Key Vault Secrets User") && error.contains("az role assignment"), "{error}");
        assert_eq!(error.matches(name).count(), 2, "told once, and named in the fix: {error}");
        assert_eq!(stage.cloud.counts().requests, 0, "{name}");
    }
}

/// Who opens the host's storage: the settings are those of the Functions documentation, "Connect to host storage
/// with an identity", and of the Azure SDK, which makes the host's credential of them.
#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn the_storage_is_opened_by_the_identity_that_its_own_settings_name() {
    let azurite = Azurite::start().await;
    let mut stage = Stage::with_route(Sink::DataCollector, Route::ClientSecret).await;
    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage__blobServiceUri", &azurite.account_url());
    stage.set("AzureWebJobsStorage__tenantId", simulator::tenant::TENANT_ID);
    stage.set("AzureWebJobsStorage__clientId", simulator::tenant::CLIENT_ID);
    stage.set("AzureWebJobsStorage__clientSecret", "wrong");
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("checkpoint.json") && error.contains("AzureWebJobsStorage__"), "{error}");
    assert!(!error.contains("AZURE_CLIENT_SECRET"), "that one is right: {error}");
    let asked =
        |service: Service| stage.cloud.requests().iter().filter(|seen| seen.service == service).count();
    assert!(asked(Service::Entra) > 0 && asked(Service::Identity) == 0);

    let identity = stage.served.settings(Sink::DataCollector, Route::ManagedIdentity);
    stage.settings.extend(identity.into_iter().filter(|(name, _)| name.starts_with("IDENTITY_")));
    stage.set("AzureWebJobsStorage:credential", "ManagedIdentity");
    fail(&stage.host().await.fire(Payload::regular()).await);
    let asked =
        |service: Service| stage.cloud.requests().iter().filter(|seen| seen.service == service).count();
    assert!(asked(Service::Identity) > 0, "the program's own is a client secret");
    // What the endpoint says of the storage's identity is about the storage's settings.
    stage.set("AzureWebJobsStorage__clientId", "00000000-0000-0000-0000-000000000001");
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("AzureWebJobsStorage__clientId must be unset"), "{error}");
    assert!(!error.contains("AZURE_CLIENT_ID"), "{error}");

    for (name, value, told) in [
        ("AzureWebJobsStorage__credential", "managedidentityasfederatedidentity", "must be managedidentity"),
        (
            "AzureWebJobsStorage__managedIdentityResourceId",
            "/subscriptions/s",
            "AzureWebJobsStorage__clientId",
        ),
        ("AzureWebJobsStorage__clientCertificate", "thumbprint", "AzureWebJobsStorage__clientSecret"),
    ] {
        let mut stage = Stage::new(Sink::DataCollector).await;
        stage.unset("MDATP_STATE");
        stage.set("AzureWebJobsStorage__accountName", "acme");
        stage.set(name, value);
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        assert!(error.contains(&format!("{name} ")) && error.contains(told), "{error}");
        assert_eq!(stage.cloud.counts().requests, 0);
    }
}

#[tokio::test]
async fn a_time_outside_the_calendar_is_an_invalid_setting_and_no_panic() {
    for (name, value) in [
        ("MDATP_START", "9000years"),
        ("MDATP_START", "0001-01-01T00:00:00Z"),
        ("MDATP_LOOKBACK", "9000years"),
        ("MDATP_ENRICH_PATIENCE", "500000000000years"),
    ] {
        let mut stage = Stage::with_alerts(Sink::DataCollector, 3, 1).await;
        stage.set(name, value);
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        assert!(error.contains("invalid settings: ") && error.contains(name), "{error}");
    }
    // The longest that there are work.
    let mut stage = Stage::with_alerts(Sink::DataCollector, 3, 1).await;
    for name in ["MDATP_LOOKBACK", "MDATP_ENRICH_PATIENCE", "MDATP_MACHINE_TTL", "MDATP_RUN_BUDGET"] {
        stage.set(name, "99years");
    }
    stage.set("MDATP_START", "1095d");
    assert_eq!(stage.tick().await["alertsSent"], 3);
    assert_eq!(stage.tick().await["alertsSent"], 0);
}

#[tokio::test]
async fn before_a_start_that_lies_ahead_nothing_is_sent_and_nothing_is_broken() {
    for sink in BOTH_SINKS {
        let mut stage = Stage::with_alerts(sink, 3, 1).await;
        stage.set("MDATP_START", &to_rfc3339(&(now() + Duration::days(40))));
        let host = stage.host().await;
        for _ in 0..2 {
            let report = succeed(&host.fire(Payload::regular()).await);
            assert_eq!((&report["alertsSent"], &report["complete"]), (&0.into(), &true.into()), "{report}");
        }
        assert!(!stage.state_file("checkpoint.json").exists());
        stage.set("MDATP_START", "1h");
        assert_eq!(stage.tick().await["alertsSent"], 3);
    }
}
