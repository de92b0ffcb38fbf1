//! What to do about an answer that trying again will not change: the setting, role or limit to look
//! at. Here alone, so that docs/troubleshooting.md and the code cannot drift apart unseen. Pure.

use crate::config::IdentitySettings;

/// The services that can refuse a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Defender for Endpoint.
    Defender,
    /// The HTTP Data Collector API.
    DataCollector,
    /// The Logs Ingestion API.
    LogsIngestion,
}

impl Service {
    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Defender => "Defender",
            Self::DataCollector => "the Data Collector API",
            Self::LogsIngestion => "the Logs Ingestion API",
        }
    }

    /// The setting that says where the service is.
    pub fn address_setting(self) -> &'static str {
        match self {
            Self::Defender => "MDATP_API_URL",
            Self::DataCollector => "MDATP_COLLECTOR_URL",
            Self::LogsIngestion => "MDATP_INGESTION_ENDPOINT",
        }
    }

    /// The fix for a rejection with this status, or an empty text where there is none to give. What the reason tells
    /// goes before what the status does.
    pub fn advice(self, status: u16, reason: &Reason) -> &'static str {
        if let Some(advice) = self.advice_for_code(reason) {
            return advice;
        }
        // Gateways word a post that is too large, and a sign-in that is a redirect, as a page too.
        if reason.is_page && status != 413 && !(300..400).contains(&status) {
            return self.advice_for_page();
        }
        match (self, status) {
            (Self::Defender, 400) => "check MDATP_PAGE_SIZE and MDATP_MODE",
            (Self::Defender, 401) => {
                "the token is not accepted: check MDATP_API_SCOPE, MDATP_CLOUD and the clock"
            }
            (Self::Defender, 403) if reason.roles == Roles::Held => {
                "the token holds the roles, so check that the tenant has a licence for Defender for Endpoint, that \
                 MDATP_API_URL and MDATP_API_SCOPE belong to the same cloud, and the network in between"
            }
            (Self::Defender, 403) => {
                "grant the application roles Alert.Read.All and Machine.Read.All of WindowsDefenderATP with \
                 admin consent (a managed identity's token keeps its old roles for up to a day), and check \
                 MDATP_API_SCOPE"
            }
            (Self::Defender, 404) => "check MDATP_API_URL",
            (Self::DataCollector, 400) => "check MDATP_LOG_NAME and that the workspace is active",
            (Self::DataCollector, 403) => {
                "check that MDATP_WORKSPACE_KEY is a key of MDATP_WORKSPACE_ID and that the clock is right"
            }
            (Self::DataCollector, 404) => "check MDATP_WORKSPACE_ID and MDATP_COLLECTOR_URL",
            (Self::LogsIngestion, 400) => "check MDATP_STREAM and that the rule's stream takes JSON records",
            (Self::LogsIngestion, 401) => {
                "the token is not accepted: check MDATP_INGESTION_SCOPE and MDATP_CLOUD"
            }
            (Self::LogsIngestion, 403) if reason.roles == Roles::Held => {
                "the identity holds the role, so check that MDATP_INGESTION_ENDPOINT is the one of the rule \
                 MDATP_DCR_ID, and that it takes posts from this network"
            }
            (Self::LogsIngestion, 403) => {
                "give the identity the role Monitoring Metrics Publisher on the data collection rule (it takes \
                 up to 30 minutes to work)"
            }
            (Self::LogsIngestion, 404) => "check MDATP_DCR_ID, MDATP_STREAM and MDATP_INGESTION_ENDPOINT",
            (_, 407) => {
                "a proxy wants a sign-in: check HTTPS_PROXY, or let the service's address pass without it"
            }
            (_, 413) => "the post is too large for the service",
            (_, 429) => "the service's quota is used up; the next run goes on",
            (_, 300..=399) => "redirects are not followed: check the URL in the settings",
            _ => "",
        }
    }

    /// The fix for the service's own code, where that says more than the status.
    pub fn advice_for_code(self, reason: &Reason) -> Option<&'static str> {
        let code = reason.code.as_deref()?;
        let known = CODES.iter().find(|(service, known, _)| (*service, *known) == (self, code));
        known.map(|(_, _, advice)| *advice)
    }

    fn advice_for_page(self) -> &'static str {
        match self {
            Self::Defender => {
                "a web page, so not Defender's own answer: have the firewall, gateway or proxy in between let this \
                 call through, and check MDATP_API_URL"
            }
            Self::DataCollector => {
                "a web page, so not the service's own answer: have the firewall, gateway or proxy in between let \
                 this call through, and check MDATP_COLLECTOR_URL"
            }
            Self::LogsIngestion => {
                "a web page, so not the service's own answer: have the firewall, gateway or proxy in between let \
                 this call through, and check MDATP_INGESTION_ENDPOINT"
            }
        }
    }

    /// True for a rejection that a role which is missing explains.
    pub fn lacks_role(self, status: u16, reason: &Reason) -> bool {
        self != Self::DataCollector
            && status == 403
            && !reason.is_page
            && reason.roles != Roles::Held
            && self.advice_for_code(reason).is_none()
    }
}

