//! One instance of the package for many tenants, and a host of its timer beside it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::azurite::{Azurite, Relay};
use simulator::functions_host::{FunctionsHost, Payload, Start, footprint};
use simulator::queue::{MemoryQueues, Queues};
use simulator::{Fleet, Served, Service, Step, Steps, Volume, clock, shape};

use crate::app_root::AppRoot;

const QUEUE: &str = "mdatp-tenants";
const CONTAINER: &str = "mdatp-forward";

pub(super) struct Instance {
    fleet: Fleet,
    served: Served,
    queues: Arc<MemoryQueues>,
    timer: FunctionsHost,
    /// The instance that runs the tenants.
    pub(super) worker: FunctionsHost,
    _app_root: AppRoot,
    blobs: Option<Blobs>,
}

/// Where the state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In files, which are as fast as can be.
    Files,
    /// In the blobs of Azurite, whose operations are counted.
    Blobs,
}

struct Blobs {
    steps: Steps,
    relay: Relay,
    azurite: Azurite,
}

impl Blobs {
    async fn start() -> Result<Self, String> {
        let (steps, azurite) = (Steps::default(), Azurite::try_start_on(0).await?);
        let relay = azurite.relay(&steps).await?;
        Ok(Self { steps, relay, azurite })
    }
}

impl Instance {
    /// Starts it over so many tenants without alerts; every response takes `latency`.
    pub(super) async fn start(
        binary: &Path,
        tenants: usize,
        latency: Duration,
        place: Place,
    ) -> Result<Self, String> {
        let fleet = Fleet::new(1, tenants);
        let served = fleet.serve_timed(latency).await?;
        let queues = Arc::new(MemoryQueues::default());
        let app_root = AppRoot::for_tenants(binary)?;
        let entries: Vec<_> =
            fleet.customers().iter().map(|customer| served.endpoints().entry(customer)).collect();
        let list = json!({ "version": 1, "tenants": entries }).to_string();
        let mut settings = served.settings_for_tenants();
        let blobs = match place {
            Place::Files => {
                let file = app_root.state().join("tenants.json");
                std::fs::write(file, list).map_err(|problem| problem.to_string())?;
                settings.push(("MDATP_STATE".to_owned(), format!("file:{}", app_root.state().display())));
                None
            }
            Place::Blobs => {
                let blobs = Blobs::start().await?;
                blobs.azurite.create_container(CONTAINER).await;
                blobs.azurite.put_blob(CONTAINER, "tenants.json", list).await;
                settings.push(("MDATP_STATE".to_owned(), format!("blob:{CONTAINER}")));
                settings.push(("AzureWebJobsStorage".to_owned(), blobs.relay.connection_string()));
                Some(blobs)
            }
        };
        let start = |function| {
            let start = Start::new(app_root.path(), settings.clone());
            FunctionsHost::start(start.queues(Arc::<MemoryQueues>::clone(&queues)).only(function))
        };
        let (timer, worker) = (start("MdatpForward").await?, start("MdatpTenant").await?);
        Ok(Self { fleet, served, queues, timer, worker, _app_root: app_root, blobs })
    }

    /// Gives each tenant alerts that were created so long ago.
    pub(super) fn generate(&self, alerts: usize, machines: usize, ago: Range<Duration>) {
        let now = clock::now();
        for customer in self.fleet.customers() {
            let (since, until) = (now - ago.start, now - ago.end);
            self.fleet.cloud(&customer.id).generate(&Volume { alerts, machines, since, until });
        }
    }

    /// Fires the timer and waits until every tenant has been run; the time that took.
    pub(super) async fn tick(&self) -> Result<Duration, String> {
        let began = Instant::now();
        let invocation = self.timer.fire(Payload::Regular).await;
        if !invocation.succeeded() {
            return Err(format!("the timer: {:?}: {}", invocation.outcome, invocation.body));
        }
        while self.queues.length(QUEUE).await.map_err(|problem| problem.to_string())? > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = began.elapsed();
        let runs = self.worker.take_triggered();
        let failed = |run: &&simulator::functions_host::Invocation| {
            !run.succeeded() || run.report["complete"] != true || !run.report["error"].is_null()
        };
        match runs.iter().find(failed) {
            Some(run) => Err(format!("a run: {:?}: {}", run.outcome, run.body)),
            None if runs.len() != self.fleet.customers().len() => {
                Err(format!("{} runs in a tick", runs.len()))
            }
            None => Ok(took),
        }
    }

    /// Has the sinks look at what they accepted unread: so many alerts must have come to each tenant's rule, once.
    pub(super) fn verify(&self, alerts: usize) -> Result<(), String> {
        let mut ids: HashMap<String, usize> = HashMap::new();
        for (service, request, at) in self.served.take_unread() {
            let reaction = self.fleet.react(service, &request, at);
            if service != Service::LogsIngestion || reaction.status() != Some(204) {
                return Err(format!("a post to {}: {:?}", request.path, reaction.outcome));
            }
        }
        for customer in self.fleet.customers() {
            let cloud = self.fleet.cloud(&customer.id);
            for record in cloud.records() {
                let id = shape::alert_id(&record).ok_or("a record is of no alert")?;
                *ids.entry(id.to_owned()).or_default() += 1;
            }
            let wanted = cloud.alert_ids();
            if wanted.len() != alerts
                || ids.len() != alerts
                || wanted.iter().any(|id| ids.get(id) != Some(&1))
            {
                return Err(format!("{}: {} of {alerts} alerts arrived once", customer.id, ids.len()));
            }
            ids.clear();
        }
        Ok(())
    }

    /// Processor time of both processes so far.
    pub(super) fn processor(&self) -> Result<Duration, String> {
        let used = [&self.timer, &self.worker].map(|host| footprint::cpu_time(host.pid()));
        used.into_iter().sum::<Option<Duration>>().ok_or_else(|| "no /proc to read".to_owned())
    }

    /// How often each operation of the queue was asked for, and of the blobs where the state is there.
    pub(super) fn operations(&self) -> BTreeMap<String, u64> {
        let queue = self.queues.operations().into_iter();
        let mut operations: BTreeMap<_, _> =
            queue.map(|(name, count)| (format!("queue {name}"), count)).collect();
        let events = self.blobs.as_ref().map(|blobs| blobs.steps.events()).unwrap_or_default();
        for event in events.iter().filter(|event| event.step == Step::Received) {
            let method = event.call.split(' ').next().unwrap_or_default();
            *operations.entry(format!("blob {method}")).or_default() += 1;
        }
        operations
    }

    /// Requests to all services so far, but posts.
    pub(super) fn requests(&self) -> u64 {
        self.fleet.clouds().map(|cloud| cloud.counts().requests).sum()
    }
}
