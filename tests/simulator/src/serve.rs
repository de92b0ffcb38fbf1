//! The services behind HTTP servers on this machine: a thin shell that turns bytes into a
//! [`crate::Request`], waits as long as the reaction says, and lets connections die as it says.

mod body;
mod exchange;
mod outbox;
mod responder;
mod timed;

pub(crate) use self::responder::Responder;

use std::net::Ipv4Addr;
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::cloud::Cloud;
use crate::request::Request;
use crate::service::Service;
use crate::settings::{ASSERTION_FILE, AUTHORITY_FILE, Endpoints, Route, Sink};
use crate::steps::Steps;
use crate::tenant;
use crate::tls::Tls;

use self::timed::Timed;

/// The ports to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Whatever is free.
    Free,
    /// Consecutive ports from this one on, in the order of [`Service::ALL`].
    From(u16),
}

/// A cloud that listens; it stops when this is dropped.
pub struct Served {
    cloud: Cloud,
    endpoints: Endpoints,
    files: TempDir,
    timed: Option<Timed>,
    _servers: JoinSet<()>,
}

impl Cloud {
    /// Listens on 127.0.0.1.
    pub async fn serve(&self, ports: Ports) -> Result<Served, String> {
        self.serve_in_steps(ports, &Steps::default()).await
    }

    /// The same, and tells each step of each exchange.
    pub async fn serve_in_steps(&self, ports: Ports, steps: &Steps) -> Result<Served, String> {
        self.listen(ports, steps, None).await
    }

    /// The same for a stopwatch: every answer takes `latency`, and every post is accepted. Whoever measures has
    /// to show [`Served::take_unread`] to the cloud afterwards, which is as strict as ever.
    pub async fn serve_timed(&self, latency: Duration) -> Result<Served, String> {
        let timed = Timed::new(self.clone(), latency);
        self.listen(Ports::Free, &Steps::default(), Some(timed)).await
    }

    async fn listen(&self, ports: Ports, steps: &Steps, timed: Option<Timed>) -> Result<Served, String> {
        let mut endpoints = match ports {
            Ports::Free => Endpoints { ports: [0; 5] },
            Ports::From(first) => Endpoints::from_port(first),
        };
        let tls = Tls::new()?;
        let files = files(&tls).map_err(|error| format!("cannot write a file: {error}"))?;
        let mut servers = JoinSet::new();
        for service in Service::ALL {
            let port = &mut endpoints.ports[service as usize];
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
                .await
                .map_err(|error| format!("cannot listen on port {port} for {service:?}: {error}"))?;
            *port = listener
                .local_addr()
                .map_err(|error| format!("the listener of {service:?} has no port: {error}"))?
                .port();
            let acceptor = (service == Service::Entra).then(|| TlsAcceptor::from(tls.config.clone()));
            let responder = match &timed {
                Some(timed) => Responder::Timed(timed.clone(), service),
                None => Responder::Cloud(self.clone(), service),
            };
            servers.spawn(run(responder, steps.clone(), listener, acceptor));
        }
        Ok(Served { cloud: self.clone(), endpoints, files, timed, _servers: servers })
    }
}

impl Served {
    /// Where the services listen.
    pub fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    /// A service's base URL.
    pub fn url(&self, service: Service) -> String {
        self.endpoints.url(service)
    }

    /// The forwarder's settings for a sink and a way to tokens.
    pub fn settings(&self, sink: Sink, route: Route) -> Vec<(String, String)> {
        self.endpoints.settings(sink, route, self.files.path())
    }

    /// The posts since the last time that were accepted without a look: the sink, the request, and when it had
    /// come whole. There are none unless the cloud is served for a stopwatch.
    pub fn take_unread(&self) -> Vec<(Service, Request, OffsetDateTime)> {
        self.timed.as_ref().map(Timed::take_posts).unwrap_or_default()
    }

    /// Every secret of this cloud, tokens included, for a search through logs and replies.
    pub fn secrets(&self) -> Vec<String> {
        self.cloud.secrets()
    }
}

fn files(tls: &Tls) -> std::io::Result<TempDir> {
    let files = TempDir::new()?;
    std::fs::write(files.path().join(AUTHORITY_FILE), &tls.authority_pem)?;
    std::fs::write(files.path().join(ASSERTION_FILE), tenant::FEDERATED_ASSERTION)?;
    Ok(files)
}

/// Accepts connections; the set they run in ends with this task.
pub(crate) async fn run(responder: Responder, steps: Steps, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (responder, steps) = (responder.clone(), steps.clone());
        match tls.clone() {
            None => connections.spawn(exchange::run(responder, steps, stream, |stream| stream)),
            Some(tls) => connections.spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    exchange::run(responder, steps, stream, |stream| stream.get_ref().0).await;
                }
            }),
        };
    }
}

#[cfg(test)]
mod tests;
