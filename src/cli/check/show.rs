//! Commands of the Azure CLI that show what settings must be. Pure.

use crate::schema::rule::API_VERSION;

/// Shows the keys of the workspace.
pub const WORKSPACE_KEYS: &str =
    "az monitor log-analytics workspace get-shared-keys --resource-group GROUP --workspace-name WORKSPACE";

/// The data collection rules of the subscription that the Azure CLI has selected. The Azure CLI replaces the braces and adds
/// the cloud's address. Its own commands for rules are an extension, which a new installation does not have.
pub(super) const RULES: &str =
    "/subscriptions/{subscriptionId}/providers/Microsoft.Insights/dataCollectionRules";

/// Returns the command that shows what `MDATP_DCR_ID` and `MDATP_INGESTION_ENDPOINT` must be.
pub fn rule() -> String {
    show_rule("immutableId")
}

/// Returns the command that shows the data collection endpoint of the rule.
pub fn rule_endpoint() -> String {
    show_rule("dataCollectionEndpointId")
}

fn show_rule(property: &str) -> String {
    format!(
        "az rest --url \"{RULES}?api-version={API_VERSION}\" --query \"value[?name=='mdatp-forward'].\
         [properties.{property}, properties.endpoints.logsIngestion]\""
    )
}
