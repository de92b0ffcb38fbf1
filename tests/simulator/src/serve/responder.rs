//! Who answers on a port: a service of the clouds, or the real store behind a relay.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;

use super::timed::Timed;
use crate::azurite::StorageRejection;
use crate::clock;
use crate::cloud::Cloud;
use crate::connection::{Connections, Outgoing};
use crate::fleet::Fleet;
use crate::reaction::{Outcome, Reaction};
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use crate::steps::Target;

#[derive(Clone)]
pub(crate) enum Responder {
    Fleet(Fleet, Service),
    Timed(Timed, Service),
    /// With the cloud whose tokens it takes; `None` where it is opened with a key.
    Storage(Arc<Connections>, Arc<Mutex<Option<StorageRejection>>>, Option<Cloud>),
}

impl Responder {
    pub fn target(&self) -> Target {
        match self {
            Self::Fleet(_, service) | Self::Timed(_, service) => Target::Service(*service),
            Self::Storage(..) => Target::Storage,
        }
    }

    pub async fn react(&self, head: Parts, body: Bytes) -> io::Result<Reaction> {
        match self {
            Self::Fleet(fleet, service) => Ok(fleet.react(*service, &request(head, body), clock::now())),
            Self::Timed(timed, service) => Ok(timed.react(*service, request(head, body))),
            Self::Storage(connections, rejection, cloud) => {
                let rejection = rejection.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(response) = rejection.and_then(|rejection| rejection.answer(&head)) {
                    return Ok(Reaction::now(Outcome::Response(response)));
                }
                let rejected = cloud.as_ref().and_then(|cloud| cloud.reject_for_storage(&head, clock::now()));
                if let Some(response) = rejected {
                    return Ok(Reaction::now(Outcome::Response(response)));
                }
                let body = if body.is_empty() { Outgoing::empty() } else { Outgoing::whole(body) };
                let request = http::Request::from_parts(head, body);
                let mut reply = connections.send(request).await.map_err(io::Error::other)?;
                // These were about the way between relay and store.
                reply.headers.remove(CONNECTION);
                reply.headers.remove(TRANSFER_ENCODING);
                let response = Response { status: reply.status, headers: reply.headers, body: reply.body };
                Ok(Reaction::now(Outcome::Response(response)))
            }
        }
    }
}

fn request(head: Parts, body: Bytes) -> Request {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Request { headers: head.headers, body, ..Request::new(head.method, target) }
}
