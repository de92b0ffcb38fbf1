//! Many tenants in one app: the timer asks for a run of each, and each message gets that tenant's run and nobody else's.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use azure_core::time::{Duration, OffsetDateTime, parse_rfc3339, to_rfc3339};
use base64::prelude::{BASE64_STANDARD, Engine};
use futures::future::{join, join_all};
use serde_json::{Value, json};
use simulator::{
    Cloud, Customer, Fault, Fleet, Ports, Role, Served, Service, Volume,
    functions_host::{Category, FunctionsHost, Invocation, Payload, Start},
    queue::MemoryQueues,
};
use tempfile::TempDir;

use crate::stage::{alert, fail, minutes_ago, now, succeed};

const QUEUE: &str = "mdatp-tenants";

/// The recorded invocation of a queue trigger (tests/fixtures/README.md).
const RECORDED: &str = include_str!("../fixtures/host/queue-json.json");

/// A provider with customers, each with alerts of its own, and the package for many tenants.
struct Provider {
    fleet: Fleet,
    served: Served,
    settings: BTreeMap<String, String>,
    queues: Arc<MemoryQueues>,
    folder: TempDir,
}

impl Provider {
    /// The first customer has ten alerts, the second twenty, and so on.
    async fn new(customers: usize) -> Self {
        Self::with(customers, |number| 10 * number).await
    }

    /// Each customer, numbered from one, has so many alerts.
    async fn with(customers: usize, alerts: fn(usize) -> usize) -> Self {
        let fleet = Fleet::new(7, customers);
        let until = now() - Duration::minutes(1);
        for (customer, number) in fleet.customers().iter().zip(1..) {
            let (alerts, since) = (alerts(number), until - Duration::minutes(50));
            fleet.cloud(&customer.id).generate(&Volume { alerts, machines: 3, since, until });
        }
        let served = fleet.serve(Ports::Free).await.expect("the clouds listen");
        let folder = tempfile::tempdir().expect("a folder");
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tenants");
        for name in ["host.json", "MdatpForward/function.json", "MdatpTenant/function.json"] {
            let to = folder.path().join("app").join(name);
            fs::create_dir_all(to.parent().expect("a folder")).expect("made");
            fs::copy(package.join(name), to).expect(name);
        }
        let mut settings: BTreeMap<_, _> = served.settings_for_tenants().into_iter().collect();
        let state = format!("file:{}", folder.path().join("state").display());
        settings.insert("MDATP_STATE".to_owned(), state);
        settings.insert("MDATP_SCHEDULE".to_owned(), "0 */5 * * * *".to_owned());
        let provider = Self { fleet, served, settings, queues: Arc::default(), folder };
        provider.write_list(&provider.entries());
        provider
    }

    fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    fn customer(&self, place: usize) -> &Customer {
        &self.fleet.customers()[place]
    }

    fn cloud(&self, place: usize) -> &Cloud {
        self.fleet.cloud(&self.customer(place).id)
    }

    fn entries(&self) -> Vec<Value> {
        let endpoints = self.served.endpoints();
        self.fleet.customers().iter().map(|customer| endpoints.entry(customer)).collect()
    }

