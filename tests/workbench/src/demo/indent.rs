//! Indented JSON that keeps the order of members and the digits of numbers, which parsing and writing it again would
//! not.

/// One member or element per line, two spaces per level. The text has to be JSON without spaces between tokens.
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
