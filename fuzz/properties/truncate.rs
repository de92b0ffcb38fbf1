//! Records too long for the sink: what is sent is JSON within the limits, consists of parts of the record, and lists
//! what was cut.

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
            assert!(is_json(&record), "{:?} is not JSON", String::from_utf8_lossy(&record));
            assert!(record.len() <= limits.record, "{} bytes for {limits:?}", record.len());
            assert_eq!(fit(&record, limits, Shape::Union), Fit::Whole, "what has been made to fit fits");
            is_part(text, &record);
            if let Some((whole, left)) = Members::of(text).zip(Members::of(&record)) {
                lists_what_was_cut(&whole, &left, &fields, limits);
            }
        }
        Fit::DoesNotFit => {
            assert!(limits.field < 4 || least(text).is_none_or(|least| least > limits.record));
        }
    }
}

/// The most bytes that a record can take if every value is cut to four bytes; `None` if it is not a record.
fn least(text: &[u8]) -> Option<usize> {
    let length = |name: &String| serde_json::to_string(name).map_or(0, |name| name.len());
    // A name can be written in up to six times its length.
    let cost = |(name, value): &(String, &str)| 12 * length(name) + value.len().min(4) + 4;
    Members::of(text).map(|members| members.0.iter().map(cost).sum::<usize>() + LIST.len() + 8)
}

/// The members are those of the record in their order, and all that were cut are listed.
fn lists_what_was_cut(whole: &Members<'_>, left: &Members<'_>, fields: &[String], limits: Limits) {
    let Some(((list, _), left)) = left.0.split_last() else { panic!("the list is missing") };
    assert_eq!(list, LIST);
    let mut left = left.iter().peekable();
    let mut cut = Vec::new();
    for (name, value) in &whole.0 {
        let kept = left.next_if(|(known, _)| known == name && name != LIST).map(|(_, kept)| *kept);
        assert!(kept.is_none_or(|kept| kept.len() <= limits.field));
        if kept != Some(*value) {
            cut.push(name);
        }
        if let Some(kept) = kept.filter(|kept| kept.len() < value.len() && kept.starts_with('"')) {
            assert!(value.starts_with(&kept[..kept.len() - 1]), "{kept} is not the beginning of {value}");
        }
    }
    assert_eq!(left.next(), None, "a member that the record does not have");
    assert_eq!(cut.len(), fields.len(), "{fields:?} for {cut:?}");
    for (name, field) in cut.into_iter().zip(fields) {
        // Of a name that is too long for the list, the beginning is listed.
        assert!(name == field || name.len() > 40 && name.starts_with(field.as_str()), "{name} is not listed");
    }
}

/// Unicode text stays Unicode text: no pair of surrogates is separated, and no escape is cut. Arrays lose elements only
/// from their end.
fn is_part(text: &[u8], record: &[u8]) {
    let Ok(Value::Object(whole)) = serde_json::from_slice(text) else { return };
    let kept: Value = serde_json::from_slice(record).expect("what could be read before can be read now");
    // Of members with the same name, which the program never writes, only one is visible here.
    let has_repeated_names = Members::of(text).is_none_or(|members| members.0.len() > whole.len());
    for (name, kept) in kept.as_object().expect("a record is an object") {
        if name == LIST || has_repeated_names {
            continue;
        }
        let whole = whole.get(name).expect("a member of the record");
        if let (Value::Array(kept), Value::Array(whole)) = (kept, whole)
            && let Some((_, unchanged)) = kept.split_last()
        {
            assert!(whole.starts_with(unchanged), "{name} has lost something before its end");
        }
    }
}
