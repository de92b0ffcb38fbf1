//! One page of Defender's alert list.

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize, de::Error};
use serde_json::value::RawValue;

use crate::{
    record::{
        alert::{Alert, InvalidAlert},
        json::{self, CompactReader, is_one_container, repaired},
        odata::{NEXT_LINK, VALUE},
    },
    schema::ALERT_CREATION_TIME,
};

/// The members that an alert has once: at Defender, and at Microsoft Graph, whose evidence repeats most others.
const ONCE: [&str; 2] = [ALERT_CREATION_TIME, "lastUpdateDateTime"];

/// One page of Defender's alert list.
#[derive(Debug)]
pub struct Page {
    /// The elements, each an alert or not.
    pub elements: Vec<Result<Alert, InvalidAlert>>,
    /// True if the service says that there is more (`@odata.nextLink`), however short this page is. The link itself is
    /// never followed: the service has been seen to return malformed ones.
    pub has_next_link: bool,
    /// The service's own time when it responded: what was created later cannot be on the page.
    pub as_of: Option<OffsetDateTime>,
    /// Why the response is not valid JSON; `None` if it is.
    pub json_error: Option<serde_json::Error>,
}

/// The body of a response with a list.
#[derive(Deserialize)]
struct AlertList<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<&'a RawValue>,
}