    fn write_list(&self, entries: &[Value]) {
        self.write("tenants.json", &json!({ "version": 1, "tenants": entries }).to_string());
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("state").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// The file of a customer's state, as JSON.
    fn state(&self, place: usize, name: &str) -> Value {
        let path = self.folder.path().join("state/tenants").join(&self.customer(place).id).join(name);
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The host with the timer alone, so that messages stay in the queue; it posts what it is given to any function.
    async fn host(&self) -> FunctionsHost {
        let settings = self.settings.clone().into_iter().collect();
        let start = Start::new(self.folder.path().join("app"), settings)
            .binary(env!("CARGO_BIN_EXE_mdatp-forward"))
            .queues(self.queues.clone())
            .only("MdatpForward");
        FunctionsHost::start(start).await.expect("the handler starts")
    }

    /// The message about a customer that the timer writes at this time.
    fn message_of(&self, place: usize, tick: OffsetDateTime) -> String {
        json!({ "tenant": self.customer(place).id, "tick": to_rfc3339(&tick) }).to_string()
    }

    /// What becomes of a message about a customer that the timer has just written.
    async fn run(&self, host: &FunctionsHost, place: usize) -> Invocation {
        deliver(host, &self.message_of(place, now())).await
    }

    /// How many alerts each customer's rule has accepted.
    fn sent(&self) -> Vec<u64> {
        self.fleet
            .customers()
            .iter()
            .map(|customer| self.fleet.cloud(&customer.id).counts().records)
            .collect()
    }

    /// The texts of the messages in the queue.
    fn queued(&self) -> Vec<String> {
        let decoded = |text: String| {
            let bytes = BASE64_STANDARD.decode(text).expect("the host writes base64");
            String::from_utf8(bytes).expect("text")
        };
        self.queues.texts(QUEUE).into_iter().map(decoded).collect()
    }
}

/// What becomes of a message with this text.
async fn deliver(host: &FunctionsHost, message: &str) -> Invocation {
    let mut invocation: Value = serde_json::from_str(RECORDED).expect("JSON");
    invocation["Data"] = json!({ "message": json!(message).to_string() });
    host.call_with("MdatpTenant", invocation.to_string().into()).await.1
}

/// The ids of the customers in their entries or messages.
fn tenants(texts: &[String]) -> Vec<String> {
    let tenant = |text: &String| {
        let message: Value = serde_json::from_str(text).expect("JSON");
        let mut names: Vec<_> = message.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["tenant", "tick"], "and nothing else");
        let tick = parse_rfc3339(message["tick"].as_str().expect("a text")).expect("a time");
        assert!((now() - tick).whole_seconds() < 60, "{text}");
        message["tenant"].as_str().expect("a text").to_owned()
    };
    texts.iter().map(tenant).collect()
}

#[tokio::test]
async fn the_timer_asks_for_each_enabled_tenant_and_each_run_is_of_its_own_tenant() {
    let provider = Provider::new(3).await;
    let mut entries = provider.entries();
    entries[1]["enabled"] = json!(false);
    provider.write_list(&entries);
    let host = provider.host().await;
    let tick = host.fire(Payload::regular()).await;
    assert_eq!(succeed(&tick), json!({ "tenants": 2 }));
    assert_eq!(tick.logs, ["asked for the runs of 2 tenants"]);
    let queued = provider.queued();
    let expected: Vec<_> = [0, 2].map(|place| provider.customer(place).id.clone()).into();
    assert_eq!(tenants(&queued), expected);

    for (message, place) in queued.iter().zip([0, 2]) {
        let run = deliver(&host, message).await;
        let report = succeed(&run);
        assert_eq!(report["tenant"], json!(provider.customer(place).id));
        assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(10 * (place + 1)), &json!(true)));
        assert!(run.logs[0].starts_with("run result=ok tenant="), "{:?}", run.logs);
        assert_eq!(provider.state(place, "checkpoint.json")["history"][0]["sent"], json!(10 * (place + 1)));
    }
    assert_eq!(provider.sent(), [10, 0, 30]);
    assert!(!provider.folder.path().join("state/checkpoint.json").exists());

    // Nothing is new: no line, and nothing is written.
    let before = provider.state(0, "checkpoint.json");
    let quiet = provider.run(&host, 0).await;
    assert_eq!((&succeed(&quiet)["alertsSent"], &quiet.logs[..]), (&json!(0), &[][..]));
    assert_eq!(provider.state(0, "checkpoint.json"), before);
    assert_eq!(provider.cloud(1).counts().requests, 0, "the disabled one is left alone");
    for place in 0..3 {
        assert!(provider.cloud(place).rejected().is_empty(), "{:?}", provider.cloud(place).rejected());
    }
}

