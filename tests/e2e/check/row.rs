//! The mistakes, each with the finding that must tell it.

use std::fs;

use azure_core::time::Duration;
use serde_json::json;
use simulator::{
    Fault, Role,
    Route::{self, ClientSecret, ManagedIdentity, WorkloadIdentity},
    Service,
    Sink::{self, DataCollector, LogsIngestion},
    tenant,
};

use crate::stage::{Stage, alert, minutes_ago};

const OTHER_ID: &str = "00000000-0000-0000-0000-000000000001";

/// A mistake, and the finding that must tell it.
pub struct Row {
    pub sink: Sink,
    pub route: Route,
    pub make: fn(&mut Stage),
    pub check: &'static str,
    pub result: &'static str,
    /// What the message says.
    pub says: &'static str,
    /// Part of the fix; empty if there is nothing to fix.
    pub fix: &'static str,
}

const fn row(
    sink: Sink,
    route: Route,
    make: fn(&mut Stage),
    check: &'static str,
    result: &'static str,
    says: &'static str,
    fix: &'static str,
) -> Row {
    Row { sink, route, make, check, result, says, fix }
}

fn put_state(stage: &Stage, text: &str) {
    fs::create_dir_all(stage.state_file("")).expect("a folder");
    fs::write(stage.state_file("checkpoint.json"), text).expect("written");
}

