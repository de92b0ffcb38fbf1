//! Tokens of Entra ID, for Defender, the Logs Ingestion API and Blob Storage alike.

mod assertion;
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
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use crate::{
    clock::Clock,
    config::{Config, Identity, Owner, endpoint::Endpoint},
    error_chain::{behind, chain},
    http::{
        ExchangeError, Http,
        advice::{Proof, SignIn, sign_in_advice, trust_advice},
    },
};
use assertion::ManagedIdentityToken;
use issuer::{Issuer, SignInError, Transport};

/// How long a token may take to come, retries included.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no token.
#[derive(Debug)]
pub struct TokenError {
    // Boxed, since many results have room for it.
    asked: Box<Asked>,
    cause: TokenFailure,
}

/// What was asked for, and by whom.
#[derive(Debug)]
struct Asked {
    scope: String,
    sign_in: SignIn,
}

#[derive(Debug)]
enum TokenFailure {
    Refused(azure_core::Error),
    TimedOut,
}

impl TokenError {
    /// What to mend; empty where that is not certain.
    pub fn advice(&self) -> String {
        let TokenFailure::Refused(error) = &self.cause else { return String::new() };
        if let Some(ExchangeError::Untrusted(problem)) = behind(error) {
            return trust_advice(problem).to_owned();
        }
        match self.sign_in_error() {
            Some(error) => {
                sign_in_advice(error.refusal().unwrap_or_default(), &error.concerns(self.asked.sign_in))
            }
            None => sign_in_advice(&chain(error), &self.asked.sign_in),
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
        write!(f, "no token for {}", self.asked.scope)?;
        match &self.cause {
            TokenFailure::TimedOut => {
                write!(f, ": the identity service did not answer within {} s", TOKEN_TIMEOUT.as_secs())
            }
            TokenFailure::Refused(error) => match self.advice().as_str() {
                "" => Ok(()),
                _ if f.alternate() => Ok(()),
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

/// The credentials of the program.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The app's own, for sink and state.
    pub app: Arc<Credential>,
    /// For Defender; the same where no source identity is set.
    pub source: Arc<Credential>,
}

impl Credentials {
    /// What `config` names; nothing is asked of anybody yet.
    pub fn new(config: &Config, http: &Http, clock: Clock) -> Self {
        let credential = |identity: &Identity, owner| {
            let authority = config.authority.clone();
            Arc::new(Credential::new(identity.clone(), owner, authority, http.clone(), clock))
        };
        let app = credential(&config.identity, Owner::App);
        let source = match config.source.or(&config.identity) {
            (_, Owner::App) => app.clone(),
            (identity, owner) => credential(identity, owner),
        };
        Self { app, source }
    }

    /// One credential for everything.
    pub fn same(credential: Credential) -> Self {
        let app = Arc::new(credential);
        Self { source: app.clone(), app }
    }
}

/// One identity. The library keeps each token until shortly before it expires.
#[derive(Debug)]
pub struct Credential {
    source: Source,
    current: Mutex<Current>,
}

#[derive(Debug)]
enum Source {
    /// Made of the settings, and made anew when a token is refused.
    Settings { identity: Identity, owner: Owner, authority: Endpoint, http: Http, clock: Clock },
    /// Given from outside; it has nothing to forget.
    Given(Arc<dyn TokenCredential>),
}

#[derive(Debug, Default)]
struct Current {
    generation: u64,
    credential: Option<Arc<dyn TokenCredential>>,
}

impl Credential {
    /// A credential for `identity` of `owner`; nothing is asked of anybody until the first token is needed.
    pub fn new(identity: Identity, owner: Owner, authority: Endpoint, http: Http, clock: Clock) -> Self {
        Self {
            source: Source::Settings { identity, owner, authority, http, clock },
            current: Mutex::default(),
        }
    }

    /// A credential that somebody else has made.
    pub fn given(credential: Arc<dyn TokenCredential>) -> Self {
        Self { source: Source::Given(credential), current: Mutex::default() }
    }

    /// A credential for the identity that the host's storage has for itself, by the same way.
    pub fn for_storage(&self, identity: Identity) -> Self {
        match &self.source {
            Source::Settings { authority, http, clock, .. } => {
                Self::new(identity, Owner::Storage, authority.clone(), http.clone(), *clock)
            }
            Source::Given(credential) => Self::given(credential.clone()),
        }
    }

    /// A token for `scope`.
    pub async fn token(&self, scope: &str) -> Result<Token, TokenError> {
        let asked = || Box::new(Asked { scope: scope.to_owned(), sign_in: self.sign_in() });
        let fail = |cause| TokenError { asked: asked(), cause };
        let (credential, generation) = self.current().map_err(|error| fail(TokenFailure::Refused(error)))?;
        match tokio::time::timeout(TOKEN_TIMEOUT, credential.get_token(&[scope], None)).await {
            Ok(Ok(token)) => Ok(Token { secret: token.token, generation }),
            Ok(Err(error)) => {
                // It may be the assertion that is refused, and a credential that has one keeps it.
                if self.sign_in().proof != Proof::Other {
                    self.forget(generation);
                }
                Err(fail(TokenFailure::Refused(error)))
            }
            Err(_) => Err(fail(TokenFailure::TimedOut)),
        }
    }

    /// Forgets the tokens made together with `refused`, so that the next one is new.
    pub fn renew(&self, refused: &Token) {
        self.forget(refused.generation);
    }

    /// Forgets all tokens of a generation, assertions too. The library has no way to drop one, so the credential is
    /// made anew; calls that failed side by side do it once.
    fn forget(&self, generation: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation == generation {
            current.generation += 1;
            current.credential = None;
        }
    }

    /// What advice has to know of the identity.
    fn sign_in(&self) -> SignIn {
        match &self.source {
            Source::Settings { identity, owner, .. } => SignIn {
                settings: owner.settings(),
                proof: match identity {
                    Identity::TrustsManagedIdentity { audience, .. } => Proof::ManagedIdentity(audience),
                    Identity::WorkloadIdentity { .. } => Proof::File,
                    _ => Proof::Other,
                },
            },
            Source::Given(_) => SignIn { settings: Owner::App.settings(), proof: Proof::Other },
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
        let (identity, owner, authority, http, clock) = match &self.source {
            Source::Given(credential) => return Ok(credential.clone()),
            Source::Settings { identity, owner, authority, http, clock } => {
                (identity, owner, authority, http, *clock)
            }
        };
        let client_options = |issuer| client_options(authority, Transport::new(issuer, http, clock));
        let managed_identity = |client: &Option<String>| {
            let setting = owner.settings().managed;
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: client.clone().map(UserAssignedId::ClientId),
                client_options: client_options(Issuer::ManagedIdentity { setting }),
            }))
        };
        Ok(match identity {
            Identity::ClientSecret { tenant, client, secret } => ClientSecretCredential::new(
                tenant,
                client.clone(),
                secret.clone(),
                Some(ClientSecretCredentialOptions { client_options: client_options(Issuer::Entra) }),
            )?,
            Identity::WorkloadIdentity { tenant, client, file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions {
                        client_options: client_options(Issuer::Entra),
                    },
                    client_id: Some(client.clone()),
                    tenant_id: Some(tenant.clone()),
                    token_file_path: Some(file.clone()),
                }))?
            }
            Identity::TrustsManagedIdentity { tenant, client, managed, audience } => {
                ClientAssertionCredential::new(
                    tenant.clone(),
                    client.clone(),
                    ManagedIdentityToken::new(managed_identity(managed)?, audience),
                    Some(ClientAssertionCredentialOptions { client_options: client_options(Issuer::Entra) }),
                )?
            }
            Identity::ManagedIdentity { client } => managed_identity(client)?,
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