#[tokio::test]
async fn messages_that_ask_for_nothing_are_dropped_without_harm() {
    let provider = Provider::new(2).await;
    let mut entries = provider.entries();
    entries[1]["enabled"] = json!(false);
    provider.write_list(&entries);
    let host = provider.host().await;
    let unknown = json!({ "tenant": "5f3a1c9e-0b1d-4f7e-9a55-2d6c8e4b7f10", "tick": to_rfc3339(&now()) });
    for (message, reason) in
        [(unknown.to_string(), "unknownTenant"), (provider.message_of(1, now()), "disabledTenant")]
    {
        let run = deliver(&host, &message).await;
        assert_eq!(succeed(&run)["skipped"], reason);
        assert!(run.logs[0].starts_with("run result=skipped tenant="), "{:?}", run.logs);
    }
    for foreign in ["a-secret", "", "42", "[1]", "{}", r#"{"tenant":"a-secret","tick":"now"}"#] {
        assert_eq!(succeed(&deliver(&host, foreign).await), Value::Null, "{foreign}");
    }
    for place in 0..2 {
        assert_eq!(provider.cloud(place).counts().requests, 0);
    }
    for no_message in ["", "a-secret", r#"{"Data":{}}"#, r#"{"Data":{"message":{"a-secret":1}}}"#] {
        let (_, invocation) = host.call_with("MdatpTenant", no_message.into()).await;
        assert_eq!(invocation.status, 400, "{no_message}");
    }
    host.line_with("of 10 bytes, is not mdatp-forward's").await;
    host.kill().await;
    assert!(!format!("{:?}", host.log()).contains("a-secret"));
    assert_eq!(host.stderr().iter().filter(|line| line.contains("is not mdatp-forward's")).count(), 6);
}

/// Whoever can write to the queue can ask for runs, and nothing more: a message's members appear in the metadata as well,
/// where they replace the host's own.
#[tokio::test]
async fn a_message_cannot_redirect_alerts_or_pass_for_another_tenants() {
    let provider = Provider::new(2).await;
    let host = provider.host().await;
    let message = json!({
        "tenant": provider.customer(0).id, "tick": to_rfc3339(&now()),
        "sink": { "endpoint": "https://127.0.0.1:1", "dcr": provider.customer(1).rule },
        "endpoint": "https://127.0.0.1:1", "MDATP_DCR_ID": provider.customer(1).rule, "clientId": "x",
        "Id": "mine", "DequeueCount": 99, "sys": "x", "enabled": false,
    });
    let mut invocation: Value = serde_json::from_str(RECORDED).expect("JSON");
    invocation["Data"] = json!({ "message": json!(message.to_string()).to_string() });
    for (name, value) in message.as_object().expect("an object") {
        invocation["Metadata"][name] = value.clone();
    }
    invocation["Metadata"]["tenant"] = json!(format!("\"{}\"", provider.customer(1).id));
    let (_, run) = host.call_with("MdatpTenant", invocation.to_string().into()).await;
    assert_eq!(succeed(&run)["tenant"], json!(provider.customer(0).id));
    assert_eq!(provider.sent(), [10, 0]);
}

