//! How machines are looked up: in as few calls as the service allows.

use serde_json::json;
use simulator::{Fault, Sink, functions_host::Payload};

use crate::stage::{Stage, alert, minutes_ago, succeed};

/// The queries of the calls that list machines.
fn lists(stage: &Stage) -> Vec<String> {
    let paths = stage.cloud.requests().into_iter().map(|seen| seen.path_and_query);
    paths.filter(|path| path.starts_with("/api/machines?")).collect()
}

/// An alert on each of `alerts` machines, which are among the first `fleet` ones.
fn populate(stage: &Stage, fleet: usize, alerts: usize) {
    for number in 0..fleet {
        stage.cloud.add_machine(&format!(r#"{{"id":"m{number}","osBuild":{number}}}"#));
    }
    // Far apart in the fleet.
    for number in 0..alerts {
        let machine = format!("m{}", number * (fleet / alerts));
        stage.cloud.add_alert(&alert(&format!("a{number}"), Some(&machine), &minutes_ago(5)));
    }
}

#[tokio::test]
async fn a_machine_is_kept_for_the_next_runs_unless_that_is_switched_off() {
    for (ttl, calls) in [("1h", 1), ("0s", 2)] {
        let mut stage = Stage::new(Sink::DataCollector).await;
        stage.set("MDATP_MACHINE_TTL", ttl);
        stage.cloud.add_machine(r#"{"id":"m","osBuild":7}"#);
        let host = stage.host().await;
        for (id, read) in [("a", 1), ("b", calls - 1)] {
            stage.cloud.add_alert(&alert(id, Some("m"), &minutes_ago(5)));
            let report = succeed(&host.fire(Payload::regular()).await);
            assert_eq!(report["machinesRead"], read);
        }
        assert_eq!(stage.cloud.counts().machine_gets, calls);
        assert!(stage.cloud.records().iter().all(|record| record["osBuild"] == 7));
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_machine_that_was_missing_is_asked_for_again_in_the_next_run() {
    let stage = Stage::new(Sink::DataCollector).await;
    let host = stage.host().await;
    stage.cloud.add_alert(&alert("a", Some("m"), &minutes_ago(5)));
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["machinesNotFound"], 1);
    stage.cloud.add_machine(r#"{"id":"m","osBuild":7}"#);
    stage.cloud.add_alert(&alert("b", Some("m"), &minutes_ago(4)));
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["machinesRead"], 1);
    assert_eq!(stage.cloud.records()[1]["osBuild"], 7);
}

#[tokio::test]
async fn the_machines_of_many_alerts_are_taken_from_a_list_of_the_fleet() {
    let stage = Stage::new(Sink::DataCollector).await;
    populate(&stage, 500, 250);
    let report = stage.tick().await;
    assert_eq!((&report["alertsSent"], &report["machinesRead"]), (&json!(250), &json!(250)));
    assert_eq!(lists(&stage), ["/api/machines?$top=1000&$skip=0"]);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_fleet_that_is_too_large_to_list_is_asked_for_by_id_from_then_on() {
    let stage = Stage::new(Sink::DataCollector).await;
    // The first page has 20 of the wanted ones: fewer than a call by ids brings.
    populate(&stage, 10_000, 200);
    let host = stage.host().await;
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["machinesRead"], 200);
    let asked = lists(&stage);
    assert_eq!((asked.len(), asked[0].as_str()), (1 + 6, "/api/machines?$top=1000&$skip=0"));
    assert!(asked[1..].iter().all(|path| path.contains("id in")), "{asked:?}");

    for number in 0..150 {
        let id = format!("n{number}");
        stage.cloud.add_alert(&alert(&id, Some(&format!("m{}", 50 * number + 7)), &minutes_ago(4)));
    }
    succeed(&host.fire(Payload::regular()).await);
    assert!(lists(&stage)[7..].iter().all(|path| path.contains("id in")));
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_fleet_that_cannot_be_listed_is_asked_for_by_id() {
    let stage = Stage::new(Sink::DataCollector).await;
    populate(&stage, 200, 200);
    stage.cloud.fault(Fault::status(400).matching("/api/machines?$top").always());
    assert_eq!(stage.tick().await["machinesRead"], 200);
    assert_eq!(lists(&stage).len(), 1 + 7);
    stage.assert_all_sent_once();
}
