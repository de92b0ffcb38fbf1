//! A rejection decides about what was asked, and about nothing else.

use serde_json::json;
use simulator::{Fault, Role, Service, Sink, functions_host::Payload};

use crate::stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, succeed};

/// What a web application firewall answers in the service's place.
const BLOCKED: &str =
    "<html><head><title>Request blocked</title></head><body>Blocked by policy.</body></html>";

/// The machine whose id a path rule of a firewall does not like.
const SHUNNED: &str = "WS-0417_corp";

/// So many alerts on machines of their own, ten minutes old, and one on [`SHUNNED`].
async fn stage(others: usize) -> Stage {
    let stage = Stage::new(Sink::DataCollector).await;
    for number in 0..others {
        stage.cloud.add_machine(&format!(r#"{{"id":"m{number}","osBuild":{number}}}"#));
        stage.cloud.add_alert(&alert(&format!("a{number}"), Some(&format!("m{number}")), &minutes_ago(10)));
    }
    stage.cloud.add_machine(&format!(r#"{{"id":"{SHUNNED}","osBuild":99}}"#));
    stage.cloud.add_alert(&alert("shunned", Some(SHUNNED), &minutes_ago(10)));
    stage
}

/// Each way in which a call for one entity has been seen rejected by what stands in between, and by the service.
fn rejections() -> Vec<Fault> {
    let by_status = [400, 401, 403, 405, 410, 414, 422, 451].map(Fault::status);
    let pages = [302, 403, 404, 406].map(|status| Fault::body(status, BLOCKED));
    by_status.into_iter().chain(pages).map(|fault| fault.on(Service::Defender).always()).collect()
}

#[tokio::test]
async fn a_machine_whose_id_is_rejected_holds_back_its_own_alert_only_and_not_for_ever() {
    for fault in rejections() {
        let mut stage = stage(11).await;
        stage.cloud.fault(fault.clone().matching(SHUNNED));
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("1 alert") && error.contains("MDATP_ENRICH_PATIENCE"), "{fault:?}: {error}");
        assert!(error.contains(SHUNNED), "what was rejected: {error}");
        assert_eq!(stage.sent_ids().len(), 11, "{fault:?}");
        assert!(!stage.sent_ids().contains(&"shunned".to_owned()), "{fault:?}");

        // Another process, and no patience left.
        drop(host);
        stage.set("MDATP_ENRICH_PATIENCE", "1m");
        let report = stage.tick().await;
        assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(1), &json!(true)), "{fault:?}");
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_machine_that_is_asked_for_alone_and_rejected_is_at_fault_itself_while_others_can_be_listed() {
    for fault in rejections() {
        let mut stage = stage(0).await;
        stage.cloud.fault(fault.clone().matching(SHUNNED));
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("1 alert") && error.contains(SHUNNED), "{fault:?}: {error}");
        drop(host);
        stage.set("MDATP_ENRICH_PATIENCE", "1m");
        assert_eq!(stage.tick().await["alertsSent"], 1, "{fault:?}");
        assert!(stage.cloud.records()[0].get("osBuild").is_none());
        // The machine, and the question whether any other can be read.
        assert_eq!(stage.cloud.counts().records, 1);
    }
}

#[tokio::test]
async fn many_rejected_machines_leave_the_others_to_be_read() {
    let stage = stage(30).await;
    for number in 0..40 {
        let id = format!("{SHUNNED}_{number}");
        // They come first in every order of ids.
        stage.cloud.add_alert(&alert(&format!("s{number}"), Some(&id), &minutes_ago(9)));
    }
    stage.cloud.fault(Fault::body(403, BLOCKED).on(Service::Defender).matching(SHUNNED).always());
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("41 alerts"), "{error}");
    let read = stage.cloud.records().iter().filter(|record| record.get("osBuild").is_some()).count();
    assert_eq!((stage.cloud.counts().records, read), (30, 30));
}

#[tokio::test]
async fn machines_that_are_all_rejected_are_the_settings_fault() {
    for (fault, advice) in [
        (Fault::status(403), "licen"),
        (Fault::body(403, BLOCKED), "web page"),
        (Fault::status(401), "MDATP_API_SCOPE"),
    ] {
        let mut stage = stage(11).await;
        // However old they are.
        stage.set("MDATP_ENRICH_PATIENCE", "1m");
        stage.cloud.fault(fault.on(Service::Defender).matching("/api/machines").always());
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains(advice) && error.contains("/api/machines"), "{error}");
        assert_eq!(stage.cloud.counts().records, 0);
        stage.cloud.clear_faults();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 12);
        stage.assert_all_sent_once();
    }
    for others in [0, 11] {
        let mut stage = stage(others).await;
        stage.set("MDATP_ENRICH_PATIENCE", "1m");
        stage.cloud.deny_role(Role::MachineRead);
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        assert!(error.contains("grant the application roles"), "{error}");
        assert_eq!(stage.cloud.counts().records, 0);
    }
}

