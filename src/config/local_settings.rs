//! `local.settings.json`, from which the Functions Core Tools take app settings on a developer's machine.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "IsEncrypted", default)]
    is_encrypted: bool,
    #[serde(rename = "Values", default)]
    values: BTreeMap<String, Value>,
}

/// The values in the file's `text`.
pub fn values(text: &[u8]) -> Result<BTreeMap<String, String>, String> {
    // Some editors begin the file with a byte order mark.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let document: Document =
        serde_json::from_slice(text).map_err(|error| format!("it is not the JSON it should be: {error}"))?;
    if document.is_encrypted {
        return Err("it is encrypted: decrypt it with func settings decrypt".to_owned());
    }
    let texts = document.values.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        _ => Err(format!("Values.{name} is no text, and the host takes nothing else")),
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_texts_of_a_file_that_is_not_encrypted() {
        let text =
            "\u{feff}{\"IsEncrypted\":false,\"Values\":{\"A\":\"1\",\"B\":\"\"},\"Host\":{\"CORS\":\"*\"}}";
        let read = values(text.as_bytes()).expect("values");
        assert_eq!(read, BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())]));
        assert_eq!(values(b"{}").expect("none").len(), 0);
        for (text, part) in [
            (&b""[..], "JSON"),
            (b"7", "JSON"),
            (br#"{"IsEncrypted":true,"Values":{"A":"x"}}"#, "func settings decrypt"),
            (br#"{"Values":{"A":{"B":1}}}"#, "Values.A"),
            (br#"{"Values":{"A":true}}"#, "Values.A"),
        ] {
            let problem = values(text).expect_err(part);
            assert!(problem.contains(part), "{problem}");
        }
    }
}
