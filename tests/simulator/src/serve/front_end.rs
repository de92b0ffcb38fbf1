//! A front end before a service, as Azure has: it may speak TLS, issues tickets with which sessions can be resumed, and
//! closes idle connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::HandshakeKind;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[derive(Default)]
pub(crate) struct FrontEnd {
    pub tls: Option<TlsAcceptor>,
    connections: AtomicUsize,
    handshakes: Mutex<Vec<HandshakeKind>>,
    /// Each open connection has a receiver of this.
    open: Mutex<watch::Sender<()>>,
}

impl FrontEnd {
    pub fn new(tls: Option<TlsAcceptor>) -> Self {
        Self { tls, ..Self::default() }
    }

    /// Completes a handshake and notes its kind.
    pub async fn shake_hands(&self, tls: TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        // Or the first reply would wait until the caller has acknowledged the tickets.
        stream.set_nodelay(true).ok()?;
        let stream = tls.accept(stream).await.ok()?;
        lock(&self.handshakes).extend(stream.get_ref().1.handshake_kind());
        Some(stream)
    }

    /// The handshakes so far, in the order in which they were completed.
    pub fn handshakes(&self) -> Vec<HandshakeKind> {
        lock(&self.handshakes).clone()
    }

    /// The number of connections so far, also those whose handshake failed.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What a new connection keeps as long as it is open; a change says that it shall end.
    pub fn opened(&self) -> watch::Receiver<()> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).subscribe()
    }

    /// Ends all connections, and returns when they are closed.
    pub async fn hang_up(&self) {
        let open = std::mem::take(&mut *lock(&self.open));
        open.send_replace(());
        open.closed().await;
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
