//! The custom-handler protocol, as the host has it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use simulator::{
    Fault, Service, Sink,
    functions_host::{Category, Framing, FunctionsHost, Invocation, Level, Outcome, Payload, Start},
};

use crate::stage::{Stage, succeed};

#[tokio::test]
async fn every_payload_is_understood_in_both_framings() {
    let stage = Stage::with_alerts(Sink::DataCollector, 10, 2).await;
    let host = stage.host().await;
    for payload in Payload::ALL {
        for framing in Framing::ALL {
            let invocation = host.fire_with(payload.clone(), framing).await;
            assert_eq!(succeed(&invocation)["complete"], true, "{payload:?}");
            assert_eq!(invocation.logs.len(), 1);
        }
    }
    stage.assert_all_sent_once();
    host.line_with("past due").await;
}

/// What the real host sent, byte for byte.
#[tokio::test]
async fn every_recorded_body_of_a_timer_is_an_invocation() {
    let stage = Stage::with_alerts(Sink::DataCollector, 10, 2).await;
    let host = stage.host().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let mut bodies: Vec<_> =
        fs::read_dir(folder).expect("recordings").map(|entry| entry.expect("one").path()).collect();
    bodies.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("timer-")));
    bodies.sort();
    assert_eq!(bodies.len(), 11);
    for path in bodies {
        let body = fs::read(&path).expect("a recording");
        let invocation = host.fire(Payload::Raw(body.into())).await;
        assert_eq!(succeed(&invocation)["complete"], true, "{}", path.display());
    }
    stage.assert_all_sent_once();
    let past_due = host.stdout().into_iter().filter(|line| line.contains("past due")).count();
    assert_eq!(past_due, 1);
}

#[tokio::test]
async fn a_run_is_told_once_under_its_invocation_or_when_it_fails_on_stderr() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let host = stage.host().await;
    let first = host.fire(Payload::regular()).await;
    succeed(&first);
    let second = host.fire(Payload::regular()).await;
    succeed(&second);
    stage.cloud.fault(Fault::status(403).on(Service::Defender).always());
    let third = host.fire(Payload::regular()).await;
    assert_eq!(third.status, 500);
    host.line_with("run result=failed").await;
    let told: Vec<_> = host.log().into_iter().filter(|log| log.line.contains("run result=")).collect();
    let told: Vec<_> = told.iter().map(|log| (log.category, log.level, log.invocation.as_deref())).collect();
    assert_eq!(
        told,
        [
            (Category::User, Level::Information, Some(&*first.id)),
            (Category::User, Level::Information, Some(&*second.id)),
            (Category::Console, Level::Error, None),
        ]
    );
    let quiet = host.stdout().into_iter().filter(|line| line.contains(&second.id)).count();
    assert_eq!(quiet, 0, "a run that found nothing writes nothing to the console: {:?}", host.stdout());
}

/// The first run in a clone: nothing but what is in the repository, started with its local.settings.json.
#[tokio::test]
async fn a_first_run_in_a_fresh_clone_makes_no_folder_in_the_app_root() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let root = tempfile::tempdir().expect("a folder");
    for name in ["host.json", "MdatpForward/function.json", ".state/.gitignore"] {
        let to = root.path().join(name);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), to).expect(name);
    }
    let local = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("local.settings.json")).expect("a file");
    let local: Value = serde_json::from_slice(&local).expect("JSON");
    let mut settings = stage.settings.clone();
    settings.insert("MDATP_STATE".into(), local["Values"]["MDATP_STATE"].as_str().expect("a text").into());
    let start = Start::new(root.path(), settings.into_iter().collect());
    let host =
        FunctionsHost::start(start.binary(env!("CARGO_BIN_EXE_mdatp-forward"))).await.expect("it starts");
    let pid = host.pid();
    succeed(&host.fire(Payload::FirstRun).await);
    assert!(root.path().join(".state/checkpoint.json").exists());
    // By now the host has seen what there is to see: a folder made here is the first change that it tells of.
    fs::create_dir(root.path().join("by-hand")).expect("made");
    assert!(host.line_with("Directory change of type").await.ends_with("/by-hand'"));
    host.line_with("Signaling restart").await;
    while host.pid() == pid {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    succeed(&host.fire(Payload::regular()).await);
}

