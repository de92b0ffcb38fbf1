//! The custom-handler protocol, as the host has it.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{
    Fault, Service, Sink,
    functions_host::{Framing, Invocation, Level, Outcome, Payload},
};

use crate::stage::{Stage, succeed};

#[tokio::test]
async fn every_payload_is_understood_in_both_framings() {
    let stage = Stage::with_alerts(Sink::DataCollector, 10, 2).await;
    let host = stage.host().await;
    for payload in Payload::ALL {
        for framing in [Framing::ContentLength, Framing::Chunked] {
            let invocation = host.fire_with(payload.clone(), framing).await;
            assert_eq!(succeed(&invocation)["complete"], true, "{payload:?}");
            assert_eq!(invocation.logs.len(), 1);
        }
    }
    stage.assert_all_sent_once();
    host.line_with("past due").await;
}

#[tokio::test]
async fn what_is_no_invocation_is_answered_400_with_a_json_error() {
    let stage = Stage::new(Sink::DataCollector).await;
    let host = stage.host().await;
    for body in ["", "{", "{}", r#"{"Data":null}"#, r#"{"Metadata":{}}"#, "\u{0}"] {
        let invocation = host.fire(Payload::Raw(body.into())).await;
        assert_eq!(invocation.status, 400, "{body}");
        let reply: Value = serde_json::from_str(&invocation.body).expect("JSON");
        assert!(reply["error"].is_string());
    }
    let long = format!(r#"{{"Data":{{"t":"{}"}}}}"#, "x".repeat(1024 * 1024));
    let invocation = host.fire(Payload::Raw(long.into())).await;
    assert_eq!(invocation.status, 413);
    assert_eq!(host.get("/elsewhere").await, Ok(404));
    assert_eq!(stage.cloud.counts().requests, 0, "nothing was run");
    succeed(&host.fire(Payload::regular()).await);
}

#[tokio::test]
async fn the_first_answer_touches_nothing() {
    let stage = Stage::new(Sink::DataCollector).await;
    let host = stage.host().await;
    assert_eq!(host.get("/").await, Ok(200));
    assert_eq!(stage.cloud.counts().requests, 0);
    assert!(!stage.state_file("checkpoint.json").exists());
}

#[tokio::test]
async fn a_failure_is_told_on_stderr_in_one_line_and_in_the_reason_phrase() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    stage.cloud.fault(Fault::status(403).on(Service::DataCollector).always());
    let host = stage.host().await;
    let Invocation { status, reason, outcome, id, .. } = host.fire(Payload::regular()).await;
    assert_eq!(status, 500);
    assert!(reason.contains("MDATP_WORKSPACE_KEY") && reason.is_ascii(), "{reason}");
    assert!(matches!(outcome, Outcome::Failed(text) if text.contains("MDATP_WORKSPACE_KEY")));
    host.line_with("MDATP_WORKSPACE_KEY").await;
    let errors: Vec<_> = host.log().into_iter().filter(|log| log.level == Level::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].line.contains(&id));
}

#[tokio::test]
async fn lines_go_where_the_host_takes_them_for_what_they_are_and_name_the_invocation() {
    for format in ["text", "json"] {
        let mut stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
        stage.set("MDATP_LOG_FORMAT", format);
        let host = stage.host().await;
        let invocation = host.fire(Payload::regular()).await;
        succeed(&invocation);
        host.line_with("result=ok read=5 ").await;
        let stderr = host.stderr();
        assert!(
            stderr.len() == 1 && stderr[0].contains("2026-09-14") && stderr[0].contains("warning"),
            "{stderr:?}"
        );
        let of_run: Vec<_> = host.stdout().into_iter().filter(|line| line.contains(&invocation.id)).collect();
        assert_eq!(of_run.len(), 2, "{:?}", host.stdout());
        for line in host.stdout().iter().chain(&stderr) {
            assert_eq!(format == "json", serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
}

#[tokio::test]
async fn a_second_invocation_during_a_run_is_answered_at_once() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    stage.cloud.fault(
        Fault::slow(azure_core::time::Duration::seconds(2)).on(Service::Defender).matching("/api/alerts"),
    );
    let host = stage.host().await;
    let first = host.fire(Payload::regular());
    let second = async {
        while stage.cloud.counts().requests < 2 {
            tokio::task::yield_now().await;
        }
        host.fire(Payload::Admin).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(succeed(&second)["skipped"], "alreadyRunning");
    assert!(second.took < Duration::from_secs(1), "{:?}", second.took);
    assert_eq!(succeed(&first)["alertsSent"], 5);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn the_deadline_ends_a_run_with_what_is_done_saved_and_the_next_tick_goes_on() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 200, 5).await;
    stage.set("MDATP_PAGE_SIZE", "20");
    stage.set("MDATP_RUN_BUDGET", "3s");
    stage.cloud.fault(
        Fault::slow(azure_core::time::Duration::milliseconds(600))
            .on(Service::Defender)
            .matching("/api/alerts")
            .always(),
    );
    let host = stage.host().await;
    let first = succeed(&host.fire(Payload::regular()).await);
    assert_eq!(first["complete"], false);
    let sent = first["alertsSent"].as_u64().expect("a count");
    assert!(sent > 0 && sent < 200, "{first}");
    stage.cloud.clear_faults();
    let second = succeed(&host.fire(Payload::regular()).await);
    assert_eq!((&second["complete"], &second["alertsSent"]), (&json!(true), &json!(200 - sent)));
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn signals_stop_the_process_cleanly_and_a_run_under_way_is_not_lost() {
    let stage = Stage::with_alerts(Sink::DataCollector, 50, 1).await;
    let host = stage.host().await;
    assert_eq!(host.terminate().await, Ok(0));
    host.restart().await.expect("started again");

    stage.cloud.fault(
        Fault::slow(azure_core::time::Duration::seconds(1)).on(Service::Defender).matching("/api/alerts"),
    );
    let run = host.fire(Payload::regular());
    let stop = async {
        while stage.cloud.counts().requests < 2 {
            tokio::task::yield_now().await;
        }
        host.terminate().await
    };
    let (_, code) = tokio::join!(run, stop);
    assert_eq!(code, Ok(0));
    stage.tick().await;
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_restarted_handler_gets_its_port_back() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let host = stage.host().await;
    let port = host.port();
    succeed(&host.fire(Payload::regular()).await);
    host.restart().await.expect("the port is free again");
    succeed(&host.fire(Payload::regular()).await);
    assert_eq!(host.port(), port);
    stage.assert_all_sent_once();
}
