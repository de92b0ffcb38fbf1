//! Blob Storage rejects a request: its code decides what is said, and only another writer is taken for one.

use serde_json::Value;
use simulator::{
    Sink, Steps,
    azurite::{Azurite, StorageRejection},
    functions_host::Payload,
};

use crate::stage::{Stage, fail, succeed};

/// Method, status, code, and what the message advises.
pub const CODES: [(&str, u16, &str, &str); 26] = [
    ("PUT", 409, "BlobImmutableDueToPolicy", "a container without one"),
    ("PUT", 409, "BlobImmutableDueToLegalHold", "a container without one"),
    ("PUT", 409, "ContainerImmutabilityPolicyLocked", "a container without one"),
    ("PUT", 409, "ContainerBeingDeleted", "a later run"),
    ("PUT", 409, "BlobArchived", "lifecycle rules"),
    ("PUT", 409, "InvalidBlobType", "a container of its own"),
    ("PUT", 409, "AccountBeingCreated", "a later run"),
    ("PUT", 412, "LeaseIdMissing", "break the lease"),
    ("PUT", 403, "UnauthorizedBlobOverwrite", "racwdl"),
    ("PUT", 403, "InsufficientAccountPermissions", "read-only"),
    ("GET", 403, "AuthorizationFailure", "network rules"),
    ("PUT", 403, "AuthorizationFailure", "network rules"),
    ("GET", 403, "AuthorizationSourceIPMismatch", "network rules"),
    ("GET", 403, "AuthorizationPermissionMismatch", "Storage Blob Data Owner"),
    ("GET", 403, "AuthorizationServiceMismatch", "the service b"),
    ("GET", 403, "AuthorizationResourceTypeMismatch", "the types co"),
    ("GET", 403, "KeyBasedAuthenticationNotPermitted", "AzureWebJobsStorage__accountName"),
    ("GET", 403, "AuthenticationFailed", "the clock"),
    ("GET", 403, "AccountIsDisabled", "disabled"),
    ("GET", 401, "NoAuthenticationInformation", "proxy"),
    ("GET", 401, "InvalidAuthenticationInfo", "another tenant"),
    ("GET", 409, "PublicAccessNotPermitted", "proxy"),
    ("GET", 400, "InvalidResourceName", "MDATP_STATE"),
    ("GET", 400, "AccountRequiresHttps", "HTTPS"),
    ("GET", 404, "ResourceNotFound", "MDATP_STATE"),
    ("GET", 418, "NobodyKnowsThis", "NobodyKnowsThis"),
];

async fn stage(storage: &str) -> Stage {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 10, 2).await;
    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage", storage);
    stage
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn each_code_is_told_with_its_own_fix_and_none_is_taken_for_another_process() {
    let azurite = Azurite::start().await;
    let relay = azurite.relay(&Steps::new(|_| false)).await.expect("a relay");
    let stage = stage(&relay.connection_string()).await;
    let host = stage.host().await;
    // There is a checkpoint, so that each request is made.
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 10);
    stage.generate(5, 0);
    for (method, status, code, advice) in CODES {
        let whole = StorageRejection::of(method, status, code);
        for rejection in [whole.clone(), whole.without_header()] {
            relay.reject(Some(rejection));
            let error = fail(&host.fire(Payload::regular()).await);
            assert!(error.contains(&format!("answered {status} {code}")), "{error}");
            assert!(error.contains(advice) && !error.contains("another process"), "{code}: {error}");
            assert_eq!(stage.cloud.counts().records, 10, "nothing goes that cannot be remembered: {code}");
        }
    }
    relay.reject(None);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 5);
    stage.assert_all_sent_once();
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn another_writer_is_one_by_the_code_alone_whatever_the_status() {
    let azurite = Azurite::start().await;
    let relay = azurite.relay(&Steps::new(|_| false)).await.expect("a relay");
    let stage = stage(&relay.connection_string()).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    stage.generate(5, 0);
    for (status, code) in
        [(412, "ConditionNotMet"), (412, "TargetConditionNotMet"), (409, "BlobAlreadyExists")]
    {
        let whole = StorageRejection::of("PUT", status, code);
        for rejection in [whole.clone(), whole.without_header()] {
            relay.reject(Some(rejection));
            let error = fail(&host.fire(Payload::regular()).await);
            assert!(error.contains("another process"), "{code}: {error}");
        }
    }
    assert_eq!(stage.cloud.counts().records, 10);
    relay.reject(None);
    succeed(&host.fire(Payload::regular()).await);
    stage.assert_all_sent_once();
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_page_of_a_firewall_is_neither_another_process_nor_a_missing_checkpoint() {
    let azurite = Azurite::start().await;
    let relay = azurite.relay(&Steps::new(|_| false)).await.expect("a relay");
    let stage = stage(&relay.connection_string()).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    stage.generate(5, 0);
    for (method, status) in
        [("GET", 404), ("GET", 403), ("GET", 302), ("PUT", 409), ("PUT", 412), ("PUT", 404)]
    {
        relay.reject(Some(StorageRejection::page(method, status)));
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("is not Blob Storage's"), "{method} {status}: {error}");
        assert_eq!(stage.cloud.counts().records, 10, "{method} {status}");
    }
    relay.reject(None);
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 5);
    stage.assert_all_sent_once();
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn check_tells_the_fix_of_the_code_with_its_command() {
    let azurite = Azurite::start().await;
    let relay = azurite.relay(&Steps::new(|_| false)).await.expect("a relay");
    let stage = stage(&relay.connection_string()).await;
    for (method, status, code, advice, command) in [
        ("PUT", 403, "AuthorizationFailure", "network rules", "az storage account network-rule list"),
        ("PUT", 403, "KeyBasedAuthenticationNotPermitted", "takes no keys", "allowSharedKeyAccess"),
        ("PUT", 403, "AuthenticationFailed", "is not accepted", "show-connection-string"),
        ("PUT", 409, "BlobImmutableDueToPolicy", "keeps these blobs", "immutability-policy show"),
        ("PUT", 409, "ContainerBeingDeleted", "a later run", ""),
        ("GET", 403, "AccountIsDisabled", "disabled", "statusOfPrimary"),
    ] {
        relay.reject(Some(StorageRejection::of(method, status, code)));
        let output = stage.command(&["check", "--json"]).await;
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = document["findings"].as_array().expect("a list");
        let found = findings.iter().find(|finding| finding["check"] == "state").expect("a finding");
        let text = |member: &str| found[member].as_str().unwrap_or_default().to_owned();
        assert_eq!(found["result"], "failure", "{found}");
        assert!(text("message").contains(code) && !text("message").contains(advice), "{found}");
        assert!(text("fix").contains(advice) && text("fix").contains(command), "{found}");
    }
}
