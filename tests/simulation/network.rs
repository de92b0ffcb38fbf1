//! The network of a process: its requests go to the cloud in this same process.

use std::io::{Error, ErrorKind};

use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use mdatp_forward::testing::{Exchange, ExchangeError, Request, Response};
use simulator::Outcome;
use tokio::time::sleep;

use crate::{
    process::{End, Outside},
    scene::is_clean,
    setup::service_of,
};

impl Exchange for Outside {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Response, ExchangeError>> {
        self.send(request).boxed()
    }
}

impl Outside {
    /// Sends a request and waits for the reply.
    pub async fn send(&self, request: Request) -> Result<Response, ExchangeError> {
        let (service, target) = service_of(&request.url);
        let end = self.step().await;
        let run = self.state().run;
        let (reaction, post) = self.stage.lock().react(run, service, target, &request);
        if end == Some(End::KilledAfter) {
            self.die().await;
        }
        sleep(reaction.delay.unsigned_abs()).await;
        if let Some(post) = post.filter(|_| is_clean(&reaction.outcome)) {
            self.stage.lock().ledger.answer(post);
        }
        let simulator::Response { status, headers, body } = match reaction.outcome {
            Outcome::Response(response) => response,
            Outcome::CutBody(..) => return Err(ExchangeError::Broken(broken(ErrorKind::UnexpectedEof))),
            Outcome::AcceptThenReset | Outcome::Reset => {
                return Err(ExchangeError::Broken(broken(ErrorKind::ConnectionReset)));
            }
            Outcome::Hang => std::future::pending().await,
        };
        let status = StatusCode::from_u16(status).expect("services answer with statuses");
        if status == StatusCode::UNAUTHORIZED {
            // The program makes its credential anew then, which forgets them too.
            self.state().tokens.clear();
        }
        Ok(Response { status, headers, body })
    }
}

fn broken(kind: ErrorKind) -> Box<dyn std::error::Error + Send + Sync> {
    Error::from(kind).into()
}
