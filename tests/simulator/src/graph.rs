//! Microsoft Graph's security API: the same alerts and machines as Defender's, in Graph's form and with its limits.

mod alert;
mod catalogue;
mod hunting;

pub use self::alert::in_graph_form;

use std::collections::{BTreeMap, BTreeSet};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use fastrand::Rng;
use http::Method;
use http::header::RETRY_AFTER;
use serde_json::json;

use crate::defender::{Catalogue, encode};
use crate::guid::guid;
use crate::quirk::Quirk;
use crate::rate_limit::{Limit, RateLimit};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;
use crate::role::Role;
use crate::token::{Resource, Tokens};

const JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// One of the API's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    AlertList,
    AlertGet,
    Hunting,
}

impl Operation {
    /// The operation a request asks for, and the id it names.
    pub fn of(request: &Request) -> Option<(Self, String)> {
        let segments = request.segments();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let (operation, id) = match (&request.method, &segments[..]) {
            (&Method::GET, ["v1.0", "security", "alerts_v2"]) => (Self::AlertList, ""),
            (&Method::GET, ["v1.0", "security", "alerts_v2", id]) => (Self::AlertGet, *id),
            (&Method::POST, ["v1.0", "security", "runHuntingQuery"]) => (Self::Hunting, ""),
            _ => return None,
        };
        Some((operation, id.to_owned()))
    }

    fn role(self) -> Role {
        match self {
            Self::AlertList | Self::AlertGet => Role::SecurityAlertRead,
            Self::Hunting => Role::ThreatHuntingRead,
        }
    }

    fn quota(self) -> Quota {
        match self {
            Self::AlertList | Self::AlertGet => Quota::Security,
            Self::Hunting => Quota::Hunting,
        }
    }
}

/// What Graph counts together ("Microsoft Graph service-specific throttling limits").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quota {
    /// 150 requests a minute for alerts.
    Security,
    /// 45 queries a minute.
    Hunting,
}

impl Quota {
    fn limits(self) -> &'static [Limit] {
        const SECURITY: [Limit; 1] = [Limit::minute(150)];
        const HUNTING: [Limit; 1] = [Limit::minute(45)];
        match self {
            Self::Security => &SECURITY,
            Self::Hunting => &HUNTING,
        }
    }
}

/// What the service needs of the cloud's state.
pub(crate) struct Graph<'a> {
    pub catalogue: &'a Catalogue,
    pub tokens: &'a Tokens,
    /// The tenant whose Graph this is.
    pub tenant: &'a str,
    /// The quotas, when they are enforced.
    pub limits: Option<&'a mut BTreeMap<Quota, RateLimit>>,
    pub quirks: &'a BTreeSet<Quirk>,
    pub page_cap: Option<usize>,
    pub rng: &'a mut Rng,
}

impl Graph<'_> {
    pub fn answer(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let response = match self.read(request, now) {
            Ok(body) => Response::of(JSON, 200, body),
            Err(rejection) => self.error(&rejection, now),
        };
        encode(response, request, false)
    }

    fn read(&mut self, request: &Request, now: OffsetDateTime) -> Result<String, Rejection> {
        let Some((operation, id)) = Operation::of(request) else {
            let message = format!("Resource not found for the segment of {}.", request.path);
            return Err(Rejection::new(404, "UnknownError", message));
        };
        self.authorize(operation.role(), request, now)?;
        if let Some(limits) = &mut self.limits {
            let quota = operation.quota();
            limits.entry(quota).or_insert_with(|| RateLimit::of(quota.limits())).admit(now)?;
        }
        match operation {
            Operation::AlertList => catalogue::list(self.catalogue, request, self.quirks, self.page_cap, now),
            Operation::AlertGet => catalogue::get(self.catalogue, &id, now),
            Operation::Hunting => hunting::run(self.catalogue, request),
        }
    }

    fn authorize(&self, role: Role, request: &Request, now: OffsetDateTime) -> Result<(), Rejection> {
        let unauthorized = |message: &str| Rejection::new(401, "InvalidAuthenticationToken", message);
        let token = self.tokens.check(request.bearer(), now).map_err(unauthorized)?;
        if token.resource != Resource::Graph {
            return Err(unauthorized("Access token validation failure. Invalid audience."));
        }
        if *token.holder.tenant != *self.tenant {
            return Err(unauthorized("The token is of another tenant"));
        }
        if !token.roles.contains(&role) {
            let held: Vec<_> = token.roles.iter().filter_map(|role| role.claim()).collect();
            let message = format!(
                "Missing application roles. API required roles: {}, application roles: {}.",
                role.claim().unwrap_or_default(),
                held.join(",")
            );
            return Err(Rejection::new(403, "Forbidden", message));
        }
        Ok(())
    }

    /// A rejection in Graph's form.
    fn error(&mut self, rejection: &Rejection, now: OffsetDateTime) -> Response {
        let request = guid(self.rng);
        let second = to_rfc3339(&now);
        let code = if rejection.status == 429 { "TooManyRequests" } else { rejection.code };
        let error = json!({
            "code": code,
            "message": rejection.message,
            "innerError": {
                "date": second.split(['.', 'Z']).next(),
                "request-id": request,
                "client-request-id": request,
            },
        });
        let response =
            Response::of("application/json", rejection.status, json!({ "error": error }).to_string());
        match rejection.retry_after {
            Some(seconds) => response.with(RETRY_AFTER, &seconds.to_string()),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests;
