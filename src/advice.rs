//! What to do about an answer that trying again will not change: the setting, role or limit to look
//! at. One table, so that README and the code cannot drift apart unseen.

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

    /// The mend for `status`, or an empty text where there is none to give.
    pub fn advice(self, status: u16) -> &'static str {
        match (self, status) {
            (Self::Defender, 400) => "check MDATP_PAGE_SIZE and MDATP_MODE",
            (Self::Defender, 401) => {
                "the token is not accepted: check MDATP_API_SCOPE, MDATP_CLOUD and the clock"
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
            (Self::LogsIngestion, 403) => {
                "give the identity the role Monitoring Metrics Publisher on the data collection rule (it takes \
                 up to 30 minutes to work)"
            }
            (Self::LogsIngestion, 404) => "check MDATP_DCR_ID, MDATP_STREAM and MDATP_INGESTION_ENDPOINT",
            (_, 413) => "the post is too large for the service",
            (_, 429) => "the service's quota is used up; the next run goes on",
            (_, 300..=399) => "redirects are not followed: check the URL in the settings",
            _ => "",
        }
    }
}

/// The mend for an error of Entra ID, found by the AADSTS code in its text.
pub fn sign_in_advice(text: &str) -> &'static str {
    const CODES: [(&str, &str); 9] = [
        ("AADSTS7000215", "AZURE_CLIENT_SECRET is wrong: copy the secret's value, not its id"),
        ("AADSTS7000222", "AZURE_CLIENT_SECRET has expired: make a new one"),
        ("AADSTS700016", "AZURE_CLIENT_ID is not an app of the tenant AZURE_TENANT_ID"),
        ("AADSTS7000112", "the app registration is disabled"),
        ("AADSTS90002", "AZURE_TENANT_ID is not a tenant of this cloud: check it and MDATP_CLOUD"),
        (
            "AADSTS500011",
            "the tenant has no such resource: check MDATP_API_SCOPE, and that Defender for Endpoint is set up",
        ),
        (
            "AADSTS70021",
            "the federated credential does not match this identity: check its issuer and subject",
        ),
        ("AADSTS1002012", "MDATP_API_SCOPE and MDATP_INGESTION_SCOPE must end in /.default"),
        ("AADSTS70011", "MDATP_API_SCOPE and MDATP_INGESTION_SCOPE must end in /.default"),
    ];
    CODES.iter().find(|(code, _)| text.contains(code)).map_or("", |(_, advice)| advice)
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
