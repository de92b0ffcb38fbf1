//! `local.settings.json`, from which the Azure Functions Core Tools take app settings on a developer's machine.
//!
//! Core Tools read it with Newtonsoft.Json, which takes more than JSON: comments, commas at the end, single quotes,
//! names without quotes. And they hand on every value as the text that .NET makes of it, so `true` arrives as
//! `True`, and a time with the month first. Where they would take none of the values, this is an error. Pure.

use std::{collections::BTreeMap, fmt};

use azure_core::time::{OffsetDateTime, parse_rfc3339};

/// The deepest nesting that is read: Newtonsoft.Json's own limit.
const DEEPEST: usize = 64;

/// The settings in the file's `text`, as `func start` sets them. Those that are null or empty are not set.
///
/// # Errors
/// Core Tools would take no setting from the file; the error says where it is wrong and how to mend it.
pub fn values(text: &[u8]) -> Result<BTreeMap<String, String>, Error> {
    let text = String::from_utf8_lossy(text);
    // Some editors begin the file with a byte order mark.
    let mut reader = Parser { text: text.trim_start_matches('\u{feff}'), at: 0 };
    let document = reader.document()?;
    let is_plain = document.get("IsEncrypted").is_some_and(|(_, value)| value.is_false());
    let (line, members) = match document.get("Values") {
        Some((line, Value::Object(members))) => (line, members),
        None | Some((_, Value::Null)) => return Ok(BTreeMap::new()),
        Some((line, _)) => return Err(Error { line: *line, what: "Values must be an object".to_owned() }),
    };
    if !is_plain && !members.is_empty() {
        let what = "the file counts as encrypted: add \"IsEncrypted\": false, or decrypt it with func settings decrypt";
        return Err(Error { line: *line, what: what.to_owned() });
    }
    let mut values = BTreeMap::new();
    for (name, (line, value)) in members {
        match value {
            Value::Scalar(text) if !text.is_empty() => {
                values.insert(name.clone(), text.clone());
            }
            Value::Scalar(_) | Value::Null => {}
            Value::Object(_) | Value::List => {
                let what = format!(
                    "Values.{name} is {}, for which Core Tools take none of the values: put it into quotes",
                    if matches!(value, Value::List) { "a list" } else { "an object" }
                );
                return Err(Error { line: *line, what });
            }
        }
    }
    Ok(values)
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    line: usize,
    what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Error {}

/// The members of an object, each with its line. Of two with one name the last one counts.
type Members = BTreeMap<String, (usize, Value)>;

/// A value, as far as it matters here.
enum Value {
    Null,
    /// Whatever has a text.
    Scalar(String),
    Object(Members),
    List,
}

impl Value {
    /// Whether .NET takes it for false.
    fn is_false(&self) -> bool {
        matches!(self, Self::Scalar(text) if text.eq_ignore_ascii_case("false") || text == "0")
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<Members, Error> {
        self.blanks()?;
        if self.peek() != Some('{') {
            return self.wrong("the file must hold an object: { … }");
        }
        let members = self.members(DEEPEST)?;
        self.blanks()?;
        match self.peek() {
            None => Ok(members),
            Some(_) => self.wrong("something stands behind the end of the object"),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Members, Error> {
        let (mut members, begun) = (Members::new(), self.line());
        self.at += 1;
        loop {
            self.blanks()?;
            let name = match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(members);
                }
                Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
                Some(_) => self.bare(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).to_owned(),
                None => return self.wrong(format!("the object that begins in line {begun} does not end")),
            };
            self.blanks()?;
            if self.peek() != Some(':') {
                return self.wrong(format!("there is no ':' after {name:?}"));
            }
            self.at += 1;
            self.blanks()?;
            let member = (self.line(), self.value(depth - 1)?);
            members.insert(name, member);
            self.comma('}')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Error> {
        let begun = self.line();
        self.at += 1;
        loop {
            self.blanks()?;
            match self.peek() {
                Some(']') => {
                    self.at += 1;
                    return Ok(());
                }
                None => return self.wrong(format!("the list that begins in line {begun} does not end")),
                Some(_) => self.value(depth - 1)?,
            };
            self.comma(']')?;
        }
    }

    /// After a member: a comma, or the end of what it is in.
    fn comma(&mut self, end: char) -> Result<(), Error> {
        self.blanks()?;
        match self.peek() {
            Some(',') => {
                self.at += 1;
                Ok(())
            }
            Some(next) if next != end => self.wrong(format!("there must be a ',' or '{end}', not {next:?}")),
            _ => Ok(()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        match self.peek() {
            Some('{' | '[') if depth == 0 => self.wrong(format!("it is nested deeper than {DEEPEST}")),
            Some('{') => self.members(depth).map(Value::Object),
            Some('[') => self.list(depth).map(|()| Value::List),
            Some(quote @ ('"' | '\'')) => {
                let text = self.quoted(quote)?;
                Ok(Value::Scalar(month_first(&text).unwrap_or(text)))
            }
            _ => self.word(),
        }
    }

    /// true, null, a number.
    fn word(&mut self) -> Result<Value, Error> {
        let word = self.bare(|c| c.is_alphanumeric() || matches!(c, '+' | '-' | '.'));
        match word {
            "true" => Ok(Value::Scalar("True".to_owned())),
            "false" => Ok(Value::Scalar("False".to_owned())),
            "null" | "undefined" => Ok(Value::Null),
            "" => match self.peek() {
                Some(other) => self.wrong(format!("there must be a value, not {other:?}")),
                None => self.wrong("there must be a value"),
            },
            word => match number(word) {
                Some(text) => Ok(Value::Scalar(text)),
                None => self.wrong(format!("{word} is no value: a text stands in quotes")),
            },
        }
    }

    fn bare(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let (mut units, begun) = (Vec::new(), self.line());
        self.at += 1;
        loop {
            let Some(c) = self.peek() else {
                return self.wrong(format!("the text that begins in line {begun} does not end"));
            };
            self.at += c.len_utf8();
            if c == quote {
                // Half a pair of surrogates is no character.
                return Ok(String::from_utf16_lossy(&units));
            }
            match if c == '\\' { self.escaped()? } else { Unit::Char(c) } {
                Unit::Char(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
                Unit::Half(unit) => units.push(unit),
            }
        }
    }

    fn escaped(&mut self) -> Result<Unit, Error> {
        let escape = self.peek();
        self.at += escape.map_or(0, char::len_utf8);
        Ok(Unit::Char(match escape {
            Some(c @ ('"' | '\'' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
                return match u16::from_str_radix(digits, 16) {
                    Ok(unit) if !digits.starts_with('+') => {
                        self.at += 4;
                        Ok(Unit::Half(unit))
                    }
                    _ => self.wrong("\\u must be followed by four hex digits"),
                };
            }
            _ => return self.wrong("a backslash must be written \\\\"),
        }))
    }

    /// Passes blanks and comments.
    fn blanks(&mut self) -> Result<(), Error> {
        loop {
            self.bare(char::is_whitespace);
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(length) => self.at += length + 4,
                    None => return self.wrong("the comment does not end"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn line(&self) -> usize {
        1 + self.text[..self.at].matches('\n').count()
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Error> {
        Err(Error { line: self.line(), what: what.into() })
    }
}

/// A character of a text, or what may be half of one.
enum Unit {
    Char(char),
    Half(u16),
}

/// The text that .NET makes of a number: of a whole one its digits, of any other the fewest digits that tell it
/// from its neighbours.
fn number(word: &str) -> Option<String> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(|whole| whole.to_string());
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return if digits == word { radix(hex, 16) } else { None };
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() && digits == word => radix(octal, 8),
            _ if digits == "0" => Some(digits.to_owned()),
            _ => Some(word.to_owned()),
        };
    }
    let real: f64 = word.parse().ok().filter(|real: &f64| real.is_finite())?;
    let scientific = format!("{real:E}");
    let (mantissa, exponent) = scientific.split_once('E')?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(match exponent {
        -4..15 => real.to_string(),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}E{sign}{:02}", exponent.unsigned_abs())
        }
    })
}

/// What becomes of a text that looks like a time: it is read as one and written as .NET writes times, without
/// fraction and zone. One with an offset becomes the developer's local time there; here it becomes UTC, which is
/// the same on a machine that runs in it.
fn month_first(text: &str) -> Option<String> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 19..=40;
    let is_candidate = LENGTHS.contains(&text.len()) && text.as_bytes()[10] == b'T';
    if !is_candidate {
        return None;
    }
    let time = parse_rfc3339(text).or_else(|_| parse_rfc3339(&format!("{text}Z"))).ok()?;
    let time = time.checked_to_offset(OffsetDateTime::UNIX_EPOCH.offset())?;
    let (month, day, year) = (u8::from(time.month()), time.day(), time.year());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Some(format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(members: &str) -> Result<BTreeMap<String, String>, String> {
        let text = format!("{{\"IsEncrypted\": false, \"Values\": {{{members}}}}}");
        values(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// The texts are those that the real Core Tools of August 2026 set.
    #[test]
    fn a_value_is_the_text_that_core_tools_hand_on() {
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
    fn what_is_more_than_json_is_read() {
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
    fn what_core_tools_do_not_read_is_told_with_its_line() {
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
            ("{\n} {", ["line 2", "behind the end"]),
            ("{ /* no end", ["line 1", "comment"]),
        ] {
            let problem = values(text.as_bytes()).expect_err(text).to_string();
            assert!(parts.iter().all(|part| problem.contains(part)), "{text}: {problem}");
        }
        let deep = format!("{{\"Host\": {}", "[".repeat(100_000));
        assert!(values(deep.as_bytes()).expect_err("deep").to_string().contains("nested"));
    }
}
