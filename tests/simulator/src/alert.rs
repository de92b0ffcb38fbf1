//! An alert as Defender keeps it: its JSON text, byte for byte, and the fields a list filters by.

use std::fmt::Write;
use std::ops::Range;

use azure_core::time::OffsetDateTime;

use crate::members::members;
use crate::odata::{Kind, Row, Schema, Value};

/// What the alerts list can be filtered and sorted by. `machineId` is not among it.
pub(crate) const ALERT_FIELDS: Schema = Schema(&[
    ("id", Kind::Text),
    ("alertCreationTime", Kind::Time),
    ("lastUpdateTime", Kind::Time),
    ("lastEventTime", Kind::Time),
    ("incidentId", Kind::Number),
    ("investigationId", Kind::Number),
    ("assignedTo", Kind::Text),
    ("detectionSource", Kind::Text),
    ("status", Kind::Text),
    ("severity", Kind::Text),
    ("category", Kind::Text),
]);

/// A stored alert.
pub(crate) struct Alert {
    text: String,
    values: Vec<Value>,
    evidence: Option<Range<usize>>,
    /// Before this moment neither the list nor a GET by id knows the alert.
    visible_from: Option<OffsetDateTime>,
}

impl Alert {
    pub fn new(text: String, visible_from: Option<OffsetDateTime>) -> Result<Self, String> {
        let members = members(&text).map_err(|error| format!("an alert is an object: {error}"))?;
        let values = ALERT_FIELDS.read(&members);
        let evidence = members.iter().find(|member| member.name == "evidence");
        let evidence = evidence.map(|member| member.span(&text));
        Ok(Self { text, values, evidence, visible_from })
    }

    pub fn id(&self) -> Option<&str> {
        match &self.values[0] {
            Value::Text(id) => Some(id),
            _ => None,
        }
    }

    /// The value of one of [`ALERT_FIELDS`].
    pub fn named(&self, name: &str) -> &Value {
        let (field, _) = ALERT_FIELDS.field(name).expect("a field that a list can be filtered by");
        &self.values[field]
    }

    /// The id of its machine.
    pub fn machine_id(&self) -> Option<String> {
        let members = members(&self.text).ok()?;
        let id = members.iter().find(|member| member.name == "machineId")?;
        serde_json::from_str(id.value.get()).ok()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_visible(&self, now: OffsetDateTime) -> bool {
        self.visible_from.is_none_or(|from| from <= now)
    }

    /// Writes the alert as a list shows it: without `$expand=evidence` that member is empty.
    pub fn write(&self, body: &mut String, expand: bool) {
        match &self.evidence {
            Some(evidence) if !expand => {
                body.push_str(&self.text[..evidence.start]);
                body.push_str("[]");
                body.push_str(&self.text[evidence.end..]);
            }
            _ => body.push_str(&self.text),
        }
    }

    /// The alert after an update at this time.
    pub fn updated(&self, last_update_time: &str) -> Result<Self, String> {
        let members = members(&self.text).map_err(|error| error.to_string())?;
        let mut text = String::with_capacity(self.text.len());
        let mut copied = 0;
        for member in &members {
            let new = match member.name.as_str() {
                "lastUpdateTime" => last_update_time,
                "status" => "InProgress",
                _ => continue,
            };
            let span = member.span(&self.text);
            write!(text, "{}\"{new}\"", &self.text[copied..span.start])
                .expect("writing to a String cannot fail");
            copied = span.end;
        }
        text.push_str(&self.text[copied..]);
        Self::new(text, self.visible_from)
    }
}

impl Row for Alert {
    fn value(&self, field: usize) -> &Value {
        &self.values[field]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"id":"da1","status":"New","lastUpdateTime":"2026-11-24T06:00:00.2Z","osBuild":1.0,"evidence":[ {"sha1":null} ],"domains":[]}"#;

    fn listed(alert: &Alert, expand: bool) -> String {
        let mut body = String::new();
        alert.write(&mut body, expand);
        body
    }

    #[test]
    fn only_an_expanded_list_shows_evidence() {
        let alert = Alert::new(TEXT.to_owned(), None).expect("an alert");
        assert_eq!(listed(&alert, true), TEXT);
        assert_eq!(
            listed(&alert, false),
            r#"{"id":"da1","status":"New","lastUpdateTime":"2026-11-24T06:00:00.2Z","osBuild":1.0,"evidence":[],"domains":[]}"#
        );
    }

    #[test]
    fn an_update_touches_status_and_time_and_nothing_else() {
        let alert = Alert::new(TEXT.to_owned(), None).expect("an alert");
        let updated = alert.updated("2026-11-24T07:00:00Z").expect("still an alert");
        assert_eq!(
            updated.text(),
            r#"{"id":"da1","status":"InProgress","lastUpdateTime":"2026-11-24T07:00:00Z","osBuild":1.0,"evidence":[ {"sha1":null} ],"domains":[]}"#
        );
        let time = azure_core::time::parse_rfc3339("2026-11-24T07:00:00Z").expect("a time");
        assert_eq!(updated.value(2), &Value::Time(time));
    }

    #[test]
    fn a_late_alert_is_not_there_before_its_time() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let alert = Alert::new(TEXT.to_owned(), Some(at)).expect("an alert");
        assert!(!alert.is_visible(at - azure_core::time::Duration::SECOND));
        assert!(alert.is_visible(at));
    }
}