/// Why a service has rejected a call, as far as its response tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// The code in the service's own form of an error, which may be empty; `None` for a response of another form.
    pub code: Option<String>,
    /// True for a web page, which none of the services sends: it comes from something in between.
    pub is_page: bool,
    /// Whether the caller holds the roles that the call takes.
    pub roles: Roles,
}

/// Whether a caller holds the roles that a call takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Roles {
    /// Nothing tells.
    #[default]
    Unknown,
    /// It does, so a rejection has another reason.
    Held,
    /// It does not.
    Lacking,
}

/// What the Logs Ingestion API says within the message of an `OperationFailed` when the rule belongs to another
/// endpoint than the one called. It counts as the code, which alone says nothing (the message's form: the SDKs'
/// troubleshooting guides, such as `Azure/azure-sdk-for-net#37173`).
pub const INVALID_BINDING: &str = "IsDcrDceBindingValid: False";

/// The codes that say more than their status: of Defender by its page "Common REST API error codes", of the Data
/// Collector API by the table "Return codes" of its page, of the Logs Ingestion API as callers report them.
pub const CODES: [(Service, &str, &str); 14] = [
    (
        Service::Defender,
        "DisabledFeature",
        "the tenant has no licence for this part of Defender for Endpoint, or has not turned it on: check the licence, \
         and Settings > Endpoints in the Defender portal",
    ),
    (
        Service::Defender,
        "DisallowedOperation",
        "Defender does not allow this in the tenant: check its licence for Defender for Endpoint",
    ),
    (
        Service::Defender,
        "OsPlatformNotSupported",
        "nothing to mend: Defender does not have this for the machine's system",
    ),
    (
        Service::Defender,
        "ClientVersionNotSupported",
        "nothing to mend: Defender does not have this for the version on the machine",
    ),
    (
        Service::DataCollector,
        "InactiveCustomer",
        "the workspace MDATP_WORKSPACE_ID is closed: use another, or recover it",
    ),
    (
        Service::DataCollector,
        "InvalidCustomerId",
        "MDATP_WORKSPACE_ID is not the id of a workspace: copy it from the workspace's overview",
    ),
    (
        Service::DataCollector,
        "InvalidLogType",
        "MDATP_LOG_NAME is not a name for a log: letters, digits and underscores only",
    ),
    (
        Service::DataCollector,
        "UnsupportedContentType",
        "something in between changes the Content-Type of posts: have the proxy leave it as it is",
    ),
    (
        Service::LogsIngestion,
        "NetworkAccessDenied",
        "the data collection endpoint takes no posts from this network: connect the app to its private link scope \
         (AMPLS), or enable public network access on the endpoint that MDATP_INGESTION_ENDPOINT names",
    ),
    (
        Service::LogsIngestion,
        INVALID_BINDING,
        "the rule MDATP_DCR_ID belongs to another endpoint: set MDATP_INGESTION_ENDPOINT to the rule's own, or \
         associate the rule with this data collection endpoint",
    ),
    (Service::LogsIngestion, "InvalidStream", "the rule MDATP_DCR_ID has no stream MDATP_STREAM: check both"),
    (
        Service::LogsIngestion,
        "InvalidDcrImmutableId",
        "MDATP_DCR_ID is not the immutable id (dcr-…) of a data collection rule",
    ),
    (
        Service::LogsIngestion,
        "ContentTypeNotSupported",
        "something in between changes the Content-Type of posts: have the proxy leave it as it is",
    ),
    (
        Service::LogsIngestion,
        "InvalidApiVersion",
        "check MDATP_INGESTION_ENDPOINT: what answers there is another API or version",
    ),
];

