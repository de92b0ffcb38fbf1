//! Tokens of Entra ID, for Defender, the Logs Ingestion API and Blob Storage.

mod assertion;
mod issuer;
mod issuer_response;
mod sign_in;
mod sign_in_error;
mod token_error;
mod transport;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{AccessToken, Secret, TokenCredential},
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
    http::Http,
};
pub use assertion::Assertions;
use assertion::ManagedIdentityToken;
use issuer::Issuer;
use sign_in::{Assertion, SignIn};
pub use token_error::TokenError;
use token_error::{TokenFailure, TokenRequest};
use transport::Transport;

/// How long before its end a token is no longer used: as long as the library takes for its own.
const EXPIRY_MARGIN: Duration = Duration::from_secs(300);

/// The time limit for a token, with retries.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// A token, and the generation of the credential that it came from.
#[derive(Debug)]
pub struct Token {
    /// The bearer token.
    pub secret: Secret,
    generation: u64,
}

/// The credentials of the program. They may be one.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The app's own identity, for sink and state.
    pub app: Arc<Credential>,
    /// The source identity, for Defender; the app's own where no other is set.
    pub source: Arc<Credential>,
}

impl Credentials {
    /// Makes the credentials that `config` names. No token is requested yet.
    pub fn new(config: &Config, http: &Http, clock: Clock) -> Self {
        let app = Credential::new(
            config.identity.clone(),
            Owner::App,
            config.authority.clone(),
            http.clone(),
            clock,
        );
        Self::with_app(Arc::new(app), &Arc::default(), config, http, clock)
    }

    /// Does the same with a given credential of the app's own identity, and with shared `assertions`.
    pub fn with_app(
        app: Arc<Credential>,
        assertions: &Arc<Assertions>,
        config: &Config,
        http: &Http,
        clock: Clock,
    ) -> Self {
        let source = match config.source.or(&config.identity) {
            (_, Owner::App) => app.clone(),
            (identity, owner) => {
                let authority = config.authority.clone();
                let source = Credential::new(identity.clone(), owner, authority, http.clone(), clock);
                Arc::new(source.sharing(assertions.clone()))
            }
        };
        Self { app, source }
    }

    /// Uses one credential for everything.
    pub fn same(credential: Credential) -> Self {
        let app = Arc::new(credential);
        Self { source: app.clone(), app }
    }
}

/// Gets the tokens of one identity, and keeps each until shortly before it expires. The library would keep them too, but
/// its credentials take some 25 kB each, which is much for thousands of tenants; so one lives only while it is asked.
#[derive(Debug)]
pub struct Credential {
    source: Source,
    current: Mutex<Current>,
}

#[derive(Debug)]
enum Source {
    /// Built from settings, and built again when a token is rejected.
    Settings {
        identity: Identity,
        owner: Owner,
        authority: Endpoint,
        http: Http,
        clock: Clock,
        assertions: Arc<Assertions>,
    },
    /// Given by the caller, who renews its tokens.
    Given(Arc<dyn TokenCredential>),
}

#[derive(Debug, Default)]
struct Current {
    generation: u64,
    /// The library's credential, while it is asked for a token.
    credential: Option<Arc<dyn TokenCredential>>,
    /// The managed identity whose token is its assertion.
    assertion: Option<Arc<dyn TokenCredential>>,
    /// By scope.
    tokens: HashMap<String, AccessToken>,
}

impl Credential {
    /// Makes a credential for `identity` of `owner`. No token is requested yet.
    pub fn new(identity: Identity, owner: Owner, authority: Endpoint, http: Http, clock: Clock) -> Self {
        let assertions = Arc::default();
        Self {
            source: Source::Settings { identity, owner, authority, http, clock, assertions },
            current: Mutex::default(),
        }
    }

    /// Takes assertions from `shared`, as other credentials do.
    pub fn sharing(mut self, shared: Arc<Assertions>) -> Self {
        if let Source::Settings { assertions, .. } = &mut self.source {
            *assertions = shared;
        }
        self
    }

    /// Wraps a credential that the caller has made.
    pub fn given(credential: Arc<dyn TokenCredential>) -> Self {
        Self { source: Source::Given(credential), current: Mutex::default() }
    }

