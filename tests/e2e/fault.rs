//! What the services do when they are not well.

use serde_json::json;
use simulator::{Fault, Route, Service, Sink, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, fail, succeed};

fn service(sink: Sink) -> Service {
    match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    }
}

/// Faults that pass: the run goes on by itself.
#[tokio::test]
async fn passing_faults_at_every_service_cost_nothing_but_time() {
    for sink in BOTH_SINKS {
        for (on, path) in
            [(Service::Defender, "/api/alerts"), (Service::Defender, "/api/machines"), (service(sink), "")]
        {
            for fault in [
                Fault::status(429).retry_after("1"),
                Fault::status(429),
                Fault::status(503).times(2),
                Fault::status(500),
                Fault::reset().times(2),
                Fault::cut_body(0),
            ] {
                if on != Service::Defender && format!("{fault:?}").contains("CutBody") {
                    continue; // that is a lost reply, whose repeat is its own story
                }
                let stage = Stage::with_alerts(sink, 30, 4).await;
                stage.cloud.fault(fault.clone().on(on).matching(path));
                let report = stage.tick().await;
                assert_eq!(
                    (&report["alertsSent"], &report["complete"]),
                    (&json!(30), &json!(true)),
                    "{fault:?}"
                );
                assert!(stage.cloud.requests().iter().any(|seen| seen.fault.is_some()), "{fault:?} struck");
                stage.assert_all_sent_once();
            }
        }
    }
}

#[tokio::test]
async fn a_success_with_a_page_in_it_is_no_delivery() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 30, 4).await;
        stage.cloud.fault(Fault::html().on(service(sink)).times(2));
        assert_eq!(stage.tick().await["alertsSent"], 30);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn half_a_page_and_a_page_of_html_are_asked_for_again() {
    for fault in [Fault::bad_json(), Fault::html().times(2), Fault::cut_body(500)] {
        for path in ["/api/alerts?", "/api/machines", "/api/alerts/"] {
            let mut stage = Stage::with_alerts(Sink::DataCollector, 30, 4).await;
            if path == "/api/alerts/" {
                stage.set("MDATP_ALERT_FETCH", "by-id");
            }
            stage.cloud.fault(fault.clone().on(Service::Defender).matching(path));
            assert_eq!(stage.tick().await["alertsSent"], 30, "{fault:?}");
            stage.assert_all_sent_once();
            assert!(stage.cloud.records().iter().all(|record| record["evidence"] != json!([])), "{path}");
        }
    }
}

