//! Secrets are nowhere to be read, whatever goes wrong.

use std::collections::BTreeSet;

use simulator::{Fault, Route, Service, Sink, functions_host::Payload};

use crate::{
    source_identity::{PROOFS, Proof, across},
    stage::{BOTH_SINKS, Stage},
};

#[tokio::test]
async fn no_output_reply_or_state_holds_a_secret_token_or_signature() {
    for sink in BOTH_SINKS {
        for route in [Route::ClientSecret, Route::WorkloadIdentity, Route::ManagedIdentity] {
            let stage = Stage::with_route(sink, route).await;
            stage.generate(20, 3);
            let issuer = if route == Route::ManagedIdentity { Service::Identity } else { Service::Entra };
            nothing_is_told(stage, sink, issuer).await;
        }
        for proof in PROOFS {
            nothing_is_told(across(sink, proof).await, sink, Service::Entra).await;
        }
        nothing_is_told(across(sink, Proof::ManagedIdentity).await, sink, Service::Identity).await;
    }
}

async fn nothing_is_told(mut stage: Stage, sink: Sink, issuer: Service) {
    stage.set("MDATP_LOG_LEVEL", "debug");
    let sink_service =
        if sink == Sink::DataCollector { Service::DataCollector } else { Service::LogsIngestion };
    let host = stage.host().await;
    let mut texts = Vec::new();
    for fault in [
        Fault::status(400).on(Service::Defender),
        Fault::status(429).retry_after("1").on(Service::Defender),
        Fault::status(503).on(sink_service),
        Fault::cut_body(100).on(Service::Defender),
        Fault::lost_reply().on(sink_service),
        Fault::body(200, r#"{"value":[{"id":null,"secret":"is kept"}]}"#).on(Service::Defender),
        Fault::status(401).on(Service::Defender).times(2),
        Fault::status(403).on(sink_service),
        Fault::html().on(Service::Defender),
        Fault::reset().on(sink_service),
        Fault::status(400).on(issuer),
    ] {
        stage.cloud.fault(fault);
        stage.cloud.revoke_tokens();
        let invocation = host.fire(Payload::regular()).await;
        texts.push(format!("{invocation:?}"));
        stage.cloud.clear_faults();
    }
    host.fire(Payload::regular()).await;
    assert_eq!(stage.sent_ids().iter().collect::<BTreeSet<_>>().len(), 20);

    texts.extend([host.stdout().join("\n"), host.stderr().join("\n")]);
    texts.push(std::fs::read_to_string(stage.state_file("checkpoint.json")).expect("a checkpoint"));
    texts.extend(stage.set_aside_texts());
    let mut secrets = stage.served.secrets();
    secrets.extend(stage.cloud.received().iter().filter_map(|post| {
        let header = post.headers.get("authorization")?.to_str().ok()?;
        header.rsplit([':', ' ']).next().map(str::to_owned)
    }));
    assert!(secrets.len() > 3, "there is something to look for");
    for secret in secrets {
        for text in &texts {
            assert!(!text.contains(&secret), "{secret} in {text}");
        }
    }
}
