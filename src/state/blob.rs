//! The container of Blob Storage.

mod token;
mod transport;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use http::{Method, header::CONTENT_LENGTH};
use object_store::{
    BackoffConfig, Error, ObjectStore, Result, RetryConfig,
    azure::{AzureAuthorizer, MicrosoftAzure, MicrosoftAzureBuilder, split_sas},
    client::{HttpClient, HttpRequestBody},
    path::Path,
};
use reqwest::Url;

use super::blob_error::{BlobError, BlobErrorKind};
use crate::{
    config::storage::{BlobAccess, BlobAccount},
    error_chain::find_cause,
    http::{
        ExchangeError, Http,
        credential::Credential,
        retry::{ATTEMPTS, Backoff, is_transient},
    },
};
use token::StorageToken;
use transport::Transport;

/// The limits of the library's own retries.
const MAX_RETRIES: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// A container, which is created when it is missing.
#[derive(Debug)]
pub struct BlobContainer {
    azure: Arc<MicrosoftAzure>,
    account: String,
    /// `{endpoint}/{container}`
    url: String,
    client: HttpClient,
}

impl BlobContainer {
    /// Opens the container called `name` of `account`, without a request.
    pub fn new(account: &BlobAccount, name: &str, http: &Http, credential: &Arc<Credential>) -> Result<Self> {
        let token = match &account.access {
            BlobAccess::Identity(None) => Some(StorageToken::new(credential.clone())),
            BlobAccess::Identity(Some(own)) => {
                Some(StorageToken::new(Arc::new(credential.for_storage(own.clone()))))
            }
            BlobAccess::Key(_) | BlobAccess::Sas(_) => None,
        };
        let transport = Transport::new(http.clone(), token.clone());
        let builder = MicrosoftAzureBuilder::new()
            .with_account(&account.name)
            .with_container_name(name)
            .with_endpoint(account.endpoint.as_str().to_owned())
            .with_allow_http(account.endpoint.is_plain_http())
            .with_http_connector(transport.clone())
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: MAX_RETRIES,
                retry_timeout: RETRY_TIMEOUT,
            });
        let builder = match &account.access {
            BlobAccess::Key(key) => {
                // Checked here, since the library would report it at the first request.
                BASE64_STANDARD.decode(key.secret()).map_err(|_| Error::Generic {
                    store: "AzureWebJobsStorage",
                    source: "the account key is not base64".into(),
                })?;
                builder.with_access_key(key.secret())
            }
            BlobAccess::Sas(sas) => builder.with_sas_authorization(split_sas(sas.secret())?),
            BlobAccess::Identity(_) => builder,
        };
        let builder = match token {
            Some(token) => builder.with_credentials(Arc::new(token)),
            None => builder,
        };
        Ok(Self {
            azure: Arc::new(builder.build()?),
            account: account.name.clone(),
            url: account.endpoint.join(&format!("/{name}")),
            client: HttpClient::new(transport),
        })
    }

    /// Returns the blobs of the container.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.azure.clone()
    }

    /// Creates the container, if it does not exist. The library has no call for that.
    pub async fn create(&self) -> Result<()> {
        match self.request(Method::PUT, &format!("{}?restype=container", self.url)).await {
            Ok(201) => Ok(()),
            Ok(status) => Err(unexpected(status, "creating the container")),
            Err(error) => match find_cause(&error).map(BlobError::kind) {
                Some(BlobErrorKind::ContainerExists) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Removes a blob, if it exists. The library has only a call for many at once, which the emulator does not support
    /// with a shared access signature.
    pub async fn delete(&self, path: &Path) -> Result<()> {
        let mut url = Url::parse(&self.url).map_err(|error| failed(error.into()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path.parts().map(|part| part.as_ref().to_owned()));
        }
        let mut backoff = Backoff::new(ATTEMPTS);
        loop {
            let failure = match self.request(Method::DELETE, url.as_str()).await {
                Ok(202) => return Ok(()),
                Ok(status) if is_transient(status) => unexpected(status, "removing a blob"),
                Ok(status) => return Err(unexpected(status, "removing a blob")),
                Err(error) => match find_cause(&error).map(BlobError::kind) {
                    Some(BlobErrorKind::NoBlob | BlobErrorKind::NoContainer) => return Ok(()),
                    Some(_) => return Err(error),
                    None if find_cause(&error).is_some_and(ExchangeError::is_permanent) => return Err(error),
                    None => error,
                },
            };
            let wait = backoff.next(None, fastrand::f64());
            if backoff.is_exhausted() {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a request without a body, and returns the status of its response.
    async fn request(&self, method: Method, url: &str) -> Result<u16> {
        let credential = self.azure.credentials().get_credential().await?;
        let mut request = http::Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_LENGTH, 0)
            .body(HttpRequestBody::empty())
            .map_err(|error| failed(error.into()))?;
        AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        let response = self.client.execute(request).await.map_err(|error| failed(error.into()))?;
        Ok(response.status().as_u16())
    }
}

fn failed(source: Box<dyn StdError + Send + Sync>) -> Error {
    Error::Generic { store: "MicrosoftAzure", source }
}

fn unexpected(status: u16, operation: &str) -> Error {
    failed(format!("the storage account answered {status} to {operation}").into())
}
