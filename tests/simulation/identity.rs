//! The identity of a process: tokens of the cloud's managed-identity endpoint. A token at hand is used
//! until a service refuses it, so that runs meet tokens that have expired or were revoked.

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mdatp_forward::testing::Request;
use serde_json::Value;
use simulator::tenant;

use crate::{process::Outside, setup::identity_url};

#[async_trait::async_trait]
impl TokenCredential for Outside {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let scope = scopes.first().copied().unwrap_or_default();
        if let Some(token) = self.state().tokens.get(scope) {
            return Ok(token.clone());
        }
        let resource = scope.trim_end_matches("/.default");
        let secret = HeaderValue::from_static(tenant::IDENTITY_HEADER);
        let request = Request {
            method: Method::GET,
            url: format!("{}?resource={resource}&api-version=2019-08-01", identity_url()),
            headers: HeaderMap::from_iter([(HeaderName::from_static("x-identity-header"), secret)]),
            body: Bytes::new(),
        };
        let reply = self.send(request).await.map_err(|error| Error::new(ErrorKind::Io, error))?;
        let answer: Value = serde_json::from_slice(&reply.body)?;
        let Some(text) = answer["access_token"].as_str() else {
            return Err(Error::with_message(ErrorKind::Credential, "the answer is no token".to_owned()));
        };
        let token = AccessToken::new(text.to_owned(), self.stage.lock().now());
        self.state().tokens.insert(scope.to_owned(), token.clone());
        Ok(token)
    }
}
