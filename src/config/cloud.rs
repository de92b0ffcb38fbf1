//! The national clouds: which hosts and token scopes belong together.

/// One row of the table of clouds. Every value can still be overridden by its own setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cloud {
    /// The name used in `MDATP_CLOUD`.
    pub name: &'static str,
    /// Entra ID's sign-in host. GCC signs in at the commercial one (Defender documentation, gov.md).
    pub authority: &'static str,
    /// Audience of a managed identity's token that is to be an app registration's assertion (Entra documentation,
    /// "Configure an application to trust a managed identity").
    pub assertion_audience: &'static str,
    /// Defender for Endpoint's API host.
    pub api_url: &'static str,
    /// Token scope for Defender. In the public cloud the audience is the older host name whatever
    /// host is called; for the government clouds no page states it, shipped code uses the API host.
    pub api_scope: &'static str,
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
    ingestion_scope: "https://monitor.azure.us/.default",
    collector_suffix: "ods.opinsights.azure.us",
    blob_suffix: "blob.core.usgovcloudapi.net",
};

/// GCC High and `DoD` share one API host (Defender documentation, gov.md).
const DOD: Cloud = Cloud { name: "dod", ..GCC_HIGH };

impl Cloud {
    /// All clouds, the default first.
    pub const ALL: [Cloud; 4] = [PUBLIC, GCC, GCC_HIGH, DOD];
}
