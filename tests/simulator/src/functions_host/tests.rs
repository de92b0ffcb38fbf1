use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::queue::{MemoryQueues, Queues};

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

/// An app with a timer that puts messages into a queue, and a function that the queue triggers.
fn with_queue(behaviour: &str) -> (tempfile::TempDir, Start, Arc<MemoryQueues>) {
    let (root, start) = handler(behaviour);
    let path = root.path().join("host.json");
    let mut host: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("it is there")).expect("JSON");
    host["extensionBundle"] =
        serde_json::json!({"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"});
    host["extensions"] =
        serde_json::json!({"queues": {"maxDequeueCount": 2, "maxPollingInterval": "00:00:01"}});
    std::fs::write(path, host.to_string()).expect("the folder is ours");
    let output = r#"{"type":"queue","direction":"out","name":"tenants","queueName":"inq"}"#;
    let timer = format!(r#"{{"bindings":[{{"type":"timerTrigger","name":"mdatpTimer"}},{output}]}}"#);
    std::fs::write(root.path().join("MdatpForward/function.json"), timer).expect("the folder is ours");
    let queue = r#"{"bindings":[{"type":"queueTrigger","name":"message","queueName":"inq"}]}"#;
    std::fs::create_dir(root.path().join("MdatpTenant")).expect("the folder is ours");
    std::fs::write(root.path().join("MdatpTenant/function.json"), queue).expect("the folder is ours");
    let queues = Arc::new(MemoryQueues::default());
    (root, start.queues(Arc::<MemoryQueues>::clone(&queues)), queues)
}

/// Waits until a queue has so many messages.
async fn until_there_are(queues: &MemoryQueues, queue: &str, messages: usize) {
    let there_are = async {
        while queues.length(queue).await != Ok(messages) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), there_are).await.expect("in the end there are");
}

#[tokio::test]
async fn an_array_of_strings_arrives_as_it_is_and_each_message_is_an_invocation() {
    let (_root, start, queues) = with_queue("enqueue");
    let timer = FunctionsHost::start(start.clone().only("MdatpForward")).await.expect("it answers");
    assert!(timer.fire(Payload::regular()).await.succeeded());
    assert_eq!(queues.texts("inq"), [r#"{"b":1,  "a":2}"#, "test"].map(|text| STANDARD.encode(text)));
    assert!(timer.take_triggered().is_empty(), "it runs the other function only");
    let other = FunctionsHost::start(start.only("MdatpTenant")).await.expect("it answers");
    until_there_are(&queues, "inq", 0).await;
    let triggered = other.take_triggered();
    assert_eq!(triggered.len(), 2);
    assert!(triggered.iter().all(|invocation| invocation.logs == ["answered"]), "{triggered:#?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_fails_the_invocation_after_those_before_it() {
    let (_root, start, queues) = with_queue("enqueue too much");
    let timer = FunctionsHost::start(start.only("MdatpForward")).await.expect("it answers");
    let Outcome::Failed(text) = timer.fire(Payload::regular()).await.outcome else {
        panic!("it is too large")
    };
    assert!(text.contains("parameter tenants") && text.ends_with("413 RequestBodyTooLarge"), "{text}");
    assert_eq!(queues.texts("inq"), [STANDARD.encode("first")]);
}

#[tokio::test]
async fn a_failure_is_tried_again_and_moved_to_the_poison_queue() {
    let (_root, start, queues) = with_queue("fail");
    queues.create("inq").await.expect("made");
    queues.put("inq", &STANDARD.encode("one")).await.expect("put");
    let host = FunctionsHost::start(start).await.expect("it answers");
    until_there_are(&queues, "inq-poison", 1).await;
    until_there_are(&queues, "inq", 0).await;
    assert_eq!(host.take_triggered().len(), 2);
}

#[tokio::test]
async fn what_a_dying_host_had_taken_stays_hidden() {
    let (_root, start, queues) = with_queue("hang");
    queues.create("inq").await.expect("made");
    queues.put("inq", &STANDARD.encode("one")).await.expect("put");
    let host = FunctionsHost::start(start).await.expect("it answers");
    host.line_with("a request came").await;
    let pid = host.pid();
    host.die().await;
    assert_eq!(footprint::cpu_time(pid), None, "the handler is gone");
    assert_eq!(queues.get("inq", 1, Duration::from_secs(1)).await, Ok(vec![]));
    assert_eq!(queues.length("inq").await, Ok(1));
}

#[tokio::test]
async fn a_queue_trigger_needs_a_storage_account() {
    let (_root, mut start, _) = with_queue("answer");
    start.queues = None;
    let problem = FunctionsHost::start(start).await.expect_err("nothing to listen at");
    assert!(problem.contains("no storage account"), "{problem}");
}
