//! Changes to the bytes of a response's body that leave what the service says as it is.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use http::header::CONTENT_ENCODING;

use crate::response::Response;

/// U+FEFF in UTF-8, which some services write before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A change to a body.
#[derive(Clone, Debug)]
pub(crate) enum BodyRewrite {
    /// The text begins with a byte order mark, under the same compression as before.
    ByteOrderMark,
    /// Codings in the order in which they are applied, as the lines of the header spell them. An unknown one is in the
    /// header but not applied. `+` behind gzip makes it two members, `raw` before deflate leaves out its header;
    /// neither is in the response's header.
    Encoded(Vec<&'static str>),
    /// The bytes replace each occurrence of the text, and the body is not compressed.
    Garbled(String, Bytes),
}

impl BodyRewrite {
    pub fn apply(&self, response: Response) -> Response {
        let (response, coding) = plain(response);
        match self {
            Self::ByteOrderMark => {
                let marked = Response { body: [BYTE_ORDER_MARK, &response.body].concat().into(), ..response };
                encoded(marked, coding.iter().map(String::as_str))
            }
            Self::Encoded(lines) => encoded(response, lines.iter().copied()),
            Self::Garbled(text, bytes) => {
                let body = replaced(&response.body, text.as_bytes(), bytes);
                Response { body, ..response }
            }
        }
    }
}

fn replaced(body: &[u8], text: &[u8], bytes: &[u8]) -> Bytes {
    let (mut left, mut out) = (body, Vec::with_capacity(body.len()));
    while let Some(at) = left.windows(text.len()).position(|window| window == text) {
        out.extend_from_slice(&left[..at]);
        out.extend_from_slice(bytes);
        left = &left[at + text.len()..];
    }
    out.extend_from_slice(left);
    out.into()
}

/// The response without its compression, and the name of that.
fn plain(mut response: Response) -> (Response, Option<String>) {
    let coding = response.headers.remove(CONTENT_ENCODING);
    let coding = coding.map(|coding| coding.to_str().expect("a service's own").to_owned());
    let mut text = Vec::new();
    match coding.as_deref() {
        Some("deflate") => ZlibDecoder::new(&response.body[..]).read_to_end(&mut text),
        Some("gzip") => GzDecoder::new(&response.body[..]).read_to_end(&mut text),
        _ => return (response, coding),
    }
    .expect("the encoding it says it has");
    response.body = text.into();
    (response, coding)
}

fn encoded<'a>(mut response: Response, lines: impl Iterator<Item = &'a str>) -> Response {
    for line in lines {
        for coding in line.split(',') {
            response.body = compressed(coding.trim(), &response.body);
        }
        let told = line.replace('+', "").replace("raw ", "");
        response.headers.append(CONTENT_ENCODING, HeaderValue::from_str(&told).expect("plain text"));
    }
    response
}

fn compressed(coding: &str, body: &[u8]) -> Bytes {
    match coding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => gzip(body),
        "gzip+" => {
            let (one, other) = body.split_at(body.len() / 2);
            [gzip(one), gzip(other)].concat().into()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            written(encoder.write_all(body).and_then(|()| encoder.finish()))
        }
        "raw deflate" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            written(encoder.write_all(body).and_then(|()| encoder.finish()))
        }
        _ => Bytes::copy_from_slice(body),
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    written(encoder.write_all(body).and_then(|()| encoder.finish()))
}

fn written(body: std::io::Result<Vec<u8>>) -> Bytes {
    body.expect("writing to memory cannot fail").into()
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;

    use super::*;

    #[test]
    fn the_text_stays_what_it_was() {
        let compressed = BodyRewrite::Encoded(vec!["GZIP"]).apply(Response::json(200, "{}"));
        assert_eq!(compressed.headers[CONTENT_ENCODING], "GZIP");
        let (whole, coding) =
            plain(Response { body: gzip(b"{}"), ..Response::json(200, "") }.with(CONTENT_ENCODING, "gzip"));
        assert_eq!((&whole.body[..], coding.as_deref()), (&b"{}"[..], Some("gzip")));

        let marked = BodyRewrite::ByteOrderMark.apply(Response::json(200, "{}"));
        assert_eq!((&marked.body[..], marked.headers.get(CONTENT_ENCODING)), (&b"\xef\xbb\xbf{}"[..], None));

        let members = BodyRewrite::Encoded(vec!["gzip+"]).apply(Response::json(200, "{\"value\":[]}"));
        let (mut one, mut all) = (String::new(), String::new());
        GzDecoder::new(&members.body[..]).read_to_string(&mut one).expect("a member");
        MultiGzDecoder::new(&members.body[..]).read_to_string(&mut all).expect("all members");
        assert_eq!((one.as_str(), all.as_str()), ("{\"valu", "{\"value\":[]}"));

        let foreign = BodyRewrite::Encoded(vec!["br"]).apply(Response::json(200, "{}"));
        assert_eq!(
            (&foreign.body[..], &foreign.headers[CONTENT_ENCODING]),
            (&b"{}"[..], &HeaderValue::from_static("br"))
        );
    }
}
