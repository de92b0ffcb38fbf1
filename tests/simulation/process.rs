//! One process of the forwarder: it runs, and at any step of its I/O it may be killed or asked to stop.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::credentials::AccessToken;
use futures::future::{Either, select};
use mdatp_forward::testing::{
    self, AlertSource, Clock, Credential, Credentials, Deadline, Holder, Http, Outcome, Plan, Purpose,
    Services, Shutdown, ShutdownMode, StateStore,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::scene::Stage;

/// What is to become of a run.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    /// How wrong the process's clock is.
    pub skew: azure_core::time::Duration,
    /// `MDATP_RUN_BUDGET`
    pub budget: Duration,
    /// The step of its I/O at which something happens to it.
    pub end: Option<(u32, End)>,
}

/// What happens to a process at a step of its I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is killed before the other side has noticed anything.
    KilledBefore,
    /// It is killed when the other side has done the work.
    KilledAfter,
    /// It is asked to stop.
    Asked,
    /// The process that started it is gone: it makes no request any more.
    CutOff,
}

/// A process. It is kept from run to run unless it dies.
pub struct Process {
    services: Services,
    plan: Plan,
    outside: Arc<Outside>,
}

/// What the process has of the world outside: its network, its disk and its identity (each in a file of
/// its own), which count their steps together.
pub struct Outside {
    pub stage: Stage,
    state: Mutex<State>,
    death: Notify,
    shutdown: Shutdown,
}

#[derive(Default)]
pub struct State {
    /// The number of the run under way.
    pub run: u32,
    /// True when the store did not do what it should in this run.
    pub store_failed: bool,
    /// The tokens at hand, by scope.
    pub tokens: BTreeMap<String, AccessToken>,
    steps: u32,
    end: Option<(u32, End)>,
}

impl Process {
    /// Starts a process.
    pub fn start(stage: &Stage) -> Self {
        let outside = Arc::new(Outside {
            stage: stage.clone(),
            state: Mutex::default(),
            death: Notify::new(),
            shutdown: Shutdown::default(),
        });
        let clock = Clock::Virtual { epoch: stage.lock().now(), since: Instant::now() };
        let credentials = Credentials::same(Credential::given(outside.clone()));
        let store = StateStore::in_memory(outside.clone());
        let config = {
            let mut scene = stage.lock();
            let setup = scene.setup;
            let source = setup.source.draw(&mut scene.rng);
            if source == AlertSource::Graph {
                scene.count("processes that read Graph");
            }
            setup.config(source)
        };
        let mut services =
            Services::with(&config, clock, Http::InProcess(outside.clone()), &credentials, store);
        services.holder = {
            let mut scene = stage.lock();
            scene.processes += 1;
            Holder::named(&format!("process {}", scene.processes))
        };
        let plan = Plan::timer(&config, services.store.clone());
        Self { services, plan, outside }
    }

    /// Runs once. None when the process was killed on the way.
    pub async fn run(&mut self, fate: Fate) -> (u32, Option<Outcome>) {
        let run = {
            let mut scene = self.outside.stage.lock();
            scene.runs += 1;
            self.services.clock = Clock::Virtual { epoch: scene.now() + fate.skew, since: Instant::now() };
            let run = scene.runs;
            scene.note(&format!("run {run} begins: {fate:?}"));
            run
        };
        {
            let mut state = self.outside.state();
            *state =
                State { run, end: fate.end, tokens: std::mem::take(&mut state.tokens), ..State::default() };
        }
        let deadline = Deadline::after(fate.budget, self.outside.shutdown.clone());
        let outcome = {
            let run = pin!(testing::run(&self.services, &self.plan, deadline, Purpose::Send(&|_, _| {})));
            let death = pin!(self.outside.death.notified());
            match select(run, death).await {
                Either::Left((outcome, _)) => Some(outcome),
                Either::Right(_) => None,
            }
        };
        let excuse = match (&outcome, self.outside.state().store_failed) {
            (None, _) => Some("its process was killed"),
            (_, true) => Some("its checkpoint was not saved"),
            _ => None,
        };
        let mut scene = self.outside.stage.lock();
        scene.ledger.end(run, excuse);
        scene.count("runs");
        match &outcome {
            None => scene.count("runs killed"),
            Some((_, Err(_))) => scene.count("runs failed"),
            Some((report, _)) if report.skipped.is_some() => scene.count("runs skipped"),
            Some((report, _)) if !report.complete => scene.count("runs not complete"),
            Some(_) => {}
        }
        scene.note(&match &outcome {
            Some((report, _)) => format!("run {run} ends: {report}"),
            None => format!("run {run} is killed"),
        });
        (run, outcome)
    }

    /// True when the process is about to end itself.
    pub fn is_stopping(&self) -> bool {
        self.outside.shutdown.is_requested()
    }
}

impl Outside {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a step of I/O: the way there takes its time, and the process may not live to take it.
    /// Returns what is to happen once the other side has done its work.
    pub async fn step(&self) -> Option<End> {
        let travel = self.stage.lock().rng.u64(0..200);
        sleep(Duration::from_millis(travel)).await;
        let end = {
            let mut state = self.state();
            state.steps += 1;
            state.end.filter(|(step, _)| *step == state.steps).map(|(_, end)| end)
        };
        match end {
            Some(End::KilledBefore) => self.die().await,
            Some(End::Asked) => self.shutdown.request(ShutdownMode::Graceful),
            Some(End::CutOff) => self.shutdown.request(ShutdownMode::Immediate),
            Some(End::KilledAfter) | None => {}
        }
        end
    }

    /// The process is no more: whoever drives the run drops it.
    pub async fn die(&self) {
        self.death.notify_one();
        pending::<()>().await;
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}
