//! All checks, one after another. A check that fails does not stop those that do not depend on it. This file makes the calls;
//! the files beside it turn the responses into findings, and are pure except `credentials`, which reads a file, and `skew`,
//! which sees all responses.

mod alerts;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    call_failure,
    credentials::{self, CredentialEnvironment},
    finding::Finding,
    principal::Principal,
    proxy, schedule, settings,
    sink::{self, TestRecord},
    skew::{self, SkewProbe},
    state, support,
    token::{self, TokenCheck},
};
use crate::{
    clock::Clock,
    config::{
        Config, Identity, Owner, SinkConfig, SourceIdentity, StateConfig, cloud::Cloud, endpoint::Endpoint,
        partial::PartialConfig, settings::Settings, storage::BlobAccess,
    },
    error_chain::chain,
    http::{Http, call::Caller, claims::Claims, credential::Credential, deadline::Deadline},
    record::alert::Mode,
    shutdown::Shutdown,
    sink::Sink,
    state::StateStore,
    tenants::TenantId,
};

/// The time that one service has to answer, retries included.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a check was left out.
const INVALID_SETTINGS: &str = "invalid settings";
const NO_TOKEN: &str = "no token";

/// Checks everything, and reports each finding as soon as it is made. With `send`, one test record is sent to the sink. No
/// other trace is left. The settings are those of `tenant`, if it is one of many.
pub async fn check(
    settings: &Settings,
    clock: Clock,
    send: bool,
    tenant: Option<&TenantId>,
    report: &mut dyn FnMut(Finding),
) {
    settings::findings(Config::parse(settings)).into_iter().for_each(&mut *report);
    let parts = PartialConfig::read(settings);
    match (&parts.source, &parts.identity) {
        (Some(source), Some(own)) => {
            let environment = CredentialEnvironment::new(&[source.or(own).0, own], settings);
            let findings = credentials::findings(source, own, needs_own_identity(&parts), &environment);
            findings.into_iter().for_each(&mut *report);
        }
        _ => report(Finding::not_checked(credentials::CHECK, INVALID_SETTINGS)),
    }
    let app = settings.get("WEBSITE_SITE_NAME");
    let is_azure = app.is_some();
    match Http::new() {
        Ok(http) => ServiceChecks::new(&parts, clock, http, app.as_deref(), report).run(send, tenant).await,
        Err(error) => report(no_client(&error)),
    }
    report(match &parts.sink {
        Some(sink) => support::finding(sink),
        None => Finding::not_checked(support::CHECK, INVALID_SETTINGS),
    });
    // Every kind of host sets one of them.
    let is_set = |name| settings.get(name).is_some();
    let is_host = is_azure || is_set("FUNCTIONS_WORKER_RUNTIME") || is_set("FUNCTIONS_EXTENSION_VERSION");
    report(proxy::finding(|name| settings.get(name), is_host));
    report(match settings.read("MDATP_SCHEDULE") {
        Ok(text) => schedule::finding(text.as_deref(), is_host),
        Err(_) => Finding::not_checked(schedule::CHECK, INVALID_SETTINGS),
    });
}

/// Compares the alerts of both sources, of the last `span`, and reports each difference.
pub async fn compare_sources(
    settings: &Settings,
    clock: Clock,
    span: Duration,
    report: &mut dyn FnMut(Finding),
) {
    let parts = PartialConfig::read(settings);
    let app = settings.get("WEBSITE_SITE_NAME");
    match Http::new() {
        Ok(http) => ServiceChecks::new(&parts, clock, http, app.as_deref(), report).compare(span).await,
        Err(error) => report(no_client(&error)),
    }
}

fn no_client(error: &reqwest::Error) -> Finding {
    Finding::failure("client", chain(error), "install CA certificates, or check SSL_CERT_FILE")
}

/// Returns false if it is certain that neither sink nor state need a token of the app's own identity.
fn needs_own_identity(parts: &PartialConfig) -> bool {
    let by_sink = !matches!(parts.sink, Some(SinkConfig::DataCollector { .. }))
        && parts.sink_identity != Some(Owner::Source);
    by_sink || parts.state.as_ref().is_none_or(uses_own_identity)
}

fn uses_own_identity(state: &StateConfig) -> bool {
    matches!(state, StateConfig::Blob { account, .. } if matches!(account.access, BlobAccess::Identity(None)))
}

/// The checks of the services.
struct ServiceChecks<'a> {
    parts: &'a PartialConfig,
    clock: Clock,
    http: Http,
    skew: Arc<SkewProbe>,
    /// The app's own identity.
    app: TokenSource,
    /// The source identity; `None` if Defender is called with the app's own.
    source: Option<TokenSource>,
    is_azure: bool,
    report: &'a mut dyn FnMut(Finding),
}

/// A credential and its identity.
struct TokenSource {
    /// False for a placeholder, which is not asked for a token.
    is_known: bool,
    credential: Arc<Credential>,
    principal: Principal,
}

