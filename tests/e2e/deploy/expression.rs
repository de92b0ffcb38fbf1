//! The template language: what stands between the brackets of a text such as `[parameters('name')]`.

/// An expression, read but not evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    Text(String),
    Number(i64),
    Call { function: String, arguments: Vec<Expression> },
    Member { of: Box<Expression>, name: Box<Expression> },
}

/// The expression in `text`, or `None` when it is plain text. A second bracket makes it plain as well.
pub fn read(text: &str) -> Option<Result<Expression, String>> {
    let inside = text.strip_prefix('[').filter(|rest| !rest.starts_with('['))?;
    let whole = || {
        let inside = inside.strip_suffix(']').ok_or("has no closing bracket")?;
        let mut reader = Reader { rest: inside };
        let expression = reader.expression()?;
        reader.blanks();
        match reader.rest {
            "" => Ok(expression),
            rest => Err(format!("goes on with {rest}")),
        }
    };
    Some(whole().map_err(|problem: String| format!("{text}: {problem}")))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn expression(&mut self) -> Result<Expression, String> {
        self.blanks();
        let mut expression = match self.rest.chars().next() {
            Some('\'') => return self.text().map(Expression::Text),
            Some('0'..='9' | '-') => return self.number(),
            _ => self.call()?,
        };
        loop {
            let name = if self.skip('.') {
                Expression::Text(self.word()?)
            } else if self.skip('[') {
                let name = self.expression()?;
                self.expect(']')?;
                name
            } else {
                return Ok(expression);
            };
            expression = Expression::Member { of: Box::new(expression), name: Box::new(name) };
        }
    }

    fn call(&mut self) -> Result<Expression, String> {
        let function = self.word()?;
        self.expect('(')?;
        let mut arguments = Vec::new();
        while !self.skip(')') {
            if !arguments.is_empty() {
                self.expect(',')?;
            }
            arguments.push(self.expression()?);
        }
        Ok(Expression::Call { function, arguments })
    }

    /// A quoted text; a quote in it is written twice.
    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = &self.rest[1..];
        loop {
            let (part, after) = rest.split_once('\'').ok_or("a text has no end")?;
            text += part;
            match after.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    rest = after;
                }
                None => {
                    self.rest = after;
                    return Ok(text);
                }
            }
        }
    }

    fn number(&mut self) -> Result<Expression, String> {
        let digits = self.take(|c| c.is_ascii_digit() || c == '-');
        digits.parse().map(Expression::Number).map_err(|_| format!("{digits} is no number"))
    }

    fn word(&mut self) -> Result<String, String> {
        match self.take(|c| c.is_ascii_alphanumeric() || c == '_') {
            "" => Err(format!("a name is missing before '{}'", self.rest)),
            word => Ok(word.to_owned()),
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.skip(c) { Ok(()) } else { Err(format!("{c} is missing before '{}'", self.rest)) }
    }

    fn skip(&mut self, c: char) -> bool {
        self.blanks();
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

#[test]
fn expressions_are_read_with_their_nesting_members_and_quotes() {
    let text = |text: &str| Expression::Text(text.to_owned());
    let call = |function: &str, arguments: &[Expression]| Expression::Call {
        function: function.to_owned(),
        arguments: arguments.to_vec(),
    };
    let member = |of, name: &str| Expression::Member { of: Box::new(of), name: Box::new(text(name)) };
    for (source, expression) in [
        ("[f()]", call("f", &[])),
        (
            "[ f( 'it''s', g(1, -2) ) ]",
            call("f", &[text("it's"), call("g", &[Expression::Number(1), Expression::Number(-2)])]),
        ),
        (
            "[f(']', '(').a['b c'].d]",
            member(member(member(call("f", &[text("]"), text("(")]), "a"), "b c"), "d"),
        ),
    ] {
        assert_eq!(read(source), Some(Ok(expression)), "{source}");
    }
    for plain in ["", "x", "x [f()]", "[[f()]"] {
        assert_eq!(read(plain), None, "{plain}");
    }
    for broken in
        ["[]", "[f(]", "[f('x)]", "[f()", "[f() g()]", "[f(1,)]", "[f()..a]", "[f()['a']", "[parameters]"]
    {
        assert!(matches!(read(broken), Some(Err(problem)) if problem.starts_with(broken)), "{broken}");
    }
}
