//! The stage of a provider: the clouds of its customers, the queue, and hosts of the real binary that share both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use azure_core::time::to_rfc3339;
use base64::{Engine, engine::general_purpose::STANDARD};
use mdatp_forward::testing::{
    Shape, columns,
    rule::{self, Conversions, Workspace},
    table,
};
use serde_json::{Value, json};
use simulator::{
    Cloud, Customer, Fleet, Ports, Received, Served, Volume,
    functions_host::{FunctionsHost, Payload, Start},
    queue::Queues,
};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::stage::{WORKSPACE, now, succeed};

pub const QUEUE: &str = "mdatp-tenants";
pub const POISON: &str = "mdatp-tenants-poison";

pub struct Provider {
    pub fleet: Fleet,
    pub served: Served,
    pub queues: Arc<dyn Queues>,
    pub settings: BTreeMap<String, String>,
    pub state: TempDir,
    app: TempDir,
}

impl Provider {
    /// A provider whose customers have no alerts yet and are all in the list.
    pub async fn new(customers: usize, queues: Arc<dyn Queues>) -> Self {
        let fleet = Fleet::new(7, customers);
        let served = fleet.serve(Ports::Free).await.expect("the clouds listen");
        let rule = rule::document(
            "MDATPAlerts",
            &table::stream("MDATPAlerts"),
            &Conversions::none(columns(Shape::Native)),
            Workspace { id: WORKSPACE, location: "westeurope" },
        )
        .to_string();
        for cloud in fleet.clouds() {
            cloud.deploy_rule(&rule).expect("a rule that the service takes");
        }
        let (state, app) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mut settings: BTreeMap<_, _> = served.settings_for_tenants().into_iter().collect();
        settings.insert("MDATP_STATE".to_owned(), format!("file:{}", state.path().display()));
        settings.insert("MDATP_SCHEDULE".to_owned(), "0 */5 * * * *".to_owned());
        let provider = Self { fleet, served, queues, settings, state, app };
        provider.lay_out_app();
        let entries = provider.fleet.customers().iter().map(|customer| provider.entry(customer)).collect();
        provider.write_list(entries);
        provider
    }

    /// The package for many tenants, with shorter pauses: tests do not wait half a minute.
    fn lay_out_app(&self) {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/tenants");
        let read = |name: &str| {
            let text =
                fs::read_to_string(package.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let mut host = read("host.json");
        host["extensions"]["queues"]["visibilityTimeout"] = json!("00:00:01");
        host["extensions"]["queues"]["maxPollingInterval"] = json!("00:00:01");
        fs::write(self.app.path().join("host.json"), host.to_string()).expect("written");
        for function in ["MdatpForward", "MdatpTenant"] {
            let name = format!("{function}/function.json");
            fs::create_dir(self.app.path().join(function)).expect("the folder is ours");
            fs::write(self.app.path().join(&name), read(&name).to_string()).expect("written");
        }
    }

    pub fn entry(&self, customer: &Customer) -> Value {
        self.served.endpoints().entry(customer)
    }

    /// Writes `tenants.json`, as somebody would by hand.
    pub fn write_list(&self, entries: Vec<Value>) {
        let list = json!({ "version": 1, "tenants": entries });
        fs::write(self.state.path().join("tenants.json"), list.to_string()).expect("written");
    }

    /// The cloud of the first customer.
    pub fn first(&self) -> &Cloud {
        self.fleet.cloud(&self.fleet.customers()[0].id)
    }

    /// Gives each customer alerts of the last 50 minutes, inside the look-back.
    pub fn generate(&self, alerts: usize, machines: usize) {
        for customer in self.fleet.customers() {
            generate(self.fleet.cloud(&customer.id), alerts, machines);
        }
    }

    /// A host of the timer's function.
    pub async fn timer(&self) -> FunctionsHost {
        self.host("MdatpForward").await
    }

    /// A host of the queue's function.
    pub async fn worker(&self) -> FunctionsHost {
        self.host("MdatpTenant").await
    }

    async fn host(&self, function: &'static str) -> FunctionsHost {
        let settings = self.settings.clone().into_iter().collect();
        let start = Start::new(self.app.path(), settings).binary(env!("CARGO_BIN_EXE_mdatp-forward"));
        let start = start.queues(Arc::clone(&self.queues)).only(function);
        FunctionsHost::start(start).await.expect("the handler starts")
    }

    /// One tick of the timer, which must succeed.
    pub async fn tick(&self, timer: &FunctionsHost) {
        succeed(&timer.fire(Payload::regular()).await);
    }

    /// Puts a message for a customer into the queue, as the timer of `minutes_ago` would have.
    pub async fn put(&self, customer: &Customer, minutes_ago: i64) {
        let tick = to_rfc3339(&(now() - azure_core::time::Duration::minutes(minutes_ago)));
        let text = json!({ "tenant": customer.id, "tick": tick }).to_string();
        self.queues.create(QUEUE).await.expect("made, or there");
        self.queues.put(QUEUE, &STANDARD.encode(text)).await.expect("put");
    }

    /// Waits until all messages are done with.
    pub async fn drained(&self) {
        self.until(async || self.queues.length(QUEUE).await == Ok(0)).await;
    }

    /// Waits for something, for at most two minutes.
    pub async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let waiting = async {
            while !is_so().await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("it comes to be so");
    }

    /// The folder of a customer's state.
    pub fn state_of(&self, customer: &Customer) -> PathBuf {
        self.state.path().join("tenants").join(&customer.id)
    }

    /// Every alert of the customer is in its own table once, and nothing else is.
    #[track_caller]
    pub fn assert_all_sent_once(&self, customer: &Customer) {
        let (sent, distinct) = self.sent(customer);
        assert_eq!(sent, distinct.len(), "{} sent some twice", customer.id);
    }

    /// Every alert of the customer is in its own table and nothing else is; the number of records, and the ids.
    #[track_caller]
    pub fn sent(&self, customer: &Customer) -> (usize, BTreeSet<String>) {
        let cloud = self.fleet.cloud(&customer.id);
        let ids = ids(cloud);
        let distinct: BTreeSet<String> = ids.iter().cloned().collect();
        let wanted: BTreeSet<String> = cloud.alert_ids().into_iter().collect();
        assert_eq!(distinct.difference(&wanted).next(), None, "{} has another's alert", customer.id);
        assert_eq!(wanted.difference(&distinct).next(), None, "{} lacks an alert", customer.id);
        assert!(cloud.rejected().is_empty(), "{:?}", cloud.rejected());
        (ids.len(), distinct)
    }
}

/// Gives a cloud alerts of the last 50 minutes.
pub fn generate(cloud: &Cloud, alerts: usize, machines: usize) {
    let until = now() - azure_core::time::Duration::minutes(1);
    let since = until - azure_core::time::Duration::minutes(50);
    cloud.generate(&Volume { alerts, machines, since, until });
}

/// The ids of the records that a cloud's rule has accepted, in order, repeats included.
pub fn ids(cloud: &Cloud) -> Vec<String> {
    cloud.received().iter().flat_map(|post| ids_of(post)).collect()
}

/// The ids of a post's records.
pub fn ids_of(post: &Received) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Record {
        #[serde(rename = "AlertId")]
        id: String,
    }
    let id = |record: &String| serde_json::from_str::<Record>(record).expect("a record with an id").id;
    post.records.iter().map(id).collect()
}