    /// Makes a credential for the identity that the settings of the host's storage name, with the same client.
    pub fn for_storage(&self, identity: Identity) -> Self {
        match &self.source {
            Source::Settings { authority, http, clock, .. } => {
                Self::new(identity, Owner::Storage, authority.clone(), http.clone(), *clock)
            }
            Source::Given(credential) => Self::given(credential.clone()),
        }
    }

    /// Returns a token for `scope`.
    pub async fn token(&self, scope: &str) -> Result<Token, TokenError> {
        let fail = |cause| {
            let request = TokenRequest { scope: scope.to_owned(), sign_in: self.sign_in() };
            TokenError::new(request, cause)
        };
        if let Some(token) = self.kept(scope) {
            return Ok(token);
        }
        let (credential, generation) = self.current().map_err(|error| fail(TokenFailure::Failed(error)))?;
        let asked = tokio::time::timeout(TOKEN_TIMEOUT, credential.get_token(&[scope], None)).await;
        match asked {
            Ok(Ok(token)) => {
                self.keep(scope, &token, generation);
                Ok(Token { secret: token.token, generation })
            }
            Ok(Err(error)) => {
                // The assertion may be what is rejected, and the library's credential keeps it.
                if self.sign_in().assertion != Assertion::None {
                    self.forget(generation);
                }
                Err(fail(TokenFailure::Failed(error)))
            }
            Err(_) => Err(fail(TokenFailure::TimedOut)),
        }
    }

    /// Forgets the tokens of the same generation as `rejected`, so that the next one is new.
    pub fn renew(&self, rejected: &Token) {
        self.forget(rejected.generation);
    }

    /// Forgets all tokens of a generation, and its assertions. The library cannot drop one, so the credential is built
    /// again; calls that fail at the same time do that once.
    fn forget(&self, generation: u64) {
        let mut current = self.lock();
        if current.generation != generation {
            return;
        }
        let forgotten =
            std::mem::replace(&mut *current, Current { generation: generation + 1, ..Current::default() });
        if let (Source::Settings { assertions, .. }, Some(assertion)) = (&self.source, forgotten.assertion) {
            assertions.forget(&assertion);
        }
    }

    /// Returns the token for `scope` that is kept and still good.
    fn kept(&self, scope: &str) -> Option<Token> {
        let Source::Settings { clock, .. } = &self.source else { return None };
        let current = self.lock();
        let token = current.tokens.get(scope)?;
        let is_good = token.expires_on > clock.now() + EXPIRY_MARGIN;
        is_good.then(|| Token { secret: token.token.clone(), generation: current.generation })
    }

    /// Keeps a token, unless those of its generation are forgotten by now.
    fn keep(&self, scope: &str, token: &AccessToken, generation: u64) {
        let mut current = self.lock();
        if current.generation == generation && matches!(self.source, Source::Settings { .. }) {
            current.tokens.insert(scope.to_owned(), token.clone());
            current.credential = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how the identity signs in, for the fix of an error.
    fn sign_in(&self) -> SignIn {
        match &self.source {
            Source::Settings { identity, owner, .. } => SignIn {
                owner: *owner,
                assertion: match identity {
                    Identity::TrustsManagedIdentity { audience, .. } => Assertion::ManagedIdentity(audience),
                    Identity::WorkloadIdentity { .. } => Assertion::File,
                    _ => Assertion::None,
                },
            },
            Source::Given(_) => SignIn { owner: Owner::App, assertion: Assertion::None },
        }
    }

    fn current(&self) -> azure_core::Result<(Arc<dyn TokenCredential>, u64)> {
        let mut current = self.lock();
        let credential = match &current.credential {
            Some(credential) => credential.clone(),
            None => {
                let credential = self.build(&mut current.assertion)?;
                current.credential.insert(credential).clone()
            }
        };
        Ok((credential, current.generation))
    }

    /// Builds the library's credential, with the one of the managed identity in `assertion` if it needs that.
    fn build(
        &self,
        assertion: &mut Option<Arc<dyn TokenCredential>>,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let (identity, owner, authority, http, clock, assertions) = match &self.source {
            Source::Given(credential) => return Ok(credential.clone()),
            Source::Settings { identity, owner, authority, http, clock, assertions } => {
                (identity, owner, authority, http, *clock, assertions)
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
                let managed = assertions.of(managed.as_deref(), || Ok(managed_identity(managed)?))?;
                ClientAssertionCredential::new(
                    tenant.clone(),
                    client.clone(),
                    ManagedIdentityToken::new(assertion.insert(managed).clone(), audience),
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
