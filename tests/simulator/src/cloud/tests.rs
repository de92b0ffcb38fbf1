//! The cloud under virtual time, as a whole product could be run in one process.

use azure_core::time::parse_rfc3339;
use http::Method;
use http::header::{DATE, RETRY_AFTER};
use serde_json::json;

use super::*;
use crate::reaction::Outcome;
use crate::response::Response;
use crate::rule::Why;

fn now() -> OffsetDateTime {
    parse_rfc3339("2026-11-24T06:00:00Z").expect("a time")
}

fn answer(cloud: &Cloud, service: Service, request: &Request, at: OffsetDateTime) -> Response {
    match cloud.react(service, request, at).outcome {
        Outcome::Response(response) => response,
        other => panic!("{other:?} is no response"),
    }
}

fn token(cloud: &Cloud, resource: &str) -> String {
    let target = format!("/msi/token?resource={resource}&api-version=2019-08-01");
    let request =
        Request::new(Method::GET, &target).with_header("x-identity-header", tenant::IDENTITY_HEADER);
    let body = answer(cloud, Service::Identity, &request, now()).body;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    format!("Bearer {}", body["access_token"].as_str().expect("a token"))
}

fn list(cloud: &Cloud) -> Request {
    let token = token(cloud, "https://api.securitycenter.microsoft.com");
    Request::new(Method::GET, "/api/alerts").with_header("authorization", &token)
}

fn post(cloud: &Cloud, body: &'static str) -> Request {
    let target =
        format!("/dataCollectionRules/{}/streams/{}?api-version=2023-01-01", tenant::DCR_ID, tenant::STREAM);
    Request::new(Method::POST, &target)
        .with_header("authorization", &token(cloud, "https://monitor.azure.com"))
        .with_header("content-type", "application/json")
        .with_body(body)
}