#[tokio::test]
async fn a_failure_of_one_tenant_is_a_success_for_the_host_and_waits_for_its_next_try() {
    let mut provider = Provider::new(2).await;
    provider.set("MDATP_LOG_FORMAT", "json");
    let host = provider.host().await;
    provider.cloud(0).deny_role(Role::AlertRead);
    let run = provider.run(&host, 0).await;
    let error = succeed(&run)["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("Defender answered 403"), "{error}");
    assert!(run.logs.is_empty(), "its line is on stderr: {:?}", run.logs);
    let line: Value = serde_json::from_str(&host.line_with("run result=failed").await).expect("JSON");
    assert_eq!(
        (&line["tenant"], &line["errorKind"], &line["invocationId"]),
        (&json!(provider.customer(0).id), &json!("requestRejected"), &json!(run.id))
    );
    let message = line["message"].as_str().expect("a text");
    assert!(
        message.starts_with(&format!("run result=failed tenant={} ", provider.customer(0).id)),
        "{message}"
    );
    assert_eq!(provider.state(0, "checkpoint.json")["history"][0]["result"], "failed");

    // Nobody else notices, and it is left alone for five minutes.
    assert_eq!(succeed(&provider.run(&host, 1).await)["alertsSent"], 20);
    let asked = provider.cloud(0).counts().requests;
    let early = provider.run(&host, 0).await;
    assert_eq!((&succeed(&early)["skipped"], &early.logs[..]), (&json!("backingOff"), &[][..]));
    assert_eq!(provider.cloud(0).counts().requests, asked);

    // Five minutes later, in another process.
    host.restart().await.expect("started again");
    provider.let_pass(0, Duration::minutes(5));
    assert!(succeed(&provider.run(&host, 0).await)["error"].is_string());
    provider.let_pass(0, Duration::minutes(5));
    assert_eq!(
        succeed(&provider.run(&host, 0).await)["skipped"],
        "backingOff",
        "after two it is fifteen minutes"
    );
    provider.cloud(0).grant_role(Role::AlertRead);
    provider.cloud(0).revoke_tokens();
    provider.let_pass(0, Duration::minutes(10));
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 10);
    let history = provider.state(0, "checkpoint.json")["history"].clone();
    let results: Vec<_> = history.as_array().expect("a list").iter().map(|run| &run["result"]).collect();
    assert_eq!(results, ["failed", "failed", "ok"]);
}

impl Provider {
    /// Makes a customer's recorded runs so much older, as if that time had passed. The process remembers none of them.
    fn let_pass(&self, place: usize, time: Duration) {
        let mut checkpoint = self.state(place, "checkpoint.json");
        for run in checkpoint["history"].as_array_mut().expect("a list") {
            let start = parse_rfc3339(run["start"].as_str().expect("a text")).expect("a time");
            run["start"] = json!(to_rfc3339(&(start - time)));
        }
        self.write(&format!("tenants/{}/checkpoint.json", self.customer(place).id), &checkpoint.to_string());
    }
}

/// What may go away by itself: an outage, and an alert that waits for its machine while others arrive.
#[tokio::test]
async fn a_tenant_whose_services_are_down_is_tried_at_each_tick() {
    let provider = Provider::new(1).await;
    let host = provider.host().await;
    provider.cloud(0).add_machine(r#"{"id":"bad","osPlatform":"Linux"}"#);
    provider.cloud(0).add_alert(&alert("young", Some("bad"), &minutes_ago(1)));
    provider.cloud(0).fault(Fault::status(400).on(Service::Defender).matching("bad").always());
    let waits = succeed(&provider.run(&host, 0).await)["error"].as_str().expect("an error").to_owned();
    assert!(waits.contains("1 alert waits for its machine"), "{waits}");
    provider.cloud(0).add_alert(&alert("next", None, &minutes_ago(1)));
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 1);

    provider.cloud(0).revoke_tokens();
    for service in [Service::Entra, Service::LogsIngestion] {
        provider.cloud(0).clear_faults();
        provider.cloud(0).fault(Fault::reset().on(service).times(20));
        provider.cloud(0).add_alert(&alert(&format!("{service:?}"), None, &minutes_ago(1)));
        let error = succeed(&provider.run(&host, 0).await)["error"].as_str().expect("an error").to_owned();
        assert!(error.contains("did not return a complete response"), "{error}");
    }
    provider.cloud(0).clear_faults();
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 3);
}

#[tokio::test]
async fn a_tenant_that_recovers_is_seen_to_have_recovered_at_once() {
    let provider = Provider::new(1).await;
    let host = provider.host().await;
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 10);
    provider.cloud(0).fault(Fault::status(403).on(Service::Defender));
    assert!(succeed(&provider.run(&host, 0).await)["error"].is_string());
    provider.let_pass(0, Duration::minutes(5));
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 0);
    let history = provider.state(0, "checkpoint.json")["history"].clone();
    assert_eq!(history.as_array().and_then(|runs| runs.last()).map(|run| &run["result"]), Some(&json!("ok")));
}

