//! The HTTP side of the custom-handler protocol.

use std::{convert::Infallible, io, net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Buf;
use futures::{Stream, StreamExt, pin_mut};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{ext::ReasonPhrase, server::conn::http1};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tracing::{Instrument, Span, error, error_span, info, warn};
use warp::Filter;

use crate::{
    app::App,
    count::Count,
    host::{
        invocation::{Invocation, LIMIT, Reply},
        nudge::{self, Nudge},
        queue::{self, QueueInvocation},
    },
    pipeline::{Purpose, RunError},
    report::RunReport,
    shutdown::ShutdownMode,
    telemetry::LineFormat,
    tenants::TenantMessage,
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
    // More than the host has invocations in flight: what does not fit would be tried again only a second later.
    socket.listen(1024)
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
        // The replies about the run that has just ended are still to be written.
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
    let invocation = || {
        let id = warp::header::optional("x-azure-functions-invocationid");
        warp::post().and(id).and(warp::body::stream())
    };
    let ready = warp::path::end().and(warp::get()).map(|| response(&Reply::ready()));
    let on_time = app.clone();
    let forward = warp::path!("MdatpForward")
        .and(invocation())
        .then(move |id: Option<String>, body| forward(on_time.clone(), format, id, body));
    let of_tenant = app.clone();
    let tenant = warp::path!("MdatpTenant")
        .and(invocation())
        .then(move |id: Option<String>, body| run_tenant(of_tenant.clone(), format, id, body));
    let now = warp::path!("MdatpNow")
        .and(invocation())
        .then(move |id: Option<String>, body| run_now(app.clone(), format, id, body));
    let missing = warp::any().map(|| {
        response(&Reply::rejection(
            StatusCode::NOT_FOUND,
            "unknown path: this handler serves GET /, POST /MdatpForward, POST /MdatpTenant and POST /MdatpNow",
        ))
    });
    ready.or(forward).unify().or(tenant).unify().or(now).unify().or(missing).unify()
}

/// The timer's function.
async fn forward<B: Buf>(
    app: Arc<App>,
    format: LineFormat,
    id: Option<String>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response<String> {
    let invocation =
        read(body).await.and_then(|body| Invocation::parse(&body).map_err(Rejection::bad_request));
    let reply = match invocation {
        Err(Rejection { status, reason }) => Reply::rejection(status, &reason),
        Ok(invocation) => run(app, format, id, invocation).await,
    };
    response(&reply)
}

/// The function of the queue trigger.
async fn run_tenant<B: Buf>(
    app: Arc<App>,
    format: LineFormat,
    id: Option<String>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response<String> {
    let id = id.unwrap_or_else(|| "none".to_owned());
    let invocation =
        read(body).await.and_then(|body| QueueInvocation::parse(&body).map_err(Rejection::bad_request));
    let reply = match invocation {
        Err(Rejection { status, reason }) => Reply::rejection(status, &reason),
        Ok(QueueInvocation::Foreign { length }) => {
            span(&id).in_scope(|| {
                warn!("a message in the queue of the tenants, of {length} bytes, is not mdatp-forward's and is dropped");
            });
            queue::foreign()
        }
        Ok(QueueInvocation::Run(TenantMessage { tenant, tick })) => {
            let span = error_span!("run", invocation = id, tenant = tenant.as_str());
            let work = async move {
                let (report, result) = app.run_tenant(&tenant, tick).await;
                let members = log_failure(&report, &result);
                let is_tenants_own = result.as_ref().is_err_and(RunError::is_tenants_own);
                queue::reply(&report, is_tenants_own, format.reply_line(&id, &report.to_string(), members))
            };
            in_task(work.instrument(span)).await
        }
    };
    response(&reply)
}

/// The function of the HTTP trigger.
async fn run_now<B: Buf>(
    app: Arc<App>,
    format: LineFormat,
    id: Option<String>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Response<String> {
    let nudge = read(body).await.and_then(|body| Nudge::parse(&body).map_err(Rejection::bad_request));
    let reply = match nudge {
        Err(Rejection { status, reason }) => nudge::rejection(status, &reason),
        Ok(Nudge { ids }) => {
            let id = id.unwrap_or_else(|| "none".to_owned());
            let nudged = app.nudge(ids).instrument(span(&id)).await;
            let line =
                |report: &RunReport| format.reply_line(&id, &report.to_string(), report.log_members(None));
            nudge::reply(&nudged, &nudged.reports.iter().map(line).collect::<Vec<_>>())
        }
    };
    response(&reply)
}

/// The span of the log lines about an invocation.
fn span(id: &str) -> Span {
    error_span!("run", invocation = id)
}

async fn run(app: Arc<App>, format: LineFormat, id: Option<String>, invocation: Invocation) -> Reply {
    let id = id.unwrap_or_else(|| "none".to_owned());
    let span = span(&id);
    let work = async move {
        if invocation.is_past_due {
            info!("the timer is past due: an earlier occurrence was missed");
        }
        if invocation.is_for_tenants {
            return enqueue(&app, format, &id).await;
        }
        let (report, result) = app.run_once(Purpose::Send(&|_, _| {})).await;
        let members = log_failure(&report, &result);
        Reply::of(&report, format.reply_line(&id, &report.to_string(), members))
    };
    in_task(work.instrument(span)).await
}

/// Asks for the runs of all tenants.
async fn enqueue(app: &App, format: LineFormat, id: &str) -> Reply {
    match app.enqueue().await {
        Ok(messages) => {
            let number = messages.len();
            let line = format!("asked for the runs of {}", Count(number as u64, "tenant"));
            Reply::enqueue(messages, format.reply_line(id, &line, json!({ "tenants": number })))
        }
        Err(error) => {
            let report = RunReport { error: Some(error.describe()), ..RunReport::default() };
            log_failure(&report, &Err(error));
            Reply::failure(&report)
        }
    }
}

/// Works in a task of its own: a run must not end because the host's connection does.
async fn in_task(work: impl Future<Output = Reply> + Send + 'static) -> Reply {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Reply::rejection(StatusCode::INTERNAL_SERVER_ERROR, "the run was cut off"))
}

/// Returns the members of a run's log line, and writes that of a failure. A success's line goes into the reply, where it
/// belongs to the invocation. Of a failure's reply the host keeps only the reason phrase, so its line goes to stderr.
fn log_failure(report: &RunReport, result: &Result<(), RunError>) -> Value {
    let members = report.log_members(result.as_ref().err().map(RunError::kind));
    if result.is_err() {
        error!(%members, "{report}");
    }
    members
}

/// A request that is not an invocation.
struct Rejection {
    status: StatusCode,
    reason: String,
}

impl Rejection {
    fn bad_request(reason: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason }
    }
}

/// Reads a body to its end. The rest of one that is too long is read without being kept.
async fn read<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Vec<u8>, Rejection> {
    pin_mut!(body);
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|_| Rejection::bad_request("the body ends early".to_owned()))?;
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
        false => Err(Rejection {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            reason: "an invocation has at most 1 MiB".to_owned(),
        }),
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
