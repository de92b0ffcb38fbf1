//! The state behind all services, and the one way in: a request and a time go in, a reaction comes
//! out. Nothing here waits, reads a clock or knows a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use azure_core::time::{Duration, OffsetDateTime, to_rfc7231};
use fastrand::Rng;
use http::HeaderValue;
use http::header::DATE;

use crate::counts::Counts;
use crate::customer::Customer;
use crate::data_collector;
use crate::defender::{Api, Catalogue, Defender};
use crate::entra::{Directory, Entra};
use crate::fault::Faults;
use crate::generate::Generator;
use crate::graph::{self, Graph, Operation};
use crate::identity::{self, Expiry};
use crate::journal::{Journal, Received, Rejected, Seen};
use crate::logs_ingestion::{self, Endpoint, Streams};
use crate::post::Record;
use crate::quirk::Quirk;
use crate::rate_limit::RateLimit;
use crate::reaction::{Outcome, Reaction};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;
use crate::role::Role;
use crate::rule::Tables;
use crate::service::Service;
use crate::tenant;
use crate::token::{Principal, Tokens};

/// Everything the cloud knows.
pub(crate) struct World {
    pub catalogue: Catalogue,
    pub generator: Generator,
    pub tokens: Tokens,
    pub held: Vec<Role>,
    pub directory: Directory,
    /// The tenant whose Defender this is.
    pub defender_tenant: Arc<str>,
    /// The immutable id of the data collection rule.
    rule: String,
    /// The principals that hold the role on the rule.
    publishers: Vec<Principal>,
    pub streams: Streams,
    pub tables: Tables,
    pub quirks: BTreeSet<Quirk>,
    pub page_cap: Option<usize>,
    pub faults: Faults,
    pub limits: Option<BTreeMap<Api, RateLimit>>,
    pub graph_limits: Option<BTreeMap<graph::Quota, RateLimit>>,
    pub journal: Journal,
    /// How far the services' clocks are ahead of the time they are given.
    pub ahead: Duration,
    rng: Rng,
}

impl World {
    /// The app's own tenant.
    pub fn of_the_app(seed: u64) -> Self {
        let tokens = Tokens::new(seed.wrapping_add(1));
        let publishers = Principal::the_apps_own().into();
        let (directory, rule) = (Directory::of_the_app(), tenant::DCR_ID.to_owned());
        Self::new(seed, tokens, directory, tenant::TENANT_ID, rule, publishers)
    }

    /// A customer's tenant, for whose tokens `tokens` is asked too.
    pub fn of(customer: &Customer, tokens: Tokens, seed: u64) -> Self {
        let publishers = [tenant::SHARED_CLIENT_ID, &customer.client];
        let publishers = publishers.map(|client| Principal::of(&customer.id, client)).into();
        let (directory, rule) = (Directory::of(customer), customer.rule.clone());
        Self::new(seed, tokens, directory, &customer.id, rule, publishers)
    }

    fn new(
        seed: u64,
        tokens: Tokens,
        directory: Directory,
        defender_tenant: &str,
        rule: String,
        publishers: Vec<Principal>,
    ) -> Self {
        // Each part draws from a source of its own: what is asked for does not change the data.
        Self {
            catalogue: Catalogue::default(),
            generator: Generator::new(seed),
            tokens,
            held: vec![Role::AlertRead, Role::MachineRead, Role::MetricsPublisher],
            directory,
            defender_tenant: defender_tenant.into(),
            rule,
            publishers,
            streams: Streams::from([(tenant::STREAM.to_owned(), None)]),
            tables: Tables::new(),
            quirks: BTreeSet::from([Quirk::DeflateReplies]),
            page_cap: None,
            faults: Faults::default(),
            limits: None,
            graph_limits: None,
            journal: Journal::default(),
            ahead: Duration::ZERO,
            rng: Rng::with_seed(seed.wrapping_add(2)),
        }
    }

    /// The faults come first; a request that none of them strikes goes to the service.
    pub fn react(&mut self, service: Service, request: &Request, now: OffsetDateTime) -> Reaction {
        let now = now + self.ahead;
        self.journal.counts.requests += 1;
        let fault = self.faults.strike(service, request);
        let mut reaction = match &fault {
            Some(fault) => {
                self.journal.counts.faults += 1;
                fault.react(service, || self.answer(service, request, now))
            }
            None => Reaction::now(Outcome::Response(self.answer(service, request, now))),
        };
        if let Outcome::Response(response) | Outcome::CutBody(response, _) = &mut reaction.outcome {
            let date = HeaderValue::from_str(&to_rfc7231(&now)).expect("a date is plain text");
            response.headers.insert(DATE, date);
        }
        self.journal.seen.push(Seen {
            service,
            method: request.method.clone(),
            path_and_query: request.path_and_query(),
            status: reaction.status(),
            fault: fault.map(|fault| fault.name().to_owned()),
            at: now,
        });
        reaction
    }

