//! The national clouds: which hosts and token scopes belong together. Pure.

/// The hosts and scopes of a cloud. Each can be overridden by a setting of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cloud {
    /// The value of `MDATP_CLOUD`.
    pub name: &'static str,
    /// Entra ID's sign-in host. GCC uses the commercial one (documentation page "Microsoft Defender for Endpoint for US
    /// Government customers").
    pub authority: &'static str,
    /// Audience of a managed identity's token that is an app registration's client assertion (documentation page
    /// "Configure an application to trust a managed identity").
    pub assertion_audience: &'static str,
    /// Defender for Endpoint's API host.
    pub api_url: &'static str,
    /// Token scope for Defender. In the public cloud the audience is the older host name, whichever host is called. For
    /// the government clouds no page states it; shipped clients use the API host.
    pub api_scope: &'static str,
    /// Microsoft Graph's host (page "Microsoft Graph national cloud deployments"). GCC uses the commercial one.
    pub graph_url: &'static str,
    /// Token scope for Microsoft Graph.
    pub graph_scope: &'static str,
    /// Token scope of the Logs Ingestion API.
    pub ingestion_scope: &'static str,
    /// Host suffix of the Data Collector API, after the workspace id and a dot.
    pub collector_suffix: &'static str,
    /// Host suffix of Blob Storage, after the account name and a dot.
    pub blob_suffix: &'static str,
}

const PUBLIC: Cloud = Cloud {
    name: "public",
    authority: "https://login.microsoftonline.com",
    assertion_audience: "api://AzureADTokenExchange",
    api_url: "https://api.security.microsoft.com",
    api_scope: "https://api.securitycenter.microsoft.com/.default",
    graph_url: "https://graph.microsoft.com",
    graph_scope: "https://graph.microsoft.com/.default",
    ingestion_scope: "https://monitor.azure.com/.default",
    collector_suffix: "ods.opinsights.azure.com",
    blob_suffix: "blob.core.windows.net",
};

const GCC: Cloud = Cloud {
    name: "gcc",
    api_url: "https://api-gcc.securitycenter.microsoft.us",
    api_scope: "https://api-gcc.securitycenter.microsoft.us/.default",
    ..PUBLIC
};

const GCC_HIGH: Cloud = Cloud {
    name: "gcc-high",
    authority: "https://login.microsoftonline.us",
    assertion_audience: "api://AzureADTokenExchangeUSGov",
    api_url: "https://api-gov.securitycenter.microsoft.us",
    api_scope: "https://api-gov.securitycenter.microsoft.us/.default",
    graph_url: "https://graph.microsoft.us",
    graph_scope: "https://graph.microsoft.us/.default",
    ingestion_scope: "https://monitor.azure.us/.default",
    collector_suffix: "ods.opinsights.azure.us",
    blob_suffix: "blob.core.usgovcloudapi.net",
};

/// GCC High and `DoD` share one host of Defender's API (documentation page "Microsoft Defender for Endpoint for US
/// Government customers"), and not of Graph's.
const DOD: Cloud = Cloud {
    name: "dod",
    graph_url: "https://dod-graph.microsoft.us",
    graph_scope: "https://dod-graph.microsoft.us/.default",
    ..GCC_HIGH
};

impl Cloud {
    /// All clouds, starting with the default.
    pub const ALL: [Cloud; 4] = [PUBLIC, GCC, GCC_HIGH, DOD];
}
