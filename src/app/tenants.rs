//! The program's side of many tenants: what the timer's function asks the queue for, and the run of one tenant that a
//! message asks for. One run per tenant at a time, and those of different tenants side by side.
//!
//! The tenants of a process share its connections, the tokens of the app's own identity, and the managed identity's
//! assertion. What each has of its own outlives a run too, as long as there is room for it.

mod cache;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::time::OffsetDateTime;
use tokio::{
    sync::{Mutex, OnceCell, Semaphore},
    time::Instant,
};
use tracing::warn;

use super::{App, Outcome};
use crate::{
    clock::Clock,
    config::{Owner, SharedConfig, settings::Settings},
    http::{
        Http,
        credential::{Assertions, Credential, Credentials},
        deadline::Deadline,
    },
    pipeline::{Plan, Purpose, RunError, run},
    report::{RunReport, Skip},
    services::{BuildError, Services},
    state::{StateStore, history::HistoryEntry},
    tenants::{TenantEntry, TenantId, TenantMessage},
};
use cache::Cache;

/// The age up to which the list is not read again for a tenant that is on it.
const LIST_AGE: Duration = Duration::from_secs(60);

/// The most tenants of which tokens, machines and what the process has learnt are kept between their runs, at some 9 kB
/// each (measured). Each tick runs them in the same order, so beyond this number each run begins anew, with new tokens.
const MAX_TENANTS: usize = 10_000;

/// The most memory of cached machines of all tenants, in bytes.
const MAX_MACHINE_BYTES: usize = 64_000_000;

/// The number of runs that may hold alerts in memory at once. The Functions host hands a process up to 128 messages at
/// once (`host.json`); most runs find nothing, and need no more than the page that says so.
const RUNS_WITH_NEWS: usize = 16;

/// The tenants of a process.
#[derive(Debug)]
pub(super) struct Tenants {
    settings: Settings,
    clock: Clock,
    shared: OnceCell<Shared>,
}

/// What all tenants share, built for the first message.
#[derive(Debug)]
struct Shared {
    http: Http,
    app: Arc<Credential>,
    assertions: Arc<Assertions>,
    store: StateStore,
    room: Arc<Semaphore>,
    list: Mutex<Option<KnownList>>,
    cache: SyncMutex<Cache<Tenant>>,
}

/// The list as it was read last.
#[derive(Debug)]
struct KnownList {
    read_at: Instant,
    entries: HashMap<TenantId, Arc<TenantEntry>>,
}

/// What the runs of a tenant work with.
#[derive(Debug)]
struct Tenant {
    entry: Arc<TenantEntry>,
    services: Services,
    plan: Plan,
    run_budget: Duration,
    running: Mutex<()>,
}

impl App {
    /// Returns the messages that ask for a run of each enabled tenant.
    ///
    /// # Errors
    ///
    /// The list cannot be read or used. Then no tenant gets a message: one that is left out would not be noticed.
    pub async fn enqueue(&self) -> Result<Vec<String>, RunError> {
        let shared = self.tenants.shared().await?;
        let tick = self.clock.now();
        let Some((list, _)) = shared.store.load_tenants().await? else {
            let place = shared.store.tenants_place();
            warn!("there is no list of tenants yet ({place}). Fix: mdatp-forward tenants add");
            return Ok(Vec::new());
        };
        let enabled = list.entries().iter().filter(|entry| entry.enabled);
        Ok(enabled.map(|entry| TenantMessage { tenant: entry.id.clone(), tick }.to_string()).collect())
    }

    /// Runs once for a tenant, as the timer asked for at `tick`, unless that is not due.
    pub async fn run_tenant(&self, id: &TenantId, tick: OffsetDateTime) -> Outcome {
        let _in_progress = self.requests.read().await;
        let (mut report, result) = self.catching_panics(self.run_of_tenant(id, tick)).await;
        report.tenant = Some(id.to_string());
        (report, result)
    }

