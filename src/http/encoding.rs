//! The compression of replies, undone: in one go and into one piece of memory, which takes a third less time than
//! doing it piece by piece as the reply comes. Pure.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

use super::ExchangeError;
use crate::spare::SPARE;

/// What is asked for. Defender answers with deflate (facts A4), others with gzip.
pub const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, deflate");

/// How many times its length a page of alerts has when it is no longer compressed, at most as a rule.
const USUAL_RATIO: usize = 8;

/// A window of 32 KB, the largest there is.
const WINDOW_BITS: u8 = 15;

/// A compressed body, and the memory for what it is without. (That is taken where the decoder is made: what each
/// thread takes stays with the thread for long.)
#[derive(Debug)]
pub struct Decoder {
    inflate: Decompress,
    body: Bytes,
    limit: usize,
    text: Vec<u8>,
}

impl Decoder {
    /// For a body that is compressed as `headers` tell, and that may be up to `limit` bytes long without; none
    /// when it is not compressed.
    pub fn of(headers: &HeaderMap, body: &Bytes, limit: usize) -> Option<Self> {
        let inflate = match headers.get(CONTENT_ENCODING)?.as_bytes() {
            _ if body.is_empty() => return None,
            b"gzip" | b"x-gzip" => Decompress::new_gzip(WINDOW_BITS),
            // By its definition that is the zlib format, but many servers send it without zlib's header.
            b"deflate" => Decompress::new(has_zlib_header(body)),
            _ => return None,
        };
        let text = SPARE.take((body.len() * USUAL_RATIO).min(limit));
        Some(Self { inflate, body: body.clone(), limit, text })
    }

    /// The body as it was before.
    pub fn decode(mut self) -> Result<Bytes, ExchangeError> {
        let broken = |reason: &str| ExchangeError::Broken(format!("the compressed body {reason}").into());
        loop {
            let read = usize::try_from(self.inflate.total_in()).unwrap_or(usize::MAX);
            let rest = self.body.get(read..).unwrap_or_default();
            let result = self.inflate.decompress_vec(rest, &mut self.text, FlushDecompress::None);
            let length = self.text.len();
            match result {
                Ok(Status::StreamEnd) if length <= self.limit => return Ok(SPARE.share(self.text)),
                Ok(_) if length >= self.limit => return Err(ExchangeError::TooLarge),
                Ok(_) if length == self.text.capacity() => {
                    self.text.reserve_exact(length.min(self.limit - length));
                }
                Ok(_) => return Err(broken("is cut short")),
                Err(error) => return Err(broken(&format!("is damaged: {error}"))),
            }
        }
    }
}

/// The header is a number that 31 divides, with the method's number in its first byte (RFC 1950).
fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..]
        if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn compressed(encoding: &str, text: &[u8]) -> Bytes {
        let (memory, level) = (Vec::new(), Compression::default());
        let written = match encoding {
            "gzip" => {
                let mut encoder = GzEncoder::new(memory, level);
                encoder.write_all(text).and_then(|()| encoder.finish())
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(memory, level);
                encoder.write_all(text).and_then(|()| encoder.finish())
            }
            _ => {
                let mut encoder = DeflateEncoder::new(memory, level);
                encoder.write_all(text).and_then(|()| encoder.finish())
            }
        };
        written.expect("memory takes all").into()
    }

    fn read(encoding: &'static str, body: &[u8], limit: usize) -> Result<Option<Bytes>, ExchangeError> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
        Decoder::of(&headers, &Bytes::copy_from_slice(body), limit).map(Decoder::decode).transpose()
    }

    /// The name of each form, and what the header calls it.
    const FORMS: [(&str, &str); 3] = [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate")];

    #[test]
    fn every_form_is_read_whatever_its_ratio() {
        for text in [&b"{}"[..], &vec![b' '; 300_000], b"a text that is hardly shorter when compressed"] {
            for (form, name) in FORMS {
                let read = read(name, &compressed(form, text), text.len() + 1).expect(form);
                assert_eq!(read.expect("it was compressed"), text, "{form}");
            }
            assert!(read("identity", text, 1).expect("left as it is").is_none());
        }
    }

    #[test]
    fn what_is_cut_short_or_damaged_is_broken() {
        let text = br#"{"value":[{"id":"a"},{"id":"b"},{"id":"c"}]}"#;
        for (form, name) in FORMS {
            let whole = compressed(form, text);
            for length in 1..whole.len() {
                let cut = read(name, &whole[..length], 1_000);
                assert!(matches!(cut, Err(ExchangeError::Broken(_))), "{form} of {length} bytes");
            }
        }
        let mut damaged = compressed("gzip", text).to_vec();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert!(matches!(read("gzip", &damaged, 1_000), Err(ExchangeError::Broken(_))));
    }

    #[test]
    fn what_becomes_too_large_is_refused_before_it_is() {
        for (form, name) in FORMS {
            let body = compressed(form, &[b' '; 5_000]);
            assert!(matches!(read(name, &body, 4_999), Err(ExchangeError::TooLarge)), "{form}");
            assert!(read(name, &body, 5_001).is_ok(), "{form}");
        }
    }

    #[test]
    fn no_body_is_no_body_in_any_form() {
        for (_, name) in FORMS {
            assert!(read(name, b"", 10).expect("empty").is_none());
        }
    }
}
