//! Several processes at one checkpoint: one is at work, the others end at once, and nobody waits for one that is gone.

use azure_core::time::{Duration, to_rfc3339};
use serde_json::{Value, json};
use simulator::{Fault, Service, Sink, azurite::Azurite, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, now, succeed};

fn service(sink: Sink) -> Service {
    match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    }
}

/// The report of `mdatp-forward run --json`, which must end with success.
async fn report(process: tokio::process::Child) -> Value {
    let output = process.wait_with_output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a report")
}

/// Two processes, one later than the other, against a sink that takes its time for each post.
async fn two_at_once(stage: &mut Stage, sink: Sink) {
    // Small pages and many posts, so that there is a middle.
    stage.set("MDATP_PAGE_SIZE", "100");
    let wait = Duration::milliseconds(400);
    for delay in [0, 20, 150, 600, 1_200, 2_000] {
        stage.generate(300, 5);
        stage.cloud.clear_faults();
        stage.cloud.fault(Fault::slow(wait).on(service(sink)).always());
        let first = stage.start(&["run", "--json"]);
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        let second = stage.start(&["run", "--json"]);
        let (first, second) = tokio::join!(report(first), report(second));
        for report in [&first, &second] {
            let is_skipped = report["skipped"] == "busyElsewhere";
            assert!(is_skipped || report["complete"] == true, "{delay} ms: {first}\n{second}");
        }
        let sent = first["alertsSent"].as_u64().unwrap_or(0) + second["alertsSent"].as_u64().unwrap_or(0);
        assert_eq!(sent, 300, "{delay} ms: {first}\n{second}");
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn of_two_processes_at_a_folder_one_sends_and_neither_fails() {
    for sink in BOTH_SINKS {
        two_at_once(&mut Stage::new(sink).await, sink).await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn of_two_processes_at_blob_storage_one_sends_and_neither_fails() {
    let azurite = Azurite::start().await;
    for (sink, container) in BOTH_SINKS.into_iter().zip(["one", "two"]) {
        let mut stage = Stage::new(sink).await;
        stage.set("MDATP_STATE", &format!("blob:{container}"));
        stage.set("AzureWebJobsStorage", &azurite.connection_string());
        two_at_once(&mut stage, sink).await;
    }
}

/// The checkpoint's document with a lease in it, as a process elsewhere would have left it.
fn leased(stage: &Stage, until: Duration) -> String {
    let text = std::fs::read_to_string(stage.state_file("checkpoint.json")).expect("a checkpoint");
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    let history = document["history"].as_array_mut().expect("a list");
    history.retain(|entry| entry.get("lease").is_none());
    let until = to_rfc3339(&(now() + until));
    history.push(json!({ "lease": { "holder": "elsewhere/7/1", "until": until } }));
    let text = document.to_string();
    std::fs::write(stage.state_file("checkpoint.json"), &text).expect("written");
    text
}

#[tokio::test]
async fn a_run_that_finds_another_at_work_is_skipped_and_touches_nothing() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 10, 2).await;
        stage.tick().await;
        stage.generate(10, 2);
        let text = leased(&stage, Duration::seconds(30));
        let posts = stage.cloud.counts().posts;
        let report = stage.tick().await;
        assert_eq!((&report["skipped"], &report["alertsSent"]), (&json!("busyElsewhere"), &json!(0)));
        assert_eq!((&report["complete"], &report["error"]), (&json!(false), &Value::Null));
        let after = std::fs::read_to_string(stage.state_file("checkpoint.json")).expect("a checkpoint");
        assert_eq!((after, stage.cloud.counts().posts), (text, posts));

        // A lease that is over, and one from a clock that was wrong, bind nobody.
        for until in [Duration::seconds(-1), Duration::hours(2)] {
            leased(&stage, until);
            let report = stage.tick().await;
            assert_eq!((&report["skipped"], &report["complete"]), (&Value::Null, &json!(true)), "{until:?}");
        }
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_run_gives_up_its_lease_at_its_end_also_when_it_fails() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 10, 2).await;
    let lease = |stage: &Stage| {
        let text = std::fs::read_to_string(stage.state_file("checkpoint.json")).expect("a checkpoint");
        text.contains("\"lease\"")
    };
    stage.tick().await;
    assert!(!lease(&stage));
    stage.generate(10, 2);
    stage.cloud.fault(Fault::status(403).on(Service::LogsIngestion));
    let host = stage.host().await;
    assert!(!host.fire(Payload::regular()).await.succeeded());
    assert!(!lease(&stage));
    succeed(&host.fire(Payload::regular()).await);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn status_and_check_name_the_process_at_work_and_state_release_frees_the_checkpoint() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    stage.tick().await;
    let shown = async |arguments: &[&str]| {
        let output = stage.command(arguments).await;
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(!shown(&["status"]).await.contains("at work"));
    assert!(shown(&["state", "release"]).await.contains("no process is at work"));
    leased(&stage, Duration::seconds(60));
    assert!(shown(&["status"]).await.contains("at work       elsewhere/7/1 (until 20"));
    let status: Value = serde_json::from_str(&shown(&["status", "--json"]).await).expect("JSON");
    assert_eq!(status["lease"]["holder"], "elsewhere/7/1");
    assert!(shown(&["check"]).await.contains("at work on it: elsewhere/7/1"));
    stage.generate(5, 1);
    assert_eq!(stage.tick().await["skipped"], "busyElsewhere");
    assert!(shown(&["state", "release"]).await.contains("the lease of elsewhere/7/1 (until 20"));
    assert_eq!(stage.tick().await["alertsSent"], 5);
    stage.assert_all_sent_once();
}

/// The real host kills its handler without a signal (a deployment, a scale-in), and another host's timer fires 20 s
/// later: with the first one's lease in the checkpoint.
#[tokio::test]
async fn after_a_kill_in_the_middle_of_a_post_a_new_process_goes_on_at_once_here_and_after_the_lease_elsewhere()
 {
    for sink in BOTH_SINKS {
        let mut stage = Stage::with_alerts(sink, 300, 5).await;
        stage.set("MDATP_PAGE_SIZE", "100");
        stage.cloud.fault(Fault::hang().on(service(sink)));
        let host = stage.host().await;
        let run = host.fire(Payload::regular());
        let kill = async {
            while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
                tokio::task::yield_now().await;
            }
            host.kill().await;
        };
        let (invocation, ()) = tokio::join!(run, kill);
        assert!(!invocation.succeeded());
        let text = std::fs::read_to_string(stage.state_file("checkpoint.json")).expect("a checkpoint");
        assert!(text.contains("\"lease\""), "{text}");

        // What the next host finds when it is another machine: the lease of a process that it knows nothing of.
        leased(&stage, Duration::seconds(70));
        assert_eq!(stage.tick().await["skipped"], "busyElsewhere");
        // And on the same machine: the lease of a process that is gone.
        std::fs::write(stage.state_file("checkpoint.json"), text).expect("written");
        let report = stage.tick().await;
        assert_eq!((&report["skipped"], &report["complete"]), (&Value::Null, &json!(true)));
        stage.assert_all_sent_once();
    }
}
