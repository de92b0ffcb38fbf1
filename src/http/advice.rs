//! What to do about a rejection that a retry does not change: the setting, the role or the limit to look at. The texts
//! stand here alone, so that docs/troubleshooting.md, `check` and the log cannot differ. Pure.

use crate::http::{
    error_detail::{ErrorDetail, ErrorForm, INVALID_BINDING, Roles},
    service::Service,
};

/// A fix for a rejected call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Let the call through a gateway that answers with a web page instead of this service.
    AllowInGateway(Service),
    /// Sign in at the proxy.
    ProxySignIn,
    /// Send less.
    PostTooLarge,
    /// Wait for the quota.
    WaitForQuota,
    /// Correct an address that redirects.
    Redirect,

    /// Correct the query for alerts.
    AlertQuery,
    /// Correct what Defender's token is for.
    DefenderToken,
    /// Grant Defender's application roles.
    GrantDefenderRoles,
    /// Look for another cause than roles, which the token holds.
    DefenderOtherThanRoles,
    /// Correct Defender's address, or use the other source.
    DefenderAddress,
    /// Correct what Graph's token is for.
    GraphToken,
    /// Grant Graph's application roles.
    GrantGraphRoles,
    /// Look for another cause than roles, which the token holds.
    GraphOtherThanRoles,
    /// Correct Graph's address.
    GraphAddress,
    /// Get the licence for a feature, or turn it on.
    DefenderFeature,
    /// Get the licence for Defender.
    DefenderLicence,
    /// Nothing: the machine's operating system is not supported.
    MachinePlatform,
    /// Nothing: the version on the machine is not supported.
    MachineVersion,

    /// Correct the log's name, or activate the workspace.
    LogOrWorkspace,
    /// Correct the workspace's key.
    WorkspaceKey,
    /// Correct the workspace's id or address.
    WorkspaceAddress,
    /// Use another workspace.
    WorkspaceClosed,
    /// Correct the workspace's id.
    WorkspaceId,
    /// Correct the log's name.
    LogName,

    /// Keep the Content-Type on its way.
    ContentType,

    /// Correct the stream.
    Stream,
    /// Correct what the sink's token is for.
    IngestionToken,
    /// Grant the role for the data collection rule.
    GrantPublisherRole,
    /// Look for another cause than the role, which the identity holds.
    IngestionOtherThanRole,
    /// Correct the rule, the stream or the endpoint.
    RuleAddress,
    /// Let the app's network reach the data collection endpoint.
    IngestionNetwork,
    /// Use the endpoint of the rule.
    RuleEndpoint,
    /// Use a stream that the rule has.
    RuleStream,
    /// Correct the rule's immutable id.
    RuleId,
    /// Correct an endpoint that is of another API.
    IngestionApi,
}

/// The codes that say more than their status, with their fix: of Defender by its page "Common REST API error codes", of
/// the Data Collector API by the table "Return codes" of its page, of the Logs Ingestion API as callers report them.
pub const CODES: [(Service, &str, Advice); 14] = [
    (Service::Defender, "DisabledFeature", Advice::DefenderFeature),
    (Service::Defender, "DisallowedOperation", Advice::DefenderLicence),
    (Service::Defender, "OsPlatformNotSupported", Advice::MachinePlatform),
    (Service::Defender, "ClientVersionNotSupported", Advice::MachineVersion),
    (Service::DataCollector, "InactiveCustomer", Advice::WorkspaceClosed),
    (Service::DataCollector, "InvalidCustomerId", Advice::WorkspaceId),
    (Service::DataCollector, "InvalidLogType", Advice::LogName),
    (Service::DataCollector, "UnsupportedContentType", Advice::ContentType),
    (Service::LogsIngestion, "NetworkAccessDenied", Advice::IngestionNetwork),
    (Service::LogsIngestion, INVALID_BINDING, Advice::RuleEndpoint),
    (Service::LogsIngestion, "InvalidStream", Advice::RuleStream),
    (Service::LogsIngestion, "InvalidDcrImmutableId", Advice::RuleId),
    (Service::LogsIngestion, "ContentTypeNotSupported", Advice::ContentType),
    (Service::LogsIngestion, "InvalidApiVersion", Advice::IngestionApi),
];

impl Advice {
    /// Returns the fix for a rejection, or `None` where there is none to give. The service's code takes precedence over
    /// the form of the body, and that over the status.
    pub fn of(service: Service, status: u16, detail: &ErrorDetail) -> Option<Self> {
        Self::of_code(service, detail).or_else(|| match (&detail.form, status) {
            // Gateways word a post that is too large, and a sign-in that is a redirect, as a web page too.
            (_, 413 | 300..=399) | (ErrorForm::Empty | ErrorForm::Code(_) | ErrorForm::Text, _) => {
                Self::of_status(service, status, detail.roles)
            }
            (ErrorForm::WebPage, _) => Some(Self::AllowInGateway(service)),
        })
    }

