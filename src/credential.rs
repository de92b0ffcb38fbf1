//! Tokens of Entra ID, for Defender, the Logs Ingestion API and Blob Storage alike.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::{
    advice::sign_in_advice,
    cause::chain,
    config::{Identity, endpoint::Endpoint},
    http::Http,
};

/// How long a token may take to come, retries included. Left alone the library would try for more
/// than a minute (8 tries within 60 s are its default), a good part of a run.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no token.
#[derive(Debug)]
pub struct TokenError {
    scope: String,
    cause: TokenFailure,
}

#[derive(Debug)]
enum TokenFailure {
    Refused(azure_core::Error),
    TimedOut,
}

impl TokenError {
    /// What to mend; empty where that is not certain.
    pub fn advice(&self) -> &'static str {
        match &self.cause {
            TokenFailure::Refused(error) => sign_in_advice(&chain(error)),
            TokenFailure::TimedOut => "",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no token for {}", self.scope)?;
        match &self.cause {
            TokenFailure::TimedOut => {
                write!(f, ": the identity service did not answer within {} s", TOKEN_TIMEOUT.as_secs())
            }
            TokenFailure::Refused(_) => match self.advice() {
                "" => Ok(()),
                advice => write!(f, " ({advice})"),
            },
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            TokenFailure::Refused(error) => Some(error),
            TokenFailure::TimedOut => None,
        }
    }
}

/// A token, and which making of the credential it came from.
#[derive(Debug)]
pub struct Token {
    /// The bearer token.
    pub secret: Secret,
    generation: u64,
}

/// The one identity of the program. The library keeps each token until shortly before it expires.
#[derive(Debug)]
pub struct Credential {
    source: Source,
    current: Mutex<Current>,
}

#[derive(Debug)]
enum Source {
    /// Made of the settings, and made anew when a token is refused.
    Settings { identity: Identity, authority: Endpoint, http: Http },
    /// Given from outside; it has nothing to forget.
    Given(Arc<dyn TokenCredential>),
}

#[derive(Debug, Default)]
struct Current {
    generation: u64,
    credential: Option<Arc<dyn TokenCredential>>,
}

impl Credential {
    /// A credential for `identity`; nothing is asked of anybody until the first token is needed.
    pub fn new(identity: Identity, authority: Endpoint, http: Http) -> Self {
        Self { source: Source::Settings { identity, authority, http }, current: Mutex::default() }
    }

    /// A credential that somebody else has made.
    pub fn given(credential: Arc<dyn TokenCredential>) -> Self {
        Self { source: Source::Given(credential), current: Mutex::default() }
    }

    /// A credential for another identity by the same way.
    pub fn with_identity(&self, identity: Identity) -> Self {
        match &self.source {
            Source::Settings { authority, http, .. } => Self::new(identity, authority.clone(), http.clone()),
            Source::Given(credential) => Self::given(credential.clone()),
        }
    }

    /// A token for `scope`.
    pub async fn token(&self, scope: &str) -> Result<Token, TokenError> {
        let fail = |cause| TokenError { scope: scope.to_owned(), cause };
        let (credential, generation) = self.current().map_err(|error| fail(TokenFailure::Refused(error)))?;
        match tokio::time::timeout(TOKEN_TIMEOUT, credential.get_token(&[scope], None)).await {
            Ok(Ok(token)) => Ok(Token { secret: token.token, generation }),
            Ok(Err(error)) => Err(fail(TokenFailure::Refused(error))),
            Err(_) => Err(fail(TokenFailure::TimedOut)),
        }
    }

    /// Forgets the tokens made together with `refused`, so that the next one is new. The library has no
    /// way to drop one token, so the credential is made anew; calls that failed side by side do it once.
    pub fn renew(&self, refused: &Token) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == refused.generation {
            current.generation += 1;
            current.credential = None;
        }
    }

    fn current(&self) -> azure_core::Result<(Arc<dyn TokenCredential>, u64)> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let credential = match &current.credential {
            Some(credential) => credential.clone(),
            None => current.credential.insert(self.make()?).clone(),
        };
        Ok((credential, current.generation))
    }

    fn make(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let (identity, client_options) = match &self.source {
            Source::Given(credential) => return Ok(credential.clone()),
            Source::Settings { identity, authority, http } => (identity, client_options(authority, http)),
        };
        Ok(match identity {
            Identity::ClientSecret { tenant, client, secret } => ClientSecretCredential::new(
                tenant,
                client.clone(),
                secret.clone(),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
            Identity::WorkloadIdentity { tenant, client, file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: Some(client.clone()),
                    tenant_id: Some(tenant.clone()),
                    token_file_path: Some(file.clone()),
                }))?
            }
            Identity::ManagedIdentity { client } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client.clone().map(UserAssignedId::ClientId),
                    client_options,
                }))?
            }
            Identity::AzureCli { tenant } => AzureCliCredential::new(Some(AzureCliCredentialOptions {
                tenant_id: tenant.clone(),
                ..Default::default()
            }))?,
        })
    }
}

fn client_options(authority: &Endpoint, http: &Http) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    authority.as_str().clone_into(&mut cloud.authority_host);
    ClientOptions {
        transport: http.client().map(|client| Transport::new(Arc::new(client))),
        cloud: Some(Arc::new(cloud.into())),
        retry: RetryOptions::exponential(ExponentialRetryOptions { max_retries: 3, ..Default::default() }),
        ..Default::default()
    }
}
