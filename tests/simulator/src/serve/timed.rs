//! The services for measurements, which leave out what only their strictness costs: a post is answered at once and
//! handed to the cloud afterwards, and a page is compressed only once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use crate::clock;
use crate::defender::encode;
use crate::fleet::Fleet;
use crate::reaction::{Outcome, Reaction};
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;

/// The most pages that are kept compressed. A run over 10,000 alerts has ten.
const MOST_PAGES: usize = 64;
/// Shorter bodies are compressed each time.
const LONG: usize = 64 * 1024;

/// A post that has not been read: its service, the request, and when it had arrived.
pub(super) type Unread = (Service, Request, OffsetDateTime);

/// Clouds whose services respond at once, or all after the same latency.
#[derive(Clone)]
pub(crate) struct Timed {
    fleet: Fleet,
    latency: Duration,
    posts: Arc<Mutex<Vec<Unread>>>,
    pages: Arc<Mutex<Vec<Page>>>,
}

struct Page {
    plain: Bytes,
    encoding: String,
    response: Response,
}

impl Timed {
    pub fn new(fleet: Fleet, latency: Duration) -> Self {
        Self { fleet, latency, posts: Arc::default(), pages: Arc::default() }
    }

    /// The posts since the last time, in the order in which they came.
    pub fn take_posts(&self) -> Vec<Unread> {
        std::mem::take(&mut *lock(&self.posts))
    }

    pub fn react(&self, service: Service, request: Request) -> Reaction {
        let now = clock::now();
        let status = match service {
            Service::DataCollector => Some(200),
            Service::LogsIngestion => Some(204),
            Service::Entra | Service::Identity | Service::Defender | Service::Graph => None,
        };
        let mut reaction = match status {
            Some(status) => {
                lock(&self.posts).push((service, request, now));
                Reaction::now(Outcome::Response(Response::empty(status)))
            }
            None => self.ask(service, request, now),
        };
        reaction.delay += self.latency;
        reaction
    }

    fn ask(&self, service: Service, mut request: Request, now: OffsetDateTime) -> Reaction {
        let accepted = request.headers.remove(ACCEPT_ENCODING);
        let mut reaction = self.fleet.react(service, &request, now);
        if let (Outcome::Response(response), Some(accepted)) = (&mut reaction.outcome, accepted) {
            request.headers.insert(ACCEPT_ENCODING, accepted);
            if service == Service::Defender && !response.headers.contains_key(CONTENT_ENCODING) {
                *response = self.encoded(response.clone(), &request);
            }
        }
        reaction
    }

    fn encoded(&self, response: Response, request: &Request) -> Response {
        let encode = |response| encode(response, request, true);
        if response.body.len() < LONG {
            return encode(response);
        }
        let encoding = request.header(ACCEPT_ENCODING).unwrap_or_default().to_owned();
        let known = |page: &&Page| page.encoding == encoding && page.plain == response.body;
        if let Some(page) = lock(&self.pages).iter().find(known) {
            return page.response.clone();
        }
        let (plain, response) = (response.body.clone(), encode(response));
        let mut pages = lock(&self.pages);
        if pages.len() < MOST_PAGES {
            pages.push(Page { plain, encoding, response: response.clone() });
        }
        response
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::cloud::Cloud;
    use crate::tenant;

    #[test]
    fn a_post_is_answered_at_once_and_can_be_looked_at_later() {
        let timed = Timed::new((&Cloud::new(1)).into(), Duration::from_millis(7));
        let request = Request::new(Method::POST, "/api/logs").with_body("not even JSON");
        let reaction = timed.react(Service::DataCollector, request);
        assert_eq!(
            (reaction.status(), reaction.delay),
            (Some(200), azure_core::time::Duration::milliseconds(7))
        );
        let posts = timed.take_posts();
        let [(Service::DataCollector, request, at)] = &posts[..] else { panic!("{posts:?}") };
        let looked_at = timed.fleet.react(Service::DataCollector, request, *at);
        assert_eq!(looked_at.status(), Some(400));
        assert!(timed.take_posts().is_empty());
    }

    #[test]
    fn a_page_that_is_asked_for_again_is_the_page_that_is_there_now() {
        let cloud = Cloud::new(1);
        let timed = Timed::new((&cloud).into(), Duration::ZERO);
        let get = |service, target: &str, name, value: &str| {
            let request = Request::new(Method::GET, target);
            let request = request.with_header(name, value).with_header("accept-encoding", "gzip, deflate");
            match timed.react(service, request).outcome {
                Outcome::Response(response) => response,
                other => panic!("{other:?}"),
            }
        };
        let token = "/msi/token?resource=https://api.securitycenter.microsoft.com&api-version=2019-08-01";
        let token = get(Service::Identity, token, "x-identity-header", tenant::IDENTITY_HEADER).body;
        let token: serde_json::Value = serde_json::from_slice(&token).expect("JSON");
        let bearer = format!("Bearer {}", token["access_token"].as_str().expect("a token"));
        let list = || get(Service::Defender, "/api/alerts", "authorization", &bearer);
        let alert = |id: &str| cloud.add_alert(&format!(r#"{{"id":"{id}","title":"{}"}}"#, "x".repeat(LONG)));
        alert("da1");
        let (first, again) = (list(), list());
        alert("da2");
        let other = list();
        assert_eq!(first.headers[CONTENT_ENCODING], "deflate");
        assert_eq!(first.body, again.body);
        assert_ne!(first.body, other.body);
        assert_eq!(lock(&timed.pages).len(), 2);
    }
}
