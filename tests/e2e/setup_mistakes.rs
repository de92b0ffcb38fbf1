//! Each row of the tables of messages in docs/troubleshooting.md: the mistake is made, and the message and the fix come.

use std::fs;

use mdatp_forward::testing::{advice::CODES, service};
use simulator::{
    Fault, Role, Route, Service, Sink, Steps,
    azurite::{Azurite, StorageRejection},
    functions_host::Payload,
};

use crate::{
    blob_rejections,
    readme::document::Document,
    source_identity::{Proof, across},
    stage::{Stage, fail},
};

const OTHER_ID: &str = "00000000-0000-0000-0000-000000000001";

/// A message, and the fix that the document has for it, without their formatting.
type Row = (String, String);

/// The rows of the tables about runs that fail, one for each message.
fn rows() -> Vec<Row> {
    let document = Document::named("docs/troubleshooting.md");
    let mut rows = Vec::new();
    for row in document.section("A run fails").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [said, _, fix] = cells[..] else { panic!("not three columns: {row}") };
        let fix = fix.replace('`', "").trim().to_owned();
        rows.extend(messages(said).into_iter().map(|message| (message, fix.clone())));
    }
    rows
}

/// The messages in a cell: what stands in backticks, of which an ellipsis joins two to one.
fn messages(cell: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut before = "";
    for (place, part) in cell.split('`').enumerate() {
        match (place % 2 == 1, messages.last_mut()) {
            (false, _) => before = part,
            (true, Some(last)) if before.contains('…') => last.extend(["… ", part]),
            (true, _) => messages.push(part.to_owned()),
        }
    }
    messages
}

async fn error_of(stage: &Stage) -> String {
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert_eq!(stage.cloud.counts().records, 0, "{error}");
    error
}

/// Entra gives no token, and says this.
fn refused_by_entra(stage: &Stage, description: &str) {
    let body = serde_json::json!({"error": "invalid_client", "error_description": description});
    stage.cloud.fault(Fault::body(401, &body.to_string()).on(Service::Entra).always());
}

/// Every call of the service that knows this code is answered with it.
fn rejected_with_code(stage: &Stage, code: &str) {
    let known = CODES.iter().find(|(_, known, _)| *known == code);
    let (service, ..) = known.unwrap_or_else(|| panic!("no test makes the mistake of the row {code:?}"));
    let nested = serde_json::json!({"error": {"code": code, "message": "m"}});
    let (on, body) = match service {
        service::Service::DataCollector => {
            (Service::DataCollector, serde_json::json!({"Error": code, "Message": "m"}))
        }
        service::Service::Defender => (Service::Defender, nested),
        service::Service::Graph => (Service::Graph, nested),
        service::Service::LogsIngestion => (Service::LogsIngestion, nested),
    };
    stage.cloud.fault(Fault::body(403, &body.to_string()).on(on).always());
}

/// The state is in Blob Storage, which answers with the code `message`, or with a page when that is none.
async fn rejected_by_storage(stage: &mut Stage, message: &str) -> String {
    let azurite = Azurite::start().await;
    let relay = azurite.relay(&Steps::new(|_| false)).await.expect("a relay");
    relay.reject(Some(match blob_rejections::CODES.iter().find(|known| known.2 == message) {
        Some((method, status, code, _)) => StorageRejection::of(method, *status, code),
        None => StorageRejection::page("GET", 403),
    }));
    stage.unset("MDATP_STATE");
    stage.set("AzureWebJobsStorage", &relay.connection_string());
    error_of(stage).await
}

/// The source of the alerts answers as `message` says.
fn rejected_by_source(stage: &mut Stage, message: &str) {
    let (source, answer) = message.split_once(" answered ").expect("an answer");
    let status: u16 = answer.split(' ').next().and_then(|status| status.parse().ok()).expect("a status");
    let service = if source == "Defender" { Service::Defender } else { Service::Graph };
    if service == Service::Graph {
        stage.set("MDATP_SOURCE", "graph");
    }
    match (service, status) {
        (Service::Defender, 403) => stage.cloud.deny_role(Role::AlertRead),
        (Service::Defender, 404) => {
            let url = stage.served.url(Service::Defender) + "/elsewhere";
            stage.set("MDATP_API_URL", &url);
        }
        // Nobody has granted its role.
        (Service::Graph, 403) => {}
        _ => {
            stage.cloud.grant_role(Role::SecurityAlertRead);
            stage.cloud.fault(Fault::status(status).on(service).always());
        }
    }
}

