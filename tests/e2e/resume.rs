//! Runs that end in the middle.

use azure_core::time::Duration;
use serde_json::json;
use simulator::{Fault, Service, Sink, Volume, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, now, succeed};

#[tokio::test]
async fn a_process_killed_in_the_middle_of_sending_loses_nothing() {
    for sink in BOTH_SINKS {
        let mut stage = Stage::with_alerts(sink, 1_000, 20).await;
        // Small pages and many batches, so that there is a middle.
        stage.set("MDATP_PAGE_SIZE", "100");
        let service =
            if sink == Sink::DataCollector { Service::DataCollector } else { Service::LogsIngestion };
        stage.cloud.fault(Fault::hang().on(service).after(usize::from(sink == Sink::LogsIngestion)));
        let host = stage.host().await;
        let hits =
            |stage: &Stage| stage.cloud.requests().iter().filter(|seen| seen.service == service).count();
        let until = if sink == Sink::DataCollector { 1 } else { 2 };
        let run = host.fire(Payload::regular());
        let kill = async {
            while hits(&stage) < until {
                tokio::task::yield_now().await;
            }
            host.kill().await;
        };
        let (invocation, ()) = tokio::join!(run, kill);
        assert!(!invocation.succeeded());
        let before = stage.cloud.counts().records;
        assert!(before < 1_000);

        host.restart().await.expect("started again");
        let report = succeed(&host.fire(Payload::PastDue).await);
        assert_eq!(report["complete"], true);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_lost_reply_repeats_at_most_the_batch_in_flight_byte_for_byte() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 300, 10).await;
        let service =
            if sink == Sink::DataCollector { Service::DataCollector } else { Service::LogsIngestion };
        stage.cloud.fault(Fault::lost_reply().on(service));
        assert_eq!(stage.tick().await["alertsSent"], 300);
        let received = stage.cloud.received();
        assert_eq!(received[0].body, received[1].body, "the repeat is the same");
        let mut distinct = stage.sent_ids();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 300);
        assert_eq!(stage.sent_ids().len(), 300 + received[0].records.len());
    }
}

#[tokio::test]
async fn a_save_that_fails_after_a_batch_fails_the_run_and_repeats_only_that_batch() {
    let stage = Stage::with_alerts(Sink::DataCollector, 50, 3).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    stage.generate(20, 0);
    // Somebody else saves while the batch is on its way.
    stage.cloud.fault(Fault::slow(azure_core::time::Duration::milliseconds(700)).on(Service::DataCollector));
    let run = host.fire(Payload::regular());
    let meddle = async {
        while !stage.cloud.requests().iter().any(|seen| seen.fault.is_some()) {
            tokio::task::yield_now().await;
        }
        let path = stage.state_file("checkpoint.json");
        let text = std::fs::read_to_string(&path).expect("a checkpoint");
        std::fs::write(&path, text + "\n").expect("written");
    };
    let (invocation, ()) = tokio::join!(run, meddle);
    assert_eq!(invocation.status, 500);
    assert!(invocation.reason.contains("another process"), "{}", invocation.reason);
    let report = succeed(&host.fire(Payload::regular()).await);
    assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(20), &json!(true)));
    assert_eq!(stage.sent_ids().len(), 50 + 20 + 20);
}

#[tokio::test]
async fn a_damaged_checkpoint_fails_the_run_by_name_and_nothing_is_sent() {
    for text in ["", "{", "<html>", r#"{"version":99}"#] {
        let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
        std::fs::create_dir_all(stage.folder.path().join("state")).expect("a folder");
        std::fs::write(stage.state_file("checkpoint.json"), text).expect("written");
        let invocation = stage.host().await.fire(Payload::regular()).await;
        assert_eq!(invocation.status, 500);
        assert!(invocation.reason.contains("checkpoint.json"), "{}", invocation.reason);
        assert_eq!(stage.cloud.counts().posts, 0);
        assert_eq!(std::fs::read_to_string(stage.state_file("checkpoint.json")).expect("still there"), text);
    }
}

/// The first batch is told to wait for longer than the run may last. If the second one went instead, the
/// watermark would move past the first, and with alerts older than the look-back that would be for good.
#[tokio::test]
async fn no_batch_overtakes_one_that_could_not_be_sent() {
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    stage.set("MDATP_RUN_BUDGET", "20s");
    stage.set("MDATP_LOOKBACK", "1m");
    let until = now() - Duration::hours(2);
    stage.cloud.generate(&Volume { alerts: 700, machines: 3, since: until - Duration::hours(10), until });
    let wait = Fault::status(429).on(Service::LogsIngestion).retry_after("3600");
    stage.cloud.fault(wait.times(1));
    let host = stage.host().await;
    let report = succeed(&host.fire(Payload::regular()).await);
    assert_eq!((&report["complete"], &report["alertsSent"]), (&json!(false), &json!(0)));
    succeed(&host.fire(Payload::regular()).await);
    stage.assert_all_sent_once();
}
