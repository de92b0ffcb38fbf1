//! Replies as the network hands them on: encodings, certificates, and what stands in between.

use std::fs;

use futures::future::join_all;
use serde_json::{Value, json};
use simulator::{Cloud, Fault, Quirk, Role, Route, Service, Sink, azurite::Azurite, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, fail, succeed};

const EVERY_ROUTE: [Route; 3] = [Route::ClientSecret, Route::WorkloadIdentity, Route::ManagedIdentity];

/// The issuer of tokens on this route.
fn issuer(route: Route) -> Service {
    match route {
        Route::ManagedIdentity => Service::Identity,
        Route::ClientSecret | Route::WorkloadIdentity => Service::Entra,
    }
}

async fn error_of(stage: &Stage) -> String {
    fail(&stage.host().await.fire(Payload::regular()).await)
}

#[tokio::test]
async fn a_byte_order_mark_before_any_reply_is_passed_over() {
    for route in EVERY_ROUTE {
        for fetch in ["list", "by-id"] {
            let mut stage = Stage::with_route(Sink::LogsIngestion, route).await;
            stage.set("MDATP_ALERT_FETCH", fetch);
            stage.generate(10, 3);
            stage.cloud.fault(Fault::byte_order_mark().always());
            let report = stage.tick().await;
            assert_eq!(
                (&report["alertsSent"], &report["machinesRead"]),
                (&json!(10), &json!(3)),
                "{route:?}"
            );
            stage.assert_all_sent_once();
        }
    }
    // A refusal's own words are read too.
    let stage = Stage::with_alerts(Sink::LogsIngestion, 10, 3).await;
    stage.cloud.deny_role(Role::MetricsPublisher);
    stage.cloud.fault(Fault::byte_order_mark().on(Service::LogsIngestion).always());
    let error = error_of(&stage).await;
    assert!(error.contains("answered 403") && error.contains("(OperationFailed "), "{error}");
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn a_checkpoint_with_a_byte_order_mark_is_one() {
    let azurite = Azurite::start().await;
    let mut stage = Stage::with_alerts(Sink::DataCollector, 10, 3).await;
    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage", &azurite.connection_string());
    stage.tick().await;
    let (_, saved) = azurite.get_blob("mdatp-forward", "checkpoint.json").await.expect("a checkpoint");
    azurite.put_blob("mdatp-forward", "checkpoint.json", [b"\xef\xbb\xbf", &saved[..]].concat()).await;
    stage.generate(5, 0);
    assert_eq!(stage.tick().await["alertsSent"], 5);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn every_coding_of_a_reply_is_undone_as_the_rfcs_have_it() {
    for lines in [
        &["GZIP"][..],
        &["gzip+"],
        &["X-GZip"],
        &["Deflate"],
        &["raw deflate"],
        &["identity"],
        &["deflate, gzip"],
        &["gzip+", "DEFLATE"],
        &["gzip, identity"],
    ] {
        for route in [Route::ClientSecret, Route::ManagedIdentity] {
            let stage = Stage::with_route(Sink::LogsIngestion, route).await;
            stage.generate(20, 3);
            for service in [issuer(route), Service::Defender] {
                stage.cloud.fault(Fault::encoded(lines).on(service).always());
            }
            let report = stage.tick().await;
            assert_eq!(
                (&report["alertsSent"], &report["machinesRead"]),
                (&json!(20), &json!(3)),
                "{lines:?}"
            );
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
async fn a_coding_that_nobody_asked_for_is_named_and_said_to_come_from_something_in_between() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 3).await;
    stage.cloud.fault(Fault::encoded(&["gzip, br"]).on(Service::Defender).always());
    let error = error_of(&stage).await;
    for part in ["Defender", "\"br\"", "something in between", "MDATP_API_URL"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // What it is on does not hide a refusal.
    stage.cloud.clear_faults();
    stage.cloud.deny_role(Role::AlertRead);
    stage.cloud.fault(Fault::encoded(&["br"]).on(Service::Defender).always());
    let error = error_of(&stage).await;
    assert!(error.contains("Defender answered 403") && error.contains("\"br\""), "{error}");
}

#[tokio::test]
async fn an_acceptance_may_say_some_json() {
    for sink in BOTH_SINKS {
        for (content_type, text) in [
            ("application/json", "{}"),
            ("text/html", " {\"status\": \"ok\"}\r\n"),
            ("application/json; charset=utf-8", "\u{feff}{}"),
            ("text/plain", "\r\n"),
            ("application/octet-stream", "[]"),
            ("application/json", "null"),
            ("application/json", "\"accepted\""),
            ("application/json", r#"{"error":null}"#),
        ] {
            let stage = Stage::with_alerts(sink, 30, 3).await;
            stage.cloud.fault(Fault::unexpected_body(content_type, text).on(sink.service()).always());
            let host = stage.host().await;
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 30, "{text}");
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 0, "{text}");
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
async fn a_success_that_is_no_json_or_tells_of_an_error_accepts_nothing() {
    const IN_BETWEEN: &str = "something in between";
    let mut stories = Vec::new();
    for sink in BOTH_SINKS {
        let address = match sink {
            Sink::DataCollector => "MDATP_COLLECTOR_URL",
            Sink::LogsIngestion => "MDATP_INGESTION_ENDPOINT",
        };
        for (fault, parts) in [
            (Fault::html(), vec![IN_BETWEEN, address, "HTTPS_PROXY"]),
            (Fault::body(200, "\u{feff}<html>Sign in</html>"), vec![IN_BETWEEN, address]),
            (Fault::body(202, "OK"), vec![IN_BETWEEN, address]),
            (
                Fault::body(200, r#"{"error":{"code":"Throttled","message":"later"}}"#),
                vec!["error", "Throttled"],
            ),
            (
                Fault::body(200, r#"{"Error":"InactiveCustomer","Message":"no"}"#),
                vec!["error", "InactiveCustomer"],
            ),
        ] {
            stories.push(async move {
                let stage = Stage::with_alerts(sink, 30, 3).await;
                stage.cloud.fault(fault.clone().on(sink.service()).always());
                let host = stage.host().await;
                let error = fail(&host.fire(Payload::regular()).await);
                for part in parts {
                    assert!(error.contains(part), "{fault:?}: {part}: {error}");
                }
                stage.cloud.clear_faults();
                assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 30, "{fault:?}");
                stage.assert_all_sent_once();
            });
        }
    }
    // Each tries again for seconds.
    join_all(stories).await;
}

/// Trust in another authority than the services', as behind a proxy that inspects TLS.
pub async fn trust_another(stage: &mut Stage) {
    let other = Cloud::new(8).serve_over_tls().await.expect("the cloud listens");
    let settings = other.settings(Sink::LogsIngestion, Route::ClientSecret);
    let (_, file) = settings.iter().find(|(name, _)| name == "SSL_CERT_FILE").expect("its authority");
    let copy = stage.folder.path().join("other.pem");
    fs::copy(file, &copy).expect("copied");
    stage.set("SSL_CERT_FILE", &copy.display().to_string());
}

#[tokio::test]
async fn a_certificate_without_trust_is_told_with_ssl_cert_file_and_not_tried_again() {
    let mut untrusted = Vec::new();
    let mut defender = Stage::over_tls(Sink::LogsIngestion).await;
    trust_another(&mut defender).await;
    untrusted.push((defender, Service::Defender, "Defender did not return a complete response"));

    for route in [Route::ClientSecret, Route::WorkloadIdentity] {
        let mut entra = Stage::with_route(Sink::DataCollector, route).await;
        trust_another(&mut entra).await;
        untrusted.push((entra, Service::Entra, "no token for"));
    }

    for sink in BOTH_SINKS {
        let mut stage = Stage::over_tls(sink).await;
        trust_another(&mut stage).await;
        let store = stage.served.url(sink.service());
        stage.unset("MDATP_STATE");
        let account = format!("AccountName=a;AccountKey=a2V5;BlobEndpoint={store}/a");
        stage.set("AzureWebJobsStorage", &account);
        untrusted.push((stage, sink.service(), "loading checkpoint.json"));
    }

    for (stage, service, words) in untrusted {
        let error = error_of(&stage).await;
        for part in [words, "the certificate is not trusted", "SSL_CERT_FILE", "UnknownIssuer"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(error.matches("SSL_CERT_FILE").count(), 1, "{error}");
        assert_eq!(stage.served.connections(service), 1, "{service:?} was tried again: {error}");
    }
}

#[tokio::test]
async fn check_tells_of_a_certificate_without_trust_what_to_do() {
    let mut over_tls = Stage::over_tls(Sink::LogsIngestion).await;
    let store = over_tls.served.url(Service::Defender);
    over_tls.unset("MDATP_STATE");
    over_tls.set("AzureWebJobsStorage", &format!("AccountName=a;AccountKey=a2V5;BlobEndpoint={store}/a"));
    let mut entra = Stage::with_route(Sink::LogsIngestion, Route::ClientSecret).await;
    for (stage, checks) in [
        (&mut over_tls, &["defender-alerts", "defender-machines", "sink", "state"][..]),
        (&mut entra, &["defender-token", "sink-token"]),
    ] {
        trust_another(stage).await;
        let output = stage.command(&["check", "--json"]).await;
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for check in checks {
            let findings = document["findings"].as_array().expect("a list");
            let finding = findings.iter().find(|finding| finding["check"] == *check).expect("the check");
            let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
            assert!(text("message").contains("the certificate is not trusted"), "{finding}");
            assert!(text("fix").contains("SSL_CERT_FILE"), "{finding}");
            assert!(!text("message").contains("SSL_CERT_FILE"), "said twice: {finding}");
        }
    }
}

#[tokio::test]
async fn an_expiry_in_any_documented_form_is_read_and_the_token_kept() {
    for (route, quirk) in [
        (Route::ManagedIdentity, Quirk::NumericExpiry),
        (Route::ManagedIdentity, Quirk::DatedExpiry),
        (Route::ClientSecret, Quirk::TextExpiry),
    ] {
        let stage = Stage::with_route(Sink::DataCollector, route).await;
        stage.cloud.set_quirk(quirk, true);
        stage.generate(10, 1);
        let host = stage.host().await;
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 10, "{quirk:?}");
        succeed(&host.fire(Payload::regular()).await);
        let counts = stage.cloud.counts();
        assert_eq!(counts.tokens + counts.identity_tokens, 1, "{quirk:?}");
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn what_an_issuer_refuses_is_told_in_its_own_words() {
    const PAGE: &str = "<html><body>Service unavailable</body></html>";
    for (route, status, body, parts) in [
        (
            Route::ClientSecret,
            401,
            // Microsoft's documents have their samples in this form.
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 0000aaaa\r\nCorrelation ID: aaaa0000\r\nTimestamp: 2026-01-09 02:02:12Z","error_codes":[7000215]}"#,
            &[
                "Entra ID answered 401",
                "(AADSTS7000215: Invalid client secret provided.)",
                "AZURE_CLIENT_SECRET",
            ][..],
        ),
        (
            Route::WorkloadIdentity,
            400,
            r#"{"error":"invalid_client","error_description":"No match for \u201csubject\u201d","error_codes":[700213]}"#,
            &["Entra ID answered 400", "AADSTS700213: No match for “subject”", "issuer and subject"],
        ),
        (Route::ClientSecret, 503, PAGE, &["Entra ID answered 503 (a web page)"]),
        (Route::ClientSecret, 429, r#"{"error":"slow_down"}"#, &["Entra ID answered 429 (slow_down)"]),
        (
            Route::ManagedIdentity,
            400,
            r#"{"statusCode":400,"message":"No Managed Identity found for specified ClientId.","correlationId":"c"}"#,
            &["answered 400 (No Managed Identity found for specified ClientId.)", "AZURE_CLIENT_ID"],
        ),
        (
            Route::ManagedIdentity,
            500,
            r#"{"StatusCode":500,"Message":"An unexpected error occured","CorrelationId":""}"#,
            &["managed identity's endpoint answered 500 (An unexpected error occured)"],
        ),
        (Route::ManagedIdentity, 403, PAGE, &["managed identity's endpoint answered 403 (a web page)"]),
        (Route::ManagedIdentity, 200, PAGE, &["managed identity's endpoint", "something in between"]),
        (Route::ManagedIdentity, 200, "{}", &["managed identity's endpoint", "no access_token"]),
    ] {
        let stage = Stage::with_route(Sink::DataCollector, route).await;
        stage.cloud.fault(Fault::body(status, body).on(issuer(route)).always());
        let error = error_of(&stage).await;
        assert!(error.starts_with("no token for ") || error.contains(": no token for "), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
        for noise in ["borrowed", "Trace ID", "aka.ms", "retried"] {
            assert!(!error.contains(noise), "{noise}: {error}");
        }
    }
}