/// The binary below a shell that does not wait to be replaced by it: when the shell is killed, as a host is that is out
/// of memory, nobody ends the binary.
async fn below_a_shell(stage: &Stage) -> FunctionsHost {
    let script = stage.folder.path().join("host.sh");
    let text = format!("#!/bin/sh\n{} &\nwait\n", env!("CARGO_BIN_EXE_mdatp-forward"));
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
    let settings = stage.settings.clone().into_iter().collect();
    let start = Start::new(env!("CARGO_MANIFEST_DIR"), settings).binary(script);
    FunctionsHost::start(start).await.expect("the handler starts")
}

/// Kills the parent; the handler is to be gone ten seconds later.
async fn orphan(host: &FunctionsHost) {
    let killed = Instant::now();
    host.kill().await;
    tokio::time::timeout(Duration::from_secs(10), host.silent()).await.expect("the handler ends");
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    assert!(host.get("/").await.is_err());
}

#[tokio::test]
async fn an_idle_handler_stays_while_its_parent_lives_and_ends_when_that_is_killed() {
    let stage = Stage::with_alerts(Sink::DataCollector, 5, 1).await;
    let host = below_a_shell(&stage).await;
    succeed(&host.fire(Payload::regular()).await);
    // Several looks at the parent.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(host.get("/").await, Ok(200));
    orphan(&host).await;
}

#[tokio::test]
async fn the_host_dies_during_a_post_and_what_is_accepted_in_time_is_remembered() {
    for (slow, is_accepted) in [(3, true), (60, false)] {
        let stage = Stage::with_alerts(Sink::DataCollector, 50, 2).await;
        let wait = azure_core::time::Duration::seconds(slow);
        stage.cloud.fault(Fault::slow(wait).on(Service::DataCollector).always());
        let host = below_a_shell(&stage).await;
        let run = host.fire(Payload::regular());
        let die = async {
            while !stage.state_file("checkpoint.json").exists() || stage.cloud.counts().alert_lists == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // The post follows the list at once.
            tokio::time::sleep(Duration::from_millis(500)).await;
            orphan(&host).await;
        };
        let _ = tokio::join!(run, die);
        let before = stage.sent_ids().len();
        stage.cloud.clear_faults();
        let report = stage.tick().await;
        assert_eq!(report["complete"], true);
        if is_accepted {
            assert_eq!((before, &report["alertsSent"]), (50, &json!(0)), "the acceptance was saved");
            stage.assert_all_sent_once();
        }
        assert!(stage.cloud.rejected().is_empty());
        let sent: BTreeSet<_> = stage.sent_ids().into_iter().collect();
        assert_eq!(sent, stage.cloud.alert_ids().into_iter().collect());
    }
}

#[tokio::test]
async fn the_host_dies_during_a_backlog_and_no_further_request_is_made() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 400, 2).await;
    stage.set("MDATP_PAGE_SIZE", "10");
    let wait = azure_core::time::Duration::milliseconds(500);
    stage.cloud.fault(Fault::slow(wait).on(Service::Defender).matching("/api/alerts").always());
    let host = below_a_shell(&stage).await;
    let run = host.fire(Payload::regular());
    let die = async {
        while stage.cloud.counts().alert_lists < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        orphan(&host).await;
    };
    let _ = tokio::join!(run, die);
    let counts = stage.cloud.counts();
    assert!(counts.alert_lists < 15, "a run of forty pages went on: {counts:?}");
    stage.cloud.clear_faults();
    assert_eq!(stage.tick().await["complete"], true);
    stage.assert_all_sent_once();
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
        assert_eq!(of_run.len(), 1, "the batch that was sent: {:?}", host.stdout());
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