    fn answer(&mut self, service: Service, request: &Request, now: OffsetDateTime) -> Response {
        match service {
            Service::Entra => self.entra(request, now),
            Service::Identity => self.identity(request, now),
            Service::Defender => self.defender(request, now),
            Service::Graph => self.graph(request, now),
            Service::DataCollector => match data_collector::accept(request, now) {
                Ok(received) => {
                    self.keep(received);
                    Response::empty(200)
                }
                Err(rejection) => data_collector::error(self.reject(service, &rejection, now)),
            },
            Service::LogsIngestion => {
                let endpoint = Endpoint {
                    rule: &self.rule,
                    tokens: &self.tokens,
                    publishers: match self.held.contains(&Role::MetricsPublisher) {
                        true => &self.publishers,
                        false => &[],
                    },
                    streams: &self.streams,
                    limits_time_range: self.quirks.contains(&Quirk::LimitTimeRange),
                };
                match endpoint.accept(request, now) {
                    Ok(received) => {
                        let received = self.keep(received);
                        if let Some(Some(stream)) = self.streams.get(&received.log_type_or_stream) {
                            self.journal.store(received, Arc::clone(stream));
                        }
                        Response::empty(204)
                    }
                    Err(rejection) => logs_ingestion::error(self.reject(service, &rejection, now)),
                }
            }
        }
    }

    fn entra(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let mut entra = Entra {
            directory: &self.directory,
            tokens: &self.tokens,
            held: &self.held,
            one_line_errors: self.quirks.contains(&Quirk::OneLineErrors),
            text_expiry: self.quirks.contains(&Quirk::TextExpiry),
            rng: &mut self.rng,
        };
        let response = entra.answer(request, now);
        self.journal.counts.tokens += u64::from(response.status == 200);
        response
    }

    fn identity(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let expiry = if self.quirks.contains(&Quirk::NumericExpiry) {
            Expiry::Number
        } else if self.quirks.contains(&Quirk::DatedExpiry) {
            Expiry::Date
        } else {
            Expiry::Seconds
        };
        let response = identity::answer(request, &self.tokens, &self.held, expiry, now);
        self.journal.counts.identity_tokens += u64::from(response.status == 200);
        response
    }

    fn defender(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let counts = &mut self.journal.counts;
        match Api::of(request) {
            Some((Api::AlertList, _)) => counts.alert_lists += 1,
            Some((Api::AlertGet, _)) => counts.alert_gets += 1,
            Some((Api::MachineList, _)) => counts.machine_lists += 1,
            Some((Api::MachineGet, _)) => counts.machine_gets += 1,
            None => {}
        }
        let mut defender = Defender {
            catalogue: &mut self.catalogue,
            tokens: &self.tokens,
            tenant: &self.defender_tenant,
            limits: self.limits.as_mut(),
            quirks: &self.quirks,
            page_cap: self.page_cap,
            rng: &mut self.rng,
        };
        let response = defender.answer(request, now);
        counts.throttled += u64::from(response.status == 429);
        response
    }

    fn graph(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let counts = &mut self.journal.counts;
        match Operation::of(request) {
            Some((Operation::AlertList, _)) => counts.graph_lists += 1,
            Some((Operation::AlertGet, _)) => counts.graph_gets += 1,
            Some((Operation::Hunting, _)) => counts.hunting_queries += 1,
            None => {}
        }
        let mut graph = Graph {
            catalogue: &self.catalogue,
            tokens: &self.tokens,
            tenant: &self.defender_tenant,
            limits: self.graph_limits.as_mut(),
            quirks: &self.quirks,
            page_cap: self.page_cap,
            rng: &mut self.rng,
        };
        let response = graph.answer(request, now);
        counts.throttled += u64::from(response.status == 429);
        response
    }

    fn keep(&mut self, received: Received) -> Arc<Received> {
        let counts = &mut self.journal.counts;
        counts.posts += 1;
        counts.records += received.records.len() as u64;
        counts.bytes += received.body_bytes as u64;
        counts.wire_bytes += received.wire_bytes as u64;
        inspect(&received, counts);
        let received = Arc::new(received);
        self.journal.received.push(Arc::clone(&received));
        received
    }

    fn reject<'a>(
        &mut self,
        service: Service,
        rejection: &'a Rejection,
        now: OffsetDateTime,
    ) -> &'a Rejection {
        self.journal.counts.rejected += 1;
        self.journal.rejected.push(Rejected {
            service,
            status: rejection.status,
            reason: format!("{}: {}", rejection.code, rejection.message),
            at: now,
        });
        rejection
    }
}

/// Counts what a sink would drop or change in silence.
fn inspect(received: &Received, counts: &mut Counts) {
    let (limit, time) = match received.service {
        Service::DataCollector => (data_collector::MOST_FIELD_BYTES, data_collector::time_field(received)),
        _ => (logs_ingestion::MOST_FIELD_BYTES, Some("TimeGenerated")),
    };
    for record in &received.records {
        let Ok(record) = Record::parse(record) else {
            continue;
        };
        counts.truncated_fields += record.fields_over(limit);
        let timed = time.is_some_and(|name| record.has_time(name));
        counts.without_time += u64::from(!timed);
    }
}
