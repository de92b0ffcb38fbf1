//! What the Functions host's invocations and the command line both call: [`App::run_once`] and [`App::nudge`], and for many
//! tenants [`App::enqueue`] and [`App::run_tenant`]. One run at a time, each with its own deadline, and a panic is a failed
//! run.

mod nudge;
mod tenants;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex as SyncMutex},
    time::Duration,
};

use azure_core::time::OffsetDateTime;
use futures::FutureExt;
use tokio::sync::{Mutex, OnceCell, RwLock};

pub use nudge::Nudged;

use crate::{
    clock::Clock,
    config::{Config, SettingsError, settings::Settings},
    http::deadline::Deadline,
    pipeline::{Plan, Purpose, RunError, Watch, run},
    report::{RunReport, Skip},
    services::Services,
    shutdown::Shutdown,
    state::history::HistoryEntry,
    tenants::TenantId,
};
use nudge::NextRun;
use tenants::Tenants;

/// The result of a request for a run.
pub type Outcome = (RunReport, Result<(), RunError>);

/// The program.
#[derive(Debug)]
pub struct App {
    config: Result<Config, SettingsError>,
    services: OnceCell<(Services, Plan)>,
    clock: Clock,
    running: Mutex<()>,
    /// The run that nudges wait for; `None` unless one waits.
    next_run: SyncMutex<Option<NextRun>>,
    tenants: Tenants,
    /// The tenant whose alerts [`Self::run_once`] forwards; `None` unless it is one of many.
    tenant: Option<TenantId>,
    /// Read by each nudge, and for each message about a tenant, until it is answered.
    requests: RwLock<()>,
    shutdown: Shutdown,
}

impl App {
    /// Makes a program with these settings, or with the reason why they are invalid. Nothing is built before the first
    /// run, so that the process answers the host's first request at once.
    pub fn new(config: Result<Config, SettingsError>, clock: Clock) -> Self {
        Self {
            config,
            services: OnceCell::new(),
            clock,
            running: Mutex::new(()),
            next_run: SyncMutex::default(),
            tenants: Tenants::new(Settings::from_iter::<[(String, String); 0]>([]), clock),
            tenant: None,
            requests: RwLock::new(()),
            shutdown: Shutdown::default(),
        }
    }

    /// Adds the tenants on the list of the store in `settings`.
    pub fn with_tenants(self, settings: Settings) -> Self {
        Self { tenants: Tenants::new(settings, self.clock), ..self }
    }

    /// Makes [`Self::run_once`] forward the alerts of one tenant of many, whose settings were given.
    pub fn of_tenant(self, tenant: Option<TenantId>) -> Self {
        Self { tenant, ..self }
    }

    /// Runs once, unless a run is in progress.
    pub async fn run_once(&self, purpose: Purpose<'_>) -> Outcome {
        self.one_at_a_time(self.run(purpose, None)).await
    }

    /// Runs by the timer's plan, with the services that the first run has built.
    async fn run(&self, purpose: Purpose<'_>, watch: Option<Arc<Watch>>) -> Result<Outcome, RunError> {
        let config = self.config.as_ref().map_err(|error| RunError::Settings(error.clone()))?;
        let build = || async {
            let mut services = Services::build(config, self.clock)?;
            if let Some(tenant) = &self.tenant {
                services.store = services.store.of_tenant(tenant);
            }
            let plan = Plan { tenant: self.tenant.clone(), ..Plan::timer(config, services.store.clone()) };
            Ok::<_, RunError>((services, plan))
        };
        let (services, plan) = self.services.get_or_try_init(build).await?;
        let plan = Plan { watch, ..plan.clone() };
        let deadline = Deadline::after(config.run_budget, self.shutdown.clone());
        Ok(run(services, &plan, deadline, purpose).await)
    }

    async fn one_at_a_time(&self, work: impl Future<Output = Result<Outcome, RunError>>) -> Outcome {
        let Ok(_running) = self.running.try_lock() else {
            let report = RunReport { skipped: Some(Skip::AlreadyRunning), ..RunReport::default() };
            self.record(self.clock.now(), &report);
            return (report, Ok(()));
        };
        self.catching_panics(work).await
    }

    async fn catching_panics(&self, work: impl Future<Output = Result<Outcome, RunError>>) -> Outcome {
        let start = self.clock.now();
        // A run leaves nothing half changed in memory that a later one could find.
        AssertUnwindSafe(work)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                let (report, result) = failed(RunError::Panicked);
                self.record(start, &report);
                Ok((report, result))
            })
            .unwrap_or_else(failed)
    }

    /// Records a run that did not start or panicked. Any other run records itself.
    fn record(&self, start: OffsetDateTime, report: &RunReport) {
        if let Some((services, _)) = self.services.get() {
            services.unsaved_runs().add(HistoryEntry::of(start, report));
        }
    }

    /// The request to shut down, which ends the run in progress.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Waits until the run in progress has ended and all requests are answered, for at most `timeout`.
    pub async fn ended(&self, timeout: Duration) {
        let ended = async {
            drop(self.running.lock().await);
            drop(self.requests.write().await);
        };
        let _ = tokio::time::timeout(timeout, ended).await;
    }
}

fn failed(error: RunError) -> Outcome {
    let report = RunReport { error: Some(error.describe()), ..RunReport::default() };
    (report, Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingProblem;

    fn app() -> App {
        let problem = SettingProblem::with("MDATP_SINK", "is not set");
        App::new(Err(SettingsError(vec![problem])), Clock::System)
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_run_and_the_next_run_works() {
        let app = app();
        let (report, result) = app.one_at_a_time(async { panic!("on purpose") }).await;
        assert!(matches!(result, Err(RunError::Panicked)) && report.error.is_some());
        let (report, result) = app.one_at_a_time(async { Ok((RunReport::default(), Ok(()))) }).await;
        assert!(result.is_ok() && report == RunReport::default());
    }

    #[tokio::test]
    async fn a_run_during_a_run_is_skipped() {
        let app = app();
        let inner = async { Ok(app.one_at_a_time(async { panic!("must not be polled") }).await) };
        let (report, result) = app.one_at_a_time(inner).await;
        assert!(result.is_ok() && report.skipped == Some(Skip::AlreadyRunning));
    }

    #[tokio::test]
    async fn bad_settings_fail_every_run_by_name() {
        let (report, _) = app().run_once(Purpose::Send(&|_, _| {})).await;
        assert!(report.error.expect("an error").contains("MDATP_SINK"));
    }
}
