//! Who asks for tokens: the app's own identity, and the source identity, which is for Defender alone and may be of
//! another tenant. Pure.

use std::path::PathBuf;

use azure_core::credentials::Secret;

use super::{SettingsReader, cloud::Cloud, endpoint::Endpoint};

/// Which credential is used. There is no blind fallback to the virtual machine's metadata address:
/// off Azure that is a wait of more than a minute.
#[derive(Debug, Clone)]
pub enum Identity {
    /// An app registration with a secret.
    ClientSecret {
        /// The tenant in which it asks for tokens.
        tenant: String,
        /// Its client id.
        client: String,
        /// One of its secrets.
        secret: Secret,
    },
    /// Workload identity: a token file that Kubernetes or a CI system keeps fresh.
    WorkloadIdentity {
        /// The tenant in which it asks for tokens.
        tenant: String,
        /// Its client id.
        client: String,
        /// `AZURE_FEDERATED_TOKEN_FILE`
        file: PathBuf,
    },
    /// An app registration that trusts a managed identity, whose token is its assertion in the place of a secret
    /// (Entra documentation, "Configure an application to trust a managed identity").
    TrustsManagedIdentity {
        /// The tenant in which it asks for tokens, which may be another than the managed identity's.
        tenant: String,
        /// Its client id.
        client: String,
        /// The client id of a user-assigned managed identity; `None` for the system-assigned one, which Entra ID does
        /// not take for this.
        managed: Option<String>,
        /// Whom the managed identity's token is for.
        audience: &'static str,
    },
    /// The managed identity of the Function App.
    ManagedIdentity {
        /// `AZURE_CLIENT_ID` of a user-assigned identity; none for the system-assigned one.
        client: Option<String>,
    },
    /// The developer's own sign-in with `az login`.
    AzureCli {
        /// `AZURE_TENANT_ID`, when another than the account's home tenant is meant.
        tenant: Option<String>,
    },
}

/// Who asks for Defender's tokens.
#[derive(Debug, Clone)]
pub enum SourceIdentity {
    /// The app's own identity.
    Own,
    /// An app registration for Defender alone.
    Separate(Identity),
}

impl SourceIdentity {
    /// The identity, and whose settings it is made of. `own` is the app's.
    pub fn or<'a>(&'a self, own: &'a Identity) -> (&'a Identity, Owner) {
        match self {
            Self::Own => (own, Owner::App),
            Self::Separate(identity) => (identity, Owner::Source),
        }
    }
}

/// Whose an identity is, and so which settings it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The app, for sink, state and, where there is no other, Defender.
    App,
    /// Defender's source.
    Source,
    /// The storage account of the host, where `AzureWebJobsStorage` names an identity of its own.
    Storage,
}

/// The names of the settings that an identity is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentitySettings {
    /// Has the tenant.
    pub tenant: &'static str,
    /// Has the client id of the app registration.
    pub client: &'static str,
    /// Has its secret.
    pub secret: &'static str,
    /// Has the client id of a user-assigned managed identity.
    pub managed: &'static str,
}

impl Owner {
    /// The settings to look at.
    pub fn settings(self) -> IdentitySettings {
        match self {
            Self::App => IdentitySettings {
                tenant: "AZURE_TENANT_ID",
                client: "AZURE_CLIENT_ID",
                secret: "AZURE_CLIENT_SECRET",
                managed: "AZURE_CLIENT_ID",
            },
            Self::Source => IdentitySettings {
                tenant: "MDATP_TENANT_ID",
                client: "MDATP_CLIENT_ID",
                secret: "MDATP_CLIENT_SECRET",
                managed: "MDATP_MANAGED_IDENTITY_CLIENT_ID",
            },
            Self::Storage => IdentitySettings {
                tenant: "AzureWebJobsStorage__tenantId",
                client: "AzureWebJobsStorage__clientId",
                secret: "AzureWebJobsStorage__clientSecret",
                managed: "AzureWebJobsStorage__clientId",
            },
        }
    }
}