/// Faults that stay: the run fails at once, says what to fix, and the next tick delivers.
#[tokio::test]
async fn lasting_refusals_fail_the_run_with_the_mend_and_nothing_is_lost() {
    for sink in BOTH_SINKS {
        for (on, status, fix) in [
            (Service::Defender, 400, "MDATP_PAGE_SIZE"),
            (Service::Defender, 401, "MDATP_API_SCOPE"),
            (Service::Defender, 403, "Alert.Read.All"),
            (Service::Defender, 404, "MDATP_API_URL"),
            (service(sink), 400, if sink == Sink::DataCollector { "MDATP_LOG_NAME" } else { "MDATP_STREAM" }),
            (
                service(sink),
                403,
                if sink == Sink::DataCollector {
                    "MDATP_WORKSPACE_KEY"
                } else {
                    "Monitoring Metrics Publisher"
                },
            ),
            (
                service(sink),
                404,
                if sink == Sink::DataCollector { "MDATP_WORKSPACE_ID" } else { "MDATP_DCR_ID" },
            ),
            (service(sink), 302, "URL in the settings"),
        ] {
            let stage = Stage::with_alerts(sink, 30, 4).await;
            // Machines answer 404 as a matter of course, so the list is what fails here.
            let path = if on == Service::Defender { "/api/alerts" } else { "" };
            stage.cloud.fault(Fault::status(status).on(on).matching(path).always());
            let host = stage.host().await;
            let invocation = host.fire(Payload::regular()).await;
            assert!(fail(&invocation).contains(fix), "{status}: {}", invocation.body);
            assert_eq!(stage.cloud.counts().records, 0);
            // One call, and for 401 one more with a new token.
            let struck = stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count();
            let calls = match (status, on) {
                (401, _) => 2,
                // Thirty records fall into halves until eight are refused alone, which the settings are for.
                (400, Service::DataCollector | Service::LogsIngestion) => 19,
                _ => 1,
            };
            assert_eq!(struck, calls, "{status}");
            stage.cloud.clear_faults();
            succeed(&host.fire(Payload::regular()).await);
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_in_the_middle_of_a_run() {
    for route in [Route::ClientSecret, Route::ManagedIdentity] {
        let stage = Stage::with_route(Sink::LogsIngestion, route).await;
        stage.generate(30, 4);
        let host = stage.host().await;
        succeed(&host.fire(Payload::regular()).await);
        stage.generate(10, 0);
        stage.cloud.revoke_tokens();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 10);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn tokens_that_expire_in_the_middle_of_a_run_are_replaced() {
    for route in [Route::ClientSecret, Route::ManagedIdentity] {
        let mut stage = Stage::with_route(Sink::LogsIngestion, route).await;
        stage.generate(60, 4);
        stage.set("MDATP_PAGE_SIZE", "20");
        stage.cloud.token_lifetime(azure_core::time::Duration::seconds(1));
        let slow = Fault::slow(azure_core::time::Duration::milliseconds(600));
        stage.cloud.fault(slow.on(Service::Defender).matching("/api/alerts").always());
        assert_eq!(stage.tick().await["alertsSent"], 60);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn sign_in_mistakes_are_named_by_their_setting() {
    for one_line in [true, false] {
        for (name, value, fix) in [
            ("AZURE_CLIENT_SECRET", "wrong", "AZURE_CLIENT_SECRET"),
            ("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000001", "AZURE_CLIENT_ID"),
            ("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000002", "AZURE_TENANT_ID"),
            ("MDATP_API_SCOPE", "https://nowhere.example/.default", "MDATP_API_SCOPE"),
        ] {
            let mut stage = Stage::with_route(Sink::DataCollector, Route::ClientSecret).await;
            stage.cloud.set_quirk(simulator::Quirk::OneLineErrors, one_line);
            stage.generate(5, 1);
            stage.set(name, value);
            let invocation = stage.host().await.fire(Payload::regular()).await;
            let error = fail(&invocation);
            assert!(error.contains("no token for"), "{error}");
            assert!(error.contains("AADSTS") && error.contains(fix), "{error}");
            assert_eq!(stage.cloud.counts().alert_lists, 0);
        }
    }
}

#[tokio::test]
async fn a_wait_longer_than_the_run_ends_it_without_an_error() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 30, 4).await;
    stage.set("MDATP_RUN_BUDGET", "5s");
    stage.cloud.fault(Fault::status(429).retry_after("3600").on(Service::Defender).matching("/api/alerts"));
    let host = stage.host().await;
    let first = succeed(&host.fire(Payload::regular()).await);
    assert_eq!(
        (&first["complete"], &first["alertsSent"], &first["error"]),
        (&json!(false), &json!(0), &json!(null))
    );
    assert_eq!(succeed(&host.fire(Payload::regular()).await)["complete"], true);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn a_service_that_stays_broken_fails_the_run_after_a_few_tries() {
    let stage = Stage::with_alerts(Sink::LogsIngestion, 30, 4).await;
    stage.cloud.fault(Fault::status(500).on(Service::LogsIngestion).always());
    let host = stage.host().await;
    let invocation = host.fire(Payload::regular()).await;
    assert_eq!(invocation.status, 500);
    assert!(invocation.reason.contains("Logs Ingestion"), "{}", invocation.reason);
    let struck = stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count();
    assert_eq!(struck, 6);
    stage.cloud.clear_faults();
    succeed(&host.fire(Payload::regular()).await);
    stage.assert_all_sent_once();
}

#[tokio::test]
async fn the_own_budget_keeps_within_the_real_quota_also_across_processes() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 200, 4).await;
    stage.cloud.enforce_rate_limits(true);
    stage.set("MDATP_ALERT_FETCH", "by-id");
    stage.set("MDATP_PAGE_SIZE", "10");
    stage.set("MDATP_RUN_BUDGET", "4s");
    for _ in 0..3 {
        let report = stage.tick().await;
        assert_eq!((&report["complete"], &report["error"]), (&json!(false), &json!(null)));
    }
    // 0.8 of 100 calls a minute, whichever process makes them.
    let counts = stage.cloud.counts();
    assert_eq!((counts.alert_gets, counts.throttled), (80, 0));
    stage.unset("MDATP_ALERT_FETCH");
    assert_eq!(stage.tick().await["complete"], true);
    stage.assert_all_sent_once();
}
