//! A connection: requests are read whole, handed to their service, and answered in order.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;

use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::body::ReplyBody;
use super::outbox::{Outbox, Telling};
use super::responder::Responder;
use crate::reaction::{Outcome, Reaction};
use crate::response::Response;
use crate::steps::{Step, Steps};

type Reply = Pin<Box<dyn Future<Output = io::Result<http::Response<ReplyBody>>> + Send>>;

/// Serves a connection until the caller, a fault or a change of `open` ends it; `socket` finds the socket to
/// reset.
pub(super) async fn run<S>(
    responder: Responder,
    steps: Steps,
    mut open: watch::Receiver<()>,
    stream: S,
    socket: impl FnOnce(&S) -> &TcpStream,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let outbox = Outbox::default();
    let stream = Telling { stream, outbox: outbox.clone(), target: responder.target(), steps: steps.clone() };
    let react = service_fn(move |request| -> Reply {
        Box::pin(reply(responder.clone(), steps.clone(), outbox.clone(), request))
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), react);
    let mut hung_up = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => break ended,
            _ = open.changed(), if !hung_up => {
                hung_up = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let mut stream = connection.into_parts().io.into_inner().stream;
    match ended {
        // The caller may be gone already, and then this fails.
        Ok(()) => {
            drop(stream.shutdown().await);
            if hung_up {
                // The caller has noticed when it has closed it too.
                drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
            }
        }
        // Without lingering, closing a socket sends a reset.
        Err(_) => drop(socket(&stream).set_zero_linger()),
    }
}

async fn reply(
    responder: Responder,
    steps: Steps,
    outbox: Outbox,
    request: hyper::Request<Incoming>,
) -> io::Result<http::Response<ReplyBody>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let (target, call) = (responder.target(), format!("{} {}", head.method, head.uri.path()));

    steps.pass(target, Step::Received, &call).await;
    let Reaction { delay, outcome } = responder.react(head, body).await?;
    if let Ok(delay) = delay.try_into() {
        tokio::time::sleep(delay).await;
    }
    steps.pass(target, Step::Done, &call).await;
    match outcome {
        Outcome::Response(Response { status, headers, body }) => {
            response(status, headers, ReplyBody::whole(body, outbox, call))
        }
        Outcome::CutBody(Response { status, headers, body }, kept) => {
            response(status, headers, ReplyBody::cut(&body, kept))
        }
        Outcome::AcceptThenReset | Outcome::Reset => Err(io::Error::other("reset on purpose")),
        Outcome::Hang => pending().await,
    }
}

fn response(status: u16, headers: HeaderMap, body: ReplyBody) -> io::Result<http::Response<ReplyBody>> {
    let mut response = http::Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    *response.headers_mut() = headers;
    Ok(response)
}
