//! `local.settings.json`, from which the Azure Functions Core Tools read app settings on a developer's machine.
//!
//! Core Tools read it with Newtonsoft.Json, which accepts more than JSON: comments, trailing commas, single quotes, names
//! without quotes. They pass on every value as .NET formats it, so `true` arrives as `True`, and a time with the month
//! first. If they would set none of the values, reading the file is an error here. Pure.

mod dotnet;
mod parser;

use std::{collections::BTreeMap, fmt};

use parser::{LocalValue, Parser};

/// Returns the settings in the file's `text`, as `func start` sets them. Values that are null or empty are not set.
///
/// # Errors
/// Fails if Core Tools would set nothing from the file. The error names the line and the fix.
pub fn values(text: &[u8]) -> Result<BTreeMap<String, String>, LocalSettingsError> {
    let text = String::from_utf8_lossy(text);
    // Some editors begin the file with a byte order mark.
    let document = Parser::new(text.trim_start_matches('\u{feff}')).document()?;
    let is_plain = document.get("IsEncrypted").is_some_and(|(_, value)| value.is_false());
    let (line, members) = match document.get("Values") {
        Some((line, LocalValue::Object(members))) => (line, members),
        None | Some((_, LocalValue::Null)) => return Ok(BTreeMap::new()),
        Some((line, _)) => return Err(LocalSettingsError::new(*line, "Values must be an object")),
    };
    if !is_plain && !members.is_empty() {
        let what = "the file counts as encrypted: add \"IsEncrypted\": false, or decrypt it with func settings decrypt";
        return Err(LocalSettingsError::new(*line, what));
    }
    let mut values = BTreeMap::new();
    for (name, (line, value)) in members {
        match value {
            LocalValue::Scalar(text) if !text.is_empty() => {
                values.insert(name.clone(), text.clone());
            }
            LocalValue::Scalar(_) | LocalValue::Null => {}
            LocalValue::Object(_) | LocalValue::List => {
                let what = format!(
                    "Values.{name} is {}, and Core Tools then set none of the values: put it in quotes",
                    if matches!(value, LocalValue::List) { "a list" } else { "an object" }
                );
                return Err(LocalSettingsError::new(*line, what));
            }
        }
    }
    Ok(values)
}

/// A file that Core Tools cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettingsError {
    line: usize,
    what: String,
}

impl LocalSettingsError {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for LocalSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for LocalSettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(members: &str) -> Result<BTreeMap<String, String>, String> {
        let text = format!("{{\"IsEncrypted\": false, \"Values\": {{{members}}}}}");
        values(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// The expected texts are those that Core Tools of August 2026 set.
    #[test]
    fn a_value_is_the_text_that_core_tools_pass_on() {
        for (value, text) in [
            ("\"x\"", "x"),
            ("'x'", "x"),
            ("'a \"b\" c'", "a \"b\" c"),
            (r#""a\tb\u00e9\ud83d\ude00\ud800\/\'""#, "a\tb\u{e9}\u{1f600}\u{fffd}/'"),
            ("true", "True"),
            ("false", "False"),
            ("5", "5"),
            ("-5", "-5"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("0.8", "0.8"),
            ("1e15", "1E+15"),
            ("0.00001", "1E-05"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0x1F", "31"),
            ("010", "8"),
            ("\"2026-11-27T10:00:00.000Z\"", "11/27/2026 10:00:00"),
            ("\"2026-11-27T10:00:00\"", "11/27/2026 10:00:00"),
            ("\"2026-11-27\"", "2026-11-27"),
            ("\"2026-11-27 10:00:00Z\"", "2026-11-27 10:00:00Z"),
            ("\"2026-13-27T10:00:00Z\"", "2026-13-27T10:00:00Z"),
            ("\"0 */5 * * * *\"", "0 */5 * * * *"),
        ] {
            let values = read(&format!("\"A\": {value}")).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(values.get("A").map(String::as_str), Some(text), "{value}");
        }
        for value in ["null", "undefined", "\"\""] {
            assert!(read(&format!("\"A\": {value}")).expect(value).is_empty(), "{value}");
        }
    }

    #[test]
    fn syntax_beyond_json_is_read() {
        let text = "\u{feff}// for me\r\n{ /* a\n comment */ 'IsEncrypted': false,\n  Values: { // more\n    \"A\": 'one',\n\
                    \x20   B_2: \"two\", /**/ \"A\": \"last\",\n  },\n  \"Host\": {\"CORS\": [\"*\", {\"a\": [],}, ], },\n} // end\n";
        let read = values(text.as_bytes()).expect("values");
        let expected =
            [("A", "last"), ("B_2", "two")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, BTreeMap::from(expected));
        for none in
            ["{}", "{\"values\": {\"A\": 1}}", "{\"IsEncrypted\": true, \"Values\": {}}", "{'Values': null}"]
        {
            assert_eq!(values(none.as_bytes()), Ok(BTreeMap::new()), "{none}");
        }
        for plain in ["false", "False", "\"False\"", "0"] {
            let text = format!("{{\"IsEncrypted\": {plain}, \"Values\": {{\"A\": 1}}}}");
            assert_eq!(values(text.as_bytes()).is_ok(), plain != "False", "{plain}");
        }
    }

    #[test]
    fn what_core_tools_do_not_read_is_reported_with_its_line() {
        for (text, parts) in [
            ("", ["line 1", "an object"]),
            ("7", ["line 1", "an object"]),
            ("{", ["line 1", "does not end"]),
            ("{\"IsEncrypted\": true,\n \"Values\": {\"A\": 1}}", ["line 2", "func settings decrypt"]),
            ("{\n\"Values\": {\"A\": 1}}", ["line 2", "\"IsEncrypted\": false"]),
            (
                "{\"IsEncrypted\": false,\n\"Values\": {\n\"A\": {\"B\": 1}}}",
                ["line 3", "Values.A is an object"],
            ),
            ("{\"IsEncrypted\": false,\n\"Values\": {\n\"A\": [1]}}", ["line 3", "Values.A is a list"]),
            ("{\n\"Values\": []}", ["line 2", "Values must be"]),
            ("{\"Values\": {\"A\": \"1\"\n\"B\": \"2\"}}", ["line 2", "','"]),
            ("{\"Values\": {\"A\"\n \"1\"}}", ["line 2", "':'"]),
            ("{\"Values\": {\"A\":\n bare words}}", ["line 2", "quotes"]),
            ("{\"Values\": {\"A\": }}", ["line 1", "a value"]),
            ("{\"Values\": {\"A\": \"C:\\Users\"}}", ["line 1", "backslash"]),
            ("{\"Values\": {\"A\": \"\n\n", ["line 3", "begins in line 1"]),
            ("{\"Values\": {\"A\": \"\\u12\"}}", ["line 1", "hex"]),
            ("{\n} {", ["line 2", "after the end"]),
            ("{ /* no end", ["line 1", "comment"]),
        ] {
            let problem = values(text.as_bytes()).expect_err(text).to_string();
            assert!(parts.iter().all(|part| problem.contains(part)), "{text}: {problem}");
        }
        let deep = format!("{{\"Host\": {}", "[".repeat(100_000));
        assert!(values(deep.as_bytes()).expect_err("deep").to_string().contains("nested"));
    }
}
