//! The identity form of `AzureWebJobsStorage`: settings with that prefix, which name the account and the identity that opens
//! it. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use azure_core::credentials::Secret;

use super::{BlobAccess, STORAGE};
use crate::config::{Identity, SettingProblem, settings::Settings};

/// Settings below `AzureWebJobsStorage` with which the host opens its storage in ways that this program does not support,
/// and what to use instead (documentation page "Connect to host storage with an identity"; Azure SDK for .NET, package
/// Microsoft.Extensions.Azure, which creates the host's credential).
const UNSUPPORTED: [(&str, &str); 8] = [
    ("managedidentityresourceid", USE_CLIENT_ID),
    ("managedidentityobjectid", USE_CLIENT_ID),
    ("managedidentityclientid", USE_CLIENT_ID),
    ("clientcertificate", "set AzureWebJobsStorage__clientSecret, or use a managed identity"),
    ("serviceconnectionid", "use a managed identity"),
    ("connectionstring", "set AzureWebJobsStorage itself to the connection string"),
    ("serviceuri", "set AzureWebJobsStorage__blobServiceUri"),
    ("endpointsuffix", "set AzureWebJobsStorage__blobServiceUri"),
];

const USE_CLIENT_ID: &str = "set AzureWebJobsStorage__credential to managedidentity and \
    AzureWebJobsStorage__clientId to the identity's client id (az identity show --ids RESOURCE_ID --query clientId \
    --output tsv)";

/// The settings below `AzureWebJobsStorage`.
pub(super) struct IdentityForm<'a> {
    settings: &'a Settings,
    /// The names of the settings that are set, by the lower-case key that follows `AzureWebJobsStorage__`.
    names: BTreeMap<String, String>,
}

impl<'a> IdentityForm<'a> {
    /// Finds the settings below `AzureWebJobsStorage`.
    pub(super) fn read(settings: &'a Settings) -> Self {
        Self { settings, names: settings.below(STORAGE) }
    }

    /// Returns the name and the value of the setting of `key`.
    pub(super) fn get(&self, key: &str) -> Result<Option<(&str, String)>, SettingProblem> {
        let Some(name) = self.names.get(&key.to_ascii_lowercase()) else { return Ok(None) };
        Ok(self.settings.read(name)?.map(|value| (name.as_str(), value)))
    }

    fn value(&self, key: &str) -> Result<Option<String>, SettingProblem> {
        Ok(self.get(key)?.map(|(_, value)| value))
    }

    /// Returns the value of `key`, or that of a variable of the process which the host uses instead.
    fn value_or(&self, key: &str, variable: &str) -> Result<String, SettingProblem> {
        let value = match self.value(key)? {
            None => self.settings.read(variable)?,
            value => value,
        };
        value.ok_or_else(|| {
            let what = format!("is workloadidentity, which needs {STORAGE}__{key} or {variable}");
            SettingProblem::with("AzureWebJobsStorage__credential", what)
        })
    }

    /// Fails if the host would open its storage in a way that this program does not support.
    pub(super) fn check_supported(&self) -> Result<(), SettingProblem> {
        for (key, instead) in UNSUPPORTED {
            if let Some((name, _)) = self.get(key)? {
                let what = format!("is not supported by mdatp-forward: {instead}");
                return Err(SettingProblem::with(name, what));
            }
        }
        Ok(())
    }

    /// Returns the identity that opens the storage, chosen as the host's library does.
    pub(super) fn access(&self) -> Result<BlobAccess, SettingProblem> {
        self.check_supported()?;
        let (tenant, client) = (self.get("tenantId")?, self.value("clientId")?);
        let kind = self.get("credential")?.map(|(name, kind)| (name, kind.to_ascii_lowercase()));
        Ok(BlobAccess::Identity(match kind {
            Some((_, kind)) if kind == "managedidentity" => Some(Identity::ManagedIdentity { client }),
            Some((_, kind)) if kind == "workloadidentity" => Some(Identity::WorkloadIdentity {
                tenant: self.value_or("tenantId", "AZURE_TENANT_ID")?,
                client: self.value_or("clientId", "AZURE_CLIENT_ID")?,
                file: PathBuf::from(self.value_or("tokenFilePath", "AZURE_FEDERATED_TOKEN_FILE")?),
            }),
            Some((name, _)) => {
                let what = "must be managedidentity or workloadidentity, or not set";
                return Err(SettingProblem::with(name, what));
            }
            None => match (self.get("clientSecret")?, tenant, client) {
                (Some((_, secret)), Some((_, tenant)), Some(client)) => {
                    Some(Identity::ClientSecret { tenant, client, secret: Secret::new(secret) })
                }
                (Some((name, _)), ..) => {
                    let what = format!("needs {STORAGE}__tenantId and {STORAGE}__clientId too");
                    return Err(SettingProblem::with(name, what));
                }
                (None, Some((name, _)), _) => {
                    let what = format!("is for an app registration, and {STORAGE}__clientSecret is not set");
                    return Err(SettingProblem::with(name, what));
                }
                (None, None, Some(client)) => Some(Identity::ManagedIdentity { client: Some(client) }),
                (None, None, None) => None,
            },
        }))
    }
}