#[tokio::test]
async fn settings_of_one_tenant_that_cannot_be_used_are_its_own_failure() {
    let mut provider = Provider::new(4).await;
    let mut entries = provider.entries();
    entries[0]["sink"]["dcr"] = json!("no id!");
    entries[1]["credential"] = json!("secret:NO_SUCH_SETTING");
    entries[2]["credential"] = json!("secret:CUSTOMER_SECRET");
    entries[2]["clientId"] = json!(provider.customer(2).client);
    entries[3]["sink"]["tokenFrom"] = json!("home");
    provider.write_list(&entries);
    let secret = provider.customer(2).secret.clone();
    provider.set("CUSTOMER_SECRET", &secret);
    let host = provider.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await), json!({ "tenants": 4 }));
    for (place, parts) in [
        (0, &["MDATP_DCR_ID must be the rule's immutable id"][..]),
        (1, &["NO_SUCH_SETTING is not set", "tenants.json names it"]),
        (3, &["the Logs Ingestion API answered 403"]),
    ] {
        let error =
            succeed(&provider.run(&host, place).await)["error"].as_str().expect("an error").to_owned();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    assert_eq!(succeed(&provider.run(&host, 2).await)["alertsSent"], 30, "by a secret of its own");
    host.kill().await;
    let failed = host.stderr().into_iter().filter(|line| line.contains("run result=failed tenant="));
    assert_eq!(failed.count(), 3);
}

#[tokio::test]
async fn a_failure_of_the_store_has_the_host_send_the_message_again() {
    let provider = Provider::new(2).await;
    let host = provider.host().await;
    let message = provider.message_of(0, now());
    // A file where the tenant's folder is to be.
    let place = format!("tenants/{}", provider.customer(0).id);
    provider.write(&place, "");
    let error = fail(&deliver(&host, &message).await);
    assert!(error.contains(&format!("{place}/checkpoint.json in folder")), "{error}");
    assert_eq!(provider.sent(), [0, 0]);
    assert_eq!(succeed(&provider.run(&host, 1).await)["alertsSent"], 20);
    fs::remove_file(provider.folder.path().join("state").join(place)).expect("removed");
    assert_eq!(succeed(&deliver(&host, &message).await)["alertsSent"], 10, "the same message");
    // A third time it finds a run that has begun since it was written.
    assert_eq!(succeed(&deliver(&host, &message).await)["skipped"], "staleMessage");
}

#[tokio::test]
async fn a_damaged_list_fails_the_timer_and_puts_nothing_into_the_queue() {
    let provider = Provider::new(2).await;
    let host = provider.host().await;
    let mut entries = provider.entries();
    entries[1]["enabled"] = json!("no");
    provider.write_list(&entries);
    let tick = host.fire(Payload::regular()).await;
    let error = fail(&tick);
    for part in ["tenants.json in folder", "tenant 2 (Customer ", "enabled must be true or false", "Fix: "] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(provider.queued().is_empty());
    let line = host.line_with("run result=failed").await;
    assert!(line.contains("enabled must be true or false"), "{line}");
    // A message that was there before comes again until the list is repaired, or becomes poison.
    assert!(fail(&provider.run(&host, 0).await).contains("tenant 2 (Customer "));
    provider.write_list(&provider.entries());
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 10);
}

#[tokio::test]
async fn without_a_list_the_timer_asks_for_nothing_and_says_how_to_make_one() {
    let provider = Provider::new(1).await;
    fs::remove_file(provider.folder.path().join("state/tenants.json")).expect("removed");
    let host = provider.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await), json!({ "tenants": 0 }));
    let line = host.line_with("there is no list of tenants yet").await;
    assert!(line.contains("warning") && line.contains("mdatp-forward tenants add"), "{line}");
    // A tenant that is added is known at once.
    provider.write_list(&provider.entries());
    assert_eq!(succeed(&provider.run(&host, 0).await)["alertsSent"], 10);
}

