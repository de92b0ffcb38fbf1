//! What a run works with: clients for Defender, the sink and the state store, built from the settings.

use std::sync::{
    Mutex as SyncMutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Mutex;

use crate::{
    clock::Clock,
    config::{AlertFetch, Config},
    http::{Http, credential::Credentials},
    record::{alert::Mode, batch::Packer, writer::RecordWriter},
    schema::Shape,
    sink::{Sink, logs_ingestion::LONGEST_SPAN},
    source::{defender::Defender, machines::Machines},
    state::{StateError, StateStore, history::History},
};

/// Why the clients cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// The one for HTTP.
    Client(reqwest::Error),
    /// The one for the state store.
    State(StateError),
}

/// Everything that outlives a run: connections and tokens are kept between invocations.
#[derive(Debug)]
pub struct Services {
    /// The client that all share.
    pub http: Http,
    /// The time of day.
    pub clock: Clock,
    /// Where alerts and machines come from.
    pub defender: Defender,
    /// Where records go.
    pub sink: Sink,
    /// Where the rows about runs go; none with `MDATP_HEALTH` off.
    pub health: Option<Sink>,
    /// Where the checkpoint is.
    pub store: StateStore,
    /// `MDATP_RECORD_SHAPE`
    pub shape: Shape,
    /// `MDATP_ALERT_FETCH`
    pub fetch: AlertFetch,
    /// `MDATP_MODE`
    pub mode: Mode,
    /// `MDATP_PAGE_SIZE`
    pub page_size: u32,
    /// The machines that are known. A run has them to itself.
    pub machines: Mutex<Machines>,
    /// True once any alert has come by its id: one that does not come then is at fault itself, not the call.
    pub alerts_come_by_id: AtomicBool,
    /// True once the sink has accepted anything: a record it then refuses is at fault itself, not the
    /// settings.
    pub sink_has_accepted: AtomicBool,
    /// True once the sink has refused a post because of the time it spans.
    pub sink_limits_span: AtomicBool,
    unsaved_runs: SyncMutex<History>,
}

impl Services {
    /// Builds the clients. Nobody is called yet.
    pub fn build(config: &Config, clock: Clock) -> Result<Self, BuildError> {
        let http = Http::new().map_err(BuildError::Client)?;
        let credentials = Credentials::new(config, &http, clock);
        let store = StateStore::open(&config.state, &http, &credentials.app).map_err(BuildError::State)?;
        Ok(Self::with(config, clock, http, &credentials, store))
    }

    /// The same with a given way to the services, identities and store.
    pub fn with(
        config: &Config,
        clock: Clock,
        http: Http,
        credentials: &Credentials,
        store: StateStore,
    ) -> Self {
        Self {
            defender: Defender::new(config, credentials.source.clone()),
            sink: Sink::new(&config.sink, config.mode, &credentials.app),
            health: config
                .health
                .then(|| Sink::new(&config.sink.for_health(), config.mode, &credentials.app)),
            store,
            http,
            clock,
            shape: config.shape,
            fetch: config.fetch,
            mode: config.mode,
            page_size: config.page_size,
            machines: Mutex::new(Machines::new(config.machine_ttl)),
            alerts_come_by_id: AtomicBool::new(false),
            sink_has_accepted: AtomicBool::new(false),
            sink_limits_span: AtomicBool::new(false),
            unsaved_runs: SyncMutex::default(),
        }
    }

    /// A packer for the sink's posts.
    pub fn packer(&self) -> Packer {
        Packer::new(self.sink.limit(), self.sink.target())
    }

    /// Limits the time that a post may span, once it is known that the sink does.
    pub fn limit_span_of(&self, packer: &mut Packer) {
        if self.sink_limits_span.load(Ordering::Relaxed) {
            packer.keep_within(LONGEST_SPAN);
        }
    }

    /// A writer of records as the sink takes them.
    pub fn record_writer(&self) -> RecordWriter {
        RecordWriter { shape: self.shape, limits: self.sink.limits() }
    }

    /// The runs that the next save writes into the history: one alone is worth no save when it found nothing.
    pub fn unsaved_runs(&self) -> MutexGuard<'_, History> {
        self.unsaved_runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
