//! The row about a run, which is sent to a table of its own (`MDATP_HEALTH`). Table, rule and row are made from the one
//! list here. Pure.

use std::{borrow::Cow, sync::LazyLock};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde_json::{Map, Value, json};

use super::{
    Column, ColumnType,
    ColumnType::{Long, String as Text},
    TIME_GENERATED, table,
};
use crate::report::RunReport;

/// A column, and its value for a run.
struct HealthColumn {
    name: &'static str,
    kind: ColumnType,
    meaning: &'static str,
    value: fn(&RunReport) -> Value,
}

const fn count(name: &'static str, meaning: &'static str, value: fn(&RunReport) -> Value) -> HealthColumn {
    HealthColumn { name, kind: Long, meaning, value }
}

const fn text(name: &'static str, meaning: &'static str, value: fn(&RunReport) -> Value) -> HealthColumn {
    HealthColumn { name, kind: Text, meaning, value }
}

/// The columns after the time.
const COLUMNS: [HealthColumn; 14] = [
    text("Result", "how the run ended: ok, incomplete, failed", |run| json!(run.result())),
    count("Read", "alerts listed", |run| json!(run.alerts_read)),
    count("Sent", "alerts accepted by the sink", |run| json!(run.alerts_sent)),
    count("Before", "alerts of the look-back that earlier runs had delivered", |run| {
        json!(run.alerts_already_sent)
    }),
    count("SetAside", "what cannot be delivered and was kept", |run| json!(run.alerts_set_aside)),
    count("Misfit", "values that did not fit their column", |run| json!(run.values_misfit)),
    count("Machines", "machines read", |run| json!(run.machines_read)),
    count("MachinesMissing", "machines that Defender does not know", |run| json!(run.machines_not_found)),
    count("Requests", "requests to Defender and the sink, repeats included", |run| json!(run.requests)),
    count("Bytes", "bytes that the sink accepted", |run| json!(run.bytes_sent)),
    count("DurationMs", "how long the run took, in milliseconds", |run| json!(run.duration_ms)),
    count(
        "LagSeconds",
        "how long ago the time lay before which everything was dealt with; empty when that is not known",
        |run| json!(run.lag_seconds),
    ),
    text("Error", "why the run failed; empty when it did not", |run| json!(run.error)),
    text("SourceTenantId", "the tenant of the alerts; empty where the app forwards for one alone", |run| {
        json!(run.tenant)
    }),
];

/// The name of the log about runs that send to `log_name`.
pub fn log_name(log_name: &str) -> String {
    format!("{log_name}Health")
}

/// The name of the stream of the Logs Ingestion API into its table.
pub fn stream(log_name: &str) -> String {
    table::stream(&self::log_name(log_name))
}

/// The columns of the table.
pub fn columns() -> &'static [Column] {
    static ALL: LazyLock<Vec<Column>> = LazyLock::new(|| {
        let column = |name, kind, meaning| Column {
            name: Cow::Borrowed(name),
            kind,
            source: "run".to_owned(),
            meaning,
        };
        let time = column(TIME_GENERATED, ColumnType::DateTime, "when the run ended");
        let others =
            COLUMNS.iter().map(|HealthColumn { name, kind, meaning, .. }| column(name, *kind, meaning));
        [time].into_iter().chain(others).collect()
    });
    &ALL
}

/// Returns the body with which the Tables API creates the table.
pub fn table(log_name: &str) -> Value {
    table::document(&self::log_name(log_name), columns())
}

/// Returns the row about a run, as an array of one. It has a time of its own only if `ended` is given.
pub fn rows(report: &RunReport, ended: Option<OffsetDateTime>) -> Vec<u8> {
    let values = COLUMNS.iter().map(|column| (column.name.to_owned(), (column.value)(report)));
    let time = ended.map(|time| (TIME_GENERATED.to_owned(), json!(to_rfc3339(&time))));
    let row: Map<_, _> = time.into_iter().chain(values).filter(|(_, value)| !value.is_null()).collect();
    serde_json::to_vec(&[row]).expect("numbers and texts can be written as JSON")
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn a_row_has_the_values_of_the_report() {
        let report = RunReport {
            alerts_read: 1,
            alerts_sent: 2,
            alerts_already_sent: 3,
            alerts_set_aside: 4,
            values_misfit: 5,
            machines_read: 6,
            machines_not_found: 7,
            requests: 8,
            bytes_sent: 9,
            duration_ms: 10,
            lag_seconds: Some(11),
            error: Some("no \"token\"".to_owned()),
            tenant: Some("5f3a1c9e-0b1d-4f7e-9a55-2d6c8e4b7f10".to_owned()),
            ..RunReport::default()
        };
        let ended = parse_rfc3339("2026-11-24T06:00:00Z").expect("a time");
        let rows: Value = serde_json::from_slice(&rows(&report, Some(ended))).expect("JSON");
        assert_eq!(
            rows,
            json!([{
                "TimeGenerated": "2026-11-24T06:00:00Z", "Result": "failed", "Read": 1, "Sent": 2, "Before": 3,
                "SetAside": 4, "Misfit": 5, "Machines": 6, "MachinesMissing": 7, "Requests": 8, "Bytes": 9,
                "DurationMs": 10, "LagSeconds": 11, "Error": "no \"token\"",
                "SourceTenantId": "5f3a1c9e-0b1d-4f7e-9a55-2d6c8e4b7f10"
            }])
        );
        let names: Vec<_> = columns().iter().map(|column| &*column.name).collect();
        assert_eq!(names.len(), 15);
        assert!(names.iter().all(|name| rows[0].get(name).is_some()), "{names:?}");
    }

    #[test]
    fn unknown_values_are_left_out() {
        let report = RunReport { complete: true, ..RunReport::default() };
        let text = String::from_utf8(rows(&report, None)).expect("text");
        assert!(text.contains(r#""Result":"ok""#), "{text}");
        for name in ["TimeGenerated", "LagSeconds", "Error", "SourceTenantId"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }
}
