//! `mdatp-forward check`: everything a run needs, looked at one after another. What fails is told with its
//! mend, and what does not depend on it is still looked at. This file asks; its parts know what an answer means,
//! and are pure but for a look at a file (`credentials`) and at the network (`skew`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    call_failure,
    credentials::{self, CredentialEnvironment},
    defender::{self, ALERTS, MACHINES},
    finding::Finding,
    fix::Principal,
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
    http::{
        Http,
        call::{Caller, Effort},
        claims::Claims,
        credential::Credential,
        deadline::{Deadline, StopFlag},
    },
    record::{alert::Mode, window::Window},
    sink::Sink,
    source::{defender::Defender, pagination::Query},
    state::StateStore,
};

/// How long one service may take to answer, repeats included.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far back an alert is looked for.
const DAYS: i64 = 30;

/// Why something was not checked.
const BAD_SETTINGS: &str = "its settings need mending";
const NO_TOKEN: &str = "no token";

/// Checks everything, and hands each finding to `tell` as soon as it is there. With `send`, one test record
/// is posted to the sink; nothing else is left behind.
pub async fn check(settings: &Settings, clock: Clock, send: bool, tell: &mut dyn FnMut(Finding)) {
    settings::judge(Config::parse(settings)).into_iter().for_each(&mut *tell);
    let parts = PartialConfig::read(settings);
    match (&parts.source, &parts.identity) {
        (Some(source), Some(own)) => {
            let around = CredentialEnvironment::of(&[source.or(own).0, own], settings);
            let findings = credentials::judge_both(source, own, needs_own_identity(&parts), &around);
            findings.into_iter().for_each(&mut *tell);
        }
        _ => tell(Finding::not_checked(credentials::CHECK, BAD_SETTINGS)),
    }
    let app = settings.get("WEBSITE_SITE_NAME");
    let is_azure = app.is_some();
    match Http::new() {
        Ok(http) => ServiceChecks::new(&parts, clock, http, app.as_deref(), tell).check(send).await,
        Err(error) => {
            tell(Finding::failure(
                "client",
                chain(&error),
                "install CA certificates, or check SSL_CERT_FILE",
            ));
        }
    }
    tell(match &parts.sink {
        Some(sink) => support::judge(sink),
        None => Finding::not_checked(support::CHECK, BAD_SETTINGS),
    });
    // One of them is there in every kind of host.
    let is_set = |name| settings.get(name).is_some();
    let is_host = is_azure || is_set("FUNCTIONS_WORKER_RUNTIME") || is_set("FUNCTIONS_EXTENSION_VERSION");
    tell(proxy::judge(|name| settings.get(name), is_host));
    tell(match settings.read("MDATP_SCHEDULE") {
        Ok(text) => schedule::judge(text.as_deref(), is_host),
        Err(_) => Finding::not_checked(schedule::CHECK, BAD_SETTINGS),
    });
}

/// True unless it is certain that neither sink nor state asks for a token of the app's own identity.
fn needs_own_identity(parts: &PartialConfig) -> bool {
    let by_sink = !matches!(parts.sink, Some(SinkConfig::DataCollector { .. }));
    by_sink || parts.state.as_ref().is_none_or(is_opened_by_own_identity)
}

fn is_opened_by_own_identity(state: &StateConfig) -> bool {
    matches!(state, StateConfig::Blob { account, .. } if matches!(account.access, BlobAccess::Identity(None)))
}

/// What is asked, and whom the findings are told.
struct ServiceChecks<'a> {
    parts: &'a PartialConfig,
    clock: Clock,
    http: Http,
    watch: Arc<SkewProbe>,
    /// The app's own identity.
    app: TokenSource,
    /// Defender's, where that is another.
    source: Option<TokenSource>,
    is_azure: bool,
    tell: &'a mut dyn FnMut(Finding),
}

