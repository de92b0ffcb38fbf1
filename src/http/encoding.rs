//! Content codings of responses. A body is decompressed at once into one buffer, which takes a third less time than
//! piece by piece while it arrives. Pure.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

use super::ExchangeError;
use crate::buffers::POOL;

/// The codings that are asked for. Defender answers with deflate, others with gzip.
pub const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, deflate");

/// The usual ratio of a page of alerts to its compressed length, at most.
const USUAL_RATIO: usize = 8;

/// The window of 32 KB, the largest one.
const WINDOW_BITS: u8 = 15;

/// The most codings of one body, as in curl. Each may take as long as the largest body.
const MAX_CODINGS: usize = 5;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Gzip, of one or several members (RFC 1952).
    Gzip,
    /// The zlib format by its definition, but many servers send raw deflate.
    Deflate,
}

impl Coding {
    /// Returns the coding with this name; `None` for `identity`. The error is the name of an unknown one.
    fn named(name: &str) -> Result<Option<Self>, String> {
        match &*name.to_ascii_lowercase() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" | "x-deflate" => Ok(Some(Self::Deflate)),
            _ => Err(name.to_owned()),
        }
    }

    fn decompressor(self, body: &[u8]) -> Decompress {
        match self {
            Self::Gzip => Decompress::new_gzip(WINDOW_BITS),
            Self::Deflate => Decompress::new(has_zlib_header(body)),
        }
    }
}

/// A compressed body, and the buffer for its content. (The buffer is taken where the decoder is made, since memory that a
/// thread allocates stays with the thread for long.)
#[derive(Debug)]
pub struct Decoder {
    /// The codings, in the order in which they were applied.
    codings: Vec<Coding>,
    body: Bytes,
    limit: usize,
    text: Vec<u8>,
}

impl Decoder {
    /// Makes a decoder for a body with the codings that `headers` name, and of up to `limit` bytes after each of them.
    /// Returns `None` when the body is not compressed.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::UnknownCoding`] for a coding that was not asked for.
    pub fn of(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Option<Self>, ExchangeError> {
        if body.is_empty() {
            return Ok(None);
        }
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in String::from_utf8_lossy(value.as_bytes()).split(',') {
                codings.extend(Coding::named(name.trim()).map_err(ExchangeError::UnknownCoding)?);
            }
        }
        if codings.len() > MAX_CODINGS {
            return Err(ExchangeError::UnknownCoding(format!("{} codings at once", codings.len())));
        }
        if codings.is_empty() {
            return Ok(None);
        }
        let text = POOL.take((body.len() * USUAL_RATIO).min(limit));
        Ok(Some(Self { codings, body: body.clone(), limit, text }))
    }

    /// Decodes the body: the coding that was applied last comes first.
    pub fn decode(self) -> Result<Bytes, ExchangeError> {
        let Self { codings, mut body, limit, text } = self;
        let mut text = Some(text);
        for coding in codings.into_iter().rev() {
            let room = || POOL.take((body.len() * USUAL_RATIO).min(limit));
            body = inflate(coding, &body, text.take().unwrap_or_else(room), limit)?;
        }
        Ok(body)
    }
}

/// Decompresses `body` into `text`. What follows the end is another gzip member or damage, except zeros: files written in
/// blocks are padded with them, and gzip ignores them too.
fn inflate(coding: Coding, body: &[u8], mut text: Vec<u8>, limit: usize) -> Result<Bytes, ExchangeError> {
    let broken = |reason: &str| ExchangeError::Broken(format!("the compressed body {reason}").into());
    let mut member = body;
    let mut inflate = coding.decompressor(member);
    loop {
        let read = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
        let rest = member.get(read..).unwrap_or_default();
        let result = inflate.decompress_vec(rest, &mut text, FlushDecompress::None);
        let length = text.len();
        match result {
            Ok(Status::StreamEnd) if length <= limit => {
                let read = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
                member = member.get(read..).unwrap_or_default();
                if member.iter().all(|byte| *byte == 0) {
                    return Ok(POOL.share(text));
                }
                if coding != Coding::Gzip {
                    return Err(broken("continues behind its end"));
                }
                inflate = coding.decompressor(member);
            }
            Ok(_) if length >= limit => return Err(ExchangeError::TooLarge),
            Ok(_) if length == text.capacity() => {
                text.reserve_exact(length.min(limit - length));
            }
            Ok(_) => return Err(broken("is cut short")),
            Err(error) => return Err(broken(&format!("is damaged: {error}"))),
        }
    }
}

/// Returns true for a zlib header: a multiple of 31, with the method 8 in its first byte (RFC 1950).
fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..]
        if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

