//! A posted batch: a JSON array of objects, each record kept as the text it came in.

use azure_core::time::{OffsetDateTime, parse_rfc3339};
use serde_json::value::RawValue;

use crate::members::{Member, members};
use crate::shape;

/// The records of an array, or of a single object where a sink takes that too.
pub(crate) fn records(body: &str) -> Result<Vec<&str>, String> {
    let array: Vec<&RawValue> = match body.trim_start().as_bytes().first() {
        Some(b'{') => serde_json::from_str(body).map(|object| vec![object]),
        _ => serde_json::from_str(body),
    }
    .map_err(|error| format!("the body is not a JSON array: {error}"))?;
    Ok(array.into_iter().map(RawValue::get).collect())
}

/// One record of a batch, for the checks that look inside.
pub(crate) struct Record<'a>(Vec<Member<'a>>);

impl<'a> Record<'a> {
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let members = members(text).map_err(|error| format!("not a record: {error}"))?;
        Ok(Self(members))
    }

    pub fn members(&self) -> &[Member<'a>] {
        &self.0
    }

    /// Whether the member of this name holds a date with a time.
    pub fn has_time(&self, name: &str) -> bool {
        self.time(name).is_some()
    }

    /// The date with a time that the member of this name holds.
    pub fn time(&self, name: &str) -> Option<OffsetDateTime> {
        parse_rfc3339(&self.text(name)?).ok()
    }

    /// The id of the alert it is about, in whatever shape it is.
    pub fn alert_id(&self) -> Option<String> {
        shape::names("id").find_map(|name| self.text(&name))
    }

    fn text(&self, name: &str) -> Option<String> {
        let member = self.0.iter().find(|member| member.name == name)?;
        serde_json::from_str(member.value.get()).ok()
    }

    /// The members that are longer than a sink keeps of a field.
    pub fn fields_over(&self, limit: usize) -> u64 {
        let long = |member: &&Member| width(member.value.get(), limit) > limit;
        self.0.iter().filter(long).count().try_into().unwrap_or(u64::MAX)
    }
}

/// The length of a field as a column keeps it: a text's own, for anything else that of its JSON.
pub(crate) fn width(json: &str, limit: usize) -> usize {
    if json.len() <= limit {
        return json.len();
    }
    serde_json::from_str(json).map_or(json.len(), |text: String| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_text() {
        let body = "[ {\"n\": 1.0},\n{\"é\":\"\\u00e9\"} ]";
        let expected = ["{\"n\": 1.0}", "{\"é\":\"\\u00e9\"}"];
        assert_eq!(records(body).as_deref(), Ok(&expected[..]));
        assert_eq!(records("{\"a\":1}").as_deref(), Ok(&["{\"a\":1}"][..]));
        assert!(records("[{\"a\":1}").is_err());
    }

    #[test]
    fn a_field_is_as_long_as_its_text_not_as_its_escapes() {
        let text = format!(r#"{{"a":"{}","b":["{}"]}}"#, "\\n".repeat(9), "x".repeat(9));
        let record = Record::parse(&text).expect("a record");
        assert_eq!(record.fields_over(9), 1);
        assert_eq!(record.fields_over(8), 2);
        assert_eq!(record.fields_over(13), 0);
    }

    #[test]
    fn the_alerts_id_is_found_in_each_shape() {
        for (text, id) in [
            (r#"{"id":"da1"}"#, Some("da1")),
            (r#"{"MachineId":"m1","AlertId":"da1"}"#, Some("da1")),
            (r#"{"id_s":"da1"}"#, Some("da1")),
            (r#"{"id":7,"machineId":"m1"}"#, None),
        ] {
            let record = Record::parse(text).expect("a record");
            assert_eq!(record.alert_id().as_deref(), id, "{text}");
        }
    }

    #[test]
    fn only_a_date_with_a_time_is_a_time() {
        let text = r#"{"a":"2026-11-24T06:00:00.1234567Z","b":"2026-11-24","c":null}"#;
        let record = Record::parse(text).expect("a record");
        assert_eq!(["a", "b", "c", "d"].map(|name| record.has_time(name)), [true, false, false, false]);
    }
}
