//! The HTTP side of the custom-handler protocol.

use std::{convert::Infallible, io, net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Buf;
use futures::{Stream, StreamExt, pin_mut};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{ext::ReasonPhrase, server::conn::http1};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::net::{TcpListener, TcpSocket};
use tracing::{Instrument, error, error_span, info};
use warp::Filter;

use crate::{
    app::App,
    host::invocation::{Invocation, LIMIT, Reply},
    pipeline::{Purpose, RunError},
    shutdown::ShutdownMode,
    telemetry::LineFormat,
};

/// The bytes that are read of a body that is too long: the host fails an invocation whose body is not taken.
const MAX_READ: usize = 16 * LIMIT;

/// The time that a shutdown gives the run in progress: for the response to the current post, and to save what was
/// accepted. Less than the ten seconds that a container has between SIGTERM and SIGKILL.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Binds `port` on the loopback address, to which the host connects. The host gives a restarted handler the same port
/// again, so the address may still be in use by connections that are closing.
pub fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(128)
}

/// Serves invocations until `shutdown` resolves. Then the run in progress is asked to end in that mode, and gets
/// [`SHUTDOWN_TIMEOUT`] for it.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    format: LineFormat,
    shutdown: impl Future<Output = ShutdownMode>,
) {
    let service = TowerToHyperService::new(warp::service(routes(app.clone(), format)));
    let connections = GracefulShutdown::new();
    pin_mut!(shutdown);
    let mode = loop {
        let accepted = tokio::select! {
            mode = &mut shutdown => break mode,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connections.watch(connection));
            }
            // Most likely out of file descriptors. Another try at once would keep the processor busy.
            Err(error) => {
                error!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    };
    drop(listener);
    app.shutdown().request(mode);
    // The host keeps its connections open, so waiting for them alone would never end.
    let stop = async {
        app.ended(SHUTDOWN_TIMEOUT).await;
        // The reply of the run that has just ended is still to be written.
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        // No connection is open any more, but a run may still be in progress.
        () = connections.shutdown() => app.ended(SHUTDOWN_TIMEOUT).await,
        () = stop => {}
    }
}

fn routes(
    app: Arc<App>,
    format: LineFormat,
) -> impl Filter<Extract = (Response<String>,), Error = Infallible> + Clone {
    let ready = warp::path::end().and(warp::get()).map(|| response(&Reply::ready()));
    let invoke = warp::path!("MdatpForward")
        .and(warp::post())
        .and(warp::header::optional("x-azure-functions-invocationid"))
        .and(warp::body::stream())
        .then(move |id: Option<String>, body| invoke(app.clone(), format, id, body));
    let missing = warp::any().map(|| {
        response(&Reply::rejection(
            StatusCode::NOT_FOUND,
            "unknown path: this handler serves GET / and POST /MdatpForward",
        ))
    });
    ready.or(invoke).unify().or(missing).unify()
}

async fn invoke<B: Buf>(
    app: Arc<App>,
    format: LineFormat,
    id: Option<String>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response<String> {
    let reply = match read(body).await {
        Err(reply) => reply,
        Ok(body) => match Invocation::parse(&body) {
            Err(reason) => Reply::rejection(StatusCode::BAD_REQUEST, &reason),
            Ok(invocation) => run(app, format, id, invocation).await,
        },
    };
    response(&reply)
}

/// Runs in a task of its own: a run must not end because the host's connection does.
async fn run(app: Arc<App>, format: LineFormat, id: Option<String>, invocation: Invocation) -> Reply {
    let id = id.unwrap_or_else(|| "none".to_owned());
    let span = error_span!("run", invocation = id);
    let work = async move {
        if invocation.is_past_due {
            info!("the timer is past due: an earlier occurrence was missed");
        }
        let (report, result) = app.run_once(Purpose::Send(&|_, _| {})).await;
        let members = report.log_members(result.as_ref().err().map(RunError::kind));
        // A success's line goes into the reply, where it belongs to the invocation. Of a failure's reply the host keeps
        // only the reason phrase, so its line goes to stderr.
        if result.is_err() {
            error!(%members, "{report}");
        }
        Reply::of(&report, format.reply_line(&id, &report.to_string(), members))
    };
    let done = tokio::spawn(work.instrument(span)).await;
    done.unwrap_or_else(|_| Reply::rejection(StatusCode::INTERNAL_SERVER_ERROR, "the run was cut off"))
}

/// Reads a body to its end. The rest of one that is too long is read without being kept.
async fn read<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Vec<u8>, Reply> {
    pin_mut!(body);
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(chunk) = body.next().await {
        let mut chunk =
            chunk.map_err(|_| Reply::rejection(StatusCode::BAD_REQUEST, "the body ends early"))?;
        length += chunk.remaining();
        if length > MAX_READ {
            break;
        }
        while length <= LIMIT && chunk.has_remaining() {
            let piece = chunk.chunk();
            kept.extend_from_slice(piece);
            let read = piece.len();
            chunk.advance(read);
        }
    }
    match length <= LIMIT {
        true => Ok(kept),
        false => Err(Reply::rejection(StatusCode::PAYLOAD_TOO_LARGE, "an invocation has at most 1 MiB")),
    }
}

fn response(reply: &Reply) -> Response<String> {
    let mut response = Response::new(reply.body.clone());
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let phrase = reply.phrase.as_ref().and_then(|phrase| ReasonPhrase::try_from(phrase.clone()).ok());
    if let Some(phrase) = phrase {
        response.extensions_mut().insert(phrase);
    }
    response
}
