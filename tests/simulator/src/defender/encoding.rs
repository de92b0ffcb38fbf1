//! How a reply is compressed: with deflate when the caller takes it, as the real service does.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use crate::answer::Answer;
use crate::request::Request;

/// Compresses the answer if the request allows it. What HTTP calls deflate is the zlib format.
pub(crate) fn encode(mut answer: Answer, request: &Request, deflate: bool) -> Answer {
    let accepted = request.header(ACCEPT_ENCODING).unwrap_or_default();
    let takes = |name: &str| accepted.split(',').any(|part| part.trim() == name);
    let (name, body) = if deflate && takes("deflate") {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let done = encoder.write_all(&answer.body);
        ("deflate", done.and_then(|()| encoder.finish()))
    } else if takes("gzip") {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let done = encoder.write_all(&answer.body);
        ("gzip", done.and_then(|()| encoder.finish()))
    } else {
        return answer;
    };
    answer.body = Bytes::from(body.expect("writing to memory cannot fail"));
    answer.with(CONTENT_ENCODING, name)
}

/// The body of an answer that this program has encoded, as it was before.
///
/// # Panics
///
/// When it was not encoded here.
pub(crate) fn plain(answer: &Answer) -> Bytes {
    let mut body = Vec::new();
    let read = match answer.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => return answer.body.clone(),
        Some(b"deflate") => ZlibDecoder::new(&answer.body[..]).read_to_end(&mut body),
        Some(_) => GzDecoder::new(&answer.body[..]).read_to_end(&mut body),
    };
    read.expect("it was encoded here");
    body.into()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn encoded(accepted: &str, deflate: bool) -> (Option<String>, Bytes) {
        let request = Request::new(Method::GET, "/").with_header("accept-encoding", accepted);
        let answer = encode(Answer::json(200, "[1,2,3]"), &request, deflate);
        let name = answer.headers.get(CONTENT_ENCODING);
        (name.map(|name| name.to_str().expect("a name").to_owned()), plain(&answer))
    }

    #[test]
    fn the_caller_chooses_and_deflate_comes_first() {
        for (accepted, deflate, expected) in [
            ("gzip, deflate", true, Some("deflate")),
            ("gzip, deflate", false, Some("gzip")),
            ("deflate", false, None),
            ("identity", true, None),
        ] {
            let (name, body) = encoded(accepted, deflate);
            assert_eq!(name.as_deref(), expected, "{accepted}");
            assert_eq!(body, "[1,2,3]");
        }
    }
}
