use std::io::{BufReader, Write};
use std::net::TcpListener;

use http::Request;

use super::*;
use crate::connection::{Connections, Outgoing};
use crate::functions_host::HttpResponse;
use crate::functions_host::test_handler::{reply, request};

/// Serves one connection: each request gets the next of `replies`, byte for byte. Ends with what it read.
fn handler(replies: Vec<String>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the test connects");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        replies
            .into_iter()
            .map(|reply| {
                let request = request(&mut reader).expect("one request for each reply");
                stream.write_all(reply.as_bytes()).expect("the test reads");
                request
            })
            .collect()
    });
    (port, serving)
}

async fn invoke(reply: String) -> Invocation {
    let (port, serving) = handler(vec![reply]);
    let invocation = Request::post("/MdatpForward").body(Outgoing::whole("{}".into())).expect("a request");
    let reply = Connections::to(port).send(invocation).await;
    serving.join().expect("the handler met no surprise");
    Invocation::of("an id".into(), reply, Duration::ZERO)
}

#[tokio::test]
async fn a_result_is_a_success_whatever_the_case_of_its_names() {
    let body = r#"{"outputs":{},"LOGS":["sent 3",4,true,null],"ReturnValue":{"alertsSent":3},"More":1}"#;
    let invocation = invoke(reply("200 OK", "application/json; charset=utf-8", body)).await;
    assert_eq!(invocation.outcome, Outcome::Succeeded);
    assert_eq!(invocation.logs, ["sent 3", "4", "true", "[null]"]);
    assert_eq!(invocation.report["alertsSent"], 3);
    let bare = invoke(reply("202 Accepted", "text/json", "{}")).await;
    assert!(bare.succeeded() && bare.logs.is_empty() && bare.report.is_null(), "{bare:?}");
}

