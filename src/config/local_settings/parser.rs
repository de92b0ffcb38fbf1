//! The syntax of `local.settings.json`, as Newtonsoft.Json reads it. Pure.

use std::collections::BTreeMap;

use super::{LocalSettingsError, dotnet};

/// The deepest nesting that is read: the default limit of Newtonsoft.Json.
const MAX_DEPTH: usize = 64;

/// The members of an object, each with its line. If a name occurs twice, the last member counts.
pub(super) type Members = BTreeMap<String, (usize, LocalValue)>;

/// A value, as far as settings need it.
pub(super) enum LocalValue {
    Null,
    /// Any value that has a text.
    Scalar(String),
    Object(Members),
    List,
}

impl LocalValue {
    /// Returns true if .NET converts the value to false.
    pub(super) fn is_false(&self) -> bool {
        matches!(self, Self::Scalar(text) if text.eq_ignore_ascii_case("false") || text == "0")
    }
}

/// Reads a text from its beginning to its end.
pub(super) struct Parser<'a> {
    text: &'a str,
    /// The place of the next character, in bytes.
    at: usize,
}

impl<'a> Parser<'a> {
    /// Creates a parser of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Reads the whole document, which must be an object.
    pub(super) fn document(&mut self) -> Result<Members, LocalSettingsError> {
        self.skip_blanks()?;
        if self.peek() != Some('{') {
            return self.fail("the file must contain an object: { … }");
        }
        let members = self.members(MAX_DEPTH)?;
        self.skip_blanks()?;
        match self.peek() {
            None => Ok(members),
            Some(_) => self.fail("there is text after the end of the object"),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Members, LocalSettingsError> {
        let (mut members, begun) = (Members::new(), self.line());
        self.at += 1;
        loop {
            self.skip_blanks()?;
            let name = match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(members);
                }
                Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
                Some(_) => self.bare(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).to_owned(),
                None => return self.fail(format!("the object that begins in line {begun} does not end")),
            };
            self.skip_blanks()?;
            if self.peek() != Some(':') {
                return self.fail(format!("there is no ':' after {name:?}"));
            }
            self.at += 1;
            self.skip_blanks()?;
            let member = (self.line(), self.value(depth - 1)?);
            members.insert(name, member);
            self.expect_comma('}')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), LocalSettingsError> {
        let begun = self.line();
        self.at += 1;
        loop {
            self.skip_blanks()?;
            match self.peek() {
                Some(']') => {
                    self.at += 1;
                    return Ok(());
                }
                None => return self.fail(format!("the list that begins in line {begun} does not end")),
                Some(_) => self.value(depth - 1)?,
            };
            self.expect_comma(']')?;
        }
    }

    /// Reads the comma after a member, unless `end` follows.
    fn expect_comma(&mut self, end: char) -> Result<(), LocalSettingsError> {
        self.skip_blanks()?;
        match self.peek() {
            Some(',') => {
                self.at += 1;
                Ok(())
            }
            Some(next) if next != end => self.fail(format!("there must be a ',' or '{end}', not {next:?}")),
            _ => Ok(()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<LocalValue, LocalSettingsError> {
        match self.peek() {
            Some('{' | '[') if depth == 0 => {
                self.fail(format!("it is nested deeper than {MAX_DEPTH} levels"))
            }
            Some('{') => self.members(depth).map(LocalValue::Object),
            Some('[') => self.list(depth).map(|()| LocalValue::List),
            Some(quote @ ('"' | '\'')) => {
                let text = self.quoted(quote)?;
                Ok(LocalValue::Scalar(dotnet::time(&text).unwrap_or(text)))
            }
            _ => self.word(),
        }
    }

    /// Reads true, false, null or a number.
    fn word(&mut self) -> Result<LocalValue, LocalSettingsError> {
        let word = self.bare(|c| c.is_alphanumeric() || matches!(c, '+' | '-' | '.'));
        match word {
            "true" => Ok(LocalValue::Scalar("True".to_owned())),
            "false" => Ok(LocalValue::Scalar("False".to_owned())),
            "null" | "undefined" => Ok(LocalValue::Null),
            "" => match self.peek() {
                Some(other) => self.fail(format!("there must be a value, not {other:?}")),
                None => self.fail("there must be a value"),
            },
            word => match dotnet::number(word) {
                Some(text) => Ok(LocalValue::Scalar(text)),
                None => self.fail(format!("{word} is not a value: put text in quotes")),
            },
        }
    }

    fn bare(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn quoted(&mut self, quote: char) -> Result<String, LocalSettingsError> {
        let (mut units, begun) = (Vec::new(), self.line());
        self.at += 1;
        loop {
            let Some(c) = self.peek() else {
                return self.fail(format!("the text that begins in line {begun} does not end"));
            };
            self.at += c.len_utf8();
            if c == quote {
                // An unpaired surrogate is not a character.
                return Ok(String::from_utf16_lossy(&units));
            }
            match if c == '\\' { self.escaped()? } else { CodeUnit::Char(c) } {
                CodeUnit::Char(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
                CodeUnit::Surrogate(unit) => units.push(unit),
            }
        }
    }

    fn escaped(&mut self) -> Result<CodeUnit, LocalSettingsError> {
        let escape = self.peek();
        self.at += escape.map_or(0, char::len_utf8);
        Ok(CodeUnit::Char(match escape {
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
                        Ok(CodeUnit::Surrogate(unit))
                    }
                    _ => self.fail("\\u must be followed by four hex digits"),
                };
            }
            _ => return self.fail("a backslash must be written \\\\"),
        }))
    }

    /// Skips blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), LocalSettingsError> {
        loop {
            self.bare(char::is_whitespace);
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(length) => self.at += length + 4,
                    None => return self.fail("the comment does not end"),
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

    fn fail<T>(&self, what: impl Into<String>) -> Result<T, LocalSettingsError> {
        Err(LocalSettingsError { line: self.line(), what: what.into() })
    }
}

/// A character, or a UTF-16 code unit that may be half of one.
enum CodeUnit {
    Char(char),
    Surrogate(u16),
}
