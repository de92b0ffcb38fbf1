//! How a reply is compressed: with deflate when the caller takes it, as the real service does.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use crate::request::Request;
use crate::response::Response;

/// Compresses the response if the request allows it. What HTTP calls deflate is the zlib format.
pub(crate) fn encode(mut response: Response, request: &Request, deflate: bool) -> Response {
    let accepted = request.header(ACCEPT_ENCODING).unwrap_or_default();
    let takes = |name: &str| accepted.split(',').any(|part| part.trim() == name);
    let (name, body) = if deflate && takes("deflate") {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let done = encoder.write_all(&response.body);
        ("deflate", done.and_then(|()| encoder.finish()))
    } else if takes("gzip") {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let done = encoder.write_all(&response.body);
        ("gzip", done.and_then(|()| encoder.finish()))
    } else {
        return response;
    };
    response.body = Bytes::from(body.expect("writing to memory cannot fail"));
    response.with(CONTENT_ENCODING, name)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};
    use http::Method;

    use super::*;

    fn encoded(accepted: &str, deflate: bool) -> (Option<String>, String) {
        let request = Request::new(Method::GET, "/").with_header("accept-encoding", accepted);
        let response = encode(Response::json(200, "[1,2,3]"), &request, deflate);
        let name = response.headers.get(CONTENT_ENCODING);
        let name = name.map(|name| name.to_str().expect("a name").to_owned());
        let mut body = String::new();
        match name.as_deref() {
            Some("deflate") => ZlibDecoder::new(&response.body[..]).read_to_string(&mut body),
            Some("gzip") => GzDecoder::new(&response.body[..]).read_to_string(&mut body),
            _ => (&response.body[..]).read_to_string(&mut body),
        }
        .expect("the encoding it says it has");
        (name, body)
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
