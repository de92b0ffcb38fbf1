//! The container of Blob Storage.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH},
};
use http_body_util::BodyExt;
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, Error, ObjectStore, Result, RetryConfig,
    azure::{AzureAuthorizer, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder, split_sas},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpService,
    },
    path::Path,
};
use reqwest::Url;

use super::blob_error::{BlobError, BlobErrorKind};
use crate::{
    config::storage::{BlobAccess, BlobAccount},
    error_chain::behind,
    http::{
        CALL_TIMEOUT, ExchangeError, Http, Request, Response,
        credential::{Credential, Token, TokenError},
        retry::{ATTEMPTS, backoff},
    },
};

/// The scope of tokens for Blob Storage, the same in every cloud.
const SCOPE: &str = "https://storage.azure.com/.default";

/// A container, made when it is missing.
#[derive(Debug)]
pub struct BlobContainer {
    azure: Arc<MicrosoftAzure>,
    account: String,
    /// `{endpoint}/{container}`
    url: String,
    client: HttpClient,
}

impl BlobContainer {
    /// The container called `name` of `account`.
    pub fn new(account: &BlobAccount, name: &str, http: &Http, credential: &Arc<Credential>) -> Result<Self> {
        let identity = match &account.access {
            BlobAccess::Identity(None) => Some(IdentityToken::Programs(credential.clone())),
            BlobAccess::Identity(Some(own)) => {
                Some(IdentityToken::Own(Arc::new(credential.for_storage(own.clone()))))
            }
            BlobAccess::Key(_) | BlobAccess::Sas(_) => None,
        };
        let way = Way { http: http.clone(), identity: identity.clone() };
        let builder = MicrosoftAzureBuilder::new()
            .with_account(&account.name)
            .with_container_name(name)
            .with_endpoint(account.endpoint.as_str().to_owned())
            .with_allow_http(account.endpoint.is_plain_http())
            .with_http_connector(way.clone())
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 5,
                retry_timeout: std::time::Duration::from_secs(30),
            });
        let builder = match &account.access {
            BlobAccess::Key(key) => {
                // Checked here, since the library would only say so at the first request.
                BASE64_STANDARD.decode(key.secret()).map_err(|_| Error::Generic {
                    store: "AzureWebJobsStorage",
                    source: "the account key is not base64".into(),
                })?;
                builder.with_access_key(key.secret())
            }
            BlobAccess::Sas(sas) => builder.with_sas_authorization(split_sas(sas.secret())?),
            BlobAccess::Identity(_) => builder,
        };
        let builder = match identity {
            Some(identity) => builder.with_credentials(Arc::new(identity)),
            None => builder,
        };
        Ok(Self {
            azure: Arc::new(builder.build()?),
            account: account.name.clone(),
            url: account.endpoint.join(&format!("/{name}")),
            client: HttpClient::new(way),
        })
    }

    /// The blobs in it.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.azure.clone()
    }

    /// Makes the container; it may exist already. The library has no call for it.
    pub async fn create(&self) -> Result<()> {
        match self.ask(Method::PUT, &format!("{}?restype=container", self.url)).await {
            Ok(201) => Ok(()),
            Ok(status) => Err(unexpected(status, "making the container")),
            Err(error) => match blob_error(&error).map(BlobError::kind) {
                Some(BlobErrorKind::ContainerExists) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Removes a blob; it may be gone already. The library has a call for many at once only, which the emulator
    /// does not answer to a shared access signature.
    pub async fn delete(&self, path: &Path) -> Result<()> {
        let mut url = Url::parse(&self.url).map_err(|error| failed(error.into()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path.parts().map(|part| part.as_ref().to_owned()));
        }
        let mut attempt = 1;
        loop {
            let asked = self.ask(Method::DELETE, url.as_str()).await;
            attempt += 1;
            match asked {
                Ok(202) => return Ok(()),
                Err(error) if behind(&error).is_some_and(ExchangeError::is_permanent) => {
                    return Err(error);
                }
                Err(error) if blob_error(&error).is_some() => {
                    return match blob_error(&error).map(BlobError::kind) {
                        Some(BlobErrorKind::NoBlob | BlobErrorKind::NoContainer) => Ok(()),
                        _ => Err(error),
                    };
                }
                Ok(408 | 429 | 500..) | Err(_) if attempt <= ATTEMPTS => {
                    tokio::time::sleep(backoff(attempt, fastrand::f64())).await;
                }
                Ok(status) => return Err(unexpected(status, "removing a blob")),
                Err(error) => return Err(error),
            }
        }
    }

    /// The status of the answer to a request without a body.
    async fn ask(&self, method: Method, url: &str) -> Result<u16> {
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

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "MicrosoftAzure", source }
}

fn unexpected(status: u16, doing: &str) -> Error {
    failed(format!("the storage account answered {status} to {doing}").into())
}

/// The rejection that an error comes from.
pub fn blob_error(error: &Error) -> Option<&BlobError> {
    find_cause(error)
}

/// True when nothing has answered: the name is not known, or the network does not let the request through.
pub fn is_unreachable(error: &Error) -> bool {
    find_cause::<ExchangeError>(error).is_some()
}

fn find_cause<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

/// The way to the account.
#[derive(Debug, Clone)]
struct Way {
    http: Http,
    identity: Option<IdentityToken>,
}

impl HttpConnector for Way {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// The library sends its requests as everything else here does. A rejection is an error of its own: the library would
/// make its own sense of the status, and has no place for the code. (Its own feature for reqwest would bring
/// HTTP/2 with it, which the program would carry for nothing.) A token that is not accepted is made anew once, as for all
/// other services.
#[async_trait]
impl HttpService for Way {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = BodyExt::collect(body).await?.to_bytes();
        let mut request =
            Request { method: parts.method, url: parts.uri.to_string(), headers: parts.headers, body };
        let mut reply = self.exchange(request.clone()).await?;
        if let (StatusCode::UNAUTHORIZED, Some(identity)) = (reply.status, &self.identity)
            && let Some(bearer) = identity.renewed(&request.headers).await
        {
            request.headers.insert(AUTHORIZATION, bearer);
            reply = self.exchange(request).await?;
        }
        if let Some(blob_error) = BlobError::of(reply.status, &reply.headers, &reply.body) {
            // Of this kind, it is not tried again.
            return Err(HttpError::new(HttpErrorKind::Unknown, blob_error));
        }
        let mut response = HttpResponse::new(reply.body.into());
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

impl Way {
    async fn exchange(&self, request: Request) -> Result<Response, HttpError> {
        self.http.exchange(request, CALL_TIMEOUT).await.map_err(|error| {
            let kind = match error {
                ExchangeError::NoConnection(_) => HttpErrorKind::Connect,
                ExchangeError::Broken(_) => HttpErrorKind::Interrupted,
                ExchangeError::TimedOut => HttpErrorKind::Timeout,
                ExchangeError::TooLarge | ExchangeError::UnknownCoding(_) => HttpErrorKind::Decode,
                // Not tried again, as a connection that does not come up would be.
                ExchangeError::Untrusted(_) => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, error)
        })
    }
}

/// Whose token opens the storage.
#[derive(Debug, Clone)]
enum IdentityToken {
    /// The program's identity.
    Programs(Arc<Credential>),
    /// One that the settings below `AzureWebJobsStorage` name.
    Own(Arc<Credential>),
}

impl IdentityToken {
    fn credential(&self) -> &Credential {
        match self {
            Self::Programs(credential) | Self::Own(credential) => credential,
        }
    }

    /// The header with another token than the one in `refused`, if there is one to be had.
    async fn renewed(&self, refused: &HeaderMap) -> Option<HeaderValue> {
        let header = |token: &Token| bearer(token.secret.secret());
        let token = self.credential().token(SCOPE).await.ok()?;
        if refused.get(AUTHORIZATION) != Some(&header(&token)?) {
            return header(&token);
        }
        self.credential().renew(&token);
        header(&self.credential().token(SCOPE).await.ok()?)
    }
}

fn bearer(secret: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {secret}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[async_trait]
impl CredentialProvider for IdentityToken {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> Result<Arc<AzureCredential>> {
        let token = self.credential().token(SCOPE).await.map_err(|error| match self {
            Self::Programs(_) => failed(error.into()),
            Self::Own(_) => failed(OwnIdentityError(error).into()),
        })?;
        Ok(Arc::new(AzureCredential::BearerToken(token.secret.secret().to_owned())))
    }
}

/// No token for the storage's own identity. What else is said about tokens names the settings of the program's.
#[derive(Debug)]
struct OwnIdentityError(TokenError);

impl fmt::Display for OwnIdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no token for the identity that AzureWebJobsStorage__credential, __tenantId, __clientId and __clientSecret \
             name",
        )
    }
}

impl std::error::Error for OwnIdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // One that has no cause, such as a time-out, is the cause itself.
        self.0.source().or(Some(&self.0))
    }
}
