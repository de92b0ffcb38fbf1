//! What a crash happens in: a small cloud, a store of its own, and alerts that arrive in such a way that
//! there are three batches, whatever the sink.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use azure_core::time::to_rfc3339;
use simulator::{
    Cloud, Ports, Role, Route, Served, Sink, Steps, Volume,
    azurite::{Azurite, Relay},
    clock,
    functions_host::{FunctionsHost, Start},
};
use tempfile::TempDir;

const ALERTS: usize = 72;
const MACHINES: usize = 8;
/// About 32 of such alerts fill a post of Logs Ingestion, and none of it is cut by the Data Collector.
const DESCRIPTION: usize = 30_000;

/// Where the checkpoint is.
#[derive(Clone, Copy, Debug)]
pub enum Store<'a> {
    Folder,
    /// A container of its own in this Azurite.
    Blob(&'a Azurite),
}

/// The settings between which the points are spread.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub sink: Sink,
    /// Whether alerts are read from Microsoft Graph.
    pub from_graph: bool,
    pub store: Store<'a>,
}

impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match self.store {
            Store::Folder => "Folder",
            Store::Blob(_) => "Blob",
        };
        let source = if self.from_graph { "Graph to " } else { "" };
        write!(f, "{source}{:?} {store}", self.sink)
    }
}

pub struct Stage<'a> {
    pub setting: Setting<'a>,
    pub cloud: Cloud,
    pub steps: Steps,
    served: Served,
    state: State,
}

enum State {
    Folder(TempDir),
    Blob(Relay, String),
}

impl<'a> Stage<'a> {
    pub async fn set(setting: Setting<'a>, steps: Steps) -> Result<Self, String> {
        let cloud = Cloud::new(5);
        cloud.grant_role(Role::SecurityAlertRead);
        let served = cloud.serve_in_steps(Ports::Free, &steps).await?;
        let state = match setting.store {
            Store::Folder => State::Folder(TempDir::new().map_err(|problem| problem.to_string())?),
            Store::Blob(azurite) => State::Blob(azurite.relay(&steps).await?, container()),
        };
        let now = clock::now();
        cloud.generate(&Volume { alerts: 0, machines: MACHINES, since: now, until: now });
        Ok(Self { setting, cloud, steps, served, state })
    }

    /// What is new before each tick, by number. The Data Collector takes all of it in one post, so it
    /// comes by thirds.
    pub fn arrivals(&self) -> Vec<std::ops::Range<usize>> {
        let ticks = match self.setting.sink {
            Sink::DataCollector => 3,
            Sink::LogsIngestion => 1,
        };
        let each = ALERTS / ticks;
        (0..ticks).map(|tick| each * tick..each * (tick + 1)).collect()
    }

    /// Defender raises these alerts, each a second after the one before.
    pub fn arrive(&self, numbers: std::ops::Range<usize>) {
        let machines = self.cloud.machine_ids();
        let now = clock::now();
        let begin = now - azure_core::time::Duration::nanoseconds(now.nanosecond().into());
        for number in numbers {
            let age = Duration::from_secs(1_800 - number as u64);
            let created = to_rfc3339(&(begin - age));
            let machine = &machines[number % machines.len()];
            let description = &format!("{number} ").repeat(DESCRIPTION / 2)[..DESCRIPTION];
            self.cloud.add_alert(&format!(
                r#"{{"id":"da{number}","alertCreationTime":"{created}","lastUpdateTime":"{created}","severity":"High","description":"{description}","machineId":"{machine}","evidence":[]}}"#
            ));
        }
    }

    /// The checkpoint's file, where the store is a folder.
    pub fn checkpoint_file(&self) -> Option<PathBuf> {
        match &self.state {
            State::Folder(folder) => Some(state_folder(folder.path()).join("checkpoint.json")),
            State::Blob(..) => None,
        }
    }

    pub async fn host(&self) -> Result<FunctionsHost, String> {
        // Entra is asked in one half of the settings, the managed identity in the other.
        let (route, state) = match &self.state {
            State::Folder(folder) => {
                (Route::ClientSecret, format!("file:{}", state_folder(folder.path()).display()))
            }
            State::Blob(_, container) => (Route::ManagedIdentity, format!("blob:{container}")),
        };
        let mut settings = self.served.settings(self.setting.sink, route);
        settings.extend([("MDATP_STATE", state), ("MDATP_PAGE_SIZE", "20".to_owned())].map(own));
        if self.setting.from_graph {
            settings.push(own(("MDATP_SOURCE", "graph".to_owned())));
        }
        if let State::Blob(relay, _) = &self.state {
            settings.push(own(("AzureWebJobsStorage", relay.connection_string())));
        }
        let mut start = Start::new(env!("CARGO_MANIFEST_DIR"), settings);
        start.poll_every = Duration::from_millis(2);
        FunctionsHost::start(start.binary(env!("CARGO_BIN_EXE_mdatp-forward"))).await
    }
}

fn state_folder(folder: &Path) -> PathBuf {
    folder.join("state")
}

fn own((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

/// One Azurite serves all crashes, each in a container of its own.
fn container() -> String {
    static USED: AtomicUsize = AtomicUsize::new(0);
    format!("crash-{}", USED.fetch_add(1, Ordering::Relaxed))
}
