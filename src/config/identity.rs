//! The identities that request tokens: the app's own, and the source identity, which is for Defender alone and may be in
//! another tenant. Pure.

use std::path::PathBuf;

use azure_core::credentials::Secret;

use super::{cloud::Cloud, endpoint::Endpoint, reader::SettingsReader};

/// An identity, and how it proves itself to Entra ID. There is no fallback to the metadata address of virtual machines:
/// outside Azure that would be a wait of more than a minute.
#[derive(Debug, Clone)]
pub enum Identity {
    /// An app registration with a secret.
    ClientSecret {
        /// The tenant in which it requests tokens.
        tenant: String,
        /// Its client id.
        client: String,
        /// One of its secrets.
        secret: Secret,
    },
    /// Workload identity: a token file that Kubernetes or a CI system renews.
    WorkloadIdentity {
        /// The tenant in which it requests tokens.
        tenant: String,
        /// Its client id.
        client: String,
        /// The file of the token, `AZURE_FEDERATED_TOKEN_FILE`.
        file: PathBuf,
    },
    /// An app registration that trusts a managed identity, whose token is its client assertion instead of a secret
    /// (documentation page "Configure an application to trust a managed identity").
    TrustsManagedIdentity {
        /// The tenant in which it requests tokens, which may differ from the managed identity's.
        tenant: String,
        /// Its client id.
        client: String,
        /// The client id of a user-assigned managed identity; `None` for the system-assigned one, which Entra ID does
        /// not accept for this.
        managed: Option<String>,
        /// The audience of the managed identity's token.
        audience: &'static str,
    },
    /// The managed identity of the Function App.
    ManagedIdentity {
        /// The client id of a user-assigned identity; `None` for the system-assigned one.
        client: Option<String>,
    },
    /// The developer's sign-in with `az login`.
    AzureCli {
        /// `AZURE_TENANT_ID`; `None` for the home tenant of the account.
        tenant: Option<String>,
    },
}

/// The identity that requests Defender's tokens.
#[derive(Debug, Clone)]
pub enum SourceIdentity {
    /// The app's own identity.
    Own,
    /// An app registration for Defender alone.
    Separate(Identity),
}

impl SourceIdentity {
    /// Returns the identity and its owner. `own` is the app's own identity.
    pub fn or<'a>(&'a self, own: &'a Identity) -> (&'a Identity, Owner) {
        match self {
            Self::Own => (own, Owner::App),
            Self::Separate(identity) => (identity, Owner::Source),
        }
    }
}

/// The owner of an identity, which decides the settings that configure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The app: for the sink, the state and, if there is no source identity, Defender.
    App,
    /// The source identity, for Defender.
    Source,
    /// The identity of the host's storage account, if `AzureWebJobsStorage` names one of its own.
    Storage,
}

/// The names of the settings that configure an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The setting of the tenant.
    pub tenant: &'static str,
    /// The setting of the app registration's client id.
    pub client: &'static str,
    /// The setting of its secret.
    pub secret: &'static str,
    /// The setting of the client id of a user-assigned managed identity.
    pub managed: &'static str,
}

impl Owner {
    /// Returns the names of the settings of this owner's identity.
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

/// Returns the audience of a managed identity's token that is used as a client assertion. The sign-in host decides the
/// cloud, which may be one that `MDATP_CLOUD` has no name for; any other host belongs to `cloud`.
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
    /// Reads the app's own identity.
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

    /// Reads the source identity. `own` is the app's own identity, if that could be read.
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
            // AZURE_CLIENT_ID names a managed identity only if the app's own identity is one.
            let managed = match (self.optional(names.managed)?, own) {
                (None, Some(Identity::ManagedIdentity { client })) => client.clone(),
                (None, None) => return None,
                (managed, _) => managed,
            };
            let (tenant, client) = registration?;
            let audience = assertion_audience(authority, cloud);
            Identity::TrustsManagedIdentity { tenant, client, managed, audience }
        } else {
            let what = "is not set, and there is nothing to use instead: neither a managed identity (IDENTITY_ENDPOINT) \
                        nor a token file (AZURE_FEDERATED_TOKEN_FILE)";
            return self.problem(names.secret, what);
        }))
    }

    /// Reads tenant and client id of an app registration, which the setting `by` needs.
    fn registration(&mut self, owner: Owner, by: &str) -> Option<(String, String)> {
        let IdentitySettings { tenant, client, .. } = owner.settings();
        let why = format!("{by} needs the app registration's tenant and client id");
        let tenant = self.required(tenant, &why);
        let client = self.required(client, &why);
        tenant.zip(client)
    }

    /// Reads a setting that need not be set. The outer `None` means that its value is an unresolved reference.
    #[expect(
        clippy::option_option,
        reason = "a setting that cannot be read is not the same as one that is not set"
    )]
    fn optional(&mut self, name: &str) -> Option<Option<String>> {
        match self.is_set(name) {
            true => self.get(name).map(Some),
            false => Some(None),
        }
    }
}
