//! What one process keeps between invocations: connections, and where those are gone, TLS sessions.

use serde_json::json;
use simulator::{
    HandshakeKind::{Full, Resumed},
    Route, Service, Sink,
    functions_host::{FunctionsHost, Payload},
};

use crate::stage::{BOTH_SINKS, Stage, alert, minutes_ago, succeed};

/// One invocation with one list call and one post.
async fn deliver_one(stage: &Stage, host: &FunctionsHost, id: &str) {
    stage.cloud.add_alert(&alert(id, None, &minutes_ago(5)));
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], json!(1));
}

#[tokio::test]
async fn the_next_invocation_goes_on_over_the_connections_of_the_last() {
    for sink in BOTH_SINKS {
        let stage = Stage::over_tls(sink).await;
        let host = stage.host().await;
        deliver_one(&stage, &host, "a").await;
        deliver_one(&stage, &host, "b").await;
        for service in [Service::Defender, sink.service()] {
            assert_eq!(stage.served.handshakes(service), [Full], "{service:?}");
        }
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn where_a_connection_was_closed_in_between_the_next_invocation_resumes_its_session() {
    for sink in BOTH_SINKS {
        let stage = Stage::over_tls(sink).await;
        let services = [Service::Defender, sink.service()];
        let host = stage.host().await;
        deliver_one(&stage, &host, "a").await;
        for service in services {
            stage.served.hang_up(service).await;
        }
        deliver_one(&stage, &host, "b").await;
        for service in services {
            assert_eq!(stage.served.handshakes(service), [Full, Resumed], "{service:?}");
        }
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_token_is_kept_and_the_next_one_comes_over_a_resumed_session() {
    let stage = Stage::with_route(Sink::DataCollector, Route::ClientSecret).await;
    let host = stage.host().await;
    deliver_one(&stage, &host, "a").await;
    stage.served.hang_up(Service::Entra).await;
    deliver_one(&stage, &host, "b").await;
    assert_eq!(stage.cloud.counts().tokens, 1);
    assert_eq!(stage.served.handshakes(Service::Entra), [Full]);

    stage.cloud.revoke_tokens();
    deliver_one(&stage, &host, "c").await;
    assert_eq!(stage.cloud.counts().tokens, 2);
    assert_eq!(stage.served.handshakes(Service::Entra), [Full, Resumed]);
}