/// A document that is there and cannot be read, by root either.
fn link_to_itself(stage: &mut Stage) {
    fs::create_dir_all(stage.state_file("")).expect("a folder");
    std::os::unix::fs::symlink("checkpoint.json", stage.state_file("checkpoint.json")).expect("a link");
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row(DataCollector, ManagedIdentity, |_| {}, "settings", "ok", "to the Data Collector API (MDATPAlerts_CL)", ""),
    row(LogsIngestion, ManagedIdentity, |_| {}, "settings", "ok", "the Logs Ingestion API (Custom-MDATPAlerts_CL)", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_MODE", "sideways"), "settings", "failure", "MDATP_MODE must be", "--settings MDATP_MODE=VALUE"),

    row(LogsIngestion, ClientSecret, |_| {}, "credentials", "ok", tenant::CLIENT_ID, ""),
    row(LogsIngestion, WorkloadIdentity, |_| {}, "credentials", "ok", "workload identity", ""),
    row(LogsIngestion, ManagedIdentity, |_| {}, "credentials", "ok", "system-assigned", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("AZURE_CLIENT_ID", tenant::CLIENT_ID), "credentials", "ok", "user-assigned", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("IDENTITY_HEADER"), "credentials", "failure", "IDENTITY_HEADER is not", "IDENTITY_ENDPOINT"),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_CLIENT_SECRET", "@Microsoft.KeyVault(SecretUri=https://v)"), "settings", "failure", "AZURE_CLIENT_SECRET is a Key Vault reference that App Service has not resolved", "Key Vault Secrets User"),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_CLIENT_SECRET", "@Microsoft.KeyVault(SecretUri=https://v)"), "credentials", "warning", "not checked: invalid settings", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", " @microsoft.appconfiguration(Endpoint=https://a)"), "settings", "failure", "MDATP_SCHEDULE is an App Configuration reference", "App Configuration Data Reader"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "@Microsoft.KeyVault(SecretUri=https://v)"), "schedule", "warning", "not checked: invalid settings", ""),
    row(DataCollector, ManagedIdentity, |s| { s.unset("MDATP_STATE"); s.set("AzureWebJobsStorage", "AccountName=a;AccountKey=@Microsoft.KeyVault(SecretUri=https://v)"); }, "settings", "failure", "AzureWebJobsStorage is a Key Vault reference", "that the reference is all of AzureWebJobsStorage"),
    row(DataCollector, ManagedIdentity, |s| { s.unset("MDATP_STATE"); s.set("AzureWebJobsStorage__accountName", "a"); s.set("AzureWebJobsStorage__managedIdentityResourceId", "/subscriptions/s"); }, "settings", "failure", "AzureWebJobsStorage__managedIdentityResourceId is not supported", "az functionapp config appsettings set"),
    row(LogsIngestion, ClientSecret, |s| s.unset("AZURE_TENANT_ID"), "credentials", "warning", "not checked: invalid settings", ""),
    row(LogsIngestion, WorkloadIdentity, |s| s.set("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token"), "credentials", "failure", "/nowhere/token", "AZURE_FEDERATED_TOKEN_FILE"),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("IDENTITY_ENDPOINT"), "credentials", "warning", "az login", "AZURE_CLIENT_SECRET"),
    row(LogsIngestion, ManagedIdentity, |s| { s.unset("IDENTITY_ENDPOINT"); s.set("WEBSITE_SITE_NAME", "forward"); }, "credentials", "failure", "forward has no identity", "az functionapp identity assign --resource-group GROUP --name forward"),

    row(LogsIngestion, ManagedIdentity, |_| {}, "defender-token", "ok", "holds the roles Alert.Read.All, Machine.Read.All, for 59m", ""),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_CLIENT_SECRET", "wrong"), "defender-token", "failure", "AADSTS7000215", "AZURE_CLIENT_SECRET is wrong"),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_CLIENT_ID", OTHER_ID), "defender-token", "failure", "AADSTS700016", "AZURE_CLIENT_ID"),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_TENANT_ID", OTHER_ID), "defender-token", "failure", "AADSTS90002", "AZURE_TENANT_ID"),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_AUTHORITY_HOST", "https://127.0.0.1:9"), "defender-token", "failure", "no token for", "AZURE_AUTHORITY_HOST"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("IDENTITY_HEADER", "another"), "defender-token", "failure", "X-IDENTITY-HEADER", "az functionapp identity show"),
    row(LogsIngestion, ManagedIdentity, |s| { s.unset("IDENTITY_ENDPOINT"); s.set("PATH", "/nowhere"); }, "defender-token", "failure", "no token for", "az login"),
    row(LogsIngestion, ClientSecret, |s| s.set("AZURE_AUTHORITY_HOST", "nowhere"), "defender-token", "warning", "not checked: invalid settings", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_API_SCOPE", "https://api.security.microsoft.com/.default"), "defender-token", "failure", "another API", "MDATP_API_SCOPE"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.deny_role(Role::MachineRead), "defender-token", "failure", "holds the roles Alert.Read.All, not Machine.Read.All", "deploy/grant-roles.sh"),
    row(LogsIngestion, ClientSecret, |s| { s.cloud.deny_role(Role::AlertRead); s.cloud.deny_role(Role::MachineRead); }, "defender-token", "failure", "no application roles", "az ad app permission add --id c3b1f7a2-08d4-4f6e-b8a9-5e2d7c6f1a90"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.token_lifetime(Duration::seconds(200)), "defender-token", "warning", "for 3m", "token lifetime policy"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.set_clocks_ahead(Duration::hours(-3)), "defender-token", "failure", "already expired, 2h", "clock"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(other_token(&["Alert.Read.All", "Machine.Read.All"])), "defender-token", "warning", "the request was for", "MDATP_API_SCOPE"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::body(200, OPAQUE).on(Service::Identity).always()), "defender-token", "ok", "only the API can read", ""),

    row(LogsIngestion, ManagedIdentity, |s| s.cloud.add_alert(&alert("da-one", None, &minutes_ago(9))), "defender-alerts", "ok", "da-one", ""),
    row(LogsIngestion, ManagedIdentity, |_| {}, "defender-alerts", "ok", "no alert in the last 30 days", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("IDENTITY_HEADER"), "defender-alerts", "warning", "not checked: no token", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_API_URL", "http://api.example"), "defender-alerts", "warning", "not checked: invalid settings", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_CLOUD", "mars"), "defender-alerts", "warning", "not checked: invalid settings", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.deny_role(Role::AlertRead), "defender-alerts", "failure", "Defender answered 403", "deploy/grant-roles.sh"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(rejected(403, "DisabledFeature").on(Service::Defender).always()), "defender-alerts", "failure", "DisabledFeature", "Settings > Endpoints in the Defender portal"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(rejected(403, "Forbidden").on(Service::Defender).always()), "defender-alerts", "failure", "holds the roles", "belong to the same cloud, and the network in between"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::body(403, "<html></html>").on(Service::Defender).always()), "defender-alerts", "failure", "an HTML page", "firewall, gateway or proxy"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::status(401).on(Service::Defender).always()), "defender-alerts", "failure", "Defender answered 401", "MDATP_API_SCOPE"),
    row(LogsIngestion, ManagedIdentity, |s| { let url = s.served.url(Service::Defender) + "/elsewhere"; s.set("MDATP_API_URL", &url); }, "defender-alerts", "failure", "Defender answered 404", "MDATP_API_URL"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::status(429).retry_after("600").on(Service::Defender)), "defender-alerts", "warning", "quota", "in a few minutes"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::html().on(Service::Defender).matching("/api/alerts").always()), "defender-alerts", "failure", "not the expected JSON", "proxy"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_API_URL", "http://127.0.0.1:9"), "defender-alerts", "failure", "no connection", "MDATP_API_URL"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::body(200, r#"{"value":[{"id":null}]}"#).on(Service::Defender)), "defender-alerts", "warning", "no id", "set-aside"),

    row(LogsIngestion, ManagedIdentity, |s| s.generate(1, 1), "defender-machines", "ok", "read that alert's machine", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.add_machine(r#"{"id":"any"}"#), "defender-machines", "ok", "one of the machines: any", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.add_alert(&alert("a", Some("gone"), &minutes_ago(9))), "defender-machines", "ok", "no longer has that alert's machine gone", ""),
    row(LogsIngestion, ManagedIdentity, |_| {}, "defender-machines", "ok", "no machines", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.deny_role(Role::MachineRead), "defender-machines", "failure", "Defender answered 403", "Machine.Read.All"),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("IDENTITY_HEADER"), "defender-machines", "warning", "not checked: no token", ""),

    row(LogsIngestion, ManagedIdentity, |_| {}, "sink-token", "ok", "a token for https://monitor.azure.com, for 59m", ""),
    row(LogsIngestion, ClientSecret, |s| s.set("MDATP_INGESTION_SCOPE", "https://nowhere.example/.default"), "sink-token", "failure", "AADSTS500011", "no such resource"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(other_token(&[])), "sink-token", "warning", "the request was for", "MDATP_INGESTION_SCOPE"),

    row(LogsIngestion, ManagedIdentity, |_| {}, "sink", "ok", "accepts the token for the stream Custom-MDATPAlerts_CL of dcr-", ""),
    row(DataCollector, ManagedIdentity, |_| {}, "sink", "ok", "accepts the signature for MDATPAlerts_CL", ""),
    row(DataCollector, ManagedIdentity, |s| s.cloud.fault(Fault::body(400, r#"{"Error":"InvalidDataFormat","Message":"no records"}"#).on(Service::DataCollector)), "sink", "ok", "rejects only that the request has no records", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::status(400).on(Service::LogsIngestion)), "sink", "warning", "400 to a request without records", "check --send"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(rejected(400, "InvalidStream").on(Service::LogsIngestion)), "sink", "failure", "InvalidStream", "no stream MDATP_STREAM: check both: az rest --url"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(rejected(400, "InvalidDcrImmutableId").on(Service::LogsIngestion)), "sink", "failure", "InvalidDcrImmutableId", "MDATP_DCR_ID is not the immutable id"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::body(400, "<html></html>").on(Service::LogsIngestion)), "sink", "failure", "an HTML page", "MDATP_INGESTION_ENDPOINT"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(rejected(403, "NetworkAccessDenied").on(Service::LogsIngestion)), "sink", "failure", "NetworkAccessDenied", "private link scope (AMPLS)"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(rejected(403, "IsRbacPresent: True, IsDcrDceBindingValid: False").on(Service::LogsIngestion)), "sink", "failure", "answered 403", "dataCollectionEndpointId"),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.deny_role(Role::MetricsPublisher), "sink", "failure", "answered 403", "az role assignment create --role \"Monitoring Metrics Publisher\""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_STREAM", "Custom-Other_CL"), "sink", "failure", "answered 404", "MDATP_STREAM"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_DCR_ID", "dcr-00000000000000000000000000000000"), "sink", "failure", "answered 404", "dataCollectionRules?api-version=2023-03-11\" --query \"value[?name=='mdatp-forward'].[properties.immutableId, "),
    row(LogsIngestion, ManagedIdentity, |s| s.cloud.fault(Fault::status(401).on(Service::LogsIngestion).always()), "sink", "failure", "answered 401", "MDATP_INGESTION_SCOPE"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_INGESTION_ENDPOINT", "http://127.0.0.1:9"), "sink", "failure", "no connection", "MDATP_INGESTION_ENDPOINT"),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("IDENTITY_HEADER"), "sink", "warning", "not checked: no token", ""),
    row(DataCollector, ManagedIdentity, |s| s.set("MDATP_WORKSPACE_KEY", "d3Jvbmcga2V5"), "sink", "failure", "answered 403", "az monitor log-analytics workspace get-shared-keys"),
    row(DataCollector, ManagedIdentity, |s| s.set("MDATP_WORKSPACE_ID", OTHER_ID), "sink", "failure", "answered 403", "MDATP_WORKSPACE_KEY is a key of MDATP_WORKSPACE_ID"),
    row(DataCollector, ManagedIdentity, |s| { let url = s.served.url(Service::DataCollector) + "/elsewhere"; s.set("MDATP_COLLECTOR_URL", &url); }, "sink", "failure", "answered 404", "MDATP_COLLECTOR_URL"),
    row(DataCollector, ManagedIdentity, |s| s.cloud.fault(Fault::html().on(Service::DataCollector).always()), "sink", "failure", "not the expected JSON", "proxy"),
    row(DataCollector, ManagedIdentity, |s| s.cloud.fault(Fault::body(400, r#"{"Error":"InactiveCustomer","Message":"closed"}"#).on(Service::DataCollector)), "sink", "failure", "InactiveCustomer", "MDATP_WORKSPACE_ID is closed"),
    row(DataCollector, ManagedIdentity, |s| s.set("MDATP_WORKSPACE_KEY", "no base64!"), "sink", "warning", "not checked: invalid settings", ""),
    // It needs neither identity nor Defender.
    row(DataCollector, ManagedIdentity, |s| s.unset("IDENTITY_HEADER"), "sink", "ok", "accepts the signature", ""),

    row(DataCollector, ManagedIdentity, |_| {}, "state", "ok", "created, replaced, read and removed", ""),
    row(DataCollector, ManagedIdentity, |s| { let file = s.folder.path().join("a-file"); fs::write(&file, "").expect("written"); s.set("MDATP_STATE", &format!("file:{}", file.display())); }, "state", "failure", "a-file", "MDATP_STATE"),
    row(DataCollector, ManagedIdentity, |s| s.set("WEBSITE_SITE_NAME", "forward"), "state", "warning", "is lost with it", "blob:mdatp-forward"),
    row(DataCollector, ManagedIdentity, |s| s.set("MDATP_STATE", "blob:No"), "state", "warning", "not checked: invalid settings", ""),
    row(DataCollector, ManagedIdentity, |s| { s.unset("MDATP_STATE"); s.set("AzureWebJobsStorage", "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a"); }, "state", "failure", "in container mdatp-forward", "AzureWebJobsStorage"),
    row(DataCollector, ManagedIdentity, |s| { s.unset("MDATP_STATE"); s.set("AzureWebJobsStorage__blobServiceUri", "http://127.0.0.1:1/a"); s.set("AZURE_CLIENT_SECRET", "x"); }, "state", "warning", "not checked: no token", ""),

    row(DataCollector, ManagedIdentity, |_| {}, "checkpoint", "ok", "no checkpoint yet", ""),
    row(DataCollector, ManagedIdentity, |s| put_state(s, "{"), "checkpoint", "failure", "cannot be used", "state reset --to TIME"),
    row(DataCollector, ManagedIdentity, link_to_itself, "checkpoint", "failure", "loading checkpoint.json", "MDATP_STATE"),
    row(DataCollector, ManagedIdentity, |s| { s.unset("MDATP_STATE"); s.set("AzureWebJobsStorage", "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a"); }, "checkpoint", "warning", "not checked: the store does not work", ""),

    row(DataCollector, ManagedIdentity, |_| {}, "clock", "ok", "agrees", ""),
    row(DataCollector, ManagedIdentity, |s| s.cloud.set_clocks_ahead(Duration::minutes(10)), "clock", "warning", "s behind the services'", "timedatectl"),
    row(DataCollector, ManagedIdentity, |s| s.cloud.set_clocks_ahead(Duration::minutes(-20)), "clock", "failure", "s ahead of the services'", "timedatectl"),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("IDENTITY_HEADER"), "clock", "warning", "not checked: no response from any service", ""),
    // A signature that a wrong clock spoils is made with the service's time.
    row(DataCollector, ManagedIdentity, |s| s.cloud.set_clocks_ahead(Duration::minutes(-20)), "sink", "ok", "accepts the signature", ""),

    row(DataCollector, ManagedIdentity, |_| {}, "support", "warning", "2026-09-14", "mdatp-forward migrate --plan"),
    row(LogsIngestion, ManagedIdentity, |_| {}, "support", "ok", "no end of support is announced", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.unset("MDATP_DCR_ID"), "support", "warning", "not checked: invalid settings", ""),

    row(LogsIngestion, ManagedIdentity, |_| {}, "schedule", "ok", "without a Functions host it is not needed", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "0 */5 * * * *"), "schedule", "ok", "fires 12 times an hour", ""),
    row(LogsIngestion, ManagedIdentity, |s| s.set("FUNCTIONS_WORKER_RUNTIME", "custom"), "schedule", "failure", "MDATP_SCHEDULE is not set", "set MDATP_SCHEDULE"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "every five minutes"), "schedule", "failure", "has 3 fields", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "0 60 * * * *"), "schedule", "failure", "60 is not a valid minute", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "*/5 * * * *"), "schedule", "warning", "five fields", "0 */5 * * * *"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "0 0 0 31 2 *"), "schedule", "warning", "never fires", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "0 */0 * * * *"), "schedule", "failure", "*/0 is not a valid minute", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "*/0"), "schedule", "failure", "has 1 field, not six", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "%OTHER%"), "schedule", "failure", "does not replace a setting within another", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "24:00:00"), "schedule", "warning", "an interval of 24days", "six fields"),
    row(LogsIngestion, ManagedIdentity, |s| s.set("MDATP_SCHEDULE", "* * * * * *"), "schedule", "warning", "fires 3600 times an hour", "six fields"),
];

/// What an endpoint for managed identities answers, with a token that is no JSON web token.
const OPAQUE: &str =
    r#"{"access_token":"opaque","expires_on":"4102444800","resource":"r","token_type":"Bearer"}"#;

/// An error of Defender or of the Logs Ingestion API, with this code.
fn rejected(status: u16, code: &str) -> Fault {
    Fault::body(status, &json!({"error": {"code": code, "message": "The request is rejected."}}).to_string())
}

/// The same for every request with a token for something else.
fn other_token(roles: &[&str]) -> Fault {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let claims = json!({"aud": "https://other.example", "roles": roles, "exp": 4_102_444_800_u64});
    let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let body =
        json!({"access_token": token, "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"});
    Fault::body(200, &body.to_string()).on(Service::Identity).always()
}
