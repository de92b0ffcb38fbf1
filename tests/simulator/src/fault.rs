//! Faults are plain values: what goes wrong, where, and how often. A request is matched against them in the order in
//! which they were set; the first that matches strikes, and those after it are not asked.

use azure_core::time::Duration;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};

use crate::body_rewrite::BodyRewrite;
use crate::reaction::{Outcome, Reaction};
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;

/// Something that goes wrong, by default once.
///
/// ```
/// use simulator::{Fault, Service};
///
/// Fault::status(503).on(Service::Defender).matching("/api/machines").times(2).retry_after("1");
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Kind,
    name: String,
    service: Option<Service>,
    fragment: String,
    skip: usize,
    left: Option<usize>,
    retry_after: Option<String>,
    /// Strikes only where `$top` is above this.
    top_above: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    Status(u16),
    Body(u16, String),
    Html,
    BadJson,
    Rewritten(BodyRewrite),
    UnexpectedBody(&'static str, &'static str),
    CutBody(usize),
    LostReply,
    Reset,
    Hang,
    Slow(Duration),
}

impl Fault {
    /// Answers this status with the service's error body; no work is done.
    pub fn status(status: u16) -> Self {
        Self::new(Kind::Status(status), format!("status {status}"))
    }

    /// Answers this status and text; no work is done.
    pub fn body(status: u16, text: &str) -> Self {
        let kind = Kind::Body(status, text.to_owned());
        Self::new(kind, format!("body with status {status}"))
    }

    /// Answers 200 with a web page, like a proxy that wants a sign-in; no work is done. To a caller of
    /// the Data Collector, whose success is a bare 200, that looks like success.
    pub fn html() -> Self {
        Self::new(Kind::Html, "web page".to_owned())
    }

    /// Does the work, but the body ends in the middle of a text although its length is right.
    pub fn bad_json() -> Self {
        Self::new(Kind::BadJson, "bad JSON".to_owned())
    }

    /// Does the work, but replaces this text in the body with these bytes. Services that quote what others
    /// chose have returned raw control characters inside of strings (Icinga/icinga2#8312, aide/aide#189) and bytes
    /// that are no UTF-8 (unraid/ci-runner-farm#49).
    pub fn garbled(text: &str, bytes: &[u8]) -> Self {
        let kind = Kind::Rewritten(BodyRewrite::Garbled(text.to_owned(), Bytes::copy_from_slice(bytes)));
        Self::new(kind, format!("{text} garbled"))
    }

    /// Does the work, but writes a byte order mark before the body, as Entra and Azure's own API have been seen to do
    /// now and then (juju/juju#6836, Azure/azure-rest-api-specs#42472).
    pub fn byte_order_mark() -> Self {
        Self::new(Kind::Rewritten(BodyRewrite::ByteOrderMark), "byte order mark".to_owned())
    }

