//! A handler for the tests of this module: the test program itself, started once more to run the one
//! ignored test in here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// The setting that says what to do with an invocation.
pub(super) const BEHAVIOUR: &str = "TEST_BEHAVIOUR";

#[test]
#[ignore = "a handler, started by the tests that need one"]
fn serve() {
    let setting = |name| std::env::var_os(name).and_then(|value| value.into_string().ok());
    let Some(port) = setting("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|port| port.parse::<u16>().ok()) else {
        return;
    };
    let behaviour = setting(BEHAVIOUR).expect("the tests set it");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    for stream in listener.incoming().flatten() {
        let behaviour = behaviour.clone();
        std::thread::spawn(move || answer(&behaviour, stream));
    }
}

fn answer(behaviour: &str, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = request(&mut reader) {
        if request.starts_with("POST ") {
            println!("a request came");
            match behaviour {
                "crash" => std::process::exit(3),
                "exit 0" => std::process::exit(0),
                "hang" => std::thread::park(),
                "empty" => {
                    let _ = stream.write_all(reply("200 OK", "application/json", "").as_bytes());
                    continue;
                }
                _ => {}
            }
        }
        let answer = match behaviour {
            "fail" => reply("500 Internal Server Error", "application/json", "{}"),
            "enqueue" if request.starts_with("POST /MdatpForward ") => {
                let outputs = r#"{"Outputs":{"tenants":["{\"b\":1,  \"a\":2}","test"]}}"#;
                reply("200 OK", "application/json", outputs)
            }
            "enqueue too much" if request.starts_with("POST /MdatpForward ") => {
                let outputs =
                    format!(r#"{{"Outputs":{{"tenants":["first","{}","third"]}}}}"#, "x".repeat(49_153));
                reply("200 OK", "application/json", &outputs)
            }
            _ => reply("200 OK", "application/json", r#"{"Logs":["answered"]}"#),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A request as it came, head and body; `None` if the connection has ended.
pub(super) fn request(reader: &mut impl BufRead) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        reader.read_line(&mut request).ok().filter(|read| *read > 0)?;
    }
    let mut body = Vec::new();
    if request.contains("Transfer-Encoding: chunked") {
        while !body.ends_with(b"0\r\n\r\n") {
            reader.read_until(b'\n', &mut body).ok().filter(|read| *read > 0)?;
        }
    } else if let Some((_, rest)) = request.split_once("Content-Length: ") {
        let length = rest.lines().next()?.parse().ok()?;
        reader.take(length).read_to_end(&mut body).ok()?;
    }
    Some(request + &String::from_utf8_lossy(&body))
}

/// A reply as it goes over the wire.
pub(super) fn reply(status_line: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status_line}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
