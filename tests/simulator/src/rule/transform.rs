//! The transformation of a data flow. Of Kusto, only functions of a single column are known here.

use super::column::{TIME, Type, as_guid};
use serde_json::Value;

/// What happens to each row before it is stored, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transform(Vec<(String, Step)>);

/// What happens to a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A row without a time gets the time at which it arrived.
    FillTime,
    /// `toguid()`: a text becomes the GUID that it is, or null.
    ToGuid,
    /// `tostring()`: any value becomes a text.
    ToString,
}

const FILL_TIME: &str = "iif(isnull(TimeGenerated),now(),TimeGenerated)";

impl Transform {
    /// Reads `transformKql`; without it, nothing happens to a row.
    pub fn parse(kql: Option<&str>) -> Result<Self, String> {
        let kql = kql.unwrap_or("source");
        let parsed = || {
            let mut parts = kql.split('|').map(str::trim);
            (parts.next() == Some("source")).then_some(())?;
            let mut steps = Vec::new();
            for part in parts {
                for item in items(part.strip_prefix("extend")?.strip_prefix(char::is_whitespace)?) {
                    steps.push(step(&item)?);
                }
            }
            Some(Self(steps))
        };
        parsed().ok_or_else(|| {
            format!(
                "InvalidTransformQuery: the simulator knows only 'source' and '| extend' with 'TimeGenerated = \
                 {FILL_TIME}', 'X = toguid(X)' and 'X = tostring(X)', not '{kql}'"
            )
        })
    }

    /// What happens to a column.
    fn of<'a>(&'a self, column: &'a str) -> impl Iterator<Item = Step> + 'a {
        self.0.iter().filter(move |(name, _)| name == column).map(|(_, step)| *step)
    }

    /// The type of a column after the transformation, from its type before.
    pub fn output(&self, column: &str, declared: Type) -> Type {
        self.of(column).fold(declared, |kind, step| match step {
            Step::FillTime => kind,
            Step::ToGuid => Type::Guid,
            Step::ToString => Type::String,
        })
    }

    /// The value of a column after the transformation; `None` if that is null.
    pub fn apply(&self, column: &str, value: Value) -> Option<Value> {
        self.of(column).try_fold(value, |value, step| match (step, value) {
            (Step::FillTime, value) | (Step::ToString, value @ Value::String(_)) => Some(value),
            (Step::ToGuid, Value::String(text)) => as_guid(&text),
            (Step::ToGuid, _) => None,
            (Step::ToString, value) => Some(value.to_string().into()),
        })
    }

    /// The columns that it reads besides the time, which must be there.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether a row without a time gets one.
    pub fn fills_time(&self) -> bool {
        self.of(TIME).any(|step| step == Step::FillTime)
    }
}

/// The items of an `extend`, without blanks: what stands between commas that are in no parentheses.
fn items(text: &str) -> Vec<String> {
    let (mut items, mut depth) = (vec![String::new()], 0);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match (c, items.last_mut()) {
            (',', _) if depth == 0 => items.push(String::new()),
            (c, Some(item)) => item.push(c),
            (_, None) => {}
        }
    }
    items
}

fn step(item: &str) -> Option<(String, Step)> {
    let (name, expression) = item.split_once('=')?;
    let step = if (name, expression) == (TIME, FILL_TIME) {
        Step::FillTime
    } else if expression == format!("toguid({name})") {
        Step::ToGuid
    } else if expression == format!("tostring({name})") {
        Step::ToString
    } else {
        return None;
    };
    Some((name.to_owned(), step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_transformations_are_read_however_they_are_spaced() {
        let fill = (TIME.to_owned(), Step::FillTime);
        let guid = |name: &str| (name.to_owned(), Step::ToGuid);
        for (kql, steps) in [
            (None, vec![]),
            (Some(" source\n"), vec![]),
            (
                Some("source\n| extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)"),
                vec![fill.clone()],
            ),
            (
                Some(
                    "source | extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated), a = toguid(a) \
                     | extend b=toguid( b ),c = tostring(c)",
                ),
                vec![fill, guid("a"), guid("b"), ("c".to_owned(), Step::ToString)],
            ),
        ] {
            assert_eq!(Transform::parse(kql), Ok(Transform(steps)), "{kql:?}");
        }
        for kql in [
            "",
            "source | where true",
            "source | extend TimeGenerated = now()",
            "source | extend a = toguid(b)",
            "source | extend a = todynamic(a)",
            "source | extend",
            "source | extenda = toguid(a)",
            "Source",
        ] {
            let rejection = Transform::parse(Some(kql)).expect_err(kql);
            assert!(rejection.contains("the simulator knows only 'source' and"), "{rejection}");
        }
    }

    #[test]
    fn a_text_becomes_the_guid_that_it_is_or_nothing() {
        let transform =
            Transform::parse(Some("source | extend a = toguid(a), b = tostring(b)")).expect("known");
        let guid = "0a1b2c3d-0000-4000-8000-00000000abcd";
        for (column, value, expected) in [
            ("a", json!(guid), Some(json!(guid))),
            ("a", json!(guid.to_uppercase()), Some(json!(guid))),
            ("a", json!(guid.replace('-', "")), Some(json!(guid))),
            ("a", json!("0a1b2c3d-0000-4000-8000-00000000abc"), None),
            ("a", json!("0a1b2c3d00-00-4000-8000-00000000abcd"), None),
            ("a", json!("custom-rule-7"), None),
            ("a", json!(""), None),
            ("b", json!(22_631), Some(json!("22631"))),
            ("b", json!(true), Some(json!("true"))),
            ("b", json!([1]), Some(json!("[1]"))),
            ("c", json!("as it is"), Some(json!("as it is"))),
        ] {
            assert_eq!(transform.apply(column, value.clone()), expected, "{column} {value}");
        }
    }
}