/// Makes the mistake that `message` is about.
async fn provoke(message: &str) -> String {
    let is_collector_s = message.contains("Data Collector")
        || CODES.iter().any(|known| (known.0, known.1) == (service::Service::DataCollector, message));
    let sink = if is_collector_s { Sink::DataCollector } else { Sink::LogsIngestion };
    // What is said about assertions is said to the source identity, as a rule.
    let mut stage = match message.starts_with("AADSTS7002") || message == "AADSTS700024" {
        true => across(sink, Proof::ManagedIdentity).await,
        false => Stage::with_route(sink, Route::ClientSecret).await,
    };
    stage.generate(3, 1);
    match message {
        "AADSTS7000215" => stage.set("AZURE_CLIENT_SECRET", "wrong"),
        message if message.contains("Key Vault reference") => {
            stage.set("AZURE_CLIENT_SECRET", "@Microsoft.KeyVault(VaultName=acme;SecretName=one)");
        }
        "AADSTS700016" => stage.set("AZURE_CLIENT_ID", OTHER_ID),
        "AADSTS90002" => stage.set("AZURE_TENANT_ID", OTHER_ID),
        "AADSTS500011" => stage.set("MDATP_API_SCOPE", "https://nowhere.example/.default"),
        // Those that a simulated mistake leads to are in `source_identity`.
        code if code.starts_with("AADSTS") => refused_by_entra(&stage, &format!("{code}: No.")),
        "no token for" => stage.cloud.fault(Fault::html().on(Service::Entra).always()),
        "the certificate is not trusted" => crate::transport::trust_another(&mut stage).await,
        "it comes from something in between" => {
            stage.cloud.fault(Fault::html().on(Service::LogsIngestion).always());
        }
        message if ["Defender", "Microsoft Graph"].iter().any(|source| message.starts_with(source)) => {
            rejected_by_source(&mut stage, message);
        }
        message if message.starts_with("none of") => {
            stage.set("MDATP_ALERT_FETCH", "by-id");
            stage.generate(8, 1);
            stage.cloud.fault(Fault::status(403).on(Service::Defender).matching("/api/alerts/").always());
            let host = stage.host().await;
            // The run's error is of the call; the log says what that means.
            return fail(&host.fire(Payload::regular()).await) + &host.line_with("none of").await;
        }
        "the Data Collector API answered 400" => {
            stage.cloud.fault(Fault::status(400).on(Service::DataCollector).always());
        }
        "the Data Collector API answered 403" => stage.set("MDATP_WORKSPACE_KEY", "d3Jvbmcga2V5"),
        "the Data Collector API answered 404" => {
            let url = stage.served.url(Service::DataCollector) + "/elsewhere";
            stage.set("MDATP_COLLECTOR_URL", &url);
        }
        "the Logs Ingestion API answered 400" => {
            stage.cloud.fault(Fault::status(400).on(Service::LogsIngestion).always());
        }
        "the Logs Ingestion API answered 401" => {
            stage.cloud.fault(Fault::status(401).on(Service::LogsIngestion).always());
        }
        "with a status of success it reports an error" => {
            let body = r#"{"error": "nothing is taken today"}"#;
            stage.cloud.fault(Fault::body(200, body).on(Service::LogsIngestion).always());
        }
        "answered 407" => stage.cloud.fault(Fault::status(407).on(Service::LogsIngestion).always()),
        "an HTML page" => {
            stage.cloud.fault(Fault::body(403, "<html></html>").on(Service::LogsIngestion).always());
        }
        "the token holds the roles" => stage.cloud.fault(Fault::status(403).on(Service::Defender).always()),
        "answered 413" => stage.cloud.fault(Fault::status(413).on(Service::LogsIngestion).always()),
        "answered 3…" => stage.cloud.fault(Fault::status(302).on(Service::LogsIngestion).always()),
        "the Logs Ingestion API answered 403" => stage.cloud.deny_role(Role::MetricsPublisher),
        "the Logs Ingestion API answered 404" => {
            stage.set("MDATP_DCR_ID", "dcr-00000000000000000000000000000000");
            let by_rule = error_of(&stage).await;
            assert!(by_rule.contains(message), "{by_rule}");
            stage.set("MDATP_DCR_ID", simulator::tenant::DCR_ID);
            stage.set("MDATP_STREAM", "Custom-Other_CL");
        }
        "the Logs Ingestion API did not return a complete response" => {
            stage.set("MDATP_INGESTION_ENDPOINT", "http://127.0.0.1:9");
        }
        message if message.contains("is not supported by mdatp-forward") => {
            stage.unset("MDATP_STATE");
            stage.set("AzureWebJobsStorage__accountName", "acme");
            stage.set("AzureWebJobsStorage__managedIdentityResourceId", "/subscriptions/s");
        }
        "no token for the identity that AzureWebJobsStorage__" => {
            stage.unset("MDATP_STATE");
            stage.set("AzureWebJobsStorage__accountName", "acme");
            stage.set("AzureWebJobsStorage__credential", "managedidentity");
        }
        message if message.starts_with("loading checkpoint.json") => {
            let azurite = Azurite::start().await;
            stage.unset("MDATP_STATE");
            let wrong = azurite.connection_string().replacen("AccountKey=Eby8", "AccountKey=Abc8", 1);
            stage.set("AzureWebJobsStorage", &wrong);
            return error_of(&stage).await;
        }
        message if is_of_storage(message) => return rejected_by_storage(&mut stage, message).await,
        message if message.starts_with("checkpoint") => {
            fs::create_dir_all(stage.folder.path().join("state")).expect("a folder");
            fs::write(stage.state_file("checkpoint.json"), "{").expect("written");
        }
        code => rejected_with_code(&stage, code),
    }
    error_of(&stage).await
}

