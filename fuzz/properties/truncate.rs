//! Records too long for the sink: what is sent is JSON within the limits, made of the record's own parts,
//! and says what it lacks.

use mdatp_forward::testing::{
    Shape,
    truncate::{Fit, Limits, fit},
};
use serde_json::Value;

use super::json::{Members, is_json};

const LIST: &str = "truncatedFields";

/// The first two bytes of `input` say how small the limits are, in eights and fours; the rest is a record.
pub fn holds(input: &[u8]) {
    let [record, field, text @ ..] = input else { return };
    let limits = Limits { record: usize::from(*record) * 8, field: usize::from(*field) * 4 };
    match fit(text, limits, Shape::Union) {
        Fit::Whole => {
            assert!(text.len() <= limits.record);
            let fits = |(_, value): &(String, &str)| value.len() <= limits.field;
            assert!(Members::of(text).is_none_or(|members| members.0.iter().all(fits)));
        }
        Fit::Truncated { record, fields } => {
            assert!(is_json(text), "only JSON can be cut");
            assert!(is_json(&record), "{:?} is no JSON", String::from_utf8_lossy(&record));
            assert!(record.len() <= limits.record, "{} bytes for {limits:?}", record.len());
            assert_eq!(fit(&record, limits, Shape::Union), Fit::Whole, "what is made to fit fits");
            is_less(text, &record);
            if let Some((told, said)) = Members::of(text).zip(Members::of(&record)) {
                tells(&told, &said, &fields, limits);
            }
        }
        Fit::DoesNotFit => {
            assert!(limits.field < 4 || least(text).is_none_or(|least| least > limits.record));
        }
    }
}

/// The most that a record can need if every value is cut to four bytes; none when it is no record.
fn least(text: &[u8]) -> Option<usize> {
    let length = |name: &String| serde_json::to_string(name).map_or(0, |name| name.len());
    // A name can be written at up to six times its length.
    let cost = |(name, value): &(String, &str)| 12 * length(name) + value.len().min(4) + 4;
    Members::of(text).map(|members| members.0.iter().map(cost).sum::<usize>() + LIST.len() + 8)
}

/// The members are those of the record in their order, and all that lost something are listed.
fn tells(told: &Members<'_>, said: &Members<'_>, fields: &[String], limits: Limits) {
    let Some(((list, _), said)) = said.0.split_last() else { panic!("the list is missing") };
    assert_eq!(list, LIST);
    let mut said = said.iter().peekable();
    let mut lacking = Vec::new();
    for (name, value) in &told.0 {
        let kept = said.next_if(|(known, _)| known == name && name != LIST).map(|(_, kept)| *kept);
        assert!(kept.is_none_or(|kept| kept.len() <= limits.field));
        if kept != Some(*value) {
            lacking.push(name);
        }
        if let Some(kept) = kept.filter(|kept| kept.len() < value.len() && kept.starts_with('"')) {
            assert!(value.starts_with(&kept[..kept.len() - 1]), "{kept} is not the beginning of {value}");
        }
    }
    assert_eq!(said.next(), None, "a member that the record has not");
    assert_eq!(lacking.len(), fields.len(), "{fields:?} for {lacking:?}");
    for (name, field) in lacking.into_iter().zip(fields) {
        // Of a name that is too long for the list, the beginning stands there.
        assert!(name == field || name.len() > 40 && name.starts_with(field.as_str()), "{name} is not listed");
    }
}

/// What is Unicode text stays so, no pair of surrogates torn apart, no escape cut through; and arrays lose
/// elements from their end only.
fn is_less(text: &[u8], record: &[u8]) {
    let Ok(Value::Object(whole)) = serde_json::from_slice(text) else { return };
    let kept: Value = serde_json::from_slice(record).expect("what could be read before can be read now");
    // Of two members with one name, which the program never makes, this sees only one.
    let has_doubles = Members::of(text).is_none_or(|members| members.0.len() > whole.len());
    for (name, kept) in kept.as_object().expect("a record is an object") {
        if name == LIST || has_doubles {
            continue;
        }
        let whole = whole.get(name).expect("a member that the record has");
        if let (Value::Array(kept), Value::Array(whole)) = (kept, whole)
            && let Some((_, unharmed)) = kept.split_last()
        {
            assert!(whole.starts_with(unharmed), "{name} has lost something before its end");
        }
    }
}
