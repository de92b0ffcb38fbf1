//! The compression of replies, undone: in one go and into one piece of memory, which takes a third less time than
//! doing it piece by piece as the reply comes. Pure.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

use super::ExchangeError;

/// What is asked for. Defender answers with deflate (facts A4), others with gzip.
pub const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, deflate");

/// How many times its length a page of alerts has when it is no longer compressed, at most as a rule.
const USUAL_RATIO: usize = 10;

/// A window of 32 KB, the largest there is.
const WINDOW_BITS: u8 = 15;

/// What `body` is without the compression that `headers` tell of; none when that is none. It may be up to
/// `limit` bytes long.
pub fn decoded(headers: &HeaderMap, body: &[u8], limit: usize) -> Result<Option<Bytes>, ExchangeError> {
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let inflate = match encoding {
        Some(b"gzip" | b"x-gzip") => Decompress::new_gzip(WINDOW_BITS),
        // By its definition that is the zlib format, but many servers send it without zlib's header.
        Some(b"deflate") => Decompress::new(has_zlib_header(body)),
        _ => return Ok(None),
    };
    if body.is_empty() { Ok(None) } else { inflated(inflate, body, limit).map(Some) }
}

fn inflated(mut inflate: Decompress, body: &[u8], limit: usize) -> Result<Bytes, ExchangeError> {
    let broken = |reason: &str| ExchangeError::Broken(format!("the compressed body {reason}").into());
    let mut text = Vec::with_capacity((body.len() * USUAL_RATIO).min(limit));
    loop {
        let rest = &body[usize::try_from(inflate.total_in()).unwrap_or(body.len())..];
        match inflate.decompress_vec(rest, &mut text, FlushDecompress::None) {
            Ok(Status::StreamEnd) => return Ok(text.into()),
            Ok(_) if text.len() == limit => return Err(ExchangeError::TooLarge),
            Ok(_) if text.len() == text.capacity() => text.reserve_exact(text.len().min(limit - text.len())),
            Ok(_) => return Err(broken("is cut short")),
            Err(error) => return Err(broken(&error.to_string())),
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
        decoded(&headers, body, limit)
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
