//! What a run works with: the clients for Defender, the sink and the state store, built from the settings.

use std::{
    sync::{
        Arc, Mutex as SyncMutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, Semaphore};

use crate::{
    clock::Clock,
    config::{AlertFetch, Config, Owner, SinkConfig},
    http::{Http, credential::Credentials},
    record::{alert::Mode, batch::Packer, writer::RecordWriter},
    schema::Shape,
    sink::{Sink, logs_ingestion::LONGEST_SPAN},
    source::{Source, machines::Machines},
    state::{StateError, StateStore, history::History, holder::Holder},
};

/// An error that keeps the clients from being built.
#[derive(Debug)]
pub enum BuildError {
    /// The HTTP client cannot be made.
    Client(reqwest::Error),
    /// The state store cannot be opened.
    State(StateError),
}

/// Everything that outlives a run: connections, tokens, and what the process has learnt about the services.
#[derive(Debug)]
pub struct Services {
    /// The HTTP client that all share.
    pub http: Http,
    /// The time of day.
    pub clock: Clock,
    /// The name of this process, for its leases.
    pub holder: Holder,
    /// The source of alerts and machines.
    pub source: Source,
    /// The sink of the records.
    pub sink: Sink,
    /// The sink of the rows about runs; `None` with `MDATP_HEALTH` off.
    pub health: Option<Sink>,
    /// The store of the timer's checkpoint.
    pub store: StateStore,
    /// `MDATP_RECORD_SHAPE`
    pub shape: Shape,
    /// `MDATP_ALERT_FETCH`
    pub fetch: AlertFetch,
    /// `MDATP_MODE`
    pub mode: Mode,
    /// `MDATP_PAGE_SIZE`
    pub page_size: u32,
    /// The machines that are known. One run uses them at a time.
    pub machines: Mutex<Machines>,
    /// True once any alert has been fetched by its id: a rejection concerns the single alert from then on, not the call.
    pub alerts_come_by_id: AtomicBool,
    /// True once the sink has accepted anything: a rejection concerns the single record from then on, not the settings.
    pub sink_has_accepted: AtomicBool,
    /// True once the sink has rejected a post for the time that it spans.
    pub sink_limits_span: AtomicBool,
    /// The permits to hold alerts in memory, where many runs share a process: each run takes one when it finds something
    /// new. `None`: a run needs none.
    pub room: Option<Arc<Semaphore>>,
    unsaved_runs: SyncMutex<History>,
}

impl Services {
    /// Builds the clients, without calling any service.
    pub fn build(config: &Config, clock: Clock) -> Result<Self, BuildError> {
        let http = Http::new().map_err(BuildError::Client)?;
        let credentials = Credentials::new(config, &http, clock);
        let store = StateStore::open(&config.state, &http, &credentials.app).map_err(BuildError::State)?;
        Ok(Self::with(config, clock, http, &credentials, store))
    }

    /// Does the same with a given HTTP client, identities and store.
    pub fn with(
        config: &Config,
        clock: Clock,
        http: Http,
        credentials: &Credentials,
        store: StateStore,
    ) -> Self {
        let credential = match config.sink_identity {
            Owner::Source => &credentials.source,
            Owner::App | Owner::Storage => &credentials.app,
        };
        let sink = |to: &SinkConfig| Sink::new(to, config.mode, credential);
        Self {
            source: Source::new(config, &credentials.source),
            sink: sink(&config.sink),
            health: config.health.then(|| sink(&config.sink.for_health())),
            store,
            http,
            clock,
            holder: Holder::this_process(),
            shape: config.shape,
            fetch: config.fetch,
            mode: config.mode,
            page_size: config.page_size,
            machines: Mutex::new(Machines::new(config.machine_ttl)),
            alerts_come_by_id: AtomicBool::new(false),
            sink_has_accepted: AtomicBool::new(false),
            sink_limits_span: AtomicBool::new(false),
            room: None,
            unsaved_runs: SyncMutex::default(),
        }
    }

    /// Returns a packer for the sink's posts.
    pub fn packer(&self) -> Packer {
        Packer::new(self.sink.limit(), self.sink.target())
    }

    /// The most time that a post may span; `None` until the sink has rejected a post for its span.
    pub fn longest_span(&self) -> Option<Duration> {
        self.sink_limits_span.load(Ordering::Relaxed).then_some(LONGEST_SPAN)
    }

    /// Returns a writer of records in the sink's shape and limits.
    pub fn record_writer(&self) -> RecordWriter {
        RecordWriter { shape: self.shape, limits: self.sink.limits() }
    }

    /// The runs that the next save adds to the history: a run that found nothing causes no save of its own.
    pub fn unsaved_runs(&self) -> MutexGuard<'_, History> {
        self.unsaved_runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
