//! Notices when a reply has left. Hyper drops a body when it has taken the last of it into its buffer, and
//! flushes the stream when that buffer is empty; between the two the reply is in the outbox.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::steps::{Step, Steps, Target};

/// A connection's reply on its way out, by the call it answers.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Mutex<Option<String>>>);

impl Outbox {
    pub fn put(&self, call: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A stream that reports each reply that has left through it.
pub(super) struct Telling<S> {
    pub stream: S,
    pub outbox: Outbox,
    pub target: Target,
    pub steps: Steps,
}

impl<S: AsyncRead + Unpin> AsyncRead for Telling<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Telling<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        if let Some(call) = this.outbox.take() {
            this.steps.tell(this.target, Step::Replied, &call);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
