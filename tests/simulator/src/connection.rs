//! HTTP/1.1 to one loopback port over connections that are kept and used again.
//!
//! The Functions host talks to its handler through one .NET `HttpClient` for its whole life, so a handler
//! meets reused connections, bodies with a length and bodies in chunks. Hyper's low-level client gives what
//! a comfortable one hides: the border of every chunk, and the reason phrase of the status line.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The connections to one port of this machine, opened when none is idle.
#[derive(Debug)]
pub(crate) struct Connections {
    port: u16,
    idle: Mutex<Vec<SendRequest<Outgoing>>>,
}

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connections {
    pub(crate) fn to(port: u16) -> Self {
        Self { port, idle: Mutex::default() }
    }

    /// Sends one request, on an idle connection if one is still open. The URI is a path; `Host` is added.
    pub(crate) async fn send(&self, mut request: Request<Outgoing>) -> Result<Reply, String> {
        let host = format!("127.0.0.1:{}", self.port).parse().expect("an address is a header value");
        request.headers_mut().insert(http::header::HOST, host);
        let what = format!("{} http://127.0.0.1:{}{}", request.method(), self.port, request.uri());
        self.exchange(request).await.map_err(|problem| format!("{what}: {problem}"))
    }

    /// Drops every idle connection; the process at the other end is gone.
    pub(crate) fn forget(&self) {
        self.idle.lock().expect("no holder panics").clear();
    }

    async fn exchange(
        &self,
        request: Request<Outgoing>,
    ) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let mut sender = match self.usable().await {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let (head, body) = sender.send_request(request).await?.into_parts();
        let reason = match head.extensions.get::<ReasonPhrase>() {
            Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
            None => head.status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let body = body.collect().await?.to_bytes();
        self.idle.lock().expect("no holder panics").push(sender);
        Ok(Reply { status: head.status.as_u16(), reason, headers: head.headers, body })
    }

    async fn usable(&self) -> Option<SendRequest<Outgoing>> {
        loop {
            let mut sender = self.idle.lock().expect("no holder panics").pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn open(&self) -> Result<SendRequest<Outgoing>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A request body: whole, with `Content-Length`, or in chunks whose borders are kept on the wire.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    length: Option<u64>,
}

impl Outgoing {
    pub(crate) fn empty() -> Self {
        Self { pieces: VecDeque::new(), length: Some(0) }
    }

    pub(crate) fn whole(body: Bytes) -> Self {
        Self { length: Some(body.len() as u64), pieces: VecDeque::from([body]) }
    }

    /// Its length, unless it goes out in chunks.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    pub(crate) fn chunked(pieces: Vec<Bytes>) -> Self {
        Self { pieces: pieces.into(), length: None }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
