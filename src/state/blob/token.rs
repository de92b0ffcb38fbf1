//! The token that opens the storage account, where an identity does.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use object_store::{CredentialProvider, Result, azure::AzureCredential};

use super::failed;
use crate::http::credential::{Credential, Token};

/// The scope of tokens for Blob Storage, the same in every cloud.
const SCOPE: &str = "https://storage.azure.com/.default";

/// The tokens of an identity for Blob Storage. Whose identity it is, its errors say.
#[derive(Debug, Clone)]
pub struct StorageToken(Arc<Credential>);

impl StorageToken {
    /// Uses the tokens of `credential`.
    pub fn new(credential: Arc<Credential>) -> Self {
        Self(credential)
    }

    /// Returns the `Authorization` header with another token than the one in `rejected`; `None` when there is none.
    pub async fn renewed(&self, rejected: &HeaderMap) -> Option<HeaderValue> {
        let token = self.0.token(SCOPE).await.ok()?;
        if rejected.get(AUTHORIZATION) != Some(&bearer(&token)?) {
            return bearer(&token);
        }
        self.0.renew(&token);
        bearer(&self.0.token(SCOPE).await.ok()?)
    }
}

fn bearer(token: &Token) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret.secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[async_trait]
impl CredentialProvider for StorageToken {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> Result<Arc<AzureCredential>> {
        let token = self.0.token(SCOPE).await.map_err(|error| failed(error.into()))?;
        Ok(Arc::new(AzureCredential::BearerToken(token.secret.secret().to_owned())))
    }
}
