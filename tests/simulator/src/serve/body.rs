//! A reply's body that may break off on purpose.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::outbox::Outbox;

/// A body of a known length; if it is cut, it fails after the bytes it has.
pub(super) struct ReplyBody {
    bytes: Option<Bytes>,
    promised: u64,
    cut: Option<Cut>,
    /// Where a whole reply goes, and the call it answers.
    out: Option<(Outbox, String)>,
}

enum Cut {
    /// The bytes have to reach the wire before the failure stops all writing: hyper writes them out
    /// when the body has nothing for it.
    Flush,
    Fail,
}

impl ReplyBody {
    pub fn whole(bytes: Bytes, outbox: Outbox, call: String) -> Self {
        let out = Some((outbox, call));
        Self { promised: bytes.len() as u64, bytes: Some(bytes), cut: None, out }
    }

    /// Promises all of the bytes and gives the first ones.
    pub fn cut(bytes: &Bytes, kept: usize) -> Self {
        let promised = bytes.len() as u64;
        Self { promised, bytes: Some(bytes.slice(..kept)), cut: Some(Cut::Flush), out: None }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        if let Some((outbox, call)) = self.out.take() {
            outbox.put(call);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        if let Some(bytes) = body.bytes.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match body.cut {
            None => Poll::Ready(None),
            Some(Cut::Flush) => {
                body.cut = Some(Cut::Fail);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Cut::Fail) => Poll::Ready(Some(Err(io::Error::other("cut on purpose")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
