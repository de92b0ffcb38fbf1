//! Tokens of Entra ID, for Defender, the Logs Ingestion API and Blob Storage alike.

mod issuer;
mod reply;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, HttpClient, RetryOptions, Transport as LibraryTransport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};

use crate::{
    advice::{sign_in_advice, trust_advice},
    cause::{behind, chain},
    clock::Clock,
    config::{Identity, endpoint::Endpoint},
    http::{ExchangeError, Http},
};
use issuer::{Issuer, SignInError, Transport};

/// How long a token may take to come, retries included.
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
        let TokenFailure::Refused(error) = &self.cause else { return "" };
        if let Some(ExchangeError::Untrusted(problem)) = behind(error) {
            return trust_advice(problem);
        }
        match self.sign_in_error().map(SignInError::refusal) {
            Some(refusal) => sign_in_advice(refusal.unwrap_or_default()),
            None => sign_in_advice(&chain(error)),
        }
    }

    /// What the issuer's side of it is; the library has put its own words around that.
    fn sign_in_error(&self) -> Option<&SignInError> {
        let TokenFailure::Refused(error) = &self.cause else { return None };
        behind(error)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no token for {}", self.scope)?;
        match &self.cause {
            TokenFailure::TimedOut => {
                write!(f, ": the identity service did not answer within {} s", TOKEN_TIMEOUT.as_secs())
            }
            TokenFailure::Refused(error) => match self.advice() {
                "" => Ok(()),
                // An error of the network says itself what to do.
                _ if behind::<ExchangeError>(error).is_some() => Ok(()),
                advice => write!(f, " ({advice})"),
            },
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (self.sign_in_error(), &self.cause) {
            (Some(error), _) => Some(error),
            (None, TokenFailure::Refused(error)) => Some(error),
            (None, TokenFailure::TimedOut) => None,
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
    Settings { identity: Identity, authority: Endpoint, http: Http, clock: Clock },
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
    pub fn new(identity: Identity, authority: Endpoint, http: Http, clock: Clock) -> Self {
        Self { source: Source::Settings { identity, authority, http, clock }, current: Mutex::default() }
    }

    /// A credential that somebody else has made.
    pub fn given(credential: Arc<dyn TokenCredential>) -> Self {
        Self { source: Source::Given(credential), current: Mutex::default() }
    }

    /// A credential for another identity by the same way.
    pub fn with_identity(&self, identity: Identity) -> Self {
        match &self.source {
            Source::Settings { authority, http, clock, .. } => {
                Self::new(identity, authority.clone(), http.clone(), *clock)
            }
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
            Source::Settings { identity, authority, http, clock } => {
                let issuer = match identity {
                    Identity::ManagedIdentity { .. } => Issuer::ManagedIdentity,
                    _ => Issuer::Entra,
                };
                (identity, client_options(authority, Transport::new(issuer, http, *clock)))
            }
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

fn client_options(authority: &Endpoint, transport: Transport) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    authority.as_str().clone_into(&mut cloud.authority_host);
    let transport: Arc<dyn HttpClient> = Arc::new(transport);
    ClientOptions {
        transport: Some(LibraryTransport::new(transport)),
        cloud: Some(Arc::new(cloud.into())),
        retry: RetryOptions::none(),
        ..Default::default()
    }
}