impl Page {
    /// Takes apart the body of a response of the time `as_of`. The elements share its memory. Errors inside strings are
    /// repaired; an element that still cannot be read is kept as it is.
    ///
    /// # Errors
    ///
    /// It is not a list, or cannot be taken apart.
    pub fn parse(body: &Bytes, as_of: Option<OffsetDateTime>) -> Result<Self, serde_json::Error> {
        match Self::of_json(body.clone(), as_of) {
            Ok(page) => Ok(page),
            Err(error) if Self::is_complete_list(body) => {
                let text = repaired(body);
                let page = Self::of_json(Bytes::from(text.clone()), as_of);
                match page.ok().or_else(|| Self::of_invalid_json(&text.into(), as_of)) {
                    Some(page) => Ok(Self { json_error: Some(error), ..page }),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// True for a complete body that is meant to be a list, whatever is wrong inside it; false for a truncated one, and
    /// for a web page.
    pub fn is_complete_list(body: &[u8]) -> bool {
        let is_blank = |byte: &u8| *byte <= b' ';
        let Some(start) = body.iter().position(|byte| !is_blank(byte)) else { return false };
        let end = body.iter().rposition(|byte| !is_blank(byte)).unwrap_or_default();
        let body = &body[start..=end];
        body.starts_with(b"{") && body.ends_with(b"}") && body.windows(7).any(|window| window == b"\"value\"")
    }

    fn of_json(body: Bytes, as_of: Option<OffsetDateTime>) -> Result<Self, serde_json::Error> {
        let body = ByteString::try_from(body).map_err(serde_json::Error::custom)?;
        if let Some((elements, has_next_link)) = parse_compact(&body) {
            return Ok(Self { elements, has_next_link, as_of, json_error: None });
        }
        let list: AlertList<'_> = serde_json::from_str(&body)?;
        let elements = list.value.iter().map(|raw| Alert::parse(body.slice_ref(raw.get()))).collect();
        Ok(Self { elements, has_next_link: list.next_link.is_some(), as_of, json_error: None })
    }

    /// Splits a text that is not valid JSON at its brackets and commas. Returns `None` if these do not lead to its end,
    /// or if an element seems to be more than one alert: then the quotes around it are not the ends of a string.
    fn of_invalid_json(text: &ByteString, as_of: Option<OffsetDateTime>) -> Option<Self> {
        let whole = text.trim();
        if !is_one_container(whole) {
            return None;
        }
        let values = |wanted| {
            let wanted = format!("\"{wanted}\"");
            json::members(whole).filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
        };
        let [list] = <[&str; 1]>::try_from(values(VALUE).collect::<Vec<_>>()).ok()?;
        if !list.starts_with('[') {
            return None;
        }
        let elements: Vec<_> =
            json::elements(list).map(|element| Alert::parse(text.slice_ref(element))).collect();
        let names = ONCE.map(|name| format!("\"{name}\""));
        let is_several = |invalid_alert: &InvalidAlert| {
            names.iter().any(|name| invalid_alert.text.matches(name).nth(1).is_some())
        };
        if elements.iter().filter_map(|element| element.as_ref().err()).any(is_several) {
            return None;
        }
        let has_next_link = values(NEXT_LINK).last().is_some_and(|link| link != "null");
        Some(Self { elements, has_next_link, as_of, json_error: None })
    }
}

/// Returns the elements of a page in compact JSON, and whether it has a link. Returns `None` for any other body, and
/// for one with two lists or links.
fn parse_compact(body: &ByteString) -> Option<(Vec<Result<Alert, InvalidAlert>>, bool)> {
    let reader = CompactReader::new(body);
    let (mut elements, mut next_link) = (None, None);
    let end = reader.members(0, |name, at| match &body[name] {
        VALUE if elements.is_none() => {
            let elements = elements.insert(Vec::new());
            reader.elements(at, |at| {
                let (element, end) = Alert::parse_compact(body, at)?;
                elements.push(element);
                Some(end)
            })
        }
        NEXT_LINK if next_link.is_none() => {
            let end = reader.value(at)?;
            next_link = Some(&body[at..end]);
            Some(end)
        }
        VALUE | NEXT_LINK => None,
        _ => reader.value(at),
    })?;
    let elements = elements.filter(|_| end == body.len())?;
    Some((elements, next_link.is_some_and(|link| link != "null")))
}

/// What runs have observed about the server's pages, kept in the checkpoint for the runs after them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSizes {
    /// The length of the longest page that the server has returned, in alerts: it does not cap pages below that.
    #[serde(default)]
    pub longest: usize,
    /// The page size in alerts that works while the server fails at the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Page, serde_json::Error> {
        Page::parse(&Bytes::copy_from_slice(text.as_bytes()), None)
    }

    /// With and without whitespace, since each is read by another parser.
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
    fn a_link_says_that_there_is_more_and_null_is_not_a_link() {
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
    fn a_page_with_errors_in_it_is_read_all_the_same() {
        let ids = |page: &Page| -> Vec<String> {
            let id = |element: &Result<Alert, InvalidAlert>| match element {
                Ok(alert) => alert.id.clone(),
                Err(invalid_alert) => format!("! {}", invalid_alert.text),
            };
            page.elements.iter().map(id).collect()
        };
        for (body, expected) in [
            (&b"{\"value\":[{\"id\":\"a\",\"t\":\"\xff\"},{\"id\":\"b\"}]}"[..], ["a", "b"]),
            (b"{\"value\":[{\"id\":\"a\",\"t\":\"\x01\"},{\"id\":\"b\"}]}", ["a", "b"]),
            (br#"{"value":[{"id":"a","t":"C:\Users"},{"id":"b"}]}"#, ["a", "b"]),
            (br#"{"value":[{"id":"a","t":NaN},{"id":"b"}],"x":1}"#, [r#"! {"id":"a","t":NaN}"#, "b"]),
            (br#"{"value":[{"id":"a","t":01},{"id":"b"}]}"#, [r#"! {"id":"a","t":01}"#, "b"]),
            (b"\0{\"value\":[{\"id\":\"a\"},{\"id\":\"b\"}]}\0\n", ["a", "b"]),
        ] {
            let page = Page::parse(&Bytes::copy_from_slice(body), None).expect("a page");
            assert_eq!(ids(&page), expected);
            assert!(page.json_error.is_some() && !page.has_next_link);
        }
        let linked = parse(r#"{"value":[{"n":NaN}],"@odata.nextLink":"x"}"#).expect("a page");
        assert!(linked.has_next_link);
        assert!(parse(r#"{"value":[{"id":"a"}]}"#).expect("a page").json_error.is_none());
    }

    #[test]
    fn quotes_that_merge_alerts_into_one_element_are_not_accepted() {
        let alert = |title: &str| format!(r#"{{"id":"a","title":"{title}","alertCreationTime":"x"}}"#);
        // After an odd number of quotes, what is inside and outside of strings is reversed, up to the next odd one.
        let (stray, good) = (alert("5\" disk"), alert("good"));
        assert!(parse(&format!(r#"{{"value":[{stray},{good},{stray}]}}"#)).is_err());
        assert!(parse(&format!(r#"{{"value":[{stray}]}}"#)).is_err());
        let even = parse(&format!(r#"{{"value":[{},{good}]}}"#, alert(r#"say "hi""#))).expect("a page");
        assert!(even.elements[0].is_err() && even.elements[1].is_ok());
    }

    #[test]
    fn what_is_not_a_page_is_an_error() {
        for text in [
            "",
            "<html>",
            "{}",
            r#"{"value":[{"id":"a"}"#,
            r#"{"value":{}}"#,
            r#"{"value":[]}x"#,
            r#"{"value":[],"value":[]}"#,
            r#"{"value":[{"id":"a"}]"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
