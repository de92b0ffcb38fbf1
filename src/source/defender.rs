//! Defender for Endpoint's API: the alert list, one alert, one machine.

use std::sync::Arc;

use azure_core::time::to_rfc3339;
use bytes::Bytes;
use bytestring::ByteString;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error;

use crate::{
    config::{AlertFetch, Config, endpoint::Endpoint},
    http::{
        Request, Response,
        call::{CallError, Caller, RetryPolicy, Target},
        credential::Credential,
        quota::Api,
        service::Service,
    },
    record::{
        alert::{Alert, Mode},
        json::repaired,
        machine::Machine,
        page::Page,
        window::Window,
    },
    source::pagination::Query,
};

/// The characters that are not percent-encoded in a part of a URL (RFC 3986, section 2.3). Ids are opaque and may
/// contain any others.
pub(super) const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The list of alerts, in messages.
pub const LIST: &str = "GET /api/alerts";

/// The number of machines on a page of the fleet: about 1.5 MB.
pub const FLEET_PAGE: usize = 1_000;

/// The API of one tenant.
#[derive(Debug)]
pub struct Defender {
    url: Endpoint,
    scope: String,
    credential: Arc<Credential>,
    mode: Mode,
    fetch: AlertFetch,
}

impl Defender {
    /// Creates a client of the API that `config` names.
    pub fn new(config: &Config, credential: Arc<Credential>) -> Self {
        Self {
            url: config.api_url.clone(),
            scope: config.api_scope.clone(),
            credential,
            mode: config.mode,
            fetch: config.fetch,
        }
    }

    /// Creates a client of the API at `url` for a check that it can be read, in the default mode.
    pub fn at(url: Endpoint, scope: String, credential: Arc<Credential>) -> Self {
        Self { url, scope, credential, mode: Mode::Created, fetch: AlertFetch::List }
    }

    /// Gets one page of the alert list, ordered by the time of the mode.
    pub async fn list(&self, query: Query, retries: RetryPolicy, caller: &Caller) -> Result<Page, CallError> {
        let url = self.url.join(&list_path(query, self.mode, self.fetch));
        let read = |response: &Response| Page::parse(&response.body, response.date());
        let target = Target { retries, ..self.target(LIST, Api::AlertList) };
        caller.call(target, |_| Request::get(url.clone()), read).await
    }

    /// Gets one alert with its evidence; `None` if the service no longer has it.
    pub async fn alert(&self, id: &str, caller: &Caller) -> Result<Option<Alert>, CallError> {
        let operation = format!("GET /api/alerts/{}", utf8_percent_encode(id, KEPT));
        self.entity(id, &operation, Api::Alert, caller, |response| parse_alert(&response.body)).await
    }

    /// Gets one machine; `None` if the service does not have it (outside retention, merged, offboarded).
    pub async fn machine(&self, id: &str, caller: &Caller) -> Result<Option<Machine>, CallError> {
        let operation = format!("GET /api/machines/{}", utf8_percent_encode(id, KEPT));
        self.entity(id, &operation, Api::Machine, caller, |response| Machine::parse(&response.body)).await
    }

    /// Gets those of the machines `ids` that the service has, by id, in one optional call. The ids must need no
    /// escaping.
    pub async fn machines(&self, ids: &[&str], caller: &Caller) -> Result<Vec<(String, Machine)>, CallError> {
        // With double quotes, as other clients of this API write the filter.
        let filter = format!("id in (\"{}\")", ids.join("\",\""));
        let path = format!("/api/machines?$filter={}", utf8_percent_encode(&filter, KEPT));
        self.list_machines(&path, RetryPolicy::Optional, caller).await
    }

    /// Gets a page of all machines, by id, after the first `skip`, in one optional call. A page that is not full is the
    /// last.
    pub async fn fleet(&self, skip: usize, caller: &Caller) -> Result<Vec<(String, Machine)>, CallError> {
        self.list_machines(
            &format!("/api/machines?$top={FLEET_PAGE}&$skip={skip}"),
            RetryPolicy::Optional,
            caller,
        )
        .await
    }