    /// Returns the fix for the service's own code, where that says more than the status.
    pub fn of_code(service: Service, detail: &ErrorDetail) -> Option<Self> {
        let code = detail.code()?;
        let known = CODES.iter().find(|(of, known, _)| (*of, *known) == (service, code));
        known.map(|(_, _, advice)| *advice)
    }

    fn of_status(service: Service, status: u16, roles: Roles) -> Option<Self> {
        use Service::{DataCollector, Defender, Graph, LogsIngestion};
        Some(match (service, status) {
            (Defender | Graph, 400) => Self::AlertQuery,
            (Defender, 401) => Self::DefenderToken,
            (Defender, 403) if roles == Roles::Held => Self::DefenderOtherThanRoles,
            (Defender, 403) => Self::GrantDefenderRoles,
            (Defender, 404 | 410) => Self::DefenderAddress,
            (Graph, 401) => Self::GraphToken,
            (Graph, 403) if roles == Roles::Held => Self::GraphOtherThanRoles,
            (Graph, 403) => Self::GrantGraphRoles,
            (Graph, 404 | 410) => Self::GraphAddress,
            (DataCollector, 400) => Self::LogOrWorkspace,
            (DataCollector, 403) => Self::WorkspaceKey,
            (DataCollector, 404) => Self::WorkspaceAddress,
            (LogsIngestion, 400) => Self::Stream,
            (LogsIngestion, 401) => Self::IngestionToken,
            (LogsIngestion, 403) if roles == Roles::Held => Self::IngestionOtherThanRole,
            (LogsIngestion, 403) => Self::GrantPublisherRole,
            (LogsIngestion, 404) => Self::RuleAddress,
            (_, 407) => Self::ProxySignIn,
            (_, 413) => Self::PostTooLarge,
            (_, 429) => Self::WaitForQuota,
            (_, 300..=399) => Self::Redirect,
            _ => return None,
        })
    }

    /// Returns true for a role that is to be granted.
    pub fn is_role(self) -> bool {
        matches!(self, Self::GrantDefenderRoles | Self::GrantGraphRoles | Self::GrantPublisherRole)
    }

    /// Returns the fix in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::AllowInGateway(service) => in_gateway(service),
            Self::ProxySignIn => {
                "a proxy requires a sign-in: check HTTPS_PROXY, or exempt the service's address from the proxy"
            }
            Self::PostTooLarge => "the post is too large for the service, or for a proxy on the way",
            Self::WaitForQuota => "none needed: the service's quota is used up; the next run continues",
            Self::Redirect => "redirects are not followed: check the URL in the settings",
            Self::AlertQuery => "check MDATP_PAGE_SIZE and MDATP_MODE",
            Self::DefenderToken => {
                "the token is not accepted: check MDATP_API_SCOPE, MDATP_CLOUD and the clock"
            }
            Self::GrantDefenderRoles => {
                "grant the application roles Alert.Read.All and Machine.Read.All of WindowsDefenderATP with \
                 admin consent (a managed identity's token keeps its old roles for up to a day), and check \
                 MDATP_API_SCOPE"
            }
            Self::DefenderOtherThanRoles => {
                "the token holds the roles, so check that the tenant has a licence for Defender for Endpoint, that \
                 MDATP_API_URL and MDATP_API_SCOPE belong to the same cloud, and the network in between"
            }
            Self::DefenderAddress => {
                "check MDATP_API_URL; should Microsoft have ended Defender's own API, run deploy/grant-roles.sh --source \
                 graph and set MDATP_SOURCE=graph"
            }
            Self::GraphToken => {
                "the token is not accepted: check MDATP_GRAPH_SCOPE, MDATP_CLOUD and the clock"
            }
            Self::GrantGraphRoles => {
                "grant the application role SecurityAlert.Read.All of Microsoft Graph, and with \
                 MDATP_MACHINES=hunting also ThreatHunting.Read.All, with admin consent (a managed identity's token \
                 keeps its old roles for up to a day), and check MDATP_GRAPH_SCOPE"
            }
            Self::GraphOtherThanRoles => {
                "the token holds the role, so check that the tenant has a licence for Defender for Endpoint, that \
                 MDATP_GRAPH_URL and MDATP_GRAPH_SCOPE belong to the same cloud, and the network in between"
            }
            Self::GraphAddress => "check MDATP_GRAPH_URL",
            Self::DefenderFeature => {
                "the tenant has no licence for this part of Defender for Endpoint, or has not turned it on: check the \
                 licence, and Settings > Endpoints in the Defender portal"
            }
            Self::DefenderLicence => {
                "Defender does not allow this in the tenant: check its licence for Defender for Endpoint"
            }
            Self::MachinePlatform => {
                "none needed: Defender does not have this for the machine's operating system"
            }
            Self::MachineVersion => "none needed: Defender does not have this for the version on the machine",
            Self::LogOrWorkspace => "check MDATP_LOG_NAME and that the workspace is active",
            Self::WorkspaceKey => {
                "check that MDATP_WORKSPACE_KEY is a key of MDATP_WORKSPACE_ID and that the clock is right"
            }
            Self::WorkspaceAddress => "check MDATP_WORKSPACE_ID and MDATP_COLLECTOR_URL",
            Self::WorkspaceClosed => "the workspace MDATP_WORKSPACE_ID is closed: use another, or recover it",
            Self::WorkspaceId => {
                "MDATP_WORKSPACE_ID is not the id of a workspace: copy it from the workspace's overview"
            }
            Self::LogName => {
                "MDATP_LOG_NAME is not a valid name for a log: letters, digits and underscores only"
            }
            Self::ContentType => {
                "something in between changes the Content-Type of posts: have the proxy leave it as it is"
            }
            Self::Stream => "check MDATP_STREAM and that the rule's stream takes JSON records",
            Self::IngestionToken => "the token is not accepted: check MDATP_INGESTION_SCOPE and MDATP_CLOUD",
            Self::GrantPublisherRole => {
                "give the identity the role Monitoring Metrics Publisher on the data collection rule (it takes \
                 up to 30 minutes to work)"
            }
            Self::IngestionOtherThanRole => {
                "the identity holds the role, so check that MDATP_INGESTION_ENDPOINT is the one of the rule \
                 MDATP_DCR_ID, and that it accepts posts from this network"
            }
            Self::RuleAddress => "check MDATP_DCR_ID, MDATP_STREAM and MDATP_INGESTION_ENDPOINT",
            Self::IngestionNetwork => {
                "the data collection endpoint accepts no posts from this network: connect the app to its private link \
                 scope (AMPLS), or enable public network access on the endpoint that MDATP_INGESTION_ENDPOINT names"
            }
            Self::RuleEndpoint => {
                "the rule MDATP_DCR_ID belongs to another endpoint: set MDATP_INGESTION_ENDPOINT to the rule's own, or \
                 associate the rule with this data collection endpoint"
            }
            Self::RuleStream => "the rule MDATP_DCR_ID has no stream MDATP_STREAM: check both",
            Self::RuleId => "MDATP_DCR_ID is not the immutable id (dcr-…) of a data collection rule",
            Self::IngestionApi => {
                "check MDATP_INGESTION_ENDPOINT: what answers there is another API or version"
            }
        }
    }
}