    /// Does the work, but compresses the body with the codings of these header lines, as they are spelled: names have
    /// no case, and several are undone in turn (RFC 9110, section 8.4). `gzip+` is gzip in two members, as a service
    /// sends that compresses piece by piece (RFC 1952, section 2.2; curl/curl#22156); `raw deflate` has no zlib
    /// header. An unknown coding, such as `br`, is in the header but not applied.
    pub fn encoded(lines: &[&'static str]) -> Self {
        Self::new(
            Kind::Rewritten(BodyRewrite::Encoded(lines.to_vec())),
            format!("encoded as {}", lines.join(", ")),
        )
    }

    /// Does the work, and returns a body that the service does not have: this text, of this content type. Gateways and
    /// other implementations of the sinks accept with `{}`.
    pub fn unexpected_body(content_type: &'static str, text: &'static str) -> Self {
        Self::new(Kind::UnexpectedBody(content_type, text), format!("work done, and the body {text:?}"))
    }

    /// Does the work, but closes the connection after this many bytes of the body.
    pub fn cut_body(bytes: usize) -> Self {
        Self::new(Kind::CutBody(bytes), format!("body cut at {bytes}"))
    }

    /// Does the work, but resets the connection instead of replying.
    pub fn lost_reply() -> Self {
        Self::new(Kind::LostReply, "lost reply".to_owned())
    }

    /// Resets the connection before any work is done.
    pub fn reset() -> Self {
        Self::new(Kind::Reset, "reset".to_owned())
    }

    /// Neither does the work nor replies.
    pub fn hang() -> Self {
        Self::new(Kind::Hang, "hang".to_owned())
    }

    /// Does the work and replies, but late.
    pub fn slow(delay: Duration) -> Self {
        Self::new(Kind::Slow(delay), format!("slow by {delay}"))
    }

    fn new(kind: Kind, name: String) -> Self {
        Self {
            kind,
            name,
            service: None,
            fragment: String::new(),
            skip: 0,
            left: Some(1),
            retry_after: None,
            top_above: 0,
        }
    }

    /// Strikes on this service only.
    #[must_use]
    pub fn on(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Strikes only where path and decoded query contain this text.
    #[must_use]
    pub fn matching(mut self, fragment: &str) -> Self {
        fragment.clone_into(&mut self.fragment);
        self
    }

    /// Strikes only requests for more rows than this (`$top`). Large pages fail at Defender or on the way from it:
    /// Cortex XSOAR's integration tells its users to "try using a lower limit" when the alerts list breaks.
    #[must_use]
    pub fn when_top_is_above(mut self, rows: usize) -> Self {
        self.top_above = rows;
        self
    }

    /// Strikes this many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }

    /// Strikes until the faults are cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Sends this Retry-After header along.
    #[must_use]
    pub fn retry_after(mut self, text: &str) -> Self {
        self.retry_after = Some(text.to_owned());
        self
    }

    /// Is recorded under this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the fault strikes this request, which counts as one of its times.
    fn strikes(&mut self, service: Service, path_and_query: &str, top: usize) -> bool {
        if (self.top_above > 0 && top <= self.top_above)
            || self.service.is_some_and(|own| own != service)
            || !path_and_query.contains(&self.fragment)
            || self.left == Some(0)
        {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }

    /// The reaction to a request it struck; `work` is what the service would do and answer.
    pub(crate) fn react(&self, service: Service, work: impl FnOnce() -> Response) -> Reaction {
        let outcome = match &self.kind {
            Kind::Status(status) => self.answer(service.failure(*status)),
            Kind::Body(status, text) if text.starts_with('<') => {
                self.answer(Response::of("text/html", *status, text.clone()))
            }
            Kind::Body(status, text) => self.answer(Response::json(*status, text.clone())),
            Kind::Html => self.answer(Response::of("text/html; charset=utf-8", 200, PAGE)),
            Kind::BadJson => self.answer(with_bad_json(work())),
            Kind::Rewritten(rewrite) => self.answer(rewrite.apply(work())),
            Kind::UnexpectedBody(content_type, text) => {
                // A status of 204 can have no body.
                let status = match work().status {
                    204 => 200,
                    status => status,
                };
                self.answer(Response::of(content_type, status, *text))
            }
            Kind::CutBody(bytes) => match work() {
                response if response.body.is_empty() => Outcome::AcceptThenReset,
                response => {
                    let kept = (*bytes).min(response.body.len() - 1);
                    Outcome::CutBody(response, kept)
                }
            },
            Kind::LostReply => {
                work();
                Outcome::AcceptThenReset
            }
            Kind::Reset => Outcome::Reset,
            Kind::Hang => Outcome::Hang,
            Kind::Slow(_) => self.answer(work()),
        };
        let delay = match self.kind {
            Kind::Slow(delay) => delay,
            _ => Duration::ZERO,
        };
        Reaction { delay, outcome }
    }

    fn answer(&self, response: Response) -> Outcome {
        Outcome::Response(match &self.retry_after {
            Some(text) => response.with(RETRY_AFTER, text),
            None => response,
        })
    }
}

const PAGE: &str = "<!DOCTYPE html><title>Sign in</title><p>Sign in to reach the internet.</p>";

fn with_bad_json(mut response: Response) -> Response {
    response.headers.remove(CONTENT_ENCODING);
    response.body = r#"{"value":[{"id":"da63"#.into();
    response.with(CONTENT_TYPE, "application/json; charset=utf-8")
}

/// The faults that are set.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub fn set(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes this request.
    pub fn strike(&mut self, service: Service, request: &Request) -> Option<Fault> {
        let target = request.path_and_query();
        let top = request.parameter("$top").and_then(|top| top.parse().ok()).unwrap_or_default();
        let mut faults = self.0.iter_mut();
        faults.find_map(|fault| fault.strikes(service, &target, top).then(|| fault.clone()))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn strikes(faults: &mut Faults, target: &str) -> Option<String> {
        let request = Request::new(Method::GET, target);
        let fault = faults.strike(Service::Defender, &request);
        fault.map(|fault| fault.name)
    }

    #[test]
    fn faults_take_turns_in_the_order_they_were_set() {
        let mut faults = Faults::default();
        faults.set(Fault::reset().on(Service::Entra).always());
        faults.set(Fault::status(503).matching("/api/machines").times(2));
        faults.set(Fault::status(500).after(1).named("late"));
        let seen: Vec<_> = ["/api/machines/1", "/api/alerts", "/api/machines/2"]
            .into_iter()
            .chain(["/api/machines/3", "/api/machines/4"])
            .map(|target| strikes(&mut faults, target))
            .collect();
        let expected = [Some("status 503"), None, Some("status 503"), Some("late"), None];
        assert_eq!(seen, expected.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn the_work_is_done_where_only_the_reply_is_lost() {
        for (fault, works) in [
            (Fault::lost_reply(), true),
            (Fault::cut_body(3), true),
            (Fault::bad_json(), true),
            (Fault::byte_order_mark(), true),
            (Fault::encoded(&["br"]), true),
            (Fault::unexpected_body("text/plain", "{}"), true),
            (Fault::slow(Duration::SECOND), true),
            (Fault::reset(), false),
            (Fault::status(503), false),
            (Fault::html(), false),
            (Fault::hang(), false),
        ] {
            let mut worked = false;
            fault.react(Service::DataCollector, || {
                worked = true;
                Response::empty(200)
            });
            assert_eq!(worked, works, "{}", fault.name);
        }
    }

    #[test]
    fn a_cut_body_never_arrives_whole() {
        let reaction = Fault::cut_body(100).react(Service::Defender, || Response::json(200, "{}"));
        assert!(matches!(reaction.outcome, Outcome::CutBody(_, 1)));
    }
}
