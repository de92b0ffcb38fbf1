use super::*;

/// An app whose handler is a shell script, which answers no request.
fn script(text: &str) -> (tempfile::TempDir, Start) {
    let root = tempfile::tempdir().expect("a folder for temporary files");
    let host = serde_json::json!({"version": "2.0", "customHandler": {
        "initializationTimeout": "00:00:01",
        "description": {"defaultExecutablePath": "sh", "arguments": ["-c", text]},
    }});
    let function = r#"{"bindings":[{"type":"timerTrigger","name":"mdatpTimer"}]}"#;
    std::fs::create_dir(root.path().join("MdatpForward")).expect("the folder is ours");
    std::fs::write(root.path().join("host.json"), host.to_string()).expect("the folder is ours");
    std::fs::write(root.path().join("MdatpForward/function.json"), function).expect("the folder is ours");
    let start = Start::new(root.path(), vec![("MDATP_LOG_NAME".into(), "Alerts".into())]);
    (root, start)
}

#[tokio::test]
async fn an_exit_before_the_first_answer_shows_code_and_last_lines() {
    let (_root, start) = script("echo one >&2; echo two >&2; echo three >&2; echo four >&2; exit 64");
    let problem = FunctionsHost::start(start).await.expect_err("it ends at once");
    assert_eq!(problem, "sh exited with code 64 (0x40): two,three,four");
}

#[tokio::test]
async fn a_handler_that_never_listens_is_given_up() {
    let (_root, mut start) = script("exec sleep 60");
    start.poll_every = Duration::from_millis(200);
    let problem = FunctionsHost::start(start).await.expect_err("it never listens");
    assert!(problem.contains("no answer to GET / within 1s"), "{problem}");
}

#[tokio::test]
async fn the_environment_is_the_settings_and_the_hosts_variables() {
    let print =
        "env | cut -d= -f1 | sort | grep -v -e '^_$' -e '^PWD$' -e '^SHLVL$' | tr '\\n' ' ' >&2; exit 1";
    let (_root, start) = script(print);
    let problem = FunctionsHost::start(start).await.expect_err("it ends at once");
    let expected = "FUNCTIONS_APP_ROOT_PATH FUNCTIONS_CUSTOMHANDLER_PORT FUNCTIONS_CUSTOMHANDLER_WORKER_ID \
                    FUNCTIONS_HTTPWORKER_ID FUNCTIONS_HTTPWORKER_PORT HOME MDATP_LOG_NAME PATH ";
    assert_eq!(problem, format!("sh exited with code 1 (0x1): {expected},{expected},{expected}"));
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let (_root, start) = script("");
    let problem = FunctionsHost::start(start.binary("/nowhere/handler")).await.expect_err("there is none");
    assert!(problem.contains("Process fileName: /nowhere/handler"), "{problem}");
}

fn handler(behaviour: &str) -> (tempfile::TempDir, Start) {
    let (root, mut start) = script("");
    start.settings.push((test_handler::BEHAVIOUR.into(), behaviour.into()));
    let host = serde_json::json!({"version": "2.0", "customHandler": {"description": {
        "defaultExecutablePath": std::env::current_exe().expect("the test's own program"),
        "arguments": ["functions_host::test_handler::serve", "--exact", "--ignored", "--nocapture"],
    }}});
    std::fs::write(root.path().join("host.json"), host.to_string()).expect("the folder is ours");
    (root, start)
}

#[tokio::test]
async fn a_killed_handler_comes_back_on_its_port() {
    let (_root, start) = handler("answer");
    let host = FunctionsHost::start(start).await.expect("it answers");
    let (port, pid) = (host.port(), host.pid());
    assert_eq!(host.get("/").await, Ok(200));
    assert!(host.fire(Payload::regular()).await.succeeded());
    host.kill().await;
    assert_eq!(host.exited().await, 128 + 9);
    assert!(!host.fire(Payload::regular()).await.succeeded(), "nobody listens");

    host.restart().await.expect("it answers again");
    assert_eq!(host.port(), port);
    assert_ne!(host.pid(), pid);
    let invocation = host.fire_with(Payload::UnknownMembers, Framing::ContentLength).await;
    assert_eq!(invocation.logs, ["answered"]);
    assert_eq!(host.line_with("a request came").await, "a request came");
    assert_eq!(host.terminate().await, Ok(128 + 15));
}