/// Returns the fix for a gateway that answers in place of `service`.
fn in_gateway(service: Service) -> &'static str {
    match service {
        Service::Defender => {
            "a web page, so not Defender's own answer: have the firewall, gateway or proxy in between let this \
             call through, and check MDATP_API_URL"
        }
        Service::Graph => {
            "a web page, so not Graph's own answer: have the firewall, gateway or proxy in between let this call \
             through, and check MDATP_GRAPH_URL"
        }
        Service::DataCollector => {
            "a web page, so not the service's own answer: have the firewall, gateway or proxy in between let \
             this call through, and check MDATP_COLLECTOR_URL"
        }
        Service::LogsIngestion => {
            "a web page, so not the service's own answer: have the firewall, gateway or proxy in between let \
             this call through, and check MDATP_INGESTION_ENDPOINT"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: &str) -> ErrorDetail {
        ErrorDetail { form: ErrorForm::Code(code.to_owned()), ..ErrorDetail::default() }
    }

    #[test]
    fn the_code_decides_before_the_page_and_the_page_before_the_status() {
        use Service::{DataCollector, Defender, LogsIngestion};
        let page = ErrorDetail { form: ErrorForm::WebPage, ..ErrorDetail::default() };
        let held = |of: &str| ErrorDetail { roles: Roles::Held, ..code(of) };
        for (service, status, detail, part) in [
            (Defender, 403, code("DisabledFeature"), "licence"),
            (Defender, 403, held("DisabledFeature"), "Defender portal"),
            (Defender, 403, code("Forbidden"), "grant the application roles"),
            (Defender, 403, held("Forbidden"), "holds the roles"),
            (Defender, 403, page.clone(), "web page"),
            (LogsIngestion, 403, code(INVALID_BINDING), "MDATP_INGESTION_ENDPOINT"),
            (LogsIngestion, 403, code("OperationFailed"), "Monitoring Metrics Publisher"),
            (LogsIngestion, 403, held("Forbidden"), "holds the role,"),
            (LogsIngestion, 400, code("InvalidStream"), "no stream MDATP_STREAM"),
            // The code of another service says nothing here.
            (LogsIngestion, 403, code("DisabledFeature"), "Monitoring Metrics Publisher"),
            (DataCollector, 400, code("InactiveCustomer"), "closed"),
            (DataCollector, 413, page.clone(), "too large"),
            (DataCollector, 302, page, "redirects"),
        ] {
            let advice = Advice::of(service, status, &detail).expect("advice");
            let text = advice.text();
            assert!(text.contains(part), "{service:?} {status} {detail:?}: {text}");
            let grants = text.contains("grant the") || text.contains("give the identity");
            assert_eq!(advice.is_role(), grants, "{text}");
        }
    }
}
