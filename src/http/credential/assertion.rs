//! A managed identity's token as the client assertion of an app registration, in place of a secret (Entra documentation,
//! "Configure an application to trust a managed identity").

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

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

/// The managed identities whose tokens are assertions, by client id. The credentials that share them ask for each assertion
/// once.
#[derive(Debug, Default)]
pub struct Assertions(Mutex<HashMap<Option<String>, Arc<dyn TokenCredential>>>);

impl Assertions {
    /// Returns the credential of the managed identity with this client id, which `build` makes when there is none.
    pub fn of(
        &self,
        client: Option<&str>,
        build: impl FnOnce() -> azure_core::Result<Arc<dyn TokenCredential>>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let mut identities = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match identities.entry(client.map(str::to_owned)) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => Ok(place.insert(build()?).clone()),
        }
    }

    /// Forgets a credential and its tokens, unless somebody has done that already.
    pub fn forget(&self, rejected: &Arc<dyn TokenCredential>) {
        let mut identities = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        identities.retain(|_, identity| !Arc::ptr_eq(identity, rejected));
    }
}