#[tokio::test]
async fn the_settings_that_all_tenants_share_fail_the_timer_by_name() {
    let mut provider = Provider::new(1).await;
    provider.set("MDATP_STATE", "nowhere");
    // Of no matter here: there is no sink for all.
    provider.set("MDATP_WORKSPACE_KEY", "nonsense!");
    let host = provider.host().await;
    for invocation in [host.fire(Payload::regular()).await, provider.run(&host, 0).await] {
        let error = invocation.body;
        assert!(error.contains("MDATP_STATE must be blob:"), "{error}");
        assert!(!error.contains("MDATP_WORKSPACE_KEY"), "{error}");
    }
    host.kill().await;
    assert!(!host.stderr().iter().any(|line| line.contains("MDATP_WORKSPACE_KEY")), "{:?}", host.stderr());
}

#[tokio::test]
async fn tenants_run_side_by_side_and_each_once_at_a_time() {
    let provider = Provider::new(2).await;
    let host = provider.host().await;
    let slow = Fault::slow(Duration::seconds(2)).on(Service::LogsIngestion);
    provider.cloud(0).fault(slow);
    let others = async {
        host.line_with("sent a batch of 20 records").await;
        let doubled = provider.run(&host, 0).await;
        assert_eq!(succeed(&doubled)["skipped"], "alreadyRunning");
    };
    let (first, second, ()) = tokio::join!(provider.run(&host, 0), provider.run(&host, 1), others);
    assert_eq!((&succeed(&first)["alertsSent"], &succeed(&second)["alertsSent"]), (&json!(10), &json!(20)));
    assert!(first.took > second.took, "{:?} {:?}", first.took, second.took);
    assert_eq!(provider.sent(), [10, 20]);
}

#[tokio::test]
async fn all_tenants_share_one_assertion_and_each_has_tokens_of_its_own() {
    let provider = Provider::new(8).await;
    let host = provider.host().await;
    let runs = join_all((0..8).map(|place| provider.run(&host, place))).await;
    assert!(runs.iter().all(|run| succeed(run)["complete"] == true), "{runs:#?}");
    let home = provider.fleet.home().counts();
    assert_eq!(home.identity_tokens, 1, "one assertion, and nobody needs the app's own token");
    for place in 0..8 {
        assert_eq!(provider.cloud(place).counts().tokens, 2, "Defender's and the sink's");
    }
    for place in 0..8 {
        assert_eq!(succeed(&provider.run(&host, place).await)["alertsSent"], 0);
        assert_eq!(provider.cloud(place).counts().tokens, 2, "kept between the runs");
    }
}

/// Sixteen runs may hold alerts in memory: the others wait with their first page, and all are delivered.
#[tokio::test]
async fn of_many_runs_at_once_with_news_sixteen_go_on_at_a_time() {
    const TAKES: Duration = Duration::seconds(4);
    let provider = Provider::with(24, |_| 1).await;
    for place in 0..24 {
        provider.cloud(place).fault(Fault::slow(TAKES).on(Service::LogsIngestion));
    }
    let host = provider.host().await;
    let runs = join_all((0..24).map(|place| provider.run(&host, place))).await;
    assert!(runs.iter().all(|run| succeed(run)["complete"] == true));
    assert_eq!(provider.sent(), [1; 24]);
    let post = |place| {
        let requests = provider.cloud(place).requests();
        requests.iter().find(|seen| seen.service == Service::LogsIngestion).expect("a post").at
    };
    let mut times: Vec<_> = (0..24).map(post).collect();
    times.sort();
    for (first, seventeenth) in times.iter().zip(&times[16..]) {
        assert!(*seventeenth - *first >= TAKES, "{times:?}");
    }
}

