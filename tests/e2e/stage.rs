//! The stage for a story: a cloud, the forwarder's settings, and a folder for its state.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Stdio,
};

use azure_core::time::{Duration, OffsetDateTime, to_rfc3339};
use mdatp_forward::testing::{
    Shape, columns,
    rule::{self, Conversions, Workspace},
    table,
};
use serde_json::Value;
use simulator::{
    Cloud, Ports, Route, Served, Sink, Volume,
    functions_host::{FunctionsHost, Invocation, Payload, Start},
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub const BOTH_SINKS: [Sink; 2] = [Sink::DataCollector, Sink::LogsIngestion];

/// The resource id of the simulated workspace.
pub const WORKSPACE: &str = "/subscriptions/5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10/resourceGroups/security/providers/Microsoft.OperationalInsights/workspaces/sentinel";

pub struct Stage {
    pub cloud: Cloud,
    pub served: Served,
    pub settings: BTreeMap<String, String>,
    pub folder: TempDir,
}

impl Stage {
    /// A cloud with nothing in it, and a forwarder that finds it by managed identity.
    pub async fn new(sink: Sink) -> Self {
        Self::with_route(sink, Route::ManagedIdentity).await
    }

    pub async fn with_route(sink: Sink, route: Route) -> Self {
        let cloud = Cloud::new(7);
        let served = cloud.serve(Ports::Free).await.expect("the cloud listens");
        Self::around(cloud, served, sink, route)
    }

    /// The same with everything but the managed identity behind TLS.
    pub async fn over_tls(sink: Sink) -> Self {
        let cloud = Cloud::new(7);
        let served = cloud.serve_over_tls().await.expect("the cloud listens");
        Self::around(cloud, served, sink, Route::ManagedIdentity)
    }

    fn around(cloud: Cloud, served: Served, sink: Sink, route: Route) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        if sink == Sink::LogsIngestion {
            let workspace = Workspace { id: WORKSPACE, location: "westeurope" };
            let rule = rule::document(
                "MDATPAlerts",
                &table::stream("MDATPAlerts"),
                &Conversions::none(columns(Shape::Native)),
                workspace,
            );
            cloud.deploy_rule(&rule.to_string()).expect("a rule that the service takes");
        }
        let mut settings: BTreeMap<String, String> = served.settings(sink, route).into_iter().collect();
        let state = format!("file:{}", folder.path().join("state").display());
        settings.insert("MDATP_STATE".to_owned(), state);
        Self { cloud, served, settings, folder }
    }

    /// The same with `alerts` alerts of the last 50 minutes, inside the look-back, on `machines` machines.
    pub async fn with_alerts(sink: Sink, alerts: usize, machines: usize) -> Self {
        let stage = Self::new(sink).await;
        stage.generate(alerts, machines);
        stage
    }

    pub fn generate(&self, alerts: usize, machines: usize) {
        let until = now() - Duration::minutes(1);
        self.cloud.generate(&Volume { alerts, machines, since: until - Duration::minutes(50), until });
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// The real binary under the simulated Functions host.
    pub async fn host(&self) -> FunctionsHost {
        let root = env!("CARGO_MANIFEST_DIR");
        let settings = self.settings.clone().into_iter().collect();
        let start = Start::new(root, settings).binary(env!("CARGO_BIN_EXE_mdatp-forward"));
        FunctionsHost::start(start).await.expect("the handler starts")
    }

    /// One tick of a host that must succeed; its report.
    pub async fn tick(&self) -> Value {
        let host = self.host().await;
        succeed(&host.fire(Payload::regular()).await)
    }

    /// The binary as a command of a shell, with nothing in its environment but the settings.
    pub async fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.start(arguments).wait_with_output().await.expect("the binary runs")
    }

    /// The same, not waited for.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mdatp-forward"));
        command.args(arguments).env_clear().envs(&self.settings).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("the binary starts")
    }

    pub fn state_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    /// The documents of what was set aside.
    pub fn set_aside(&self) -> Vec<Value> {
        self.set_aside_texts().iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
    }

    /// The same as text, for records that no strict reader takes.
    pub fn set_aside_texts(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.state_file("set-aside")) else { return Vec::new() };
        let read = |path| std::fs::read_to_string(path).expect("a document");
        folder.map(|entry| read(entry.expect("an entry").path())).collect()
    }

    /// The ids of all records accepted, in order, repeats included.
    pub fn sent_ids(&self) -> Vec<String> {
        #[derive(serde::Deserialize)]
        struct Record {
            #[serde(alias = "AlertId", alias = "id_s")]
            id: String,
        }
        let id = |record: &String| serde_json::from_str::<Record>(record).expect("a record with an id").id;
        self.cloud
            .received()
            .iter()
            .flat_map(|post| post.records.iter().map(id).collect::<Vec<_>>())
            .collect()
    }

    /// Every alert of the cloud was accepted once, and nothing was refused for being wrong.
    #[track_caller]
    pub fn assert_all_sent_once(&self) {
        let sent = self.sent_ids();
        let distinct: BTreeSet<&String> = sent.iter().collect();
        let wanted = self.cloud.alert_ids();
        assert_eq!(distinct, wanted.iter().collect(), "lost or made up");
        assert_eq!(sent.len(), distinct.len(), "sent twice");
        assert!(self.cloud.rejected().is_empty(), "{:?}", self.cloud.rejected());
        assert!(self.cloud.lost_values().is_empty(), "{:?}", self.cloud.lost_values());
    }
}

pub fn now() -> OffsetDateTime {
    use mdatp_forward::testing::Clock;
    Clock::System.now()
}

/// A time so many minutes ago, as Defender writes times.
pub fn minutes_ago(minutes: i64) -> String {
    to_rfc3339(&(now() - Duration::minutes(minutes)))
}

/// A small alert.
pub fn alert(id: &str, machine: Option<&str>, created: &str) -> String {
    let machine = machine.map_or("null".to_owned(), |id| format!("\"{id}\""));
    format!(
        r#"{{"id":"{id}","severity":"High","status":"New","title":"Something happened","alertCreationTime":"{created}","lastUpdateTime":"{created}","machineId":{machine},"evidence":[]}}"#
    )
}

/// The error in the report of an invocation that must have failed, which a real host would not read.
#[track_caller]
pub fn fail(invocation: &Invocation) -> String {
    assert_eq!(invocation.status, 500, "{invocation:#?}");
    let body: Value = serde_json::from_str(&invocation.body).expect("JSON");
    body["ReturnValue"]["error"].as_str().expect("an error").to_owned()
}

/// The report of an invocation that must have succeeded.
#[track_caller]
pub fn succeed(invocation: &Invocation) -> Value {
    assert!(invocation.succeeded(), "{invocation:#?}");
    invocation.report.clone()
}
