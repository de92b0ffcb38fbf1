//! The yardstick for a handler's start and idle memory: a warp server that answers, and nothing else.

#![forbid(unsafe_code)]

use warp::Filter;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    #[expect(clippy::disallowed_methods, reason = "it has no settings but this one")]
    let port = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT");
    let port: u16 = port.ok().and_then(|port| port.parse().ok()).expect("the host names a port");
    warp::serve(warp::path::end().map(|| "")).run(([127, 0, 0, 1], port)).await;
}
