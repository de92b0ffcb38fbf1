//! JSON that is not quite valid, made readable. Services put text that others have chosen into strings, such as a
//! command line, and one invalid byte must not make a whole response unreadable.

use std::borrow::Cow;

use super::token::escape_end;

/// Returns `body` as valid UTF-8 whose strings have no raw control characters and no unknown escapes: bytes that are
/// not UTF-8 become U+FFFD, control characters are escaped, a backslash that begins no known escape is escaped, and
/// control characters between tokens become spaces. Any other error stays.
pub fn repaired(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len() + 64);
    let (mut is_string, mut rest) = (false, &*text);
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                is_string = !is_string;
                out.push(c);
            }
            '\\' if is_string => match escape_end(rest.as_bytes(), 0) {
                Some(end) => {
                    taken = end;
                    out.push_str(&rest[..end]);
                }
                None => out.push_str("\\\\"),
            },
            '\t' | '\n' | '\r' if !is_string => out.push(c),
            '\0'..' ' => out.push_str(&if is_string { escaped(c) } else { Cow::Borrowed(" ") }),
            c => out.push(c),
        }
        rest = &rest[taken..];
    }
    out
}

fn escaped(control: char) -> Cow<'static, str> {
    format!("\\u{:04x}", u32::from(control)).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_wrong_inside_strings_is_repaired_and_all_else_stays() {
        for (body, text) in [
            (&b"{\"a\":\"x\xff\xfey\"}"[..], "{\"a\":\"x\u{fffd}\u{fffd}y\"}"),
            (b"{\"a\":\"x\x01\ny\"}", r#"{"a":"x\u0001\u000ay"}"#),
            (br#"{"a":"C:\Users\n\u12G4\"}"#, r#"{"a":"C:\\Users\n\\u12G4\"}"#),
            (br#"{"a":"\u00e9\\\"\/"}"#, r#"{"a":"\u00e9\\\"\/"}"#),
            (b"{\"a\":\0[1,\x0c2]\r\n}", "{\"a\": [1, 2]\r\n}"),
            (b"\"\\", "\"\\\\"),
            (b"", ""),
        ] {
            assert_eq!(repaired(body), text, "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn valid_json_stays_as_it_is(text in r#"[a-z0-9 ,:\[\]{}"\\ü\n\t\x00\u{feff}]{0,60}"#) {
            for json in [Value::from(text.clone()), Value::from(vec![text])] {
                let json = serde_json::to_string_pretty(&json).expect("JSON");
                prop_assert_eq!(repaired(json.as_bytes()), json);
            }
        }

        #[test]
        fn a_string_of_any_bytes_becomes_json(
            bytes in prop::collection::vec(any::<u8>().prop_filter("a quote ends it", |byte| *byte != b'"'), 0..60),
        ) {
            // A backslash at the end would take the quote with it.
            let body = [b"[\"", &bytes[..], b" \"]"].concat();
            let text = repaired(&body);
            prop_assert!(serde_json::from_str::<Vec<&serde_json::value::RawValue>>(&text).is_ok(), "{}", text);
        }
    }
}
