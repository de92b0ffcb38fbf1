//! The scene of one life: the cloud, the state store, what goes on in them, and the books.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use azure_core::time::{Duration, OffsetDateTime};
use fastrand::Rng;
use mdatp_forward::testing::Request;
use object_store::memory::InMemory;
use simulator::{Cloud, Outcome, Reaction, Role, Service};
use tokio::time::Instant;

use crate::{
    ledger::Ledger,
    setup::{NEVER, Setup},
    world::World,
};

/// Noon of the day on which every life begins.
const BIRTH: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::seconds(1_795_521_600));

/// How often what happened.
pub type Tally = BTreeMap<&'static str, usize>;

/// Everything in one place, behind one lock.
pub struct Scene {
    pub setup: Setup,
    pub cloud: Cloud,
    pub world: World,
    pub ledger: Ledger,
    pub rng: Rng,
    pub store: Arc<InMemory>,
    /// How many of a hundred operations of the store go wrong.
    pub store_trouble: u8,
    /// What happened, for people.
    pub trace: String,
    /// How often what happened.
    pub tally: Tally,
    /// The runs in which calls for machines failed.
    pub without_machines: BTreeSet<u32>,
    /// The number of the latest run.
    pub runs: u32,
    /// The number of processes that have started.
    pub processes: u32,
    began: Instant,
}

/// A handle to the scene. The lock is never held while anybody waits.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<Scene>>);

impl Stage {
    /// Draws a scene.
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let cloud = Cloud::new(seed);
        let earliest = BIRTH - Duration::minutes(rng.i64(1..=300));
        let latest = BIRTH + Duration::minutes(rng.i64(1..=60));
        let setup = Setup::draw(&mut rng, earliest, BIRTH);
        let world = World::draw(&mut rng, &cloud, &setup, earliest, latest);
        cloud.enforce_rate_limits(setup.has_rate_limits);
        cloud.grant_role(Role::SecurityAlertRead);
        cloud.grant_role(Role::ThreatHuntingRead);
        if let Some(quirk) = setup.quirk {
            cloud.set_quirk(quirk, true);
        }
        let mut scene = Scene {
            setup,
            cloud,
            world,
            ledger: Ledger::default(),
            rng,
            store: Arc::default(),
            store_trouble: 0,
            trace: String::new(),
            tally: Tally::new(),
            without_machines: BTreeSet::new(),
            runs: 0,
            processes: 0,
            began: Instant::now(),
        };
        scene.note(&format!("{setup:?}, {} alerts", scene.world.alerts.len()));
        Self(Arc::new(Mutex::new(scene)))
    }

    /// The scene itself.
    pub fn lock(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scene {
    /// The true time.
    pub fn now(&self) -> OffsetDateTime {
        BIRTH + self.began.elapsed()
    }

    /// The time until everything has happened in Defender.
    pub fn rest(&self) -> std::time::Duration {
        self.world.end().map_or(Duration::ZERO, |end| end - self.now()).max(Duration::ZERO).unsigned_abs()
    }

    /// Lets happen in Defender what is due.
    pub fn catch_up(&mut self) {
        self.world.pass(&self.cloud, self.now());
    }

    /// Writes a line of the trace.
    pub fn note(&mut self, what: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.trace, "{:11.4} {what}", self.began.elapsed().as_secs_f64());
    }

    /// One more alert comes now.
    pub fn one_more(&mut self) {
        let now = self.now();
        self.world.add_alert(&mut self.rng, &self.cloud, &self.setup, now, now, false);
    }

    /// Counts something that happened.
    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// What `service` does with a request of `run`, and the number of the post if it accepted one.
    pub fn react(
        &mut self,
        run: u32,
        service: Service,
        target: &str,
        request: &Request,
    ) -> (Reaction, Option<usize>) {
        self.catch_up();
        let mut asked = simulator::Request::new(request.method.clone(), target);
        asked.headers.clone_from(&request.headers);
        let asked = asked.with_body(request.body.clone());
        let faults = self.cloud.counts().faults;
        let reaction = self.cloud.react(service, &asked, self.now());
        let is_hit = self.cloud.counts().faults > faults;

        if is_hit {
            self.count("faults");
            if ["/api/machines", "runHuntingQuery"].iter().any(|machines| target.contains(machines)) {
                self.without_machines.insert(run);
            }
        }
        let post = self.ledger.posts.len();
        let is_sink = service == self.setup.sink_service();
        let received =
            is_sink.then(|| self.cloud.received()).and_then(|received| received.get(post).cloned());
        if let Some(received) = &received {
            let excuse = is_hit.then_some("a fault hit its reply");
            let lacks_machines = self.without_machines.contains(&run) && self.setup.enrich_patience < NEVER;
            self.ledger.accept(run, &received.records, &self.world.alerts, excuse, lacks_machines);
            self.count("posts");
        }
        let what = match &reaction.outcome {
            Outcome::Response(response) => format!("{}, {} bytes", response.status, response.body.len()),
            Outcome::CutBody(response, kept) => format!("{}, cut after {kept} bytes", response.status),
            outcome => format!("{outcome:?}"),
        };
        let fault = if is_hit { ", a fault" } else { "" };
        let took = received.as_ref().map(|received| format!(", took {}", received.records.len()));
        let took = took.unwrap_or_default();
        let asked = asked.path_and_query();
        self.note(&format!("run {run}: {service:?} {} {asked} -> {what}{fault}{took}", request.method));
        (reaction, received.map(|_| post))
    }
}

/// True for the only answer by which a sink accepts.
pub fn is_clean(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Response(response) if (200..300).contains(&response.status) && response.body.is_empty())
}