#[tokio::test]
async fn in_by_id_mode_an_alert_that_is_rejected_waits_and_then_goes_as_the_list_had_it() {
    let cases = rejections().into_iter().map(|fault| (fault, 11));
    for (fault, others) in cases.chain([(Fault::status(403).on(Service::Defender).always(), 0)]) {
        {
            let mut stage = stage(others).await;
            stage.set("MDATP_ALERT_FETCH", "by-id");
            stage.cloud.fault(fault.clone().matching("/api/alerts/shunned"));
            let host = stage.host().await;
            let error = fail(&host.fire(Payload::regular()).await);
            assert!(error.contains("1 alert") && error.contains("/api/alerts/shunned"), "{fault:?}: {error}");
            assert_eq!(stage.sent_ids().len(), others, "{fault:?}");
            assert!(!stage.sent_ids().contains(&"shunned".to_owned()), "{fault:?}");
            drop(host);

            stage.set("MDATP_ENRICH_PATIENCE", "1m");
            let host = stage.host().await;
            let report = succeed(&host.fire(Payload::regular()).await);
            assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(1), &json!(true)), "{fault:?}");
            host.line_with("is sent as listed").await;
            let records = stage.cloud.records();
            let record = records.iter().find(|record| record["id"] == "shunned").expect("sent");
            assert_eq!((&record["title"], &record["osBuild"]), (&json!("Something happened"), &json!(99)));
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
async fn in_by_id_mode_alerts_that_are_all_rejected_are_the_settings_fault() {
    for fault in [Fault::status(403), Fault::body(403, BLOCKED), Fault::status(414)] {
        let mut stage = stage(40).await;
        stage.set("MDATP_ALERT_FETCH", "by-id");
        stage.set("MDATP_ENRICH_PATIENCE", "1m");
        stage.cloud.fault(fault.on(Service::Defender).matching("/api/alerts/").always());
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains("/api/alerts/"), "{error}");
        host.line_with("MDATP_ALERT_FETCH=list").await;
        assert_eq!(stage.cloud.counts().records, 0);
        let struck = stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count();
        assert!(struck <= 41, "{struck} calls to find out");
        stage.cloud.clear_faults();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 41);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_bulk_question_that_is_rejected_or_garbled_in_any_way_is_done_without_and_not_asked_again() {
    let garbled = [Fault::html(), Fault::body(200, "[]"), Fault::body(200, "")];
    let rejections = rejections().into_iter().chain([404, 413, 431, 501].map(Fault::status)).chain(garbled);
    for fault in rejections {
        let stage = stage(11).await;
        stage.cloud.fault(fault.clone().on(Service::Defender).matching("id in (").always());
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::regular()).await);
        assert_eq!((&report["alertsSent"], &report["machinesRead"]), (&json!(12), &json!(12)), "{fault:?}");
        stage.assert_all_sent_once();
        let asked = || stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count();
        let before = asked();
        assert!(before <= 2, "{before} times asked: {fault:?}");
        for number in 0..5 {
            stage.cloud.add_machine(&format!(r#"{{"id":"n{number}","osBuild":1}}"#));
            stage.cloud.add_alert(&alert(
                &format!("b{number}"),
                Some(&format!("n{number}")),
                &minutes_ago(3),
            ));
        }
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["machinesRead"], 5);
        // A 404 in the service's form means that it knows none of these, and the next ones it may.
        let is_empty_list = format!("{fault:?}").contains("Status(404)");
        assert_eq!(asked() - before, usize::from(is_empty_list), "{fault:?}");
    }
}

