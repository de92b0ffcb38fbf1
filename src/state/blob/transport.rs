//! The storage library's way to the account: through the same client as all other requests.

use async_trait::async_trait;
use http::{StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt;
use object_store::{
    ClientOptions, Result,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};

use super::token::StorageToken;
use crate::{
    http::{CALL_TIMEOUT, ExchangeError, Http, Request, Response},
    state::blob_error::BlobError,
};

/// The transport that the library sends its requests through. (The library's own would add HTTP/2 to the program, which
/// nothing else needs.)
#[derive(Debug, Clone)]
pub struct Transport {
    http: Http,
    token: Option<StorageToken>,
}

impl Transport {
    /// Makes the transport. `token` is what authorizes its requests, if an identity does.
    pub fn new(http: Http, token: Option<StorageToken>) -> Self {
        Self { http, token }
    }

    async fn exchange(&self, request: Request) -> Result<Response, HttpError> {
        self.http.exchange(request, CALL_TIMEOUT).await.map_err(|error| {
            let kind = match error {
                ExchangeError::NoConnection(_) => HttpErrorKind::Connect,
                ExchangeError::Broken(_) => HttpErrorKind::Interrupted,
                ExchangeError::TimedOut => HttpErrorKind::Timeout,
                ExchangeError::TooLarge | ExchangeError::UnknownCoding(_) => HttpErrorKind::Decode,
                // Not retried, unlike a connection that fails.
                ExchangeError::Untrusted(_) => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, error)
        })
    }
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// A rejection is an error of its own: the library would classify it by its status, and has no place for the code. A
/// token that is not accepted is renewed once, as for all other services.
#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = BodyExt::collect(body).await?.to_bytes();
        let mut request =
            Request { method: parts.method, url: parts.uri.to_string(), headers: parts.headers, body };
        let mut response = self.exchange(request.clone()).await?;
        if let (StatusCode::UNAUTHORIZED, Some(token)) = (response.status, &self.token)
            && let Some(header) = token.renewed(&request.headers).await
        {
            request.headers.insert(AUTHORIZATION, header);
            response = self.exchange(request).await?;
        }
        if let Some(error) = BlobError::of(response.status, &response.headers, &response.body) {
            // The library does not retry this kind.
            return Err(HttpError::new(HttpErrorKind::Unknown, error));
        }
        let mut converted = HttpResponse::new(response.body.into());
        *converted.status_mut() = response.status;
        *converted.headers_mut() = response.headers;
        Ok(converted)
    }
}