/// A credential, and whose it is.
struct TokenSource {
    /// False for a stand-in.
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
        tell: &'a mut dyn FnMut(Finding),
    ) -> Self {
        let is_azure = app.is_some();
        // A stand-in for what the settings do not tell; nobody asks it for a token.
        let usual = || Endpoint::parse(Cloud::ALL[0].authority).expect("the table has URLs");
        let authority = parts.authority.clone().unwrap_or_else(usual);
        let principal = |identity: Option<(&Identity, Owner)>| {
            let stand_in = Identity::AzureCli { tenant: None };
            let (known, owner) = identity.unwrap_or((&stand_in, Owner::App));
            let (authority, http) = (authority.clone(), http.clone());
            TokenSource {
                is_known: identity.is_some(),
                credential: Arc::new(Credential::new(known.clone(), owner, authority, http, clock)),
                principal: Principal::of(known, owner, app.map(str::to_owned)),
            }
        };
        let app = principal(parts.identity.as_ref().map(|own| (own, Owner::App)));
        let source = match &parts.source {
            Some(SourceIdentity::Own) => None,
            Some(SourceIdentity::Separate(identity)) => Some(principal(Some((identity, Owner::Source)))),
            None => Some(principal(None)),
        };
        Self { parts, clock, watch: SkewProbe::over(http.clone(), clock), http, app, source, is_azure, tell }
    }

    async fn check(&mut self, send: bool) {
        self.defender().await;
        self.sink(send).await;
        self.state().await;
        (self.tell)(skew::judge(self.watch.ahead()));
    }

    /// Principal asks Defender.
    fn source(&self) -> &TokenSource {
        self.source.as_ref().unwrap_or(&self.app)
    }

    fn not_checked(&mut self, checks: &[&'static str], why: &str) {
        for check in checks {
            (self.tell)(Finding::not_checked(check, why));
        }
    }

    /// Makes calls within [`PATIENCE`], under the eye of the watch.
    fn caller(&self) -> Caller {
        let deadline = Deadline::after(PATIENCE, StopFlag::default());
        Caller::new(Http::InProcess(self.watch.clone()), self.clock, deadline, 1.0)
    }

    /// True when there is a token, whatever it is worth: what it opens, its API knows best.
    async fn token(&mut self, api: TokenCheck, scope: &str) -> bool {
        let principal = match api {
            TokenCheck::Defender => self.source.as_mut().unwrap_or(&mut self.app),
            TokenCheck::LogsIngestion => &mut self.app,
        };
        if !principal.is_known || self.parts.authority.is_none() {
            self.not_checked(&[api.check()], BAD_SETTINGS);
            return false;
        }
        let TokenSource { credential, principal, .. } = principal;
        let token = credential.token(scope).await;
        let finding = match &token {
            Ok(token) => {
                let claims = Claims::of(token.secret.secret());
                if let Some(claims) = &claims {
                    principal.learn(claims);
                }
                token::judge(api, scope, claims.as_ref(), principal, self.clock.now())
            }
            Err(error) => call_failure::of_token(api.check(), error, &principal.get_token()),
        };
        (self.tell)(finding);
        token.is_ok()
    }

    /// One alert, and one machine.
    async fn defender(&mut self) {
        let PartialConfig { api_url: Some(url), api_scope: scope, .. } = self.parts else {
            return self.not_checked(&[TokenCheck::Defender.check(), ALERTS, MACHINES], BAD_SETTINGS);
        };
        if !self.token(TokenCheck::Defender, scope).await {
            return self.not_checked(&[ALERTS, MACHINES], NO_TOKEN);
        }
        let api = Defender::at(url.clone(), scope.clone(), self.source().credential.clone());
        let to = self.clock.now();
        let window = Window { from: to - azure_core::time::Duration::days(DAYS), to };
        let page = api.list(Query { window, skip: 0, top: 1 }, Effort::Full, &self.caller()).await;
        let alert = page.map(|page| page.elements.into_iter().next());
        let finding = defender::judge_alert(&alert, DAYS, &self.source().principal);
        (self.tell)(finding);

        let alert = alert.ok().flatten().and_then(Result::ok);
        let asked = alert.and_then(|alert| alert.machine_id);
        let machine = match &asked {
            Some(id) => api.machine(id, &self.caller()).await.map(|found| found.and(Some(id.clone()))),
            None => api.any_machine(&self.caller()).await,
        };
        let finding = defender::judge_machine(asked.as_deref(), &machine, &self.source().principal);
        (self.tell)(finding);
    }

    /// A post that writes nothing, or with `send` one record.
    async fn sink(&mut self, send: bool) {
        let Some(config) = &self.parts.sink else {
            return self.not_checked(&[sink::CHECK], BAD_SETTINGS);
        };
        if let SinkConfig::LogsIngestion { scope, .. } = config
            && !self.token(TokenCheck::LogsIngestion, scope).await
        {
            return self.not_checked(&[sink::CHECK], NO_TOKEN);
        }
        let now = self.clock.now();
        let test_record = self.parts.shape.filter(|_| send).map(|shape| TestRecord::at(now, config, shape));
        let body = test_record
            .as_ref()
            .map_or(Bytes::from_static(sink::NOTHING), |test_record| test_record.body.clone());
        // Whatever the mode, the test record was created and changed in the same moment.
        let posted = Sink::new(config, Mode::Created, &self.app.credential).send(body, &self.caller()).await;
        (self.tell)(sink::judge(config, &self.app.principal, test_record.as_ref(), &posted));
    }

    /// A document of our own, and the checkpoint as it is.
    async fn state(&mut self) {
        let checks = [state::CHECK, state::CHECKPOINT];
        let Some(config) = &self.parts.state else {
            return self.not_checked(&checks, BAD_SETTINGS);
        };
        if is_opened_by_own_identity(config) && !self.app.is_known {
            return self.not_checked(&checks, NO_TOKEN);
        }
        let now = self.clock.now();
        let (place, probed, store) = match StateStore::open(config, &self.http, &self.app.credential) {
            Ok(store) => (store.place().to_owned(), store.probe(now).await, Some(store)),
            Err(error) => (String::new(), Err(error), None),
        };
        (self.tell)(state::judge_store(config, &place, &self.app.principal, self.is_azure, &probed));
        let (Some(store), Ok(())) = (store, probed) else {
            return self.not_checked(&[state::CHECKPOINT], "the store does not work");
        };
        let loaded = store.load().await;
        (self.tell)(state::judge_checkpoint(config, &self.app.principal, now, &loaded));
    }
}
