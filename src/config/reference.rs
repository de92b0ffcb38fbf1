//! References to secrets, which App Service replaces by the secrets (documentation page "Use Key Vault references as app
//! settings in Azure App Service and Azure Functions"). A reference that it cannot resolve stays in the setting, and
//! would be sent to services as if it were the secret. Pure.

use std::fmt;

/// The store that a reference points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceTarget {
    /// `@Microsoft.KeyVault(…)`
    KeyVault,
    /// `@Microsoft.AppConfiguration(…)`
    AppConfiguration,
}

impl ReferenceTarget {
    /// Returns the store that the reference in `value` points to, if there is a reference.
    ///
    /// App Service resolves a reference only if it is the whole value. Within a connection string it stays text, so it is
    /// looked for anywhere.
    pub fn referred_to_by(value: &str) -> Option<Self> {
        // Most values have no such character, so no copy is made of them.
        let reference = value.split_once('@')?.1.to_ascii_lowercase();
        let has = |name| reference.contains(name);
        if has("microsoft.keyvault(") {
            Some(Self::KeyVault)
        } else if has("microsoft.appconfiguration(") {
            Some(Self::AppConfiguration)
        } else {
            None
        }
    }
}

/// A setting whose value is a reference that the platform has not resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedReference {
    /// The setting.
    pub name: String,
    /// The store that the reference points to.
    pub vault: ReferenceTarget,
}

impl UnresolvedReference {
    /// Returns what to do about it.
    pub fn fix(&self) -> String {
        let Self { name, vault } = self;
        let (role, scope, subject) = match vault {
            ReferenceTarget::KeyVault => {
                ("Key Vault Secrets User", "az keyvault show --name VAULT", "the secret's name and version")
            }
            ReferenceTarget::AppConfiguration => {
                ("App Configuration Data Reader", "az appconfig show --name STORE", "the key and its label")
            }
        };
        format!(
            "give the app's identity the role {role} (az role assignment create --role \"{role}\" --assignee \
             OBJECT_ID --scope \"$({scope} --query id --output tsv)\"), check {subject}, that the network of \
             the store lets the app in, and that the reference is all of {name}; the app's page Environment \
             variables in the portal shows the cause"
        )
    }
}

impl fmt::Display for UnresolvedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vault = match self.vault {
            ReferenceTarget::KeyVault => "a Key Vault",
            ReferenceTarget::AppConfiguration => "an App Configuration",
        };
        write!(f, "is {vault} reference that App Service has not resolved")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_in_any_spelling_and_within_any_text() {
        for value in [
            "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/one)",
            "  @Microsoft.KeyVault(VaultName=acme;SecretName=one)",
            "@microsoft.keyvault(VaultName=acme",
            "\"@Microsoft.KeyVault(VaultName=acme;SecretName=one)\"",
            "AccountName=a;AccountKey=@Microsoft.KeyVault(VaultName=acme;SecretName=one)",
        ] {
            assert_eq!(ReferenceTarget::referred_to_by(value), Some(ReferenceTarget::KeyVault), "{value}");
        }
        let other = "@MICROSOFT.AppConfiguration(Endpoint=https://acme.azconfig.io; Key=a)";
        assert_eq!(ReferenceTarget::referred_to_by(other), Some(ReferenceTarget::AppConfiguration));
        for value in ["", "secret", "Microsoft.KeyVault(", "user@example.com", "@Microsoft.Storage(a)"] {
            assert_eq!(ReferenceTarget::referred_to_by(value), None, "{value}");
        }
    }
}