#[tokio::test]
async fn a_bulk_question_that_stays_without_an_answer_costs_two_tries_a_call() {
    for fault in [Fault::reset(), Fault::status(502), Fault::cut_body(10)] {
        let stage = stage(39).await;
        stage.cloud.fault(fault.clone().on(Service::Defender).matching("id in (").always());
        let report = stage.tick().await;
        assert_eq!((&report["alertsSent"], &report["machinesRead"]), (&json!(40), &json!(40)), "{fault:?}");
        let struck = stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count();
        assert!(struck <= 2 * 2, "{struck} calls: {fault:?}");
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_fleet_that_cannot_be_listed_for_any_reason_is_asked_for_by_id() {
    for fault in rejections().into_iter().chain([Fault::html().on(Service::Defender).always()]) {
        let stage = stage(200).await;
        stage.cloud.fault(fault.clone().matching("/api/machines?$top"));
        let report = stage.tick().await;
        assert_eq!((&report["alertsSent"], &report["machinesRead"]), (&json!(201), &json!(201)), "{fault:?}");
        stage.assert_all_sent_once();
    }
}

/// An error of Defender or of the Logs Ingestion API.
fn error(status: u16, code: &str, message: &str) -> Fault {
    Fault::body(
        status,
        &json!({"error": {"code": code, "message": message, "target": "43f4cb08"}}).to_string(),
    )
}

/// An error of the Data Collector API.
fn collector_error(status: u16, code: &str) -> Fault {
    Fault::body(status, &json!({"Error": code, "Message": "as its page says"}).to_string())
}

/// What the Logs Ingestion API says when it denies access, in the form of the SDKs' troubleshooting guides
/// (Azure/azure-sdk-for-net#37173).
fn access(is_role_present: &str, is_binding_valid: &str) -> Fault {
    error(
        403,
        "OperationFailed",
        &format!(
            "The authentication token provided does not have access to ingest data for the data collection rule with \
             immutable Id 'dcr-0f' PipelineAccessResult: AccessGranted: False, IsRbacPresent: {is_role_present}, \
             IsDcrDceBindingValid: {is_binding_valid}, DcrArmId: /subscriptions/5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10/\
             resourceGroups/security/providers/Microsoft.Insights/dataCollectionRules/mdatp-forward, Message: ."
        ),
    )
}

#[tokio::test]
async fn the_code_of_a_rejection_decides_what_is_advised_and_roles_that_are_held_are_not() {
    const GRANT: &str = "grant the application roles";
    const ASSIGN: &str = "Monitoring Metrics Publisher";
    use Service::{DataCollector, Defender, LogsIngestion};
    for (on, fault, advice, not) in [
        (Defender, error(403, "DisabledFeature", "Tenant feature is not enabled"), "licence", GRANT),
        (Defender, error(403, "DisallowedOperation", "Not in this tenant"), "licence", GRANT),
        (Defender, error(403, "Forbidden", "Insufficient permission"), "the token holds the roles", GRANT),
        (Defender, Fault::body(403, BLOCKED), "web page", GRANT),
        (Defender, Fault::body(403, "RBAC: access denied"), "the token holds the roles", GRANT),
        (Defender, Fault::body(404, BLOCKED), "web page", GRANT),
        (Defender, Fault::body(407, BLOCKED), "web page", GRANT),
        (LogsIngestion, error(403, "NetworkAccessDenied", "Not from here"), "private link scope", ASSIGN),
        (LogsIngestion, access("True", "False"), "MDATP_INGESTION_ENDPOINT to the rule's own", ASSIGN),
        (LogsIngestion, access("True", ""), "holds the role,", ASSIGN),
        (LogsIngestion, access("False", ""), ASSIGN, "holds the role,"),
        (LogsIngestion, Fault::body(403, BLOCKED), "web page", ASSIGN),
        (
            LogsIngestion,
            error(400, "InvalidStream", "No such stream"),
            "no stream MDATP_STREAM",
            "JSON records",
        ),
        (LogsIngestion, error(400, "InvalidDcrImmutableId", "No"), "the immutable id", "JSON records"),
        (LogsIngestion, error(400, "ContentTypeNotSupported", "No"), "Content-Type", "JSON records"),
        (DataCollector, collector_error(400, "InactiveCustomer"), "closed", "MDATP_LOG_NAME"),
        (DataCollector, collector_error(400, "InvalidCustomerId"), "MDATP_WORKSPACE_ID", "MDATP_LOG_NAME"),
        (DataCollector, collector_error(400, "InvalidLogType"), "MDATP_LOG_NAME", "MDATP_WORKSPACE_ID"),
        (DataCollector, collector_error(403, "InvalidAuthorization"), "MDATP_WORKSPACE_KEY", "web page"),
        (DataCollector, Fault::body(403, BLOCKED), "web page", "MDATP_WORKSPACE_KEY"),
    ] {
        let sink = if on == LogsIngestion { Sink::LogsIngestion } else { Sink::DataCollector };
        let stage = Stage::with_alerts(sink, 5, 1).await;
        stage.cloud.fault(fault.clone().on(on).always());
        let host = stage.host().await;
        let error = fail(&host.fire(Payload::regular()).await);
        assert!(error.contains(advice), "{fault:?}: {error}");
        assert!(!error.contains(not), "{fault:?}: {error}");
        stage.cloud.clear_faults();
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 5);
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn what_a_setting_or_a_gateway_is_at_fault_for_sets_no_alert_aside() {
    for sink in BOTH_SINKS {
        let (on, code) = match sink {
            Sink::LogsIngestion => (Service::LogsIngestion, error(400, "InvalidStream", "No such stream")),
            Sink::DataCollector => (Service::DataCollector, collector_error(400, "InactiveCustomer")),
        };
        for fault in [code, Fault::body(400, BLOCKED)] {
            let stage = Stage::with_alerts(sink, 20, 2).await;
            let host = stage.host().await;
            // The sink has accepted others before.
            succeed(&host.fire(Payload::regular()).await);
            stage.generate(10, 0);
            stage.cloud.fault(fault.clone().on(on).always());
            fail(&host.fire(Payload::regular()).await);
            assert!(stage.set_aside().is_empty(), "{fault:?}");
            let struck = stage.cloud.requests().iter().filter(|seen| seen.fault.is_some()).count();
            assert_eq!(struck, 1, "no halves of it are tried: {fault:?}");
            stage.cloud.clear_faults();
            assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 10);
            stage.assert_all_sent_once();
        }
    }
}

#[tokio::test]
async fn a_role_that_is_lost_during_a_run_fails_it_and_no_alert_goes_without_its_machine_or_evidence() {
    // The first machine is answered, or the list and the first alert are, and then everything is rejected.
    for (fetch, api, after) in [("list", "/api/machines", 1), ("by-id", "/api/alerts", 2)] {
        let mut stage = stage(9).await;
        stage.set("MDATP_ALERT_FETCH", fetch);
        stage.set("MDATP_PAGE_SIZE", if fetch == "list" { "1" } else { "50" });
        stage.set("MDATP_ENRICH_PATIENCE", "0s");
        let fault = Fault::status(403).on(Service::Defender).matching(api).after(after).always();
        stage.cloud.fault(fault);
        let error = fail(&stage.host().await.fire(Payload::regular()).await);
        assert!(error.contains("Machine.Read.All"), "the roles are the fix: {error}");
        assert_eq!(stage.sent_ids().len(), usize::from(fetch == "list"), "the first page was whole");
        stage.cloud.clear_faults();
        stage.tick().await;
        stage.assert_all_sent_once();
        let records = stage.cloud.records();
        assert!(records.iter().all(|record| record["osBuild"].is_number()), "{fetch}: {records:?}");
        assert_eq!(records.len(), 10);
    }
}
