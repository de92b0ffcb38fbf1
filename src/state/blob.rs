//! The container of Blob Storage.

mod token;
mod transport;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use http::{Method, header::CONTENT_LENGTH};
use object_store::{
    BackoffConfig, Error, ObjectStore, Result, RetryConfig,
    azure::{AzureAuthorizer, MicrosoftAzure, MicrosoftAzureBuilder, split_sas},
    client::{HttpClient, HttpRequestBody, HttpResponse},
    path::Path,
};
use reqwest::Url;

use super::blob_error::{BlobError, BlobErrorKind};
use crate::{
    config::{
        endpoint::Endpoint,
        storage::{BlobAccess, BlobAccount},
    },
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
    /// The base URL of the account's queues, if it is known.
    queues: Option<Endpoint>,
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
            queues: account.queues.clone(),
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
            Ok(response) if response.status() == 201 => Ok(()),
            Ok(response) => Err(unexpected(&response, "creating the container")),
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
                Ok(response) if response.status() == 202 => return Ok(()),
                Ok(response) if is_transient(response.status().as_u16()) => {
                    unexpected(&response, "removing a blob")
                }
                Ok(response) => return Err(unexpected(&response, "removing a blob")),
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

    /// Returns the approximate number of messages in a queue of the account, those in work included; 0 if there is no such
    /// queue, and `None` if the address of the queues is not known ("Get Queue Metadata", REST API of Azure Storage).
    pub async fn queue_length(&self, queue: &str) -> Result<Option<u64>> {
        let Some(endpoint) = &self.queues else { return Ok(None) };
        let url = endpoint.join(&format!("/{queue}?comp=metadata"));
        let response = match self.request(Method::GET, &url).await {
            Ok(response) => response,
            Err(error) => match find_cause(&error).map(BlobError::kind) {
                Some(BlobErrorKind::NoQueue) => return Ok(Some(0)),
                _ => return Err(error),
            },
        };
        let count = response.headers().get("x-ms-approximate-messages-count");
        let count = count.and_then(|count| count.to_str().ok()?.parse().ok());
        count.map(Some).ok_or_else(|| unexpected(&response, "counting the messages of a queue"))
    }

    /// Sends a request without a body.
    async fn request(&self, method: Method, url: &str) -> Result<HttpResponse> {
        let credential = self.azure.credentials().get_credential().await?;
        let mut request = http::Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_LENGTH, 0)
            .body(HttpRequestBody::empty())
            .map_err(|error| failed(error.into()))?;
        AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        self.client.execute(request).await.map_err(|error| failed(error.into()))
    }
}

fn failed(source: Box<dyn StdError + Send + Sync>) -> Error {
    Error::Generic { store: "MicrosoftAzure", source }
}

fn unexpected(response: &HttpResponse, operation: &str) -> Error {
    failed(format!("the storage account answered {} to {operation}", response.status().as_u16()).into())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azure_core::credentials::Secret;
    use bytes::Bytes;
    use futures::future::BoxFuture;
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION};

    use super::*;
    use crate::{
        clock::Clock,
        config::{Identity, Owner},
        http::{Exchange, Request, Response},
    };

    /// A storage account that answers everything alike.
    #[derive(Debug)]
    struct Account {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        seen: Mutex<Vec<Request>>,
    }

    impl Exchange for Account {
        fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Response, ExchangeError>> {
            self.seen.lock().expect("the log").push(request);
            let headers = self
                .headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let (status, headers) = (StatusCode::from_u16(self.status).expect("a status"), headers.collect());
            Box::pin(async move { Ok(Response { status, headers, body: Bytes::new() }) })
        }
    }

    /// The length of a queue by an account that answers so, and the requests that it got.
    async fn length(
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        queues: Option<&str>,
    ) -> (Result<Option<u64>>, Vec<Request>) {
        let service = Arc::new(Account { status, headers, seen: Mutex::default() });
        let http = Http::InProcess(service.clone());
        let endpoint = |text: &str| Endpoint::parse(text).expect("an address");
        let account = BlobAccount {
            name: "acme".to_owned(),
            endpoint: endpoint("https://acme.blob.core.windows.net"),
            queues: queues.map(endpoint),
            access: BlobAccess::Key(Secret::new("a2V5")),
        };
        let (identity, authority) = (Identity::AzureCli { tenant: None }, endpoint("https://login.example"));
        let credential = Credential::new(identity, Owner::App, authority, http.clone(), Clock::System);
        let container =
            BlobContainer::new(&account, "state", &http, &Arc::new(credential)).expect("a container");
        let length = container.queue_length("mdatp-tenants-poison").await;
        let seen = service.seen.lock().expect("the log").clone();
        (length, seen)
    }

    #[tokio::test]
    async fn the_length_of_a_queue_is_asked_of_the_queue_service_with_a_signature() {
        const QUEUES: Option<&str> = Some("https://acme.queue.core.windows.net");
        let (length, seen) = length(200, &[("x-ms-approximate-messages-count", "7")], QUEUES).await;
        assert_eq!(length.expect("a number"), Some(7));
        let [Request { method, url, headers, .. }] = &seen[..] else { panic!("{seen:?}") };
        let wanted = "https://acme.queue.core.windows.net/mdatp-tenants-poison?comp=metadata";
        assert_eq!((method, url.as_str()), (&Method::GET, wanted));
        let has = |headers: &HeaderMap, name: &str| headers.contains_key(name);
        assert!(has(headers, "date") && has(headers, "x-ms-version"), "{headers:?}");
        let authorization = headers[AUTHORIZATION].to_str().expect("text");
        assert!(authorization.starts_with("SharedKey acme:"), "{authorization}");

        let absent = self::length(404, &[("x-ms-error-code", "QueueNotFound")], QUEUES).await.0;
        assert_eq!(absent.expect("no queue, so no messages"), Some(0));
        let (unknown, seen) = self::length(200, &[], None).await;
        assert!(unknown.expect("no address").is_none() && seen.is_empty());
        for (status, headers) in [
            (403, &[("x-ms-error-code", "AuthorizationPermissionMismatch")][..]),
            (404, &[]),
            (200, &[]),
            (200, &[("x-ms-approximate-messages-count", "many")]),
            (503, &[]),
        ] {
            let (length, _) = self::length(status, headers, QUEUES).await;
            assert!(length.is_err(), "{status} {headers:?}: {length:?}");
        }
    }
}
