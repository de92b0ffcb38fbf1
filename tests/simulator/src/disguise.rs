//! Answers that say what the service says in a form that was not expected of it.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use http::header::CONTENT_ENCODING;

use crate::answer::Answer;

/// What is put before a text by those who think that UTF-8 needs it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A form.
#[derive(Clone, Debug)]
pub(crate) enum Disguise {
    /// The text begins with a byte order mark, under the same compression as before.
    ByteOrderMark,
    /// Codings in the order in which they are applied, in the spelling of the header's lines. One that is unknown is
    /// told and not applied. `+` behind gzip makes it two members, `raw` before deflate leaves its header out; neither
    /// is told.
    Encoded(Vec<&'static str>),
    /// These bytes stand in the place of each such text, and nothing is compressed.
    Garbled(String, Bytes),
}

impl Disguise {
    pub fn on(&self, answer: Answer) -> Answer {
        let (answer, coding) = plain(answer);
        match self {
            Self::ByteOrderMark => {
                let marked = Answer { body: [BYTE_ORDER_MARK, &answer.body].concat().into(), ..answer };
                encoded(marked, coding.iter().map(String::as_str))
            }
            Self::Encoded(lines) => encoded(answer, lines.iter().copied()),
            Self::Garbled(text, bytes) => {
                let body = replaced(&answer.body, text.as_bytes(), bytes);
                Answer { body, ..answer }
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

/// The answer without its compression, and what that was.
fn plain(mut answer: Answer) -> (Answer, Option<String>) {
    let coding = answer.headers.remove(CONTENT_ENCODING);
    let coding = coding.map(|coding| coding.to_str().expect("a service's own").to_owned());
    let mut text = Vec::new();
    match coding.as_deref() {
        Some("deflate") => ZlibDecoder::new(&answer.body[..]).read_to_end(&mut text),
        Some("gzip") => GzDecoder::new(&answer.body[..]).read_to_end(&mut text),
        _ => return (answer, coding),
    }
    .expect("the encoding it says it has");
    answer.body = text.into();
    (answer, coding)
}

fn encoded<'a>(mut answer: Answer, lines: impl Iterator<Item = &'a str>) -> Answer {
    for line in lines {
        for coding in line.split(',') {
            answer.body = apply(coding.trim(), &answer.body);
        }
        let told = line.replace('+', "").replace("raw ", "");
        answer.headers.append(CONTENT_ENCODING, HeaderValue::from_str(&told).expect("plain text"));
    }
    answer
}

fn apply(coding: &str, body: &[u8]) -> Bytes {
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
        let compressed = Disguise::Encoded(vec!["GZIP"]).on(Answer::json(200, "{}"));
        assert_eq!(compressed.headers[CONTENT_ENCODING], "GZIP");
        let (whole, coding) =
            plain(Answer { body: gzip(b"{}"), ..Answer::json(200, "") }.with(CONTENT_ENCODING, "gzip"));
        assert_eq!((&whole.body[..], coding.as_deref()), (&b"{}"[..], Some("gzip")));

        let marked = Disguise::ByteOrderMark.on(Answer::json(200, "{}"));
        assert_eq!((&marked.body[..], marked.headers.get(CONTENT_ENCODING)), (&b"\xef\xbb\xbf{}"[..], None));

        let members = Disguise::Encoded(vec!["gzip+"]).on(Answer::json(200, "{\"value\":[]}"));
        let (mut one, mut all) = (String::new(), String::new());
        GzDecoder::new(&members.body[..]).read_to_string(&mut one).expect("a member");
        MultiGzDecoder::new(&members.body[..]).read_to_string(&mut all).expect("all members");
        assert_eq!((one.as_str(), all.as_str()), ("{\"valu", "{\"value\":[]}"));

        let foreign = Disguise::Encoded(vec!["br"]).on(Answer::json(200, "{}"));
        assert_eq!(
            (&foreign.body[..], &foreign.headers[CONTENT_ENCODING]),
            (&b"{}"[..], &HeaderValue::from_static("br"))
        );
    }
}