#[test]
fn what_was_accepted_is_kept_even_if_the_reply_is_lost() {
    let cloud = Cloud::new(1);
    let record = r#"{"id":"da1","TimeGenerated":"2026-11-24T06:00:00Z"}"#;
    let first = post(&cloud, r#"[{"id":"da1","TimeGenerated":"2026-11-24T06:00:00Z"}]"#);
    cloud.fault(Fault::lost_reply().on(Service::LogsIngestion).named("lost"));
    let lost = cloud.react(Service::LogsIngestion, &first, now());
    assert_eq!(lost.status(), None);
    let second = post(&cloud, r#"[{"id":"da2"},{"id":"da3"}]"#);
    let taken = cloud.react(Service::LogsIngestion, &second, now());
    assert_eq!(taken.status(), Some(204));

    let received = cloud.received();
    assert_eq!(received[0].records, [record]);
    assert_eq!(received[1].log_type_or_stream, tenant::STREAM);
    let ids: Vec<_> = cloud.records().iter().map(|record| record["id"].to_string()).collect();
    assert_eq!(ids, [r#""da1""#, r#""da2""#, r#""da3""#]);
    let counts = cloud.counts();
    assert_eq!((counts.posts, counts.records, counts.without_time), (2, 3, 2));
    let seen = cloud.requests();
    let faults: Vec<_> = seen.iter().filter_map(|seen| seen.fault.as_deref()).collect();
    assert_eq!(faults, ["lost"]);
}

#[test]
fn a_rejected_post_is_kept_apart_with_its_reason() {
    let cloud = Cloud::new(1);
    cloud.deny_role(Role::MetricsPublisher);
    let rejected = cloud.react(Service::LogsIngestion, &post(&cloud, "[]"), now());
    assert_eq!(rejected.status(), Some(403));
    assert!(cloud.received().is_empty());
    let rejected = cloud.rejected();
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].reason.starts_with("OperationFailed: "), "{}", rejected[0].reason);
}

#[test]
fn generated_alerts_are_listed_from_their_creation_on_and_late_ones_later() {
    let cloud = Cloud::new(1);
    let until = now() + Duration::hours(2);
    cloud.generate(&Volume { alerts: 100, machines: 5, since: now(), until });
    cloud.add_alert_visible_from(r#"{"id":"late"}"#, until + Duration::hours(1));
    let token = token(&cloud, "https://api.securitycenter.microsoft.com");
    cloud.token_lifetime(Duration::DAY);
    let request = list(&cloud);
    let listed = |hours| {
        let body = answer(&cloud, Service::Defender, &request, now() + Duration::hours(hours)).body;
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        body["value"].as_array().expect("a list").len()
    };
    assert_eq!(listed(-1), 0);
    assert!((20..80).contains(&listed(1)));
    assert_eq!([listed(2), listed(3)], [100, 101]);

    let stale = Request::new(Method::GET, "/api/alerts").with_header("authorization", &token);
    let stale = cloud.react(Service::Defender, &stale, now() + Duration::hours(1));
    assert_eq!(stale.status(), Some(401));
}

#[test]
fn a_denied_role_is_missing_from_the_next_token() {
    let cloud = Cloud::new(1);
    let before = list(&cloud);
    cloud.deny_role(Role::AlertRead);
    let after = list(&cloud);
    let status = |request: &Request| cloud.react(Service::Defender, request, now()).status();
    assert_eq!((status(&before), status(&after)), (Some(200), Some(403)));
    cloud.grant_role(Role::AlertRead);
    assert_eq!(status(&list(&cloud)), Some(200));
    cloud.revoke_tokens();
    assert_eq!(status(&before), Some(401));
}

#[test]
fn the_quota_answers_429_with_the_wait_in_seconds() {
    let cloud = Cloud::new(1);
    let request = list(&cloud);
    cloud.enforce_rate_limits(true);
    for _ in 0..100 {
        assert_eq!(answer(&cloud, Service::Defender, &request, now()).status, 200);
    }
    let at = now() + Duration::seconds(15);
    let rejected = answer(&cloud, Service::Defender, &request, at);
    assert_eq!(rejected.status, 429);
    assert_eq!(rejected.headers[RETRY_AFTER], "45");
    assert_eq!(rejected.headers[DATE], "Tue, 24 Nov 2026 06:00:15 GMT");
    assert_eq!(cloud.counts().throttled, 1);
}

#[test]
fn every_token_is_among_the_secrets() {
    let cloud = Cloud::new(1);
    let token = token(&cloud, "https://monitor.azure.com");
    let secrets = cloud.secrets();
    for secret in [tenant::WORKSPACE_KEY, tenant::CLIENT_SECRET, &token["Bearer ".len()..]] {
        assert!(secrets.iter().any(|known| known == secret), "{secret}");
    }
}

/// A rule with these streams, each with a time, an id, a score and a text.
fn rule(streams: &[&str]) -> String {
    let columns = json!([
        {"name": "TimeGenerated", "type": "datetime"},
        {"name": "AlertId", "type": "string"},
        {"name": "Score", "type": "long"},
        {"name": "Text", "type": "string"},
    ]);
    let declared = streams.iter().map(|name| ((*name).to_owned(), json!({ "columns": columns })));
    let workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w";
    json!({
        "kind": "Direct",
        "streamDeclarations": declared.collect::<Map<_, _>>(),
        "destinations": {"logAnalytics": [{"name": "w", "workspaceResourceId": workspace}]},
        "dataFlows": [{
            "streams": streams,
            "destinations": ["w"],
            "transformKql": "source | extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)",
            "outputStream": "Custom-MDATPAlerts_CL",
        }],
    })
    .to_string()
}

#[test]
fn a_deployed_rule_says_nothing_and_keeps_what_it_does_not_declare_from_the_table() {
    let cloud = Cloud::new(1);
    let status =
        |cloud: &Cloud, body| cloud.react(Service::LogsIngestion, &post(cloud, body), now()).status();
    assert_eq!(status(&cloud, r#"[{"AlertId":"before","Other":1}]"#), Some(204));
    assert!(cloud.rows().is_empty() && cloud.lost_values().is_empty());

    cloud.deploy_rule(&rule(&[tenant::STREAM])).expect("a good rule");
    let record = r#"{"AlertId":"da1","Score":"7","Other":1,"Title":"t"}"#;
    assert_eq!(status(&cloud, r#"[{"AlertId":"da1","Score":"7","Other":1,"Title":"t"}]"#), Some(204));
    assert_eq!(cloud.received()[1].records, [record]);
    let row = json!({"AlertId": "da1", "TimeGenerated": "2026-11-24T06:00:00Z"});
    assert_eq!(cloud.rows().into_iter().map(Value::Object).collect::<Vec<_>>(), [row]);
    let lost = [("Score", Why::WrongType), ("Other", Why::NotDeclared), ("Title", Why::Reserved)];
    let lost = lost.map(|(column, why)| LostValue {
        stream: tenant::STREAM.to_owned(),
        column: column.to_owned(),
        why,
        alert: Some("da1".to_owned()),
    });
    assert_eq!(cloud.lost_values(), lost);
    assert_eq!(cloud.counts().values_lost, 3);

    assert_eq!(status(&cloud, r#"[{"AlertId":"da2","Score":7}]"#), Some(204));
    assert_eq!((cloud.rows().len(), cloud.counts().values_lost), (2, 3));
    assert_eq!(status(&cloud, "[1]"), Some(400));
}

#[test]
fn the_rule_decides_which_streams_there_are_and_a_rejected_one_changes_nothing() {
    let cloud = Cloud::new(1);
    let status = || cloud.react(Service::LogsIngestion, &post(&cloud, "[]"), now()).status();
    cloud.deploy_rule("{}").expect_err("no rule");
    assert_eq!(status(), Some(204));
    cloud.deploy_rule(&rule(&["Custom-Other"])).expect("a good rule");
    assert_eq!(status(), Some(404));
    cloud.deploy_rule(&rule(&["Custom-Other", tenant::STREAM])).expect("a good rule");
    assert_eq!(status(), Some(204));
}

#[test]
fn the_first_thousand_lost_values_are_described_and_all_are_counted() {
    let cloud = Cloud::new(1);
    cloud.deploy_rule(&rule(&[tenant::STREAM])).expect("a good rule");
    let post = post(&cloud, r#"[{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}]"#);
    for _ in 0..200 {
        assert_eq!(cloud.react(Service::LogsIngestion, &post, now()).status(), Some(204));
    }
    assert_eq!((cloud.lost_values().len(), cloud.counts().values_lost), (1000, 1400));
    assert_eq!(cloud.lost_values()[999].alert, None);
}
