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
    assert_eq!(problem, "sh exited with code 64: two / three / four");
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
    assert_eq!(problem, format!("sh exited with code 1: {expected}"));
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let (_root, start) = script("");
    let problem = FunctionsHost::start(start.binary("/nowhere/handler")).await.expect_err("there is none");
    assert!(problem.contains("Process fileName: /nowhere/handler"), "{problem}");
}

#[test]
fn the_level_of_a_line_follows_its_pipe_and_the_word_warn() {
    assert_eq!(level(Pipe::Stdout, "error: not really"), Level::Information);
    assert_eq!(level(Pipe::Stderr, "a Warning: support ended"), Level::Warning);
    assert_eq!(level(Pipe::Stderr, "info"), Level::Error);
}
