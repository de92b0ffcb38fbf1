//! A relay to Azurite on a port of its own, which reports each step of each exchange. Requests and replies pass
//! unchanged, unless a rejection is set or a cloud checks the tokens; a signature does not cover the port.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::rejection::StorageRejection;
use super::{Azurite, account_url, connection_string};
use crate::cloud::Cloud;
use crate::connection::Connections;
use crate::serve::{self, FrontEnd, Responder};
use crate::steps::Steps;

/// The port in front of Azurite. It closes when this is dropped.
#[derive(Debug)]
pub struct Relay {
    scheme: &'static str,
    port: u16,
    rejection: Arc<Mutex<Option<StorageRejection>>>,
    _server: JoinSet<()>,
}

impl Azurite {
    /// Opens a relay that reports to `steps`.
    pub async fn relay(&self, steps: &Steps) -> Result<Relay, String> {
        self.relay_with(steps, None).await
    }

    /// Opens a relay that takes the tokens of `cloud` as the real Blob Storage does: of the account's own
    /// tenant, for storage, of an identity with a role there, and neither expired nor revoked.
    pub async fn relay_of(&self, cloud: &Cloud) -> Result<Relay, String> {
        self.relay_with(&Steps::default(), Some(cloud.clone())).await
    }

    async fn relay_with(&self, steps: &Steps, cloud: Option<Cloud>) -> Result<Relay, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| format!("cannot listen in front of Azurite: {error}"))?;
        let port = listener.local_addr().map_err(|error| format!("the relay has no port: {error}"))?.port();
        let (connections, acceptor) = match &self.secure {
            None => (Connections::to(self.port), None),
            Some(secure) => (
                Connections::over_tls(self.port, secure.tls.client()?),
                Some(TlsAcceptor::from(Arc::clone(&secure.tls.config))),
            ),
        };
        let rejection = Arc::default();
        let responder = Responder::Storage(Arc::new(connections), Arc::clone(&rejection), cloud);
        let mut server = JoinSet::new();
        server.spawn(serve::run(responder, steps.clone(), listener, Arc::new(FrontEnd::new(acceptor))));
        Ok(Relay { scheme: self.scheme(), port, rejection, _server: server })
    }
}

impl Relay {
    /// From now on rejects the requests that this rejection is for; with `None`, all pass.
    pub fn reject(&self, rejection: Option<StorageRejection>) {
        *self.rejection.lock().unwrap_or_else(PoisonError::into_inner) = rejection;
    }

    /// A connection string with the account's key, by way of this port.
    pub fn connection_string(&self) -> String {
        connection_string(self.scheme, self.port)
    }

    /// The account's address, by way of this port.
    pub fn account_url(&self) -> String {
        account_url(self.scheme, self.port)
    }
}
