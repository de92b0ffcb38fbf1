//! References to secrets, which App Service puts the secrets in the place of (documentation page "Use Key Vault
//! references as app settings in Azure App Service and Azure Functions"). One that it cannot follow stays in the
//! setting as it is, and would be sent to services as if it were the secret. Pure.

use std::fmt;

/// Where a reference leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceTarget {
    /// `@Microsoft.KeyVault(…)`
    KeyVault,
    /// `@Microsoft.AppConfiguration(…)`
    AppConfiguration,
}

impl ReferenceTarget {
    /// Where the reference in `value` leads, if there is one. App Service follows one that is the whole value
    /// only: within a connection string it is text like any other, so it is looked for anywhere.
    pub fn referred_to_by(value: &str) -> Option<Self> {
        // Most values have no such character, and need no second look.
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
    /// Where it leads.
    pub vault: ReferenceTarget,
}

impl UnresolvedReference {
    /// What to do about it.
    pub fn fix(&self) -> String {
        let Self { name, vault } = self;
        let (role, scope, subject) = match vault {
            ReferenceTarget::KeyVault => {
                ("Key Vault Secrets User", "az keyvault show --name VAULT", "the secret's name and version")
            }
            ReferenceTarget::AppConfiguration => (
                "App Configuration Data SettingsReader",
                "az appconfig show --name STORE",
                "the key and its label",
            ),
        };
        format!(
            "give the app's identity the role {role} (az role assignment create --role \"{role}\" --assignee \
             OBJECT_ID --scope \"$({scope} --query id --output tsv)\"), check {subject} and that the network of \
             the store lets the app in, and that the reference is all of {name}; the app's page Environment \
             variables in the portal says which it is"
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
    fn a_reference_is_found_in_whatever_spelling_and_whatever_stands_around_it() {
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
