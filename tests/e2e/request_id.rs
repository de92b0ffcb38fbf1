//! `x-ms-client-request-id`: what became of a batch can be looked up in the service's own tables.

use std::collections::BTreeSet;

use simulator::{Fault, Service, Sink, functions_host::Payload};

use crate::stage::{Stage, alert, fail, minutes_ago, succeed};

/// The ids of the posts that were accepted, in order.
fn ids(stage: &Stage) -> Vec<String> {
    let id = |post: &std::sync::Arc<simulator::Received>| post.request_id().expect("an id").to_owned();
    stage.cloud.received().iter().map(id).collect()
}

#[tokio::test]
async fn a_batch_that_is_sent_again_has_the_same_id_and_another_batch_another_one() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 900, 60).await;
    stage.cloud.fault(Fault::lost_reply().on(Service::LogsIngestion));
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    let (posts, ids) = (stage.cloud.received(), ids(&stage));
    assert!(ids.len() >= 3, "{ids:?}");
    assert_eq!((&ids[0], &posts[0].body), (&ids[1], &posts[1].body));
    let bodies: BTreeSet<_> = posts.iter().map(|post| &post.body).collect();
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!((different.len(), bodies.len()), (ids.len() - 1, ids.len() - 1));
    // Version 8, of RFC 9562's variant.
    assert!(ids.iter().all(|id| &id[14..15] == "8" && "89ab".contains(&id[19..20])), "{ids:?}");
    let lines = [host.stdout(), host.stderr()].concat();
    for id in different {
        let told = lines.iter().filter(|line| line.contains("sent a batch of") && line.contains(&**id));
        assert_eq!(told.count(), 1, "{id} in {lines:?}");
    }
}

#[tokio::test]
async fn a_refused_record_is_set_aside_with_the_id_of_its_post() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 20, 3).await;
    let host = stage.host().await;
    succeed(&host.fire(Payload::regular()).await);
    // Alone in its post, by a sink that has accepted others.
    stage.cloud.add_alert(&alert("bad", None, &minutes_ago(1)));
    stage.cloud.fault(Fault::status(400).on(Service::LogsIngestion));
    succeed(&host.fire(Payload::regular()).await);
    let [aside] = &stage.set_aside()[..] else { panic!("{:?}", stage.set_aside()) };
    let reason = aside["reason"].as_str().expect("a reason");
    let (_, id) = reason.split_once("x-ms-client-request-id ").expect("an id");
    assert_eq!(id[..36].split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{reason}");
    assert!(!ids(&stage).contains(&id[..36].to_owned()), "it was not accepted");
}

#[tokio::test]
async fn a_failed_run_names_the_post_and_the_row_about_a_run_has_an_id_too() {
    let mut stage = Stage::with_alerts(Sink::LogsIngestion, 5, 2).await;
    stage.set("MDATP_HEALTH", "on");
    let rule = stage
        .command(&["schema", "--health", "--format", "dcr", "--workspace", crate::stage::WORKSPACE])
        .await;
    let rule = String::from_utf8(rule.stdout).expect("text");
    stage.cloud.deploy_rule(&rule).expect("a rule that the service takes");
    stage.cloud.fault(Fault::status(403).on(Service::LogsIngestion).times(1));
    let host = stage.host().await;
    let failed = fail(&host.fire(Payload::regular()).await);
    assert!(failed.contains("x-ms-client-request-id "), "{failed}");
    succeed(&host.fire(Payload::regular()).await);
    let ids = ids(&stage);
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (3, 3), "{ids:?}");
}

/// The documentation of the Data Collector API names all headers that it knows, and this is none of them.
#[tokio::test]
async fn the_data_collector_api_gets_no_header_that_it_does_not_know() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 2).await;
    stage.tick().await;
    assert!(stage.cloud.received().iter().all(|post| post.request_id().is_none()));
}
