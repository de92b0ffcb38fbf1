//! JSON laid out for the eye with every member in its place: a parsed value would come back sorted, and
//! its numbers rewritten.

/// One member or element a line, two blanks a level. The text has to be JSON without blanks between tokens.
pub(super) fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut inside_text, mut escaped) = (0, false, false);
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if inside_text {
            out.push(character);
            inside_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '"' => inside_text = true,
            '{' | '[' if !matches!(characters.peek(), Some('}' | ']')) => depth += 1,
            '{' | '[' => {
                out.push(character);
                out.extend(characters.next());
                continue;
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
            }
            _ => {}
        }
        out.push(character);
        match character {
            '{' | '[' | ',' => line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_order_and_texts_stay_whole() {
        let json = r#"{"b":1.50,"a":[{"x":"a,\"{\\"},null],"e":[],"o":{}}"#;
        let expected = "{\n  \"b\": 1.50,\n  \"a\": [\n    {\n      \"x\": \"a,\\\"{\\\\\"\n    },\n    null\n  ],\n  \"e\": [],\n  \"o\": {}\n}";
        assert_eq!(indent(json), expected);
    }
}
