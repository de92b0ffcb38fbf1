//! The settings with which the forwarder finds this cloud.

use std::path::Path;

use serde_json::{Value, json};

use crate::customer::Customer;
use crate::service::Service;
use crate::tenant;

/// The sink to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The HTTP Data Collector API.
    DataCollector,
    /// The Logs Ingestion API.
    LogsIngestion,
}

impl Sink {
    /// The service that it is.
    pub fn service(self) -> Service {
        match self {
            Self::DataCollector => Service::DataCollector,
            Self::LogsIngestion => Service::LogsIngestion,
        }
    }
}

/// How the forwarder gets its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Entra, with the app registration's secret.
    ClientSecret,
    /// Entra, with a federated token from a file.
    WorkloadIdentity,
    /// The managed-identity endpoint of App Service.
    ManagedIdentity,
}

/// Where each service listens on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub(crate) ports: [u16; 6],
    tls: bool,
}

impl Endpoints {
    /// Consecutive ports in the order of [`Service::ALL`].
    pub fn from_port(first: u16) -> Self {
        let mut ports = [first; 6];
        for (port, offset) in ports.iter_mut().zip(0..) {
            *port += offset;
        }
        Self { ports, tls: false }
    }

    /// Ports that are still to be found.
    pub(crate) fn free() -> Self {
        Self { ports: [0; 6], tls: false }
    }

    /// The same, with TLS everywhere but to the managed identity.
    pub(crate) fn over_tls() -> Self {
        Self { tls: true, ..Self::free() }
    }

    pub(crate) fn speaks_tls(&self, service: Service) -> bool {
        match service {
            Service::Entra => true,
            Service::Identity => false,
            Service::Defender | Service::DataCollector | Service::LogsIngestion | Service::Graph => self.tls,
        }
    }

    /// The service's port.
    pub fn port(&self, service: Service) -> u16 {
        self.ports[service as usize]
    }

    /// The service's base URL. Entra's is https and by name, as the SDK demands. A caller keeps TLS sessions
    /// by host, whatever the port, so Defender and the sinks are different hosts here too.
    pub fn url(&self, service: Service) -> String {
        let scheme = if self.speaks_tls(service) { "https" } else { "http" };
        let host = match service {
            Service::Entra => "localhost",
            Service::DataCollector | Service::LogsIngestion if self.tls => "localhost",
            _ => "127.0.0.1",
        };
        format!("{scheme}://{host}:{}", self.port(service))
    }

    /// The forwarder's settings for a sink and a way to tokens. `files` is the folder with the
    /// authority's certificate and the federated token; without TLS the managed identity needs neither.
    pub fn settings(&self, sink: Sink, route: Route, files: &Path) -> Vec<(String, String)> {
        let file = |name| files.join(name).display().to_string();
        let mut settings = match route {
            Route::ManagedIdentity => vec![
                ("IDENTITY_ENDPOINT", self.url(Service::Identity) + "/msi/token"),
                ("IDENTITY_HEADER", tenant::IDENTITY_HEADER.to_owned()),
            ],
            Route::ClientSecret | Route::WorkloadIdentity => vec![
                ("AZURE_TENANT_ID", tenant::TENANT_ID.to_owned()),
                ("AZURE_CLIENT_ID", tenant::CLIENT_ID.to_owned()),
                ("AZURE_AUTHORITY_HOST", self.url(Service::Entra)),
            ],
        };
        if self.tls || route != Route::ManagedIdentity {
            settings.push(("SSL_CERT_FILE", file(AUTHORITY_FILE)));
        }
        match route {
            Route::ClientSecret => {
                settings.push(("AZURE_CLIENT_SECRET", tenant::CLIENT_SECRET.to_owned()));
            }
            Route::WorkloadIdentity => {
                settings.push(("AZURE_FEDERATED_TOKEN_FILE", file(ASSERTION_FILE)));
            }
            Route::ManagedIdentity => {}
        }
        settings.push(("MDATP_API_URL", self.url(Service::Defender)));
        settings.push(("MDATP_GRAPH_URL", self.url(Service::Graph)));
        settings.extend(match sink {
            Sink::DataCollector => vec![
                ("MDATP_SINK", "data-collector".to_owned()),
                ("MDATP_WORKSPACE_ID", tenant::WORKSPACE_ID.to_owned()),
                ("MDATP_WORKSPACE_KEY", tenant::WORKSPACE_KEY.to_owned()),
                ("MDATP_COLLECTOR_URL", self.url(Service::DataCollector)),
            ],
            Sink::LogsIngestion => vec![
                ("MDATP_SINK", "logs-ingestion".to_owned()),
                ("MDATP_INGESTION_ENDPOINT", self.url(Service::LogsIngestion)),
                ("MDATP_DCR_ID", tenant::DCR_ID.to_owned()),
            ],
        });
        let own = |(name, value): (&str, String)| (name.to_owned(), value);
        settings.into_iter().map(own).collect()
    }
}

