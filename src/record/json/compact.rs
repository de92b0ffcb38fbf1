//! Compact JSON: no whitespace between the tokens.

use super::token::{is_blank, string_end};

/// Appends `text`, which is valid JSON, without the whitespace between its tokens.
pub fn append_compact(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if !may_have_blanks(text) {
        return out.extend_from_slice(bytes);
    }
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            byte if is_blank(*byte) => {
                out.extend_from_slice(&bytes[copied..at]);
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// False if there is certainly no whitespace between the tokens of `value`, which has none around it. Of two adjacent
/// tokens one is a bracket, comma or colon, so whitespace with none of them beside it is part of a string. The compiler
/// makes sixteen comparisons at a time of this; going from string to string takes five times as long.
fn may_have_blanks(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !matches!(bytes, [b'{' | b'[', _, _, ..]) {
        return false;
    }
    // One bit distinguishes brackets from braces, and no other byte becomes a comma or colon by it.
    let is_between = |byte: u8| matches!(byte | 0x20, b'{' | b'}' | b',' | b':');
    let mut found = false;
    for ((before, byte), after) in bytes.iter().zip(&bytes[1..]).zip(&bytes[2..]) {
        found |= (*byte <= b' ') & (is_between(*before) | is_between(*after));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_leaves_strings_alone() {
        for (text, compact) in [
            ("{ \"a b\" : [ 1 ,\n\t2 ], \"c\\\" d\": \" \\\\\" }", r#"{"a b":[1,2],"c\" d":" \\"}"#),
            ("\" a \"", "\" a \""),
            ("[]", "[]"),
        ] {
            let mut out = Vec::new();
            append_compact(&mut out, text);
            assert_eq!(String::from_utf8(out).expect("text"), compact);
        }
    }
}