/// Whether it is Blob Storage's answer that makes the message.
fn is_of_storage(message: &str) -> bool {
    blob_rejections::CODES.iter().any(|known| known.2 == message)
        || message.starts_with("loading checkpoint.json")
        || message.contains("is not Blob Storage's")
}

#[tokio::test]
async fn every_row_of_the_table_comes_true() {
    come_true(|message| !is_of_storage(message), 45).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn every_row_about_blob_storage_comes_true() {
    come_true(is_of_storage, 20).await;
}

/// The mistakes of these rows, of which there are so many at least.
async fn come_true(is_meant: impl Fn(&str) -> bool, at_least: usize) {
    let rows: Vec<_> = rows().into_iter().filter(|(message, _)| is_meant(message)).collect();
    assert!(rows.len() >= at_least, "{rows:?}");
    for (message, fix) in rows {
        // Made by tests of their own, and nothing to fix.
        if fix.starts_with("nothing to fix") {
            continue;
        }
        let error = provoke(&message).await;
        for part in message.split('…').map(str::trim) {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
        // The settings and roles that the fix names are in the message too.
        let named = |word: &&str| {
            word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                || word.contains(".Read.All")
        };
        let words = fix.split([' ', ',', ':', ';', '(', ')']).map(|word| word.trim_end_matches('.'));
        let words: Vec<&str> = words.filter(named).collect();
        let told = words.iter().filter(|word| error.contains(**word)).count();
        assert_eq!(told, words.len(), "{words:?} in {error:?}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_slow_or_no_token_endpoint_fails_the_run_and_the_next_tick_delivers() {
    for fault in [
        Fault::status(503).always(),
        Fault::html().always(),
        Fault::reset().always(),
        Fault::bad_json().always(),
    ] {
        let stage = Stage::with_route(Sink::LogsIngestion, Route::ClientSecret).await;
        stage.generate(10, 1);
        stage.cloud.fault(fault.clone().on(Service::Entra));
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("no token for"), "{fault:?}: {error}");
        stage.cloud.clear_faults();
        assert!(host.fire(Payload::regular()).await.succeeded());
        stage.assert_all_sent_once();
    }
    let stage = Stage::with_route(Sink::LogsIngestion, Route::ClientSecret).await;
    stage.generate(10, 1);
    stage.cloud.fault(Fault::slow(azure_core::time::Duration::seconds(2)).on(Service::Entra));
    assert_eq!(stage.tick().await["alertsSent"], 10);
}
