//! What the real Blob Storage answers when it rejects a request for reasons that Azurite does not know: network rules,
//! policies, accounts that take no keys.

use http::header::HeaderName;
use http::request::Parts;

use crate::response::Response;

/// A rejection, and the method of the requests that it is for.
///
/// Its form is that of the documents: the code in the header `x-ms-error-code` and in a body of XML that begins with
/// a byte order mark ("Status and error codes", REST API of Azure Storage). Status and code belong together as in the
/// tables "Common REST API error codes" and "Blob service error codes" there.
#[derive(Clone, Debug)]
pub struct StorageRejection {
    status: u16,
    code: String,
    method: &'static str,
    has_header: bool,
    is_page: bool,
}

impl StorageRejection {
    /// Rejects every request with this method.
    pub fn of(method: &'static str, status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned(), method, has_header: true, is_page: false }
    }

    /// The same behind a proxy that drops the headers it does not know.
    #[must_use]
    pub fn without_header(self) -> Self {
        Self { has_header: false, ..self }
    }

    /// A web page of a firewall, with this status: the request does not reach Blob Storage.
    pub fn page(method: &'static str, status: u16) -> Self {
        Self { has_header: false, is_page: true, ..Self::of(method, status, "") }
    }

    pub(crate) fn answer(&self, head: &Parts) -> Option<Response> {
        (head.method == self.method).then(|| self.response())
    }

    /// The response, whatever the request.
    pub(crate) fn response(&self) -> Response {
        if self.is_page {
            return Response::of("text/html", self.status, "<html><body>Request blocked</body></html>");
        }
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>The request is \
             rejected.\nRequestId:778fdc83-801e-0000-62ff-033467000000\nTime:2026-11-24T06:00:00.0000000Z</Message>\
             </Error>",
            self.code
        );
        let response = Response::of("application/xml", self.status, body);
        match self.has_header {
            true => response.with(HeaderName::from_static("x-ms-error-code"), &self.code),
            false => response,
        }
    }
}

/// What the real Blob Storage returns for a token that it rejects. Azurite would take any tenant's.
///
/// That of another tenant meets status 401 and the detail "Issuer validation failed. Issuer did not match."
/// (Azure/azure-sdk-for-net#10529, Azure/azure-sdk-for-java#24926); Azure/AzureStor#119 has the one about the audience.
pub(crate) fn of_token(detail: &str) -> Response {
    const CODE: &str = "InvalidAuthenticationInfo";
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{CODE}</Code><Message>Server failed to \
         authenticate the request. Please refer to the information in the www-authenticate header.\n\
         RequestId:778fdc83-801e-0000-62ff-033467000000\nTime:2026-11-24T06:00:00.0000000Z</Message>\
         <AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
    );
    Response::of("application/xml", 401, body).with(HeaderName::from_static("x-ms-error-code"), CODE)
}
