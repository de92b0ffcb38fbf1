//! Values of Graph's enumerations in Defender's spelling, and numbers that Graph writes as strings. Pure.

use std::borrow::Cow;

/// Graph's `alertDetermination`, where Defender's name differs in more than its first letter. The older names are those
/// of alerts that were classified before 2022.
pub const DETERMINATIONS: &[(&str, &str)] = &[
    ("unknown", NULL),
    ("compromisedAccount", "CompromisedUser"),
    ("notMalicious", "Clean"),
    ("notEnoughDataToValidate", "InsufficientData"),
    ("confirmedActivity", "ConfirmedUserActivity"),
];

/// Graph's `alertClassification`: an alert that nobody has classified has none at Defender.
pub const CLASSIFICATIONS: &[(&str, &str)] = &[("unknown", NULL)];

/// Graph's `alertSeverity`.
pub const SEVERITIES: &[(&str, &str)] = &[("unknown", "UnSpecified")];

/// Graph's `detectionSource`.
pub const DETECTION_SOURCES: &[(&str, &str)] = &[
    ("microsoftDefenderForEndpoint", "WindowsDefenderAtp"),
    ("antivirus", "WindowsDefenderAv"),
    ("smartScreen", "WindowsDefenderSmartScreen"),
    ("customTi", "CustomerTI"),
    ("microsoftThreatExperts", "MTE"),
];

/// Stands for no value.
const NULL: &str = "";

/// Returns `value`, a member of a Graph enumeration, as Defender spells it: by `names`, or else with a capital letter, as
/// also for members that Graph adds later. Any other value is returned unchanged.
pub fn word<'a>(value: &'a str, names: &[(&str, &str)]) -> Cow<'a, str> {
    let Some(name) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.into();
    };
    match names.iter().find(|(graph, _)| *graph == name) {
        Some((_, NULL)) => "null".into(),
        Some((_, defender)) => format!("\"{defender}\"").into(),
        None if name.starts_with(|first: char| first.is_ascii_lowercase()) => capital(name).into(),
        None => value.into(),
    }
}

/// Returns the JSON string with `name`, which begins with an ASCII letter, beginning with a capital one.
fn capital(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    text.push(char::from(name.as_bytes()[0].to_ascii_uppercase()));
    text.push_str(&name[1..]);
    text.push('"');
    text
}

/// Returns a whole number without the quotes that Graph writes around it, and any other value unchanged.
pub fn whole(value: &str) -> &str {
    let digits = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    let is_number = (1..=18).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if is_number { digits } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_defenders_name_or_a_capital_letter() {
        for (value, names, expected) in [
            (r#""unknown""#, SEVERITIES, r#""UnSpecified""#),
            (r#""high""#, SEVERITIES, r#""High""#),
            (r#""inProgress""#, &[], r#""InProgress""#),
            (r#""unknown""#, CLASSIFICATIONS, "null"),
            (r#""truePositive""#, CLASSIFICATIONS, r#""TruePositive""#),
            (r#""compromisedAccount""#, DETERMINATIONS, r#""CompromisedUser""#),
            (r#""compromisedUser""#, DETERMINATIONS, r#""CompromisedUser""#),
            (r#""notMalicious""#, DETERMINATIONS, r#""Clean""#),
            (r#""antivirus""#, DETECTION_SOURCES, r#""WindowsDefenderAv""#),
            (r#""unknownFutureValue""#, DETECTION_SOURCES, r#""UnknownFutureValue""#),
            (r#""High""#, SEVERITIES, r#""High""#),
            (r#""\u0061bc""#, SEVERITIES, r#""\u0061bc""#),
            (r#""""#, SEVERITIES, r#""""#),
            ("null", SEVERITIES, "null"),
            ("7", SEVERITIES, "7"),
            (r#"["low"]"#, SEVERITIES, r#"["low"]"#),
        ] {
            assert_eq!(word(value, names), expected, "{value}");
        }
    }

    #[test]
    fn a_number_loses_its_quotes_and_nothing_else_does() {
        for (value, expected) in [
            (r#""28282""#, "28282"),
            (r#""0""#, "0"),
            ("28282", "28282"),
            (r#""028""#, r#""028""#),
            (r#""-1""#, r#""-1""#),
            (r#""""#, r#""""#),
            (r#""1234567890123456789""#, r#""1234567890123456789""#),
            (r#""da28""#, r#""da28""#),
            ("null", "null"),
        ] {
            assert_eq!(whole(value), expected);
        }
    }
}
