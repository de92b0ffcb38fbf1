//! The ways to deploy the template, and what each has to make.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What is there before the template.
pub const EXISTING: [&str; 2] = ["Microsoft.OperationalInsights/workspaces", "Microsoft.KeyVault/vaults"];

pub const RULE_ID: &str = "dcr-0123456789abcdef0123456789abcdef";
pub const ENDPOINT: &str = "https://mdatp-forward-x1y2.westeurope-1.ingest.monitor.azure.com";

/// The settings of every app.
pub const SETTINGS: [&str; 15] = [
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "FUNCTIONS_EXTENSION_VERSION",
    "MDATP_CLOUD",
    "MDATP_DCR_ID",
    "MDATP_HEALTH",
    "MDATP_INGESTION_ENDPOINT",
    "MDATP_SCHEDULE",
    "MDATP_SINK",
    "MDATP_SOURCE",
    "MDATP_STATE",
];

/// Role and type of what it is given on, of the app's own identity.
pub const ROLES: [(&str, &str); 5] = [
    ("3913510d-42f4-4e42-8a64-420c390055eb", "Microsoft.Insights/components"),
    ("3913510d-42f4-4e42-8a64-420c390055eb", "Microsoft.Insights/dataCollectionRules"),
    ("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Microsoft.Storage/storageAccounts"),
    ("974c5e8b-45b9-4653-ba55-5f855dd0fb88", "Microsoft.Storage/storageAccounts"),
    ("0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "Microsoft.Storage/storageAccounts"),
];

/// The same where a secret is in a Key Vault, of the app's own identity, and a group runs commands from a shell.
pub const ROLES_WITH_VAULT_AND_GROUP: [(&str, &str, &str); 3] = [
    (PRINCIPAL, "4633458b-17de-408a-b874-0445c86b69e6", "Microsoft.KeyVault/vaults"),
    (GROUP, "3913510d-42f4-4e42-8a64-420c390055eb", "Microsoft.Insights/dataCollectionRules"),
    (GROUP, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Microsoft.Storage/storageAccounts"),
];

/// The same where a group runs commands for many tenants from a shell, and counts the messages that none could handle.
pub const ROLES_WITH_QUEUE_AND_GROUP: [(&str, &str, &str); 3] = [
    (GROUP, "3913510d-42f4-4e42-8a64-420c390055eb", "Microsoft.Insights/dataCollectionRules"),
    (GROUP, "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Microsoft.Storage/storageAccounts"),
    (GROUP, "19e7f393-937e-4f77-808e-94535e297925", "Microsoft.Storage/storageAccounts"),
];

/// The app's own, system-assigned identity.
pub const PRINCIPAL: &str = "app-principal";

/// Who runs commands from a shell.
pub const GROUP: &str = "group-of-analysts";

/// The app registration that reads Defender, and the tenant it does that in.
pub const DEFENDER_TENANT: &str = "5b1c8a3e-7d2f-4e60-9a4b-1c8d7e6f5a40";
pub const CLIENT: &str = "a1b2c3d4-0000-4e60-9a4b-1c8d7e6f5a41";

/// The identity that it trusts: of the tenant of the subscription, not of Defender's.
pub const IDENTITY_CLIENT: &str = "c0ffee00-0000-4e60-9a4b-1c8d7e6f5a42";
pub const IDENTITY_PRINCIPAL: &str = "c0ffee00-0000-4e60-9a4b-1c8d7e6f5a43";
pub const IDENTITY_TENANT: &str = "c0ffee00-0000-4e60-9a4b-1c8d7e6f5a44";

pub const ACTION_GROUP: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/actionGroups/a";

/// Where the workspace is, and where the app is when that is elsewhere.
pub const REGION: &str = "westeurope";
pub const APP_REGION: &str = "northeurope";

/// A way to deploy the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Flex,
    Consumption,
    /// Another tenant's Defender by a secret in a Key Vault; with all that may be told and granted besides.
    Secret,
    /// Another tenant's Defender without a secret; from another region, and with rows that are kept for long.
    Federated,
    /// The Defender of many tenants without a secret, and a group that runs commands from a shell.
    Tenants,
}

impl Way {
    pub const ALL: [Way; 5] = [Way::Flex, Way::Consumption, Way::Secret, Way::Federated, Way::Tenants];

    pub fn parameters(self) -> Vec<(&'static str, Value)> {
        let mut parameters = vec![("workspaceName", json!("sentinel"))];
        match self {
            Way::Flex => {}
            Way::Consumption => parameters.push(("plan", json!("Consumption"))),
            Way::Secret => parameters.extend([
                ("keyVaultName", json!("vault")),
                ("secretName", json!("defender")),
                ("tenantId", json!(DEFENDER_TENANT)),
                ("clientId", json!(CLIENT)),
                ("principalId", json!(GROUP)),
                ("principalType", json!("Group")),
                ("health", json!("on")),
                ("actionGroupId", json!(ACTION_GROUP)),
                ("retentionInDays", json!(4)),
                ("tags", json!({"azd-service-name": "mdatp-forward"})),
            ]),
            Way::Federated => parameters.extend([
                ("tenantId", json!(DEFENDER_TENANT)),
                ("clientId", json!(CLIENT)),
                ("appLocation", json!(APP_REGION)),
                ("retentionInDays", json!(730)),
                ("totalRetentionInDays", json!(4383)),
            ]),
            Way::Tenants => parameters.extend([
                ("tenants", json!(true)),
                ("clientId", json!(CLIENT)),
                ("principalId", json!(GROUP)),
                ("principalType", json!("Group")),
            ]),
        }
        parameters
    }

    /// Whether a row about each run is asked for.
    pub fn tells_health(self) -> bool {
        self == Way::Secret
    }

    /// Whether an app registration reads Defender that trusts an identity of the template.
    pub fn is_federated(self) -> bool {
        [Way::Federated, Way::Tenants].contains(&self)
    }

    pub fn app_region(self) -> &'static str {
        if self == Way::Federated { APP_REGION } else { REGION }
    }

    /// How long the tables keep their rows for queries, and in all.
    pub fn retention(self) -> [Value; 2] {
        match self {
            Way::Flex | Way::Consumption | Way::Tenants => [Value::Null, Value::Null],
            Way::Secret => [json!(4), Value::Null],
            Way::Federated => [json!(730), json!(4383)],
        }
    }

    pub fn settings(self) -> BTreeSet<&'static str> {
        let more: &[&str] = match self {
            Way::Flex => &[],
            Way::Consumption => &["FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"],
            Way::Secret => &["MDATP_CLIENT_ID", "MDATP_CLIENT_SECRET", "MDATP_TENANT_ID"],
            Way::Federated => &["MDATP_CLIENT_ID", "MDATP_MANAGED_IDENTITY_CLIENT_ID", "MDATP_TENANT_ID"],
            // Each tenant has its own MDATP_TENANT_ID, in the list of tenants.
            Way::Tenants => &["MDATP_CLIENT_ID", "MDATP_MANAGED_IDENTITY_CLIENT_ID"],
        };
        SETTINGS.iter().chain(more).chain(&["MDATP_START"]).copied().collect()
    }

    pub fn roles(self) -> BTreeSet<(&'static str, &'static str, &'static str)> {
        let more = match self {
            Way::Secret => &ROLES_WITH_VAULT_AND_GROUP[..],
            Way::Tenants => &ROLES_WITH_QUEUE_AND_GROUP,
            Way::Flex | Way::Consumption | Way::Federated => &[],
        };
        ROLES.iter().map(|(role, on)| (PRINCIPAL, *role, *on)).chain(more.iter().copied()).collect()
    }
}

/// What the template's own resources say once they are there.
pub fn deployed(rule: &str, endpoint: &str) -> Value {
    json!({
        "Microsoft.Insights/components": {"properties": {"ConnectionString": "InstrumentationKey=k"}},
        "Microsoft.Insights/dataCollectionRules": {"properties": {
            "immutableId": rule, "endpoints": {"logsIngestion": endpoint}
        }},
        "Microsoft.ManagedIdentity/userAssignedIdentities": {"properties": {
            "clientId": IDENTITY_CLIENT, "principalId": IDENTITY_PRINCIPAL, "tenantId": IDENTITY_TENANT
        }},
        "Microsoft.Web/sites": {"properties": {}, "identity": {"principalId": PRINCIPAL}}
    })
}
