//! The HTTP Data Collector API (documentation page "Send log data to Azure Monitor by using the HTTP
//! Data Collector API"). Microsoft ended its support on 2026-09-14; it still works.

use std::sync::{Mutex, PoisonError};

use azure_core::time::{Duration, to_rfc7231};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tracing::warn;

use super::{accepted, signature::SigningKey};
use crate::{
    advice::Service,
    call::{CallError, Caller, Target},
    config::endpoint::Endpoint,
    http::Request,
};

/// The most bytes a post may have: 30 MB by the page's table of limits, taken as the smaller of the
/// two things that can mean.
pub const LIMIT: usize = 30_000_000;

/// The most bytes of one field: 32 KB (same table); what is longer is cut wherever the limit falls.
pub const FIELD_LIMIT: usize = 32_000;

/// A post above this many bytes that is answered 404 is taken for too large, which is one of the two
/// things the page says 404 means; a wrong URL is the other.
pub const LARGE: usize = 1_000_000;

/// A difference between the service's clock and ours that can be why a signature is not accepted.
const SKEW: Duration = Duration::minutes(1);

/// Said once when the program starts with this sink.
pub const END_OF_SUPPORT: &str = "Microsoft ended support for the Data Collector API on 2026-09-14: posts \
     are still accepted, without any promise; the Logs Ingestion API is its successor \
     (MDATP_SINK=logs-ingestion)";

const API_VERSION: &str = "2016-04-01";
const LOG_TYPE: HeaderName = HeaderName::from_static("log-type");
const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");
const TIME_GENERATED_FIELD: HeaderName = HeaderName::from_static("time-generated-field");

/// A workspace's custom log.
#[derive(Debug)]
pub struct DataCollector {
    workspace_id: String,
    key: SigningKey,
    url: String,
    log_name: String,
    /// How far the service's clock is ahead of ours, once that has mattered.
    ahead: Mutex<Duration>,
}

impl DataCollector {
    /// The custom log `log_name` (without `_CL`) of the workspace.
    pub fn new(workspace_id: String, key: SigningKey, url: &Endpoint, log_name: String) -> Self {
        let url = url.join(&format!("/api/logs?api-version={API_VERSION}"));
        Self { workspace_id, key, url, log_name, ahead: Mutex::default() }
    }

    /// Posts `body`, signed anew at each try with that moment's date. A signature refused while the clocks
    /// differ is made once more with the service's time.
    pub async fn send(&self, body: Bytes, caller: &Caller) -> Result<usize, CallError> {
        let sent = self.post(body.clone(), caller).await;
        let Err(CallError::Refused(refusal)) = &sent else { return sent };
        let Some(date) = refusal.date.filter(|_| refusal.status == StatusCode::FORBIDDEN) else {
            return sent;
        };
        let ahead = date - caller.now();
        if (ahead - self.ahead()).abs() <= SKEW {
            return sent;
        }
        warn!(
            "this machine's clock is {} s {} the Data Collector API's, which does not accept the signature; \
             signing with its time instead. Set the clock right",
            ahead.abs().whole_seconds(),
            if ahead.is_negative() { "ahead of" } else { "behind" },
        );
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        self.post(body, caller).await
    }

    fn ahead(&self) -> Duration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, body: Bytes, caller: &Caller) -> Result<usize, CallError> {
        let target =
            Target { service: Service::DataCollector, what: "POST /api/logs", token: None, api: None };
        let request = |now| {
            let date = to_rfc7231(&(now + self.ahead()));
            let authorization = self.key.authorization(&self.workspace_id, body.len(), &date);
            Request::post(self.url.clone(), self.headers(&date, &authorization), body.clone())
        };
        caller.call(target, request, accepted).await?;
        Ok(body.len())
    }

    fn headers(&self, date: &str, authorization: &str) -> HeaderMap {
        // Ids, names and dates are checked to be plain ASCII, so no value is ever refused here.
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        let mut authorization = value(authorization);
        authorization.set_sensitive(true);
        HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            // With a charset added the service may answer that this is forbidden.
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (LOG_TYPE, value(&self.log_name)),
            (X_MS_DATE, value(date)),
            (TIME_GENERATED_FIELD, HeaderValue::from_static("alertCreationTime")),
        ])
    }
}
