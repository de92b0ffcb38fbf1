//! Microsoft Graph's security API: the alert list, one alert, and the machines of a hunting query. Alerts and machines are
//! put into the form that Defender's own API has.

mod alert;
mod device;
mod evidence;
mod hunting;
mod word;

use std::sync::Arc;

use azure_core::time::to_rfc3339;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_TYPE},
};
use percent_encoding::utf8_percent_encode;
use serde::de::Error;

use super::{
    defender::{KEPT, found, leads_up, parse_alert},
    pagination::Query,
};
use crate::{
    config::{Config, MachineSource, endpoint::Endpoint},
    http::{
        ACCEPTED, Request, Response,
        call::{CallError, Caller, RetryPolicy, Target},
        credential::Credential,
        quota::Api,
        service::Service,
    },
    record::{
        alert::{Alert, Mode},
        machine::Machine,
        page::Page,
        window::Window,
    },
};
pub use alert::{CREATED, DevicePlace, UPDATED, translated, translated_page};

/// The list of alerts, in messages.
pub const LIST: &str = "GET /v1.0/security/alerts_v2";

/// The hunting query, in messages.
const HUNT: &str = "POST /v1.0/security/runHuntingQuery";

/// The value of `serviceSource` of the alerts that Defender's own API has too.
const SERVICE_SOURCE: &str = "microsoftDefenderForEndpoint";

/// The API of one tenant.
#[derive(Debug)]
pub struct Graph {
    url: Endpoint,
    scope: String,
    credential: Arc<Credential>,
    mode: Mode,
    place: DevicePlace,
}

impl Graph {
    /// Creates a client of the API that `config` names.
    pub fn new(config: &Config, credential: Arc<Credential>) -> Self {
        let place = match config.machine_source {
            MachineSource::Evidence | MachineSource::Hunting => DevicePlace::Machine,
            MachineSource::Api | MachineSource::None => DevicePlace::Alert,
        };
        let (url, scope) = (config.graph_url.clone(), config.graph_scope.clone());
        Self { url, scope, credential, mode: config.mode, place }
    }

    /// Creates a client of the API at `url` for a check that it can be read, in the default mode.
    pub fn at(url: Endpoint, scope: String, credential: Arc<Credential>) -> Self {
        Self { url, scope, credential, mode: Mode::Created, place: DevicePlace::Machine }
    }

    /// Gets one page of the alert list. The order that is asked for, that of the time of the mode, is not documented, and
    /// the service may not keep it.
    pub async fn list(&self, query: Query, retries: RetryPolicy, caller: &Caller) -> Result<Page, CallError> {
        let url = self.url.join(&list_path(query, self.mode));
        let read = |response: &Response| {
            Page::parse(&response.body, response.date()).map(|page| translated_page(page, self.place))
        };
        let target = Target { retries, ..self.target(LIST, Api::GraphAlerts) };
        caller.call(target, |_| get(url.clone()), read).await
    }

    /// Gets one alert; `None` if the service no longer has it.
    pub async fn alert(&self, id: &str, caller: &Caller) -> Result<Option<Alert>, CallError> {
        if leads_up(id) {
            return Ok(None);
        }
        let operation = format!("{LIST}/{}", utf8_percent_encode(id, KEPT));
        let url = self.url.join(operation.trim_start_matches("GET "));
        let read = |response: &Response| {
            let alert = parse_alert(&response.body)?;
            translated(&alert, self.place).map_err(|invalid| serde_json::Error::custom(invalid.reason))
        };
        let target = self.target(&operation, Api::GraphAlerts);
        found(caller.call(target, |_| get(url.clone()), read).await)
    }

    /// Gets those of the machines `ids` that have reported within a day, by id. The ids must need no escaping.
    pub async fn machines(&self, ids: &[&str], caller: &Caller) -> Result<Vec<(String, Machine)>, CallError> {
        let url = self.url.join(HUNT.trim_start_matches("POST "));
        let body = Bytes::from(hunting::query(ids));
        let build = |_| {
            let headers =
                [(ACCEPT_ENCODING, ACCEPTED), (CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            Request::post(url.clone(), HeaderMap::from_iter(headers), body.clone())
        };
        let target = self.target(HUNT, Api::GraphHunting);
        caller.call(target, build, |response| hunting::machines(&response.body)).await
    }

    fn target<'a>(&'a self, operation: &'a str, api: Api) -> Target<'a> {
        let token = Some((&*self.credential, self.scope.as_str()));
        Target { service: Service::Graph, operation, token, api: Some(api), retries: RetryPolicy::Full }
    }
}

fn get(url: String) -> Request {
    let mut request = Request::get(url);
    // Without it, members of enumerations that are newer than the API's version are all `unknownFutureValue`.
    let prefer = HeaderValue::from_static("include-unknown-enum-members");
    request.headers.insert(HeaderName::from_static("prefer"), prefer);
    request
}

fn list_path(query: Query, mode: Mode) -> String {
    let field = match mode {
        Mode::Created => CREATED,
        Mode::Updated => UPDATED,
    };
    let Query { window: Window { from, to }, skip, top } = query;
    let (from, to) = (to_rfc3339(&from), to_rfc3339(&to));
    let filter = format!("serviceSource eq '{SERVICE_SOURCE}' and {field} ge {from} and {field} lt {to}");
    let filter = utf8_percent_encode(&filter, KEPT);
    let path = LIST.trim_start_matches("GET ");
    format!("{path}?$filter={filter}&$orderby={field}%20asc&$top={top}&$skip={skip}")
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    #[test]
    fn the_list_is_requested_by_service_and_time_with_all_seven_digits() {
        let time = |text| parse_rfc3339(text).expect(text);
        let query = Query {
            window: Window { from: time("2026-11-24T05:00:00.1234567Z"), to: time("2026-11-24T06:00:00Z") },
            skip: 20,
            top: 999,
        };
        assert_eq!(
            list_path(query, Mode::Created),
            "/v1.0/security/alerts_v2?$filter=serviceSource%20eq%20%27microsoftDefenderForEndpoint%27%20and%20\
             createdDateTime%20ge%202026-11-24T05%3A00%3A00.1234567Z%20and%20createdDateTime%20lt%20\
             2026-11-24T06%3A00%3A00Z&$orderby=createdDateTime%20asc&$top=999&$skip=20"
        );
        assert!(list_path(query, Mode::Updated).contains("lastUpdateDateTime%20ge"));
    }
}