/// The audience of a managed identity's token that is to be an assertion. The sign-in host tells the cloud, also one
/// that `MDATP_CLOUD` has no name for; any other host is taken for one of `cloud`.
fn assertion_audience(authority: Option<&Endpoint>, cloud: &Cloud) -> &'static str {
    let host = authority.map_or("", |authority| authority.as_str().trim_start_matches("https://"));
    match host {
        "login.microsoftonline.com" => "api://AzureADTokenExchange",
        "login.microsoftonline.us" => "api://AzureADTokenExchangeUSGov",
        "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn" => "api://AzureADTokenExchangeChina",
        _ => cloud.assertion_audience,
    }
}

impl SettingsReader<'_> {
    /// The app's own identity.
    pub(super) fn identity(&mut self) -> Option<Identity> {
        if self.is_set("AZURE_CLIENT_SECRET") {
            let by = "AZURE_CLIENT_SECRET";
            let (secret, registration) = (self.get(by), self.registration(Owner::App, by));
            let (secret, (tenant, client)) = secret.zip(registration)?;
            Some(Identity::ClientSecret { tenant, client, secret: Secret::new(secret) })
        } else if self.is_set("AZURE_FEDERATED_TOKEN_FILE") {
            let by = "AZURE_FEDERATED_TOKEN_FILE";
            let (file, registration) = (self.get(by), self.registration(Owner::App, by));
            let (file, (tenant, client)) = file.zip(registration)?;
            Some(Identity::WorkloadIdentity { tenant, client, file: PathBuf::from(file) })
        } else if self.is_set("IDENTITY_ENDPOINT") {
            Some(Identity::ManagedIdentity { client: self.optional("AZURE_CLIENT_ID")? })
        } else {
            Some(Identity::AzureCli { tenant: self.optional("AZURE_TENANT_ID")? })
        }
    }

    /// The source identity. `own` is the app's, if it could be read.
    pub(super) fn source(
        &mut self,
        own: Option<&Identity>,
        authority: Option<&Endpoint>,
        cloud: &Cloud,
    ) -> Option<SourceIdentity> {
        let names = Owner::Source.settings();
        let all = [names.tenant, names.client, names.secret, names.managed];
        let Some(by) = all.into_iter().find(|name| self.is_set(name)) else {
            return Some(SourceIdentity::Own);
        };
        let registration = self.registration(Owner::Source, by);
        if self.is_set(names.secret) {
            let (secret, (tenant, client)) = self.get(names.secret).zip(registration)?;
            return Some(SourceIdentity::Separate(Identity::ClientSecret {
                tenant,
                client,
                secret: Secret::new(secret),
            }));
        }
        let is_managed = self.is_set("IDENTITY_ENDPOINT");
        let file = "AZURE_FEDERATED_TOKEN_FILE";
        Some(SourceIdentity::Separate(if self.is_set(file) && !(is_managed && self.is_set(names.managed)) {
            let (file, (tenant, client)) = self.get(file).zip(registration)?;
            Identity::WorkloadIdentity { tenant, client, file: PathBuf::from(file) }
        } else if is_managed {
            // Only with a managed identity does AZURE_CLIENT_ID name one.
            let managed = match (self.optional(names.managed)?, own) {
                (None, Some(Identity::ManagedIdentity { client })) => client.clone(),
                (None, None) => return None,
                (managed, _) => managed,
            };
            let (tenant, client) = registration?;
            let audience = assertion_audience(authority, cloud);
            Identity::TrustsManagedIdentity { tenant, client, managed, audience }
        } else {
            let what = "is not set, and nothing here can take its place: neither a managed identity (IDENTITY_ENDPOINT) \
                        nor a token file (AZURE_FEDERATED_TOKEN_FILE)";
            return self.problem(names.secret, what);
        }))
    }

    /// Tenant and client id of an app registration, which `by` asks for.
    fn registration(&mut self, owner: Owner, by: &str) -> Option<(String, String)> {
        let IdentitySettings { tenant, client, .. } = owner.settings();
        let why = format!("{by} needs the app registration's tenant and client id");
        let tenant = self.required(tenant, &why);
        let client = self.required(client, &why);
        tenant.zip(client)
    }

    /// The value of a setting that need not be there; `None` where it is a reference that nobody has resolved.
    #[expect(clippy::option_option, reason = "what cannot be read is not the same as what is not there")]
    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        match self.is_set(name) {
            true => self.get(name).map(Some),
            false => Some(None),
        }
    }
}
