//! The services behind HTTP servers on this machine: a thin shell that turns bytes into a [`crate::Request`], and
//! delays, sends or breaks off the reply as the reaction says.

mod body;
mod exchange;
mod front_end;
mod outbox;
mod responder;
mod timed;

pub(crate) use self::front_end::FrontEnd;
pub(crate) use self::responder::Responder;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use rustls::HandshakeKind;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::cloud::Cloud;
use crate::fleet::Fleet;
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
    /// Any free ports.
    Free,
    /// Consecutive ports from this one on, in the order of [`Service::ALL`].
    From(u16),
}

impl From<Ports> for Endpoints {
    fn from(ports: Ports) -> Self {
        match ports {
            Ports::Free => Self::free(),
            Ports::From(first) => Self::from_port(first),
        }
    }
}

/// Clouds that listen; they stop when this is dropped.
pub struct Served {
    fleet: Fleet,
    endpoints: Endpoints,
    files: TempDir,
    front_ends: [Arc<FrontEnd>; 6],
    timed: Option<Timed>,
    _servers: JoinSet<()>,
}

impl Cloud {
    /// Listens on 127.0.0.1.
    pub async fn serve(&self, ports: Ports) -> Result<Served, String> {
        Fleet::from(self).serve(ports).await
    }

    /// The same, and reports each step of each exchange to `steps`.
    pub async fn serve_in_steps(&self, ports: Ports, steps: &Steps) -> Result<Served, String> {
        Fleet::from(self).listen(ports.into(), steps, None).await
    }

    /// The same for measurements: see [`Fleet::serve_timed`].
    pub async fn serve_timed(&self, latency: Duration) -> Result<Served, String> {
        Fleet::from(self).serve_timed(latency).await
    }

    /// Listens on free ports, and speaks TLS where Azure does: everywhere but to the managed identity.
    pub async fn serve_over_tls(&self) -> Result<Served, String> {
        Fleet::from(self).listen(Endpoints::over_tls(), &Steps::default(), None).await
    }
}

impl Fleet {
    /// Listens on 127.0.0.1.
    pub async fn serve(&self, ports: Ports) -> Result<Served, String> {
        self.listen(ports.into(), &Steps::default(), None).await
    }

    /// The same for measurements: every response takes `latency`, and every post is accepted unread. The posts of
    /// [`Served::take_unread`] have to be handed to the clouds afterwards, which are as strict as always.
    pub async fn serve_timed(&self, latency: Duration) -> Result<Served, String> {
        let timed = Timed::new(self.clone(), latency);
        self.listen(Ports::Free.into(), &Steps::default(), Some(timed)).await
    }

    async fn listen(
        &self,
        mut endpoints: Endpoints,
        steps: &Steps,
        timed: Option<Timed>,
    ) -> Result<Served, String> {
        let tls = Tls::new()?;
        let files = files(&tls).map_err(|error| format!("cannot write a file: {error}"))?;
        let front_ends = Service::ALL.map(|service| {
            let acceptor = endpoints.speaks_tls(service).then(|| TlsAcceptor::from(tls.config.clone()));
            Arc::new(FrontEnd::new(acceptor))
        });
        let mut servers = JoinSet::new();
        for (service, front_end) in Service::ALL.into_iter().zip(&front_ends) {
            let port = &mut endpoints.ports[service as usize];
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
                .await
                .map_err(|error| format!("cannot listen on port {port} for {service:?}: {error}"))?;
            *port = listener
                .local_addr()
                .map_err(|error| format!("the listener of {service:?} has no port: {error}"))?
                .port();
            let responder = match &timed {
                Some(timed) => Responder::Timed(timed.clone(), service),
                None => Responder::Fleet(self.clone(), service),
            };
            servers.spawn(run(responder, steps.clone(), listener, front_end.clone()));
        }
        Ok(Served { fleet: self.clone(), endpoints, files, front_ends, timed, _servers: servers })
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

    /// The settings of an app that forwards for the customers of a fleet.
    pub fn settings_for_tenants(&self) -> Vec<(String, String)> {
        self.endpoints.settings_for_tenants(self.files.path())
    }

    /// The TLS handshakes that a service has completed, in order.
    pub fn handshakes(&self, service: Service) -> Vec<HandshakeKind> {
        self.front_ends[service as usize].handshakes()
    }

    /// The number of connections to a service so far, also those that a caller closed because it does not trust the
    /// certificate.
    pub fn connections(&self, service: Service) -> usize {
        self.front_ends[service as usize].connections()
    }

    /// Ends all connections to a service, after the exchanges they are in. Returns when the callers have closed them
    /// too, and so have noticed.
    pub async fn hang_up(&self, service: Service) {
        self.front_ends[service as usize].hang_up().await;
    }

    /// The posts since the last call that were accepted unread: the sink, the request, and when it had arrived. There
    /// are none unless the cloud is served by [`Cloud::serve_timed`].
    pub fn take_unread(&self) -> Vec<(Service, Request, OffsetDateTime)> {
        self.timed.as_ref().map(Timed::take_posts).unwrap_or_default()
    }

    /// Every secret of these clouds, tokens included, to search logs and replies for.
    pub fn secrets(&self) -> Vec<String> {
        self.fleet.clouds().flat_map(Cloud::secrets).collect()
    }
}

fn files(tls: &Tls) -> std::io::Result<TempDir> {
    let files = TempDir::new()?;
    std::fs::write(files.path().join(AUTHORITY_FILE), &tls.authority_pem)?;
    std::fs::write(files.path().join(ASSERTION_FILE), tenant::FEDERATED_ASSERTION)?;
    Ok(files)
}

/// Accepts connections; the set they run in ends with this task.
pub(crate) async fn run(responder: Responder, steps: Steps, listener: TcpListener, front_end: Arc<FrontEnd>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (responder, steps) = (responder.clone(), steps.clone());
        let (front_end, open) = (front_end.clone(), front_end.opened());
        match front_end.tls.clone() {
            None => connections.spawn(exchange::run(responder, steps, open, stream, |stream| stream)),
            Some(tls) => connections.spawn(async move {
                if let Some(stream) = front_end.shake_hands(tls, stream).await {
                    exchange::run(responder, steps, open, stream, |stream| stream.get_ref().0).await;
                }
            }),
        };
    }
}

#[cfg(test)]
mod tests;
