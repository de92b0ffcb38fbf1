//! The settings that all tenants of a process share, where it forwards for many. Pure.

use super::{Endpoint, Identity, Settings, SettingsError, SettingsReader, StateConfig, cloud::Cloud};

/// The settings that all tenants share. Each tenant's own [`Config`](super::Config) has them too.
#[derive(Debug, Clone)]
pub struct SharedConfig {
    /// The app's own identity.
    pub identity: Identity,
    /// Entra ID's host.
    pub authority: Endpoint,
    /// Where the list of tenants is, and below it each tenant's state.
    pub state: StateConfig,
}

impl SharedConfig {
    /// Reads and checks these settings, and no others: what only some tenants use is theirs.
    ///
    /// # Errors
    /// Returns all problems with them together.
    pub fn parse(settings: &Settings) -> Result<Self, SettingsError> {
        let mut reader = SettingsReader { settings, problems: Vec::new() };
        let cloud = reader.cloud().unwrap_or(Cloud::ALL[0]);
        let identity = reader.identity();
        let authority = reader.endpoint("AZURE_AUTHORITY_HOST", cloud.authority);
        let state = reader.state(&cloud);
        match (identity, authority, state) {
            (Some(identity), Some(authority), Some(state)) if reader.problems.is_empty() => {
                Ok(Self { identity, authority, state })
            }
            _ => Err(SettingsError(reader.problems)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_some_tenants_use_is_not_looked_at() {
        let parse = |values: &[(&str, &str)]| SharedConfig::parse(&values.iter().copied().collect());
        let reference = "@Microsoft.KeyVault(SecretUri=https://acme.vault.azure.net/secrets/one/)";
        let state = ("MDATP_STATE", "file:state");
        for other in ["MDATP_CLIENT_SECRET", "MDATP_WORKSPACE_KEY", "MDATP_PAGE_SIZE"] {
            assert!(parse(&[state, (other, reference)]).is_ok(), "{other}");
        }
        for (name, value) in
            [("MDATP_STATE", "nowhere"), ("AZURE_CLIENT_SECRET", reference), ("MDATP_CLOUD", "mars")]
        {
            let problem = parse(&[state, ("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), (name, value)]);
            let problem = problem.expect_err(name).to_string();
            assert!(problem.contains(name), "{problem}");
        }
    }
}