    /// Gets the id of any one machine; `None` if there are none.
    pub async fn any_machine(&self, caller: &Caller) -> Result<Option<String>, CallError> {
        let machines = self.list_machines("/api/machines?$top=1&$skip=0", RetryPolicy::Full, caller).await?;
        Ok(machines.into_iter().next().map(|(id, _)| id))
    }

    async fn list_machines(
        &self,
        path: &str,
        retries: RetryPolicy,
        caller: &Caller,
    ) -> Result<Vec<(String, Machine)>, CallError> {
        let (url, operation) = (self.url.join(path), "GET /api/machines");
        let target = Target { retries, ..self.target(operation, Api::MachineList) };
        let read = |response: &Response| Machine::parse_list(&response.body);
        let machines = caller.call(target, |_| Request::get(url.clone()), read).await;
        // The response to an empty list may be a 404.
        found(machines).map(Option::unwrap_or_default)
    }

    async fn entity<T>(
        &self,
        id: &str,
        operation: &str,
        api: Api,
        caller: &Caller,
        read: impl Fn(&Response) -> Result<T, serde_json::Error>,
    ) -> Result<Option<T>, CallError> {
        if leads_up(id) {
            return Ok(None);
        }
        let url = self.url.join(operation.trim_start_matches("GET "));
        found(caller.call(self.target(operation, api), |_| Request::get(url.clone()), read).await)
    }

    fn target<'a>(&'a self, operation: &'a str, api: Api) -> Target<'a> {
        let token = Some((&*self.credential, self.scope.as_str()));
        Target { service: Service::Defender, operation, token, api: Some(api), retries: RetryPolicy::Full }
    }
}

/// Reads the body of a response with one alert. Errors inside its strings are repaired.
pub(super) fn parse_alert(body: &Bytes) -> Result<Alert, serde_json::Error> {
    let unchanged = ByteString::try_from(body.clone()).ok().and_then(|text| Alert::parse(text).ok());
    let alert = unchanged.map_or_else(|| Alert::parse(repaired(body).into()), Ok);
    alert.map_err(|invalid_alert| serde_json::Error::custom(invalid_alert.reason))
}

/// True for an id of dots alone, which would lead up the path, to another resource, with this token.
pub(super) fn leads_up(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'.')
}

/// Returns `None` for an entity that the service does not have, which is not a failure.
pub(super) fn found<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match result {
        Ok(entity) => Ok(Some(entity)),
        Err(CallError::Rejected(response)) if response.is_unknown_entity() => Ok(None),
        Err(error) => Err(error),
    }
}

fn list_path(query: Query, mode: Mode, fetch: AlertFetch) -> String {
    let field = mode.list_time();
    let Query { window: Window { from, to }, skip, top } = query;
    let filter = format!("{field} ge {} and {field} lt {}", to_rfc3339(&from), to_rfc3339(&to));
    let filter = utf8_percent_encode(&filter, KEPT);
    let mut path = format!("/api/alerts?$filter={filter}&$orderby={field}%20asc&$top={top}&$skip={skip}");
    if fetch == AlertFetch::List {
        // Without it the alerts of a list have no evidence; an alert fetched by its id always has it.
        path.push_str("&$expand=evidence");
    }
    path
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn the_list_is_requested_by_time_with_all_seven_digits() {
        let time = |text| parse_rfc3339(text).expect(text);
        let query = Query {
            window: Window { from: time("2026-11-24T05:00:00.1234567Z"), to: time("2026-11-24T06:00:00Z") },
            skip: 20,
            top: 1000,
        };
        assert_eq!(
            list_path(query, Mode::Created, AlertFetch::List),
            "/api/alerts?$filter=alertCreationTime%20ge%202026-11-24T05%3A00%3A00.1234567Z%20and%20\
             alertCreationTime%20lt%202026-11-24T06%3A00%3A00Z&$orderby=alertCreationTime%20asc&$top=1000&$skip=20\
             &$expand=evidence"
        );
        assert_eq!(
            list_path(query, Mode::Updated, AlertFetch::ById),
            "/api/alerts?$filter=lastUpdateTime%20ge%202026-11-24T05%3A00%3A00.1234567Z%20and%20\
             lastUpdateTime%20lt%202026-11-24T06%3A00%3A00Z&$orderby=lastUpdateTime%20asc&$top=1000&$skip=20"
        );
    }
}
