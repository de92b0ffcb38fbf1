//! HTTP/1.1 to one loopback port over connections that are reused.
//!
//! The Functions host talks to its handler through one .NET `HttpClient` for its whole life, so a handler
//! meets reused connections, bodies with a length and bodies in chunks. Hyper's low-level client shows what
//! others hide: the end of every chunk, and the reason phrase of the status line. As `HttpClient` does, it follows
//! redirects, and errors have its messages.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// `HttpClientHandler.MaxAutomaticRedirections`
const MOST_REDIRECTS: usize = 50;

/// The connections to one port of this machine, opened when none is idle.
#[derive(Debug)]
pub(crate) struct Connections {
    port: u16,
    tls: Option<Arc<ClientConfig>>,
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
        Self { port, tls: None, idle: Mutex::default() }
    }

    /// The same over TLS.
    pub(crate) fn over_tls(port: u16, tls: Arc<ClientConfig>) -> Self {
        Self { tls: Some(tls), ..Self::to(port) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends one request, on an idle connection if one is still open. The URI is a path; `Host` is added. A redirect
    /// is followed, as a GET (`HttpClient` does so for a POST that is answered 300 to 303).
    pub(crate) async fn send(&self, request: Request<Outgoing>) -> Result<Reply, String> {
        let mut reply = self.send_once(request).await?;
        for _ in 0..MOST_REDIRECTS {
            let Some(path) = self.redirected(&reply) else { break };
            let request = Request::get(path).body(Outgoing::empty());
            reply = self.send_once(request.map_err(|problem| problem.to_string())?).await?;
        }
        Ok(reply)
    }

    /// The path that a redirect names, on this port; elsewhere nothing is simulated.
    fn redirected(&self, reply: &Reply) -> Option<String> {
        let location =
            reply.headers.get(LOCATION)?.to_str().ok().filter(|_| (300..=303).contains(&reply.status))?;
        let path = location.strip_prefix(&format!("http://127.0.0.1:{}", self.port)).unwrap_or(location);
        path.starts_with('/').then(|| path.to_owned())
    }

    /// Drops every idle connection; the process at the other end is gone.
    pub(crate) fn forget(&self) {
        self.idle.lock().expect("no holder panics").clear();
    }

    async fn send_once(&self, mut request: Request<Outgoing>) -> Result<Reply, String> {
        let host = format!("127.0.0.1:{}", self.port).parse().expect("an address is a header value");
        request.headers_mut().insert(HOST, host);
        self.exchange(request).await.map_err(|problem| self.told(&*problem))
    }

    /// The error's message as .NET has it.
    fn told(&self, problem: &(dyn std::error::Error + 'static)) -> String {
        let refused = problem
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused);
        let ended = problem.downcast_ref::<hyper::Error>().is_some_and(|e| !e.is_parse() && !e.is_user());
        match (refused, ended) {
            (true, _) => format!("Connection refused (127.0.0.1:{})", self.port),
            (_, true) => "The response ended prematurely. (ResponseEnded)".to_owned(),
            _ => format!("http://127.0.0.1:{}: {problem}", self.port),
        }
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
        match &self.tls {
            None => begin(stream).await,
            Some(tls) => {
                let name = ServerName::try_from("127.0.0.1")?;
                begin(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?).await
            }
        }
    }
}

async fn begin(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Outgoing>, Box<dyn std::error::Error + Send + Sync>> {
    let (sender, connection) =
        http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A request body: whole, with `Content-Length`, or in chunks whose borders are kept on the wire.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    length: Option<u64>,
    /// The last piece has gone, so that what ends the body goes in a packet of its own.
    has_paused: bool,
}

impl Outgoing {
    pub(crate) fn empty() -> Self {
        Self { pieces: VecDeque::new(), length: Some(0), has_paused: false }
    }

    pub(crate) fn whole(body: Bytes) -> Self {
        Self { length: Some(body.len() as u64), pieces: VecDeque::from([body]), has_paused: false }
    }

    /// Its length, unless it goes out in chunks.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    pub(crate) fn chunked(pieces: Vec<Bytes>) -> Self {
        Self { pieces: pieces.into(), length: None, has_paused: false }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.pieces.is_empty() && self.length.is_none() && !self.has_paused {
            self.has_paused = true;
            // Meanwhile what there is is written.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.length.is_some()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