impl Endpoints {
    /// The settings of an app that forwards for the customers of a fleet: where the services are, the multi-tenant app
    /// registration, and the managed identity that it trusts. What differs between tenants is in [`Endpoints::entry`].
    pub fn settings_for_tenants(&self, files: &Path) -> Vec<(String, String)> {
        let entra = self.settings(Sink::LogsIngestion, Route::WorkloadIdentity, files).into_iter();
        let mut settings: Vec<_> =
            entra.filter(|(name, _)| name == "AZURE_AUTHORITY_HOST" || name == "SSL_CERT_FILE").collect();
        let identity = self.settings(Sink::LogsIngestion, Route::ManagedIdentity, files).into_iter();
        settings
            .extend(identity.filter(|(name, _)| name.starts_with("IDENTITY_") || name == "MDATP_API_URL"));
        let client = [
            ("MDATP_CLIENT_ID", tenant::SHARED_CLIENT_ID),
            ("MDATP_MANAGED_IDENTITY_CLIENT_ID", tenant::CLIENT_ID),
        ];
        settings.extend(client.map(|(name, value)| (name.to_owned(), value.to_owned())));
        settings
    }

    /// A customer's entry in `tenants.json`: federated, with the customer's own rule, by the customer's own token.
    pub fn entry(&self, customer: &Customer) -> Value {
        json!({
            "id": customer.id,
            "name": format!("Customer {}", &customer.id[..8]),
            "enabled": true,
            "credential": "federated",
            "sink": {
                "endpoint": self.url(Service::LogsIngestion),
                "dcr": customer.rule,
                "stream": tenant::STREAM,
                "tokenFrom": "tenant",
            },
        })
    }
}

pub(crate) const AUTHORITY_FILE: &str = "authority.pem";
pub(crate) const ASSERTION_FILE: &str = "federated-token";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sink: Sink, route: Route) -> Vec<String> {
        let settings = Endpoints::from_port(17070).settings(sink, route, Path::new("files"));
        settings.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_managed_identity_needs_no_secret_and_no_certificate() {
        let endpoints = Endpoints::from_port(17070);
        let files = Path::new("files");
        let settings = endpoints.settings(Sink::LogsIngestion, Route::ManagedIdentity, files);
        let expected = [
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:17071/msi/token"),
            ("IDENTITY_HEADER", "simulated-identity-header-5f1c"),
            ("MDATP_API_URL", "http://127.0.0.1:17072"),
            ("MDATP_GRAPH_URL", "http://127.0.0.1:17075"),
            ("MDATP_SINK", "logs-ingestion"),
            ("MDATP_INGESTION_ENDPOINT", "http://127.0.0.1:17074"),
            ("MDATP_DCR_ID", "dcr-0f5c27d1a9e84b63b1d07c4e92a85f36"),
        ];
        assert_eq!(settings, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn each_route_names_its_own_proof() {
        let proofs = ["AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_HEADER"];
        for (route, proof) in [
            (Route::ClientSecret, "AZURE_CLIENT_SECRET"),
            (Route::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE"),
            (Route::ManagedIdentity, "IDENTITY_HEADER"),
        ] {
            let mut names = names(Sink::DataCollector, route);
            names.retain(|name| proofs.contains(&name.as_str()));
            assert_eq!(names, [proof]);
        }
    }
}
