//! The columns of a stream: which names and types a rule may declare, and which values they hold.

use std::collections::BTreeMap;

use azure_core::time::parse_rfc3339;
use serde::Deserialize;
use serde_json::Value;

/// The longest name of a column.
const LONGEST_NAME: usize = 45;
/// Names that are the service's own, in whatever case.
const RESERVED: [&str; 7] = ["_ResourceId", "id", "_SubscriptionId", "TenantId", "Type", "UniqueId", "Title"];
/// The column that every table has.
pub(super) const TIME: &str = "TimeGenerated";
/// The digits of a second that a datetime has room for: it counts in 100 ns.
const MOST_FRACTION_DIGITS: usize = 7;

/// A column as the document has it.
#[derive(Deserialize)]
pub(super) struct Declared {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Int,
    Long,
    Real,
    Boolean,
    DateTime,
    Dynamic,
    /// A column of a table may have it, a stream cannot declare it.
    Guid,
}

impl Type {
    /// The type that a stream calls so.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "int" => Self::Int,
            "long" => Self::Long,
            "real" => Self::Real,
            "boolean" => Self::Boolean,
            "datetime" => Self::DateTime,
            "dynamic" => Self::Dynamic,
            _ => return None,
        })
    }

    /// The type that a table calls so, in whatever case: the Tables API writes `dateTime`.
    pub fn of_table(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "guid" => Some(Self::Guid),
            "bool" => Some(Self::Boolean),
            name => Self::named(name),
        }
    }

    /// The value as the column holds it; `None` if it is of another type. No value is converted.
    pub fn hold(self, json: &str) -> Option<Value> {
        match self {
            Self::String => serde_json::from_str(json).ok().map(Value::String),
            Self::Int => json.parse::<i32>().ok().map(Value::from),
            Self::Long => json.parse::<i64>().ok().map(Value::from),
            Self::Real => serde_json::from_str::<f64>(json).ok().map(Value::from),
            Self::Boolean => serde_json::from_str(json).ok().map(Value::Bool),
            Self::DateTime => {
                serde_json::from_str(json).ok().filter(|text: &String| is_datetime(text)).map(Value::String)
            }
            Self::Dynamic => serde_json::from_str(json).ok(),
            Self::Guid => serde_json::from_str(json).ok().and_then(|text: String| as_guid(&text)),
        }
    }
}

/// A datetime begins with the year 1 and knows no leap seconds.
fn is_datetime(text: &str) -> bool {
    let second = text.get(17..19);
    let fraction = text.get(19..).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    digits <= MOST_FRACTION_DIGITS
        && second != Some("60")
        && parse_rfc3339(text).is_ok_and(|time| time.year() > 0)
}

/// The GUID that a text is, which may be without its dashes (Kusto's documentation of `toguid()`).
pub(super) fn as_guid(text: &str) -> Option<Value> {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_guid = (groups == [8, 4, 4, 4, 12] || groups == [32])
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_guid.then(|| {
        let digits = digits.to_ascii_lowercase();
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-").into()
    })
}

/// The columns a stream declares.
pub(super) struct Columns(BTreeMap<String, Type>);

impl Columns {
    /// The columns, or why they cannot be declared.
    pub fn checked(declared: &[Declared]) -> Result<Self, String> {
        let mut columns = BTreeMap::new();
        for Declared { name, kind } in declared {
            if !is_name(name) || name.len() > LONGEST_NAME {
                return Err(format!(
                    "the column name '{name}' is not a letter followed by at most {} letters, digits and '_'",
                    LONGEST_NAME - 1
                ));
            }
            if is_reserved(name) {
                return Err(format!("the column name '{name}' is reserved"));
            }
            let Some(kind) = Type::named(kind) else {
                return Err(format!(
                    "the column '{name}' has the type '{kind}', which is not one of string, int, long, real, \
                     boolean, datetime, dynamic"
                ));
            };
            if columns.insert(name.clone(), kind).is_some() {
                return Err(format!("the column '{name}' is there twice"));
            }
        }
        Ok(Self(columns))
    }

    pub fn get(&self, name: &str) -> Option<Type> {
        self.0.get(name).copied()
    }

    /// Each with its type.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Type)> {
        self.0.iter().map(|(name, kind)| (name.as_str(), *kind))
    }
}

/// A letter, then letters, digits and underscores; true of tables as well.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_takes_its_own_values_and_no_others() {
        for (kind, held, rejected) in [
            ("string", vec![r#""""#, r#""1""#, r#""\u00e9""#], vec!["1", "true", "[]", "{}", r#""\ud800""#]),
            ("int", vec!["0", "-2147483648", "2147483647"], vec!["2147483648", "1.0", r#""1""#, "true"]),
            (
                "long",
                vec!["-0", "-9223372036854775808", "9223372036854775807"],
                vec!["9223372036854775808", "1.0", "1e3", r#""1""#, "true", "[]"],
            ),
            ("real", vec!["0", "1.5", "-1e-300", "9223372036854775808"], vec!["1e999", r#""1.5""#, "false"]),
            ("boolean", vec!["true", "false"], vec!["0", "1", r#""true""#]),
            (
                "datetime",
                vec![
                    r#""2026-11-24T06:00:00Z""#,
                    r#""2026-11-24T06:00:00.1234567Z""#,
                    r#""2026-11-24T06:00:00.1+01:00""#,
                    r#""0001-01-01T00:00:00Z""#,
                ],
                vec![
                    r#""2026-11-24T06:00:00.12345678Z""#,
                    r#""2026-11-24T06:00:00""#,
                    r#""2026-11-24""#,
                    r#""2016-12-31T23:59:60Z""#,
                    r#""0000-01-01T00:00:00Z""#,
                    "1764000000",
                    r#""""#,
                ],
            ),
            ("dynamic", vec!["1", "true", r#""x""#, "[1,{}]", r#"{"a":null}"#], vec!["[1e999]"]),
        ] {
            let kind = Type::named(kind).expect("a type");
            for json in held {
                assert_ne!(kind.hold(json), None, "{kind:?} {json}");
            }
            for json in rejected {
                assert_eq!(kind.hold(json), None, "{kind:?} {json}");
            }
        }
    }
}