#[tokio::test]
async fn a_failure_shows_its_reason_phrase_only() {
    for (line, exception) in [
        ("500 Internal Server Error", "success: 500 (Internal Server Error)."),
        ("500 Defender answered 403", "success: 500 (Defender answered 403)."),
        ("500 ", "success: 500."),
        ("302 Found", "success: 302 (Found)."),
    ] {
        let invocation = invoke(reply(line, "application/json", r#"{"Logs":["lost"]}"#)).await;
        let Outcome::Failed(text) = &invocation.outcome else { panic!("{line}: {invocation:?}") };
        assert!(text.ends_with(exception), "{text}");
        assert_eq!(invocation.logs, Vec::<String>::new(), "{line}");
        assert_eq!(invocation.body, r#"{"Logs":["lost"]}"#, "kept for the tests");
    }
}

#[tokio::test]
async fn an_empty_reply_or_null_is_never_taken() {
    for (text, is_never) in [
        (reply("200 OK", "application/json", ""), true),
        (reply("200 OK", "application/json", " null\n"), true),
        ("HTTP/1.1 204 No Content\r\n\r\n".into(), true),
        (reply("200 OK", "application/json", "{}"), false),
        (reply("200 OK", "text/plain", "null"), false),
        (reply("500 Internal Server Error", "application/json", ""), false),
    ] {
        let (port, _) = handler(vec![text.clone()]);
        let request = Request::post("/MdatpForward").body(Outgoing::whole("{}".into())).expect("a request");
        let reply = Connections::to(port).send(request).await.expect("a reply");
        assert_eq!(is_never_taken(&reply), is_never, "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_with_a_get_and_its_answer_is_the_result() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (port, serving) = handler(vec![moved, reply("200 OK", "application/json", r#"{"Logs":["there"]}"#)]);
    let request = Request::post("/MdatpForward").body(Outgoing::whole("{}".into())).expect("a request");
    let reply = Connections::to(port).send(request).await;
    assert_eq!(Invocation::of("an id".into(), reply, Duration::ZERO).logs, ["there"]);
    let seen = serving.join().expect("the handler met no surprise");
    assert_eq!(seen[1], format!("GET /elsewhere HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"));
}

#[tokio::test]
async fn a_reply_of_the_wrong_type_fails() {
    for (content_type, body, why) in [
        ("text/plain", "{}", "text/plain"),
        ("application/json; charset=latin1", "{}", "latin1"),
        ("application/json", "[]", "not an object"),
        ("application/json", "{", "EOF"),
        ("application/json", r#"{"Outputs":[]}"#, "Outputs is not an object"),
        ("application/json", r#"{"Logs":"one"}"#, "Logs is not an array"),
        ("application/json", r#"{"Logs":[{}]}"#, "a line of Logs"),
    ] {
        let invocation = invoke(reply("200 OK", content_type, body)).await;
        let Outcome::Failed(text) = &invocation.outcome else { panic!("{body}: {invocation:?}") };
        assert!(text.starts_with("Invalid HttpResponseMessage:\n") && text.contains(why), "{text}");
        assert!(text.contains("HTTP/1.1 200 OK\n") && text.contains(body), "{text}");
    }
}

#[tokio::test]
async fn no_reply_is_a_failure_without_a_status() {
    let cut = invoke("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".into()).await;
    assert!(
        matches!(&cut.outcome, Outcome::Failed(text) if text == "The response ended prematurely. (ResponseEnded)"),
        "{cut:?}"
    );
    assert_eq!(cut.status, 0);
}

#[tokio::test]
async fn one_connection_carries_both_framings() {
    let answer = reply("200 OK", "application/json", "{}");
    let (port, serving) = handler(vec![answer.clone(), answer]);
    let connections = Connections::to(port);
    for body in [Outgoing::chunked(vec!["{\"a\"".into(), ":1}".into()]), Outgoing::whole("{}".into())] {
        let invocation = Request::post("/MdatpForward").header("X-Azure", "y").body(body).expect("a request");
        connections.send(invocation).await.expect("the handler answers");
    }
    let seen = serving.join().expect("the handler met no surprise");
    assert!(seen[0].starts_with("POST /MdatpForward HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains(&format!("Host: 127.0.0.1:{port}\r\n")), "{}", seen[0]);
    assert!(seen[0].ends_with("\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n"), "{}", seen[0]);
    assert!(seen[1].ends_with("Content-Length: 2\r\n\r\n{}"), "{}", seen[1]);
}

#[tokio::test]
async fn the_caller_of_an_http_trigger_gets_the_output_res_or_an_empty_500() {
    let text = "text/plain; charset=utf-8";
    for (line, body, expected) in [
        (
            "200 OK",
            r#"{"Outputs":{"res":{"statusCode":202,"headers":{"Content-Type":"application/json"},"body":"{\"a\": 1}"}}}"#,
            (202, "application/json", r#"{"a": 1}"#),
        ),
        ("200 OK", r#"{"outputs":{"res":{"STATUSCODE":"404","Body":"no"}}}"#, (404, text, "no")),
        ("200 OK", r#"{"Outputs":{"res":{"body":{"a":1}}}}"#, (200, text, "{\n  \"a\": 1\n}")),
        ("200 OK", r#"{"Outputs":{},"ReturnValue":{"res":{"body":"yes"}}}"#, (200, text, "yes")),
        ("200 OK", r#"{"Outputs":{}}"#, (200, "application/json", "{}")),
        ("200 OK", r#"{"Outputs":{"res":"text"}}"#, (500, "", "")),
        ("200 OK", "[]", (500, "", "")),
        ("400 Bad Request", r#"{"Outputs":{"res":{"body":"lost"}}}"#, (500, "", "")),
    ] {
        let HttpResponse { status, content_type, body: got } =
            HttpResponse::of(&invoke(reply(line, "application/json", body)).await);
        assert_eq!((status, &*content_type, &*got), expected, "{body}");
    }
}