#[tokio::test]
async fn a_crash_fails_the_run_and_the_third_in_a_row_stops_the_host() {
    let (_root, start) = handler("crash");
    let host = FunctionsHost::start(start).await.expect("it answers");
    let port = host.port();
    for crash in 1..=3 {
        let pid = host.pid();
        let Invocation { outcome, status, .. } = host.fire(Payload::regular()).await;
        assert_eq!(outcome, Outcome::Failed("The response ended prematurely. (ResponseEnded)".to_owned()));
        assert_eq!(status, 0);
        host.line_with(&format!("Language Worker Process exited. Pid={pid}.")).await;
        if crash < 3 {
            back_from(pid, &host).await;
            assert_eq!(host.port(), port);
        }
    }
    host.stopped().await;
    host.line_with("exited with code 3 (0x3)").await;
    host.line_with("Exceeded http worker restart retry count. Shutting down Functions Host").await;
    let Outcome::Failed(text) = host.fire(Payload::regular()).await.outcome else { panic!("it has stopped") };
    assert_eq!(text, "the host has stopped");
}

/// Waits until another process than this one answers.
async fn back_from(pid: u32, host: &FunctionsHost) {
    let is_back = async {
        while host.pid() == pid {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_back).await.expect("it is started again");
    assert_eq!(host.get("/").await, Ok(200));
}

#[tokio::test]
async fn exit_0_is_left_at_that() {
    let (_root, start) = handler("exit 0");
    let host = FunctionsHost::start(start).await.expect("it answers");
    host.fire(Payload::regular()).await;
    assert_eq!(host.exited().await, 0);
    let Outcome::Failed(text) = host.fire(Payload::regular()).await.outcome else { panic!("nobody listens") };
    assert_eq!(text, format!("Connection refused (127.0.0.1:{})", host.port()));
}

#[tokio::test]
async fn an_empty_reply_costs_the_process_at_the_end_of_its_time_and_the_others_with_it() {
    let (_root, mut start) = handler("empty");
    start.function_timeout = Some(Duration::from_secs(1));
    let host = FunctionsHost::start(start).await.expect("it answers");
    let pid = host.pid();
    let Outcome::Failed(text) = host.fire(Payload::regular()).await.outcome else { panic!("it is empty") };
    assert!(
        text.starts_with("Timeout value of 00:00:01 exceeded by function 'Functions.MdatpForward'"),
        "{text}"
    );
    back_from(pid, &host).await;
    host.line_with("A function timeout has occurred. Restarting worker process").await;
}

#[tokio::test]
async fn a_folder_that_appears_in_the_root_restarts_the_handler_and_one_below_does_not() {
    let (root, start) = handler("answer");
    let host = FunctionsHost::start(start).await.expect("it answers");
    let (pid, port) = (host.pid(), host.port());
    std::fs::create_dir(root.path().join("MdatpForward/below")).expect("the folder is ours");
    assert!(host.fire(Payload::regular()).await.succeeded());
    std::fs::create_dir(root.path().join("new")).expect("the folder is ours");
    let line = host.line_with("Directory change of type 'Created' detected for").await;
    assert!(line.ends_with("/new'"), "{line}");
    back_from(pid, &host).await;
    assert_ne!(host.port(), port, "another process at another port");
    assert!(host.fire(Payload::regular()).await.succeeded());
    let changes = host.log().into_iter().filter(|log| log.line.starts_with("Directory change")).count();
    assert_eq!(changes, 1);
}

#[tokio::test]
async fn a_run_over_its_time_costs_the_process() {
    let (_root, mut start) = handler("hang");
    start.function_timeout = Some(Duration::from_millis(100));
    let host = FunctionsHost::start(start).await.expect("it answers");
    let pid = host.pid();
    let Outcome::Failed(exception) = host.fire(Payload::regular()).await.outcome else {
        panic!("the handler never replies");
    };
    assert!(exception.contains("exceeded by function 'Functions.MdatpForward'"), "{exception}");
    assert_ne!(host.pid(), pid, "killed and started again");
    assert_eq!(host.get("/").await, Ok(200));
}
