//! The Defender for Endpoint API: alerts and machines, as lists and one by one.

mod catalogue;
mod encoding;

pub(crate) use self::catalogue::Catalogue;
pub(crate) use self::encoding::encode;

use std::collections::{BTreeMap, BTreeSet};

use azure_core::time::OffsetDateTime;
use fastrand::Rng;
use http::Method;
use http::header::{HeaderName, RETRY_AFTER};
use serde_json::json;

use crate::guid::guid;
use crate::quirk::Quirk;
use crate::rate_limit::RateLimit;
use crate::rejection::Rejection;
use crate::request::Request;
use crate::response::Response;
use crate::role::Role;
use crate::token::{Resource, Tokens};

const JSON: &str = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8";

/// One of the API's operations; each has a quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Api {
    AlertList,
    AlertGet,
    MachineList,
    MachineGet,
}

impl Api {
    /// The operation a request asks for, and the id it names.
    pub fn of(request: &Request) -> Option<(Self, String)> {
        if request.method != Method::GET {
            return None;
        }
        let mut segments = request.segments();
        if segments.get(1).is_some_and(|segment| segment == "v1.0") {
            segments.remove(1);
        }
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let (api, id) = match segments[..] {
            ["api", "alerts"] => (Self::AlertList, ""),
            ["api", "alerts", id] => (Self::AlertGet, id),
            ["api", "machines"] => (Self::MachineList, ""),
            ["api", "machines", id] => (Self::MachineGet, id),
            _ => return None,
        };
        Some((api, id.to_owned()))
    }

    fn role(self) -> Role {
        match self {
            Self::AlertList | Self::AlertGet => Role::AlertRead,
            Self::MachineList | Self::MachineGet => Role::MachineRead,
        }
    }
}

/// What the service needs of the cloud's state.
pub(crate) struct Defender<'a> {
    pub catalogue: &'a mut Catalogue,
    pub tokens: &'a Tokens,
    /// The tenant whose Defender this is.
    pub tenant: &'a str,
    /// The quotas, when they are enforced.
    pub limits: Option<&'a mut BTreeMap<Api, RateLimit>>,
    pub quirks: &'a BTreeSet<Quirk>,
    /// The most alerts that a page has, whatever `$top` asks for; `None`: as the documents say.
    pub page_cap: Option<usize>,
    pub rng: &'a mut Rng,
}

impl Defender<'_> {
    pub fn answer(&mut self, request: &Request, now: OffsetDateTime) -> Response {
        let response = match self.read(request, now) {
            Ok(body) => Response::of(JSON, 200, body),
            Err(rejection) => self.error(&rejection),
        };
        let response = response.with(HeaderName::from_static("odata-version"), "4.0");
        encode(response, request, self.quirks.contains(&Quirk::DeflateReplies))
    }

    fn read(&mut self, request: &Request, now: OffsetDateTime) -> Result<String, Rejection> {
        let Some((api, id)) = Api::of(request) else {
            let message = format!("No resource at {}", request.path);
            return Err(Rejection::new(404, "NotFound", message));
        };
        self.authorize(api.role(), request, now)?;
        if let Some(limits) = &mut self.limits {
            limits.entry(api).or_default().admit(now)?;
        }
        match api {
            Api::AlertList => self.catalogue.alert_list(request, self.quirks, self.page_cap, now),
            Api::AlertGet => self.catalogue.alert(&id, now),
            Api::MachineList => self.catalogue.machines(request, self.quirks),
            Api::MachineGet => self.catalogue.machine(&id),
        }
    }

    fn authorize(&self, role: Role, request: &Request, now: OffsetDateTime) -> Result<(), Rejection> {
        let token = self
            .tokens
            .check(request.bearer(), now)
            .map_err(|message| Rejection::new(401, "Unauthorized", message))?;
        if *token.holder.tenant != *self.tenant {
            return Err(Rejection::new(401, "Unauthorized", "The token is of another tenant"));
        }
        let forbidden = |message: String| Err(Rejection::new(403, "Forbidden", message));
        if token.resource != Resource::Defender {
            return forbidden("The token is for another audience".to_owned());
        }
        if !token.roles.contains(&role) {
            let held: Vec<_> = token.roles.iter().filter_map(|role| role.claim()).collect();
            return forbidden(format!(
                "The application does not have the required role {}, only [{}]",
                role.claim().unwrap_or_default(),
                held.join(",")
            ));
        }
        Ok(())
    }

    /// The response to a rejected request. That to a query which cannot be read is an exception: an empty code and no
    /// target, but details.
    fn error(&mut self, rejection: &Rejection) -> Response {
        let error = match rejection.code {
            "" => json!({ "code": "", "message": rejection.message, "details": [] }),
            code => json!({
                "code": code,
                "message": rejection.message,
                "target": guid(self.rng),
            }),
        };
        let response = Response::of(JSON, rejection.status, json!({ "error": error }).to_string());
        match rejection.retry_after {
            Some(seconds) => response.with(RETRY_AFTER, &seconds.to_string()),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests;
