//! One page of Defender's alert list.

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, de::Error};
use serde_json::value::RawValue;

use crate::{
    alert::{Alert, NoAlert},
    plain,
};

/// One page of Defender's alert list.
#[derive(Debug)]
pub struct Page {
    /// The elements, each an alert or not.
    pub elements: Vec<Result<Alert, NoAlert>>,
    /// True when the service says that there is more (`@odata.nextLink`), however short this page is.
    /// The link itself is never followed: it has been seen mangled (facts A4).
    pub has_next_link: bool,
    /// The service's own time when it answered: what was created later cannot be on the page.
    pub as_of: Option<OffsetDateTime>,
}

/// The body of a reply with a list.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<&'a RawValue>,
}

impl Page {
    /// Takes apart the body of a reply of the time `as_of`. The elements share its memory.
    pub fn parse(body: &Bytes, as_of: Option<OffsetDateTime>) -> Result<Self, serde_json::Error> {
        let body = ByteString::try_from(body.clone()).map_err(serde_json::Error::custom)?;
        if let Some((elements, has_next_link)) = plainly(&body) {
            return Ok(Self { elements, has_next_link, as_of });
        }
        let page: Body<'_> = serde_json::from_str(&body)?;
        let elements = page.value.iter().map(|raw| Alert::parse(body.slice_ref(raw.get())));
        Ok(Self { elements: elements.collect(), has_next_link: page.next_link.is_some(), as_of })
    }
}

/// The elements of a page in plain JSON, and whether it has a link; none when there is anything odd about it.
fn plainly(body: &ByteString) -> Option<(Vec<Result<Alert, NoAlert>>, bool)> {
    let text = body.as_bytes();
    let (mut elements, mut next_link) = (None, None);
    let end = plain::members(text, 0, |name, at| match &body[name] {
        "value" if elements.is_none() => {
            let elements = elements.insert(Vec::new());
            plain::elements(text, at, |at| {
                let (element, end) = Alert::plainly(body, at)?;
                elements.push(element);
                Some(end)
            })
        }
        "@odata.nextLink" if next_link.is_none() => {
            let end = plain::value(text, at)?;
            next_link = Some(&body[at..end]);
            Some(end)
        }
        // One of these twice.
        "value" | "@odata.nextLink" => None,
        _ => plain::value(text, at),
    })?;
    let elements = elements.filter(|_| end == text.len())?;
    Some((elements, next_link.is_some_and(|link| link != "null")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Page, serde_json::Error> {
        Page::parse(&Bytes::copy_from_slice(text.as_bytes()), None)
    }

    /// With and without blanks, since that is read in two ways.
    #[test]
    fn a_page_is_split_into_its_elements_with_their_own_text() {
        for (text, first) in [
            (r#"{"@odata.context":"c","value":[{"id":"a","n":1e400},8]}"#, r#"{"id":"a","n":1e400}"#),
            (r#"{"@odata.context":"c","value":[ {"id":"a", "n":1e400} ,8 ]}"#, r#"{"id":"a", "n":1e400}"#),
            (r#"{"value":[{"id":"a"},{"id":7}]}"#, r#"{"id":"a"}"#),
        ] {
            let page = parse(text).expect(text);
            assert_eq!(page.elements[0].as_ref().expect("an alert").text, first);
            assert!(page.elements[1].is_err() && page.elements.len() == 2 && !page.has_next_link);
        }
    }

    #[test]
    fn a_link_says_that_there_is_more_and_null_is_none() {
        for blank in ["", " "] {
            let has_link = |link: &str| {
                let page = parse(&format!(r#"{{"value":[],{blank}"@odata.nextLink":{link}}}"#)).expect(link);
                assert!(page.elements.is_empty());
                page.has_next_link
            };
            assert!(has_link("\"x\"") && !has_link("null"));
        }
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for text in [
            "",
            "<html>",
            "{}",
            r#"{"value":[{"id":"a"}"#,
            r#"{"value":{}}"#,
            r#"{"value":[]}x"#,
            r#"{"value":[],"value":[]}"#,
            r#"{"value":[{"id":"a","n":01}]}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
