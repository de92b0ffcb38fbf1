//! A document that the Azure CLI has printed, as shells write it to a file.

use std::{borrow::Cow, fs, io::Read, path::Path};

use serde_json::Value;

use crate::schema::table::Table;

/// The number of names of a list that a message has.
const MAX_NAMES: usize = 5;

/// Reads the document in a file, or on stdin for `-`.
pub fn read(file: &Path) -> Result<Value, String> {
    let mut bytes = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes),
        false => fs::read(file),
    };
    parse(&read.map_err(|error| format!("cannot be read: {error}"))?)
}

/// Reads the table in a file, or on stdin for `-`.
///
/// # Errors
/// Returns the problem, with the name of the file.
pub fn read_table(file: &Path) -> Result<Table, String> {
    let table = read(file).and_then(|document| {
        Table::from_json(document).map_err(|error| {
            format!("not a table as `az monitor log-analytics workspace table show` prints it: {error}")
        })
    });
    let table = table.and_then(|table| table.log_name().map(drop).map(|()| table));
    table.map_err(|problem| format!("{}: {problem}", file.display()))
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = text(bytes);
    if text.trim().is_empty() {
        return Err("the file is empty: the command that should have written it printed nothing".to_owned());
    }
    let document = serde_json::from_str(&text)
        .map_err(|error| format!("not JSON: {error}; with --output json the Azure CLI prints JSON"))?;
    only(document)
}

/// Decodes the text in any encoding that a shell writes: PowerShell 5 writes UTF-16 or UTF-8 with a byte order mark.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        // JSON begins with ASCII, so a zero beside the first character is the other byte of that character.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, first, ..] if *first != 0 => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Returns the document itself, or the only one of a list: `az … list` prints an array, `az rest` an object with `value`.
fn only(document: Value) -> Result<Value, String> {
    let mut list = match document {
        Value::Array(list) => list,
        Value::Object(mut members) if members.get("value").is_some_and(Value::is_array) => {
            match members.remove("value") {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            }
        }
        document => return Ok(document),
    };
    if let [_] = list[..] {
        return Ok(list.remove(0));
    }
    let names: Vec<_> = list.iter().filter_map(|element| element["name"].as_str()).take(MAX_NAMES).collect();
    let names = match names[..] {
        [] => String::new(),
        _ if names.len() < list.len() => format!(" ({}, …)", names.join(", ")),
        _ => format!(" ({})", names.join(", ")),
    };
    Err(format!(
        "this is a list of {}{names}: print a single one, with az … show --name NAME instead of az … list",
        list.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\"name\": \"Tabelle für alle\"}";

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_document_is_read_in_every_encoding_that_a_shell_writes() {
        let marked = format!("\u{feff}{TEXT}");
        for bytes in [
            TEXT.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            utf16(&marked, u16::to_le_bytes),
            utf16(&marked, u16::to_be_bytes),
            utf16(TEXT, u16::to_le_bytes),
            utf16(TEXT, u16::to_be_bytes),
            utf16(&format!("{marked}\r\n"), u16::to_le_bytes),
        ] {
            assert_eq!(parse(&bytes).expect("a document")["name"], "Tabelle für alle", "{bytes:?}");
        }
        // Of Latin-1 only ASCII is left, which the names of columns are.
        let latin = b"{\"name\": \"A\", \"description\": \"f\xfcr\"}";
        assert_eq!(parse(latin).expect("a document")["name"], "A");
        for (text, part) in [("", "empty"), (" \r\n", "empty"), ("Name  Kind\n----", "--output json")] {
            let problem = parse(text.as_bytes()).expect_err(text);
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_list_must_have_one_element() {
        let document = |text: &str| parse(text.as_bytes());
        for text in
            ["{\"name\":\"A\"}", "[{\"name\":\"A\"}]", "{\"value\":[{\"name\":\"A\"}],\"nextLink\":null}"]
        {
            assert_eq!(document(text).expect(text)["name"], "A");
        }
        for (text, part) in [
            ("[]", "this is a list of 0: "),
            ("[1,2]", "this is a list of 2: "),
            ("{\"value\":[{\"name\":\"A\"},{\"name\":\"B\"}]}", "this is a list of 2 (A, B): "),
            ("[{\"name\":\"A\"},{},{}]", "this is a list of 3 (A, …): "),
        ] {
            let problem = document(text).expect_err(text);
            assert!(problem.starts_with(part) && problem.contains("show"), "{problem}");
        }
    }
}