    async fn run_of_tenant(&self, id: &TenantId, tick: OffsetDateTime) -> Result<Outcome, RunError> {
        let shared = self.tenants.shared().await?;
        let entry = match shared.entry(id).await? {
            None => return Ok(skipped(Skip::UnknownTenant)),
            Some(entry) if !entry.enabled => return Ok(skipped(Skip::DisabledTenant)),
            Some(entry) => entry,
        };
        let tenant = self.tenants.tenant(shared, entry)?;
        let Ok(_running) = tenant.running.try_lock() else {
            let outcome = skipped(Skip::AlreadyRunning);
            tenant.services.unsaved_runs().add(HistoryEntry::of(self.clock.now(), &outcome.0));
            return Ok(outcome);
        };
        let plan = Plan { tick: Some(tick), ..tenant.plan.clone() };
        let deadline = Deadline::after(tenant.run_budget, self.shutdown.clone());
        let outcome = run(&tenant.services, &plan, deadline, Purpose::Send(&|_, _| {})).await;
        shared.limit_machines(id, tenant.services.machines.lock().await.bytes());
        Ok(outcome)
    }
}

fn skipped(reason: Skip) -> Outcome {
    (RunReport { skipped: Some(reason), ..RunReport::default() }, Ok(()))
}

impl Tenants {
    /// The tenants on the list of the store in `settings`. Nothing is read before the first message.
    pub(super) fn new(settings: Settings, clock: Clock) -> Self {
        Self { settings, clock, shared: OnceCell::new() }
    }

    async fn shared(&self) -> Result<&Shared, RunError> {
        self.shared.get_or_try_init(|| async { Shared::build(&self.settings, self.clock) }).await
    }

    /// Returns what the runs of a tenant work with, built anew if its entry has changed.
    fn tenant(&self, shared: &Shared, entry: Arc<TenantEntry>) -> Result<Arc<Tenant>, RunError> {
        let known = shared.cache().get(&entry.id);
        if let Some(known) = known.filter(|known| known.entry == entry) {
            return Ok(known);
        }
        let config = entry.config(&self.settings).map_err(RunError::Settings)?;
        let Shared { http, app, assertions, .. } = shared;
        let credentials = Credentials::with_app(app.clone(), assertions, &config, http, self.clock);
        let store = shared.store.of_tenant(&entry.id);
        let mut services = Services::with(&config, self.clock, http.clone(), &credentials, store.clone());
        services.room = Some(shared.room.clone());
        let plan = Plan { tenant: Some(entry.id.clone()), ..Plan::timer(&config, store) };
        let (run_budget, running) = (config.run_budget, Mutex::new(()));
        let tenant = Arc::new(Tenant { entry, services, plan, run_budget, running });
        shared.cache().insert(tenant.entry.id.clone(), tenant.clone());
        Ok(tenant)
    }
}

impl Shared {
    fn build(settings: &Settings, clock: Clock) -> Result<Self, RunError> {
        let SharedConfig { identity, authority, state } =
            SharedConfig::parse(settings).map_err(RunError::Settings)?;
        let http = Http::new().map_err(BuildError::Client)?;
        let app = Arc::new(Credential::new(identity, Owner::App, authority, http.clone(), clock));
        Ok(Self {
            store: StateStore::open(&state, &http, &app)?,
            http,
            app,
            assertions: Arc::default(),
            room: Arc::new(Semaphore::new(RUNS_WITH_NEWS)),
            list: Mutex::default(),
            cache: SyncMutex::new(Cache::new(MAX_TENANTS, MAX_MACHINE_BYTES)),
        })
    }

    fn cache(&self) -> MutexGuard<'_, Cache<Tenant>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the entry of a tenant. The list is read again when it is old or does not have the tenant.
    async fn entry(&self, id: &TenantId) -> Result<Option<Arc<TenantEntry>>, RunError> {
        let mut known = self.list.lock().await;
        let fresh = known.as_ref().filter(|known| known.read_at.elapsed() < LIST_AGE);
        if let Some(entry) = fresh.and_then(|known| known.entries.get(id)) {
            return Ok(Some(entry.clone()));
        }
        let read_at = Instant::now();
        let loaded = self.store.load_tenants().await?;
        let entries = loaded.iter().flat_map(|(list, _)| list.entries());
        let entries: HashMap<_, _> =
            entries.map(|entry| (entry.id.clone(), Arc::new(entry.clone()))).collect();
        let entry = entries.get(id).cloned();
        *known = Some(KnownList { read_at, entries });
        Ok(entry)
    }

    /// Notes the memory of a tenant's machines, and drops those of the tenants whose runs are longest ago while there are
    /// too many.
    fn limit_machines(&self, id: &TenantId, bytes: usize) {
        for tenant in self.cache().weigh(id, bytes) {
            if let Ok(mut machines) = tenant.services.machines.try_lock() {
                machines.clear();
            }
        }
    }
}
