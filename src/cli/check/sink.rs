//! The finding about the sink, from a request without records or with one test record. Pure.

use azure_core::time::{OffsetDateTime, to_rfc3339};
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::{call_failure, finding::Finding, principal::Principal, show};
use crate::{
    config::SinkConfig,
    http::{
        advice::Advice,
        call::{CallError, ErrorResponse},
        service::Service,
    },
    record::{json::Object, merge::merge},
    schema::{ALERT_CREATION_TIME, ID, LAST_UPDATE_TIME, SEVERITY, Shape, TITLE, table},
    sink::Sent,
};

/// The name of the check.
pub const CHECK: &str = "sink";

/// The body of a request without records: signed or authorized like any other, with nothing to write.
pub const EMPTY: &[u8] = b"[]";

/// A record that cannot be mistaken for an alert, and the query that finds it.
#[derive(Debug, PartialEq, Eq)]
pub struct TestRecord {
    /// The request's body.
    pub body: Bytes,
    /// The query that finds it.
    pub query: String,
}

impl TestRecord {
    /// Creates a test record of the time `now` for `sink`, in `shape`.
    pub fn new(now: OffsetDateTime, sink: &SinkConfig, shape: Shape) -> Self {
        let time = to_rfc3339(&now);
        let id = format!("mdatp-forward-check-{}", time.replace(':', ""));
        let alert = json!({
            (ID): id,
            (TITLE): "Test record of mdatp-forward check: no alert",
            (SEVERITY): "Informational",
            "status": "Resolved",
            (ALERT_CREATION_TIME): time,
            (LAST_UPDATE_TIME): time,
        });
        let text = alert.to_string();
        let object = Object::parse(text.as_bytes()).expect("it was serialized just now");
        let stamp = format!("\"{time}\"");
        let (stamp, table, column) = match sink {
            // The service creates a column for each member, with a suffix for its type.
            SinkConfig::DataCollector { log_name, .. } => (None, table::name(log_name), Shape::Classic.id()),
            SinkConfig::LogsIngestion { stream, .. } => {
                (Some(stamp.as_str()), stream.trim_start_matches(table::STREAM_PREFIX).to_owned(), shape.id())
            }
        };
        let record = shape.write(&merge(object, None, stamp)).text;
        let body = [b"[", &record[..], b"]"].concat().into();
        Self { body, query: format!("{table} | where {column} == \"{id}\"") }
    }
}

/// Returns the finding about the request with `test_record`, or about the request without records.
pub fn finding(
    sink: &SinkConfig,
    principal: &Principal,
    test_record: Option<&TestRecord>,
    sent: &Result<Sent, CallError>,
) -> Finding {
    let (name, place, accepted) = match sink {
        SinkConfig::DataCollector { log_name, .. } => {
            (Service::DataCollector.name(), table::name(log_name), "the signature")
        }
        SinkConfig::LogsIngestion { rule, stream, .. } => {
            (Service::LogsIngestion.name(), format!("the stream {stream} of {rule}"), "the token")
        }
    };
    match (sent, test_record) {
        (Ok(_), None) => {
            Finding::ok(CHECK, format!("{name} accepts {accepted} for {place}; nothing was sent"))
        }
        (Ok(_), Some(TestRecord { query, .. })) => Finding::ok(
            CHECK,
            format!("{name} accepted one test record; in a few minutes this query finds it: {query}"),
        ),
        (Err(CallError::Rejected(response)), None) if is_about_empty_body(response) => Finding::ok(
            CHECK,
            format!("{name} accepts {accepted} for {place}; it rejects only that the request has no records"),
        ),
        // The response to a request without records is not documented, but those to wrong settings are known.
        (Err(CallError::Rejected(response)), None)
            if response.service == Service::LogsIngestion
                && response.status == StatusCode::BAD_REQUEST
                && !response.is_about_settings() =>
        {
            let message = format!(
                "{name} accepts the token, and answered 400 to a request without records ({})",
                response.detail.message
            );
            Finding::warning(CHECK, message, "send one test record: mdatp-forward check --send")
        }
        (Err(error), _) => {
            call_failure::call_finding(CHECK, error, |advice| command(sink, principal, advice))
        }
    }
}

/// Returns the command that shows or does what is advised.
fn command(sink: &SinkConfig, principal: &Principal, advice: Advice) -> Option<String> {
    match (advice, sink) {
        (Advice::GrantPublisherRole, SinkConfig::LogsIngestion { rule, .. }) => {
            Some(principal.grant_publisher_role(rule))
        }
        (Advice::RuleEndpoint | Advice::IngestionNetwork | Advice::IngestionOtherThanRole, _) => {
            Some(show::rule_endpoint())
        }
        (Advice::RuleAddress | Advice::RuleStream | Advice::RuleId, _) => Some(show::rule()),
        (Advice::WorkspaceKey, _) => Some(show::WORKSPACE_KEYS.to_owned()),
        _ => None,
    }
}

/// Returns true if the Data Collector API rejects the content of a request, which it reads after checking the signature.
fn is_about_empty_body(response: &ErrorResponse) -> bool {
    response.service == Service::DataCollector
        && response.status == StatusCode::BAD_REQUEST
        && response.detail.code() == Some("InvalidDataFormat")
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;
    use crate::{config::endpoint::Endpoint, sink::shared_key::SigningKey};

    fn sinks() -> [SinkConfig; 2] {
        let endpoint = Endpoint::parse("https://sink.example").expect("a URL");
        [
            SinkConfig::DataCollector {
                workspace_id: "w".to_owned(),
                key: SigningKey::from_base64("a2V5").expect("a key"),
                url: endpoint.clone(),
                log_name: "MDATPAlerts".to_owned(),
            },
            SinkConfig::LogsIngestion {
                endpoint,
                rule: "dcr-0f".to_owned(),
                stream: "Custom-MDATPAlerts_CL".to_owned(),
                log_name: "MDATPAlerts".to_owned(),
                scope: String::new(),
            },
        ]
    }

    #[test]
    fn the_test_record_is_in_the_shape_of_all_others() {
        let now = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
        let [collector, ingestion] = sinks();
        let id = "mdatp-forward-check-2026-11-24T060000Z";
        for (sink, shape, start, column) in [
            (&collector, Shape::Union, "[{", "id_s"),
            (&ingestion, Shape::Native, r#"[{"TimeGenerated":"2026-11-24T06:00:00Z","#, "AlertId"),
            (&ingestion, Shape::Classic, r#"[{"TimeGenerated":"2026-11-24T06:00:00Z","#, "id_s"),
            (&ingestion, Shape::Union, r#"[{"TimeGenerated":"2026-11-24T06:00:00Z","#, "id"),
        ] {
            let test_record = TestRecord::new(now, sink, shape);
            let text = String::from_utf8(test_record.body.to_vec()).expect("text");
            assert!(text.starts_with(start) && text.contains(&format!("\"{id}\"")), "{text}");
            assert!(text.contains("no alert") && text.contains("Informational"), "{text}");
            assert_eq!(test_record.query, format!("MDATPAlerts_CL | where {column} == \"{id}\""));
        }
    }
}
