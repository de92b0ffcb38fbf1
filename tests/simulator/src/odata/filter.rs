//! `$filter`: comparisons and `in` lists, joined by `and`, `or` and parentheses. Times stand bare,
//! texts in quotes.

use azure_core::time::parse_rfc3339;

use super::schema::{Kind, Row, Schema, Value};

/// The usual limit on a filter's nodes; longer `in` lists have to be split.
const MOST_VALUES: usize = 100;

#[derive(Debug)]
pub(crate) enum Filter {
    Compare(usize, Comparison, Value),
    In(usize, Vec<Value>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Filter {
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, values: 0, schema };
        let filter = parser.any()?;
        match parser.take() {
            None => Ok(filter),
            Some(rest) => Err(format!("$filter goes on with {rest} where it should end")),
        }
    }

    /// A value below which no row's `field` is that matches.
    pub fn least(&self, field: usize) -> Option<&Value> {
        match self {
            Filter::Compare(compared, Comparison::Greater | Comparison::GreaterOrEqual, value)
                if *compared == field =>
            {
                Some(value)
            }
            Filter::And(all) => all.iter().find_map(|filter| filter.least(field)),
            _ => None,
        }
    }

    pub fn matches(&self, row: &impl Row) -> bool {
        match self {
            Filter::Compare(field, comparison, value) => comparison.holds(row.value(*field), value),
            Filter::In(field, values) => values.contains(row.value(*field)),
            Filter::And(all) => all.iter().all(|filter| filter.matches(row)),
            Filter::Or(any) => any.iter().any(|filter| filter.matches(row)),
        }
    }
}

impl Comparison {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            _ => return None,
        })
    }

    /// Null compares with nothing, it only differs.
    fn holds(self, left: &Value, right: &Value) -> bool {
        if *left == Value::Null {
            return matches!(self, Self::NotEqual);
        }
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

struct Parser<'a> {
    tokens: Vec<String>,
    next: usize,
    values: usize,
    schema: &'a Schema,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Filter, String> {
        let mut any = vec![self.all()?];
        while self.take_if("or") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Filter::Or(any) })
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut all = vec![self.one()?];
        while self.take_if("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::And(all) })
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.take_if("(") {
            let inner = self.any()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.need("a field")?;
        let (field, kind) = self.schema.field(&name)?;
        let operator = self.need("an operator")?;
        if operator == "in" {
            return Ok(Filter::In(field, self.list(kind)?));
        }
        let comparison = Comparison::named(&operator)
            .ok_or_else(|| format!("{operator} is not an operator $filter knows"))?;
        Ok(Filter::Compare(field, comparison, self.literal(kind)?))
    }

    fn list(&mut self, kind: Kind) -> Result<Vec<Value>, String> {
        self.expect("(")?;
        let mut values = vec![self.literal(kind)?];
        while self.take_if(",") {
            values.push(self.literal(kind)?);
        }
        self.expect(")")?;
        Ok(values)
    }

    fn literal(&mut self, kind: Kind) -> Result<Value, String> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(format!("$filter has more than {MOST_VALUES} values"));
        }
        let word = self.need("a value")?;
        let value = match kind {
            Kind::Time => time(&word),
            Kind::Number => word.parse().ok().map(Value::Number),
            Kind::Text => unquoted(&word).map(Value::Text),
        };
        value.ok_or_else(|| format!("{word} is not a {kind:?} literal"))
    }

    fn take(&mut self) -> Option<String> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn take_if(&mut self, token: &str) -> bool {
        let here = self.tokens.get(self.next).is_some_and(|next| next == token);
        self.next += usize::from(here);
        here
    }

    fn need(&mut self, what: &str) -> Result<String, String> {
        self.take().ok_or_else(|| format!("$filter ends where {what} should stand"))
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.need(token)? {
            found if found == token => Ok(()),
            found => Err(format!("$filter has {found} where {token} should stand")),
        }
    }
}

/// Words, quoted texts with their quotes, and the marks `(`, `)` and `,`.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | ',' => 1,
            '\'' | '"' => quoted_length(rest, first).ok_or("$filter has an open quote")?,
            _ => rest.find(|c: char| c.is_whitespace() || "(),'\"".contains(c)).unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// The length of a quoted text up to its closing quote; a doubled quote stands for itself.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn unquoted(word: &str) -> Option<String> {
    let quote = word.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = word.get(1..word.len() - 1)?;
    Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
}

fn time(word: &str) -> Option<Value> {
    let digits =
        word.split_once('.').map_or("", |(_, rest)| rest).chars().take_while(char::is_ascii_digit).count();
    let time = parse_rfc3339(word).ok()?;
    (digits <= 7).then_some(Value::Time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema(&[("id", Kind::Text), ("created", Kind::Time), ("size", Kind::Number)]);

    fn row() -> Vec<Value> {
        let created = parse_rfc3339("2026-11-24T06:00:00.1234567Z").expect("a time");
        vec![Value::Text("d'a".to_owned()), Value::Time(created), Value::Null]
    }

    fn check(filter: &str) -> Result<bool, String> {
        Filter::parse(filter, &SCHEMA).map(|filter| filter.matches(&row()))
    }

    #[test]
    fn comparisons_hold_to_the_last_digit() {
        for (filter, holds) in [
            ("created ge 2026-11-24T06:00:00.1234567Z", true),
            ("created gt 2026-11-24T06:00:00.1234567Z", false),
            ("created gt 2026-11-24T06:00:00.1234566Z", true),
            ("created lt 2026-11-24T06:00:00.1234568Z", true),
            ("created le 2026-11-24T06:00:00Z", false),
            ("created eq 2026-11-24T07:00:00.1234567+01:00", true),
            ("id eq 'd''a'", true),
            (r#"id in ("x","d'a")"#, true),
            ("id in ('x', 'y')", false),
            ("size gt 1", false),
            ("size ne 1", true),
        ] {
            assert_eq!(check(filter), Ok(holds), "{filter}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        for (filter, holds) in [
            ("id eq 'x' and id eq 'y' or id eq 'd''a'", true),
            ("id eq 'x' and (id eq 'y' or id eq 'd''a')", false),
            ("(id eq 'd''a') and ((size ne 1))", true),
        ] {
            assert_eq!(check(filter), Ok(holds), "{filter}");
        }
    }

    #[test]
    fn what_is_not_a_filter_is_rejected() {
        for filter in [
            "",
            "id",
            "id eq",
            "id eq x",
            "id like 'x'",
            "machineId eq 'x'",
            "created ge '2026-11-24T06:00:00Z'",
            "created ge 2026-11-24T06:00:00.12345678Z",
            "created ge 2026-11-24",
            "id eq 'x",
            "(id eq 'x'",
            "id eq 'x' id eq 'y'",
            "id in ()",
        ] {
            assert!(check(filter).is_err(), "{filter}");
        }
        let many = format!("id in ({})", vec!["'x'"; 101].join(","));
        assert!(check(&many).is_err());
    }
}