impl<'a> ServiceChecks<'a> {
    fn new(
        parts: &'a PartialConfig,
        clock: Clock,
        http: Http,
        app: Option<&str>,
        report: &'a mut dyn FnMut(Finding),
    ) -> Self {
        let is_azure = app.is_some();
        // Placeholders for invalid settings. No token is requested from them.
        let usual = || Endpoint::parse(Cloud::ALL[0].authority).expect("the table has URLs");
        let authority = parts.authority.clone().unwrap_or_else(usual);
        let principal = |identity: Option<(&Identity, Owner)>| {
            let placeholder = Identity::AzureCli { tenant: None };
            let (known, owner) = identity.unwrap_or((&placeholder, Owner::App));
            let (authority, http) = (authority.clone(), http.clone());
            TokenSource {
                is_known: identity.is_some(),
                credential: Arc::new(Credential::new(known.clone(), owner, authority, http, clock)),
                principal: Principal::new(known, owner, app.map(str::to_owned)),
            }
        };
        let app = principal(parts.identity.as_ref().map(|own| (own, Owner::App)));
        let source = match &parts.source {
            Some(SourceIdentity::Own) => None,
            Some(SourceIdentity::Separate(identity)) => Some(principal(Some((identity, Owner::Source)))),
            None => Some(principal(None)),
        };
        Self { parts, clock, skew: SkewProbe::new(http.clone(), clock), http, app, source, is_azure, report }
    }

    async fn run(&mut self, send: bool, tenant: Option<&TenantId>) {
        self.alerts().await;
        self.sink(send).await;
        self.state(tenant).await;
        (self.report)(skew::finding(self.skew.ahead()));
    }

    /// Returns the identity that calls Defender.
    fn source(&self) -> &TokenSource {
        self.source.as_ref().unwrap_or(&self.app)
    }

    /// Returns the identity whose token the sink gets.
    fn sink_source(&self) -> &TokenSource {
        match self.parts.sink_identity {
            Some(Owner::Source) => self.source(),
            _ => &self.app,
        }
    }

    fn not_checked(&mut self, checks: &[&'static str], why: &str) {
        for check in checks {
            (self.report)(Finding::not_checked(check, why));
        }
    }

    /// Returns a caller for one service, which has [`SERVICE_TIMEOUT`] and measures the clock skew.
    fn caller(&self) -> Caller {
        let deadline = Deadline::after(SERVICE_TIMEOUT, Shutdown::default());
        Caller::new(Http::InProcess(self.skew.clone()), self.clock, deadline, 1.0)
    }

    /// Checks the token of an API, and returns true if there is one, valid or not: the API decides what it accepts.
    async fn token(&mut self, check: TokenCheck, scope: &str) -> bool {
        let source = match check {
            TokenCheck::Defender | TokenCheck::Graph { .. } => self.source.as_mut().unwrap_or(&mut self.app),
            TokenCheck::LogsIngestion => match (&mut self.source, self.parts.sink_identity) {
                (Some(source), Some(Owner::Source)) => source,
                _ => &mut self.app,
            },
        };
        if !source.is_known || self.parts.authority.is_none() {
            self.not_checked(&[check.name()], INVALID_SETTINGS);
            return false;
        }
        let TokenSource { credential, principal, .. } = source;
        let token = credential.token(scope).await;
        let finding = match &token {
            Ok(token) => {
                let claims = Claims::of(token.secret.secret());
                if let Some(claims) = &claims {
                    principal.read_object_id(claims);
                }
                token::finding(check, scope, claims.as_ref(), principal, self.clock.now())
            }
            Err(error) => call_failure::token_finding(check.name(), error, &principal.get_token()),
        };
        (self.report)(finding);
        token.is_ok()
    }

    /// Sends a request without records, or with `send` one test record.
    async fn sink(&mut self, send: bool) {
        let Some(config) = &self.parts.sink else {
            return self.not_checked(&[sink::CHECK], INVALID_SETTINGS);
        };
        if let SinkConfig::LogsIngestion { scope, .. } = config
            && !self.token(TokenCheck::LogsIngestion, scope).await
        {
            return self.not_checked(&[sink::CHECK], NO_TOKEN);
        }
        let now = self.clock.now();
        let test_record = self.parts.shape.filter(|_| send).map(|shape| TestRecord::new(now, config, shape));
        let body = test_record
            .as_ref()
            .map_or(Bytes::from_static(sink::EMPTY), |test_record| test_record.body.clone());
        // The mode does not matter: the test record has the same time of creation and change.
        let TokenSource { credential, principal, .. } = self.sink_source();
        let posted = Sink::new(config, Mode::Created, credential).send(body, &self.caller()).await;
        let finding = sink::finding(config, principal, test_record.as_ref(), &posted);
        (self.report)(finding);
    }

    /// Writes a document of its own, and loads the checkpoint.
    async fn state(&mut self, tenant: Option<&TenantId>) {
        let checks = [state::CHECK, state::CHECKPOINT];
        let Some(config) = &self.parts.state else {
            return self.not_checked(&checks, INVALID_SETTINGS);
        };
        if uses_own_identity(config) && !self.app.is_known {
            return self.not_checked(&checks, NO_TOKEN);
        }
        let now = self.clock.now();
        let opened = StateStore::open(config, &self.http, &self.app.credential);
        let opened = opened.map(|store| tenant.map_or_else(|| store.clone(), |id| store.of_tenant(id)));
        let (place, probed, store) = match opened {
            Ok(store) => (store.place().to_owned(), store.probe(now).await, Some(store)),
            Err(error) => (String::new(), Err(error), None),
        };
        (self.report)(state::store_finding(config, &place, &self.app.principal, self.is_azure, &probed));
        let (Some(store), Ok(())) = (store, probed) else {
            return self.not_checked(&[state::CHECKPOINT], "the store does not work");
        };
        let loaded = store.load().await;
        (self.report)(state::checkpoint_finding(config, &self.app.principal, now, &loaded));
    }
}