/// Who has asked for a token, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignIn {
    /// The settings it is made of.
    pub settings: IdentitySettings,
    /// What shows that it is the app registration.
    pub proof: Proof,
}

/// What an app registration shows to get a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A managed identity's token for this audience.
    ManagedIdentity(&'static str),
    /// The managed identity has not given its token for this audience.
    NoneFor(&'static str),
    /// The token in a file.
    File,
    /// Its secret; or it is no app registration.
    Other,
}

/// The fix for an error of Entra ID, found by the AADSTS code in its text. What stands in braces is the setting, or
/// the proof, of that name. Where a code continues another one, it comes first.
pub fn sign_in_advice(text: &str, by: &SignIn) -> String {
    const CODES: [(&str, &str); 16] = [
        ("AADSTS7000215", "{secret} is wrong: copy the secret's value, not its id"),
        ("AADSTS7000222", "{secret} has expired: make a new one"),
        (
            "AADSTS700016",
            "{client} is not an app of the tenant {tenant}: check both; an app registration of another tenant must be \
             multi-tenant and have admin consent in this one",
        ),
        (
            "AADSTS65001",
            "the app registration {client} has no admin consent in the tenant {tenant}: give it there",
        ),
        ("AADSTS7000112", "the app registration is disabled"),
        ("AADSTS90002", "{tenant} is not a tenant of this cloud: check it and MDATP_CLOUD"),
        (
            "AADSTS500011",
            "the tenant has no such resource: check MDATP_API_SCOPE, and that Defender for Endpoint is set up",
        ),
        (
            "AADSTS700236",
            "the app registration {client} must be of the tenant of the managed identity itself: make a multi-tenant \
             one there and give it admin consent in the tenant {tenant}, or set {secret}",
        ),
        (
            "AADSTS700222",
            "Entra ID takes no token of its own as an assertion here, but a user-assigned managed identity's for an \
             app registration of the same tenant: check {managed} and {client}, or set {secret}",
        ),
        (
            "AADSTS700211",
            "no federated credential of the app registration {client} has this issuer: it must be that of {proof}",
        ),
        (
            "AADSTS700212",
            "no federated credential of the app registration {client} has this audience: it must be that of {proof}",
        ),
        (
            "AADSTS700213",
            "no federated credential of the app registration {client} has this subject: issuer and subject must be \
             those of {proof}",
        ),
        (
            "AADSTS70021",
            "no federated credential of the app registration {client} matches: issuer and subject must be those of \
             {proof}",
        ),
        (
            "AADSTS700024",
            "the assertion has expired or is not valid yet: check this machine's clock, and that \
             something renews the token in AZURE_FEDERATED_TOKEN_FILE where that is used",
        ),
        ("AADSTS1002012", "MDATP_API_SCOPE and MDATP_INGESTION_SCOPE must end in /.default"),
        ("AADSTS70011", "MDATP_API_SCOPE and MDATP_INGESTION_SCOPE must end in /.default"),
    ];
    let proof = match by.proof {
        // The platform words it as Entra does where its cloud has no such audience.
        Proof::NoneFor(audience) if text.contains("AADSTS500011") => {
            return format!(
                "the managed identity's cloud has no {audience}: check MDATP_CLOUD and AZURE_AUTHORITY_HOST"
            );
        }
        Proof::ManagedIdentity(audience) | Proof::NoneFor(audience) => format!(
            "the user-assigned managed identity that {{managed}} names (its subject is the identity's object id, its \
             audience {audience}; a system-assigned identity is not taken)"
        ),
        Proof::File | Proof::Other => "the token in AZURE_FEDERATED_TOKEN_FILE".to_owned(),
    };
    let Some((_, advice)) = CODES.iter().find(|(code, _)| text.contains(code)) else { return String::new() };
    let IdentitySettings { tenant, client, secret, managed } = by.settings;
    let advice = advice.replace("{proof}", &proof);
    [("{tenant}", tenant), ("{client}", client), ("{secret}", secret), ("{managed}", managed)]
        .iter()
        .fold(advice, |advice, (name, setting)| advice.replace(name, setting))
}

/// Why an answer is none of the service's, after a colon.
pub const IN_BETWEEN: &str =
    "it comes from something in between, such as a proxy, a firewall or a captive portal";

/// The mend for a certificate that is not trusted.
pub fn trust_advice(problem: &rustls::Error) -> &'static str {
    use rustls::{CertificateError as Why, Error::InvalidCertificate};
    match problem {
        InvalidCertificate(
            Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. },
        ) => {
            "set this machine's clock right, or have the certificate renewed; where a proxy inspects TLS, its root \
             certificate goes into the PEM file that SSL_CERT_FILE names, behind those of the system"
        }
        InvalidCertificate(Why::NotValidForName | Why::NotValidForNameContext { .. }) => {
            "something else answers for that name: check the address in the settings, and HTTPS_PROXY; where a proxy \
             inspects TLS, its root certificate goes into the PEM file that SSL_CERT_FILE names, behind those of the \
             system"
        }
        _ => {
            "where a proxy inspects TLS, set SSL_CERT_FILE to a PEM file with the system's root certificates and, \
             behind them, the proxy's"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: &str) -> Reason {
        Reason { code: Some(code.to_owned()), ..Reason::default() }
    }

    #[test]
    fn the_code_decides_before_the_page_and_the_page_before_the_status() {
        use Service::{DataCollector, Defender, LogsIngestion};
        let page = Reason { is_page: true, ..Reason::default() };
        let held = Reason { roles: Roles::Held, ..reason("Forbidden") };
        for (service, status, reason, part) in [
            (Defender, 403, reason("DisabledFeature"), "licence"),
            (Defender, 403, Reason { roles: Roles::Held, ..reason("DisabledFeature") }, "Defender portal"),
            (Defender, 403, reason("Forbidden"), "grant the application roles"),
            (Defender, 403, held.clone(), "holds the roles"),
            (Defender, 403, page.clone(), "web page"),
            (LogsIngestion, 403, reason(INVALID_BINDING), "MDATP_INGESTION_ENDPOINT"),
            (LogsIngestion, 403, reason("OperationFailed"), "Monitoring Metrics Publisher"),
            (LogsIngestion, 403, held, "holds the role,"),
            (LogsIngestion, 400, reason("InvalidStream"), "no stream MDATP_STREAM"),
            // The code of another service says nothing here.
            (LogsIngestion, 403, reason("DisabledFeature"), "Monitoring Metrics Publisher"),
            (DataCollector, 400, reason("InactiveCustomer"), "closed"),
            (DataCollector, 413, page.clone(), "too large"),
            (DataCollector, 302, page, "redirects"),
        ] {
            let advice = service.advice(status, &reason);
            assert!(advice.contains(part), "{service:?} {status} {reason:?}: {advice}");
            let is_about_roles = advice.contains("grant the") || advice.contains("give the identity");
            assert_eq!(service.lacks_role(status, &reason), is_about_roles, "{advice}");
        }
    }
}