#[tokio::test]
async fn pages_are_smaller_than_those_of_one_tenant_unless_a_setting_says_otherwise() {
    let mut provider = Provider::new(1).await;
    let until = now() - Duration::minutes(1);
    let volume = Volume { alerts: 600, machines: 3, since: until - Duration::minutes(50), until };
    provider.cloud(0).generate(&volume);
    let tops = |provider: &Provider| {
        let requests = provider.cloud(0).requests();
        let lists = requests.iter().filter(|seen| seen.path_and_query.starts_with("/api/alerts?"));
        lists.map(|seen| seen.path_and_query.contains("$top=252")).collect::<Vec<_>>()
    };
    assert_eq!(succeed(&provider.run(&provider.host().await, 0).await)["alertsSent"], 610);
    assert_eq!(tops(&provider), [true; 3]);
    provider.set("MDATP_PAGE_SIZE", "1000");
    assert_eq!(succeed(&provider.run(&provider.host().await, 0).await)["alertsSent"], 0);
    assert!(tops(&provider).len() > 3 && tops(&provider)[3..].iter().all(|is_small| !is_small));
}

#[tokio::test]
async fn the_row_about_a_run_names_the_tenant() {
    let mut provider = Provider::new(2).await;
    provider.set("MDATP_HEALTH", "on");
    for place in 0..2 {
        provider.cloud(place).declare_stream("Custom-MDATPAlertsHealth_CL");
    }
    let host = provider.host().await;
    let (one, other) = join(provider.run(&host, 0), provider.run(&host, 1)).await;
    succeed(&one);
    succeed(&other);
    for place in 0..2 {
        let posts = provider.cloud(place).received();
        let rows: Vec<_> = posts
            .iter()
            .filter(|post| post.log_type_or_stream.contains("Health"))
            .flat_map(|post| &post.records)
            .collect();
        let [row] = rows[..] else { panic!("{rows:?}") };
        let row: Value = serde_json::from_str(row).expect("JSON");
        assert_eq!(row["SourceTenantId"], json!(provider.customer(place).id));
    }
}

#[tokio::test]
async fn lines_of_a_run_name_the_tenant_in_both_forms() {
    for format in ["text", "json"] {
        let mut provider = Provider::new(1).await;
        provider.set("MDATP_LOG_FORMAT", format);
        let host = provider.host().await;
        let run = provider.run(&host, 0).await;
        let line = host.line_with("sent a batch of").await;
        let tenant = &provider.customer(0).id;
        match format {
            "text" => assert!(line.contains(&format!("[{} tenant {tenant}] sent a batch", run.id)), "{line}"),
            _ => {
                for line in [&line, &run.logs[0]] {
                    let line: Value = serde_json::from_str(line).expect("JSON");
                    assert_eq!((&line["tenant"], &line["invocationId"]), (&json!(tenant), &json!(run.id)));
                }
            }
        }
        let of_run = host.log().into_iter().filter(|log| log.line.contains("run result="));
        assert_eq!(of_run.map(|log| log.category).collect::<Vec<_>>(), [Category::User]);
    }
}

#[tokio::test]
async fn at_a_shutdown_the_runs_of_all_tenants_end_and_are_answered() {
    let provider = Provider::new(3).await;
    for place in 0..3 {
        provider.cloud(place).fault(Fault::slow(Duration::seconds(1)).on(Service::LogsIngestion));
    }
    let host = provider.host().await;
    let stop = async {
        host.line_with("listens on").await;
        let posted =
            || (0..3).all(|place| provider.cloud(place).requests().iter().any(|seen| seen.fault.is_some()));
        while !posted() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        host.terminate().await
    };
    let (runs, stopped) = join(join_all((0..3).map(|place| provider.run(&host, place))), stop).await;
    assert_eq!(stopped, Ok(0));
    for (run, number) in runs.iter().zip(1..) {
        assert_eq!(succeed(run)["alertsSent"], 10 * number);
    }
}
