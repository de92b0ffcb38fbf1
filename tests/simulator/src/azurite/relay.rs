//! A way to Azurite through a port of its own, on which each step of each exchange is told. Requests and
//! replies pass as they are, unless a rejection is set; a signature does not cover the port.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::rejection::StorageRejection;
use super::{Azurite, connection_string};
use crate::connection::Connections;
use crate::serve::{self, FrontEnd, Responder};
use crate::steps::Steps;

/// The port in front of Azurite. It closes when this is dropped.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    rejection: Arc<Mutex<Option<StorageRejection>>>,
    _server: JoinSet<()>,
}

impl Azurite {
    /// Opens one more way in, which tells `steps`.
    pub async fn relay(&self, steps: &Steps) -> Result<Relay, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| format!("cannot listen in front of Azurite: {error}"))?;
        let port = listener.local_addr().map_err(|error| format!("the relay has no port: {error}"))?.port();
        let rejection = Arc::default();
        let responder = Responder::Storage(Arc::new(Connections::to(self.port)), Arc::clone(&rejection));
        let mut server = JoinSet::new();
        server.spawn(serve::run(responder, steps.clone(), listener, Arc::new(FrontEnd::default())));
        Ok(Relay { port, rejection, _server: server })
    }
}

impl Relay {
    /// Rejects the requests that this rejection is for from now on; with none, all pass.
    pub fn reject(&self, rejection: Option<StorageRejection>) {
        *self.rejection.lock().unwrap_or_else(PoisonError::into_inner) = rejection;
    }

    /// A connection string with the account's key, by way of this port.
    pub fn connection_string(&self) -> String {
        connection_string(self.port)
    }
}
