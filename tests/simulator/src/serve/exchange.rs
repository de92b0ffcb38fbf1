//! One connection: requests are read whole, shown to the cloud, and answered in turn.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;

use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Request;
use super::body::ReplyBody;
use crate::answer::Answer;
use crate::clock;
use crate::cloud::Cloud;
use crate::reaction::{Outcome, Reaction};
use crate::service::Service;

type Reply = Pin<Box<dyn Future<Output = io::Result<Response<ReplyBody>>> + Send>>;

/// Serves a connection until the caller or a fault ends it; `socket` finds the socket to reset.
pub(super) async fn run<S>(cloud: Cloud, service: Service, stream: S, socket: impl FnOnce(&S) -> &TcpStream)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let react = service_fn(move |request| -> Reply { Box::pin(reply(cloud.clone(), service, request)) });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), react);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let mut stream = connection.into_parts().io.into_inner();
    match ended {
        // The peer may be gone already; there is nobody left to tell.
        Ok(()) => drop(stream.shutdown().await),
        // Without lingering, closing a socket sends a reset.
        Err(_) => drop(socket(&stream).set_zero_linger()),
    }
}

async fn reply(
    cloud: Cloud,
    service: Service,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<ReplyBody>> {
    let request = read(request).await?;
    let Reaction { delay, outcome } = cloud.react(service, &request, clock::now());
    if let Ok(delay) = delay.try_into() {
        tokio::time::sleep(delay).await;
    }
    match outcome {
        Outcome::Answer(Answer { status, headers, body }) => {
            response(status, headers, ReplyBody::whole(body))
        }
        Outcome::CutBody(Answer { status, headers, body }, kept) => {
            response(status, headers, ReplyBody::cut(&body, kept))
        }
        Outcome::AcceptThenReset | Outcome::Reset => Err(io::Error::other("reset on purpose")),
        Outcome::Hang => pending().await,
    }
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(Request { headers: head.headers, body: body.to_bytes(), ..Request::new(head.method, target) })
}

fn response(status: u16, headers: HeaderMap, body: ReplyBody) -> io::Result<Response<ReplyBody>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    *response.headers_mut() = headers;
    Ok(response)
}