/// Returns `body` without the byte order mark that some servers write before a text, without copying. A body that
/// continues with something else than ASCII, as JSON and XML never do, is returned as it is.
pub fn without_byte_order_mark(body: Bytes) -> Bytes {
    let mut text = &body[..];
    while let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) {
        text = rest;
    }
    match text.first() {
        Some(first) if !first.is_ascii_graphic() && !first.is_ascii_whitespace() => body,
        _ if text.len() == body.len() => body,
        _ => body.slice_ref(text),
    }
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
        read_lines(&[encoding], body, limit)
    }

    /// The same for several header lines.
    fn read_lines(
        encodings: &[&'static str],
        body: &[u8],
        limit: usize,
    ) -> Result<Option<Bytes>, ExchangeError> {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Decoder::of(&headers, &Bytes::copy_from_slice(body), limit)?.map(Decoder::decode).transpose()
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
    fn a_body_that_is_cut_short_or_damaged_is_broken() {
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
    fn a_body_over_the_limit_is_rejected_before_it_is_decoded_whole() {
        for (form, name) in FORMS {
            let body = compressed(form, &[b' '; 5_000]);
            assert!(matches!(read(name, &body, 4_999), Err(ExchangeError::TooLarge)), "{form}");
            assert!(read(name, &body, 5_001).is_ok(), "{form}");
        }
    }

    #[test]
    fn an_empty_body_has_no_coding() {
        for (_, name) in FORMS {
            assert!(read(name, b"", 10).expect("empty").is_none());
        }
    }

    #[test]
    fn the_name_of_a_coding_has_no_case() {
        for (form, names) in [
            ("gzip", ["GZIP", "Gzip", "X-GZip", " gzip "]),
            ("zlib", ["Deflate", "DEFLATE", "x-deflate", "identity, deflate,"]),
        ] {
            for name in names {
                let read = read(name, &compressed(form, b"[1]"), 100).expect(name);
                assert_eq!(read.expect("it was compressed"), "[1]", "{name}");
            }
        }
        for name in ["Identity", "", " , "] {
            assert!(read(name, b"[1]", 100).expect(name).is_none(), "{name}");
        }
    }

    #[test]
    fn all_members_of_gzip_are_read_and_zeros_behind_them_ignored() {
        let members = [&b"[1,"[..], b"", &vec![b' '; 100_000], b"2]"];
        let body = members.map(|text| compressed("gzip", text)).concat();
        let whole = members.concat();
        for padding in [0, 1, 511] {
            let padded = [&body[..], &vec![0; padding]].concat();
            let read = read("gzip", &padded, whole.len() + 1).expect("all of them");
            assert_eq!(read.expect("it was compressed"), whole, "{padding}");
        }
        // The limit is for all together.
        assert!(matches!(read("gzip", &body, whole.len() - 1), Err(ExchangeError::TooLarge)));
        // Each member that starts must end, and nothing else may follow.
        let last = body.len() - 1;
        for damaged in [&body[..last], &[&body[..], b"x"].concat(), &[&body[..], &[0, 0, 7]].concat()] {
            assert!(matches!(read("gzip", damaged, 200_000), Err(ExchangeError::Broken(_))));
        }
        for form in ["zlib", "raw"] {
            let twice = [compressed(form, b"1"), compressed(form, b"2")].concat();
            assert!(matches!(read("deflate", &twice, 100), Err(ExchangeError::Broken(_))), "{form}");
        }
    }

    #[test]
    fn many_small_members_are_as_good_as_one() {
        let member = compressed("gzip", b"12345678");
        let read = read("gzip", &member.repeat(20_000), 200_000).expect("all of them");
        assert_eq!(read.expect("it was compressed"), b"12345678".repeat(20_000));
    }

    #[test]
    fn several_codings_are_decoded_the_last_one_first() {
        let twice = compressed("gzip", &compressed("zlib", b"[1]"));
        for encodings in [&["deflate, gzip"][..], &["deflate", "gzip"], &["deflate,identity", "GZIP"]] {
            let read = read_lines(encodings, &twice, 100).expect("both");
            assert_eq!(read.expect("it was compressed"), "[1]", "{encodings:?}");
        }
        assert!(matches!(read("gzip, deflate", &twice, 100), Err(ExchangeError::Broken(_))));
        // The limit is for the intermediate result too.
        let bomb = compressed("gzip", &compressed("gzip", &vec![b' '; 1_000_000]));
        assert!(matches!(read("gzip, gzip", &bomb, 900_000), Err(ExchangeError::TooLarge)));
        assert!(matches!(read("gzip, gzip", &bomb, 500), Err(ExchangeError::TooLarge)));
    }

    #[test]
    fn a_coding_that_was_not_asked_for_is_named() {
        for (encoding, name) in [("br", "br"), ("gzip, Zstd", "Zstd"), ("gzip;q=1", "gzip;q=1")] {
            let error = read(encoding, b"abc", 100).expect_err(encoding);
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
        let many = read("gzip, gzip, gzip, gzip, gzip, gzip", b"abc", 100);
        assert!(matches!(many, Err(ExchangeError::UnknownCoding(_))));
    }

    #[test]
    fn a_byte_order_mark_is_removed_from_a_text_and_nothing_else_is() {
        for (body, text) in [
            (&b"\xef\xbb\xbf{}"[..], &b"{}"[..]),
            (b"\xef\xbb\xbf\r\n[1]", b"\r\n[1]"),
            (b"\xef\xbb\xbf\xef\xbb\xbf{}", b"{}"),
            (b"\xef\xbb\xbf", b""),
            (b"\xef\xbb\xbf\x00\x01", b"\xef\xbb\xbf\x00\x01"),
            (b"\xef\xbb\xbf\xff", b"\xef\xbb\xbf\xff"),
            (b"\xef\xbb{}", b"\xef\xbb{}"),
            (b"{\"a\":\"\xef\xbb\xbf\"}", b"{\"a\":\"\xef\xbb\xbf\"}"),
            (b"", b""),
        ] {
            let body = Bytes::copy_from_slice(body);
            let end = body.as_ptr_range().end;
            let read = without_byte_order_mark(body);
            assert_eq!(read, text);
            assert!(text.is_empty() || read.as_ptr_range().end == end, "copied");
        }
    }
}
