//! A managed identity's token as the client assertion of an app registration, in place of a secret (Entra documentation,
//! "Configure an application to trust a managed identity").

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{credentials::TokenCredential, http::ClientMethodOptions};
use azure_identity::ClientAssertion;

/// The assertion. The managed identity's own credential caches it until shortly before it expires.
#[derive(Debug)]
pub struct ManagedIdentityToken {
    identity: Arc<dyn TokenCredential>,
    scope: String,
}

impl ManagedIdentityToken {
    /// Uses the tokens of `identity` for `audience`.
    pub fn new(identity: Arc<dyn TokenCredential>, audience: &str) -> Self {
        Self { identity, scope: format!("{audience}/.default") }
    }
}

#[async_trait]
impl ClientAssertion for ManagedIdentityToken {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.identity.get_token(&[&self.scope], None).await?.token.secret().to_owned())
    }
}
