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

use super::{Sent, check_accepted, shared_key::SigningKey};
use crate::{
    config::endpoint::Endpoint,
    http::{
        Request,
        call::{CallError, Caller, RetryPolicy, Target},
        service::Service,
    },
    record::alert::Mode,
};

/// The most bytes that a post may have: 30 MB by the page's table of limits, read as the smaller of its two meanings.
pub const LIMIT: usize = 30_000_000;

/// The bytes that a post should have. Larger posts are not faster (measured: 2 MB against 4 and 30 MB), and three are in
/// memory at once.
pub const TARGET: usize = 2_000_000;

/// The most bytes of one field: 32 KB (same table); the service cuts a longer one anywhere.
pub const FIELD_LIMIT: usize = 32_000;

/// A post of more bytes that is answered 404 is treated as too large, which is one of the two meanings that the page gives
/// for 404; a wrong URL is the other.
pub const LARGE: usize = 1_000_000;

/// A difference of the service's clock and this machine's that can be why a signature is rejected.
const SKEW: Duration = Duration::minutes(1);

/// The warning when the program starts with this sink.
pub const END_OF_SUPPORT: &str = "Microsoft ended support for the Data Collector API on 2026-09-14: posts \
     are still accepted, without any promise; the Logs Ingestion API is its successor \
     (MDATP_SINK=logs-ingestion)";

const API_VERSION: &str = "2016-04-01";
const LOG_TYPE: HeaderName = HeaderName::from_static("log-type");
const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");
const TIME_GENERATED_FIELD: HeaderName = HeaderName::from_static("time-generated-field");

/// A custom log of a workspace.
#[derive(Debug)]
pub struct DataCollector {
    workspace_id: String,
    key: SigningKey,
    url: String,
    log_name: String,
    /// The member that holds a row's time. The service uses the time of arrival where it cannot read it: the header is for
    /// all records of a post, so there is no second member to fall back on.
    time_field: HeaderValue,
    /// How far the service's clock is ahead of this machine's, once a signature was rejected for it.
    ahead: Mutex<Duration>,
}

impl DataCollector {
    /// Makes the sink for the custom log `log_name` (without `_CL`) of the workspace, for the records of `mode`.
    pub fn new(workspace_id: String, key: SigningKey, url: &Endpoint, log_name: String, mode: Mode) -> Self {
        let url = url.join(&format!("/api/logs?api-version={API_VERSION}"));
        let time_field = HeaderValue::from_static(mode.row_times()[0]);
        Self { workspace_id, key, url, log_name, time_field, ahead: Mutex::default() }
    }

    /// Posts `body`, signed again for each attempt with the date of that moment. A signature that is rejected while the
    /// clocks differ is made once more with the service's time. The API documents no request id, so none is sent.
    pub async fn send(&self, body: Bytes, caller: &Caller) -> Result<Sent, CallError> {
        let sent = self.post(body.clone(), caller).await;
        let Err(CallError::Rejected(response)) = &sent else { return sent };
        let Some(date) = response.date.filter(|_| response.status == StatusCode::FORBIDDEN) else {
            return sent;
        };
        let ahead = date - caller.now();
        if (ahead - self.ahead()).abs() <= SKEW {
            return sent;
        }
        warn!(
            "this machine's clock is {} s {} the Data Collector API's, which rejects the signature; signing with its time \
             instead. Fix: set the clock right",
            ahead.abs().whole_seconds(),
            if ahead.is_negative() { "ahead of" } else { "behind" },
        );
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        self.post(body, caller).await
    }

    fn ahead(&self) -> Duration {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post(&self, body: Bytes, caller: &Caller) -> Result<Sent, CallError> {
        let target = Target {
            service: Service::DataCollector,
            operation: "POST /api/logs",
            token: None,
            api: None,
            retries: RetryPolicy::Full,
        };
        let request = |now| {
            let date = to_rfc7231(&(now + self.ahead()));
            let authorization = self.key.authorization(&self.workspace_id, body.len(), &date);
            Request::post(self.url.clone(), self.headers(&date, &authorization), body.clone())
        };
        caller.call(target, request, check_accepted).await?;
        Ok(Sent { bytes: body.len(), request_id: None })
    }

    fn headers(&self, date: &str, authorization: &str) -> HeaderMap {
        // Ids, names and dates are checked to be ASCII, so all of them are valid header values.
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        let mut authorization = value(authorization);
        authorization.set_sensitive(true);
        HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            // With a charset the service may answer 403.
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (LOG_TYPE, value(&self.log_name)),
            (X_MS_DATE, value(date)),
            (TIME_GENERATED_FIELD, self.time_field.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use azure_core::time::{OffsetDateTime, parse_rfc3339};
    use futures::future::{BoxFuture, FutureExt};

    use super::*;
    use crate::{
        clock::Clock,
        http::{Exchange, ExchangeError, Http, Response, deadline::Deadline},
        shutdown::Shutdown,
    };

    /// A service whose time is fixed, and which accepts posts dated within a minute of it only.
    #[derive(Debug)]
    struct Service {
        time: &'static str,
        dates: Mutex<Vec<String>>,
    }

    impl Exchange for Service {
        fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Response, ExchangeError>> {
            let date = request.headers["x-ms-date"].to_str().expect("ASCII").to_owned();
            let status = if date == self.time { StatusCode::OK } else { StatusCode::FORBIDDEN };
            self.dates.lock().expect("no holder panics").push(date);
            let headers = HeaderMap::from_iter([(http::header::DATE, HeaderValue::from_static(self.time))]);
            async move { Ok(Response { status, headers, body: Bytes::new() }) }.boxed()
        }
    }

    fn sink() -> DataCollector {
        let url = Endpoint::parse("https://w.ods.example").expect("a URL");
        let key = SigningKey::from_base64("a2V5").expect("a key");
        DataCollector::new("w".to_owned(), key, &url, "MDATPAlerts".to_owned(), Mode::Created)
    }

    async fn send_at(our_time: OffsetDateTime, service: &Arc<Service>) -> Result<Sent, CallError> {
        let clock = Clock::Virtual { epoch: our_time, since: tokio::time::Instant::now() };
        let deadline = Deadline::after(std::time::Duration::from_secs(60), Shutdown::default());
        let caller = Caller::new(Http::InProcess(service.clone()), clock, deadline, 1.0);
        sink().send(Bytes::from_static(b"[{}]"), &caller).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_rejected_for_a_wrong_clock_is_made_once_more_with_the_services_time() {
        for ours in ["2026-11-24T03:00:00Z", "2026-11-24T09:00:00Z"] {
            let service =
                Arc::new(Service { time: "Tue, 24 Nov 2026 06:00:00 GMT", dates: Mutex::default() });
            let sent = send_at(parse_rfc3339(ours).expect("a time"), &service).await;
            assert_eq!(sent.expect("accepted the second time").bytes, 4);
            let dates = service.dates.lock().expect("no holder panics");
            assert_eq!((dates.len(), dates[1].as_str()), (2, "Tue, 24 Nov 2026 06:00:00 GMT"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_rejected_by_a_service_of_the_same_time_is_not_made_again() {
        let service = Arc::new(Service { time: "Tue, 24 Nov 2026 06:00:00 GMT", dates: Mutex::default() });
        let ours = parse_rfc3339("2026-11-24T06:00:30Z").expect("a time");
        let rejected = send_at(ours, &service).await.expect_err("rejected");
        assert!(rejected.fix().is_some_and(|fix| fix.contains("MDATP_WORKSPACE_KEY")));
        assert_eq!(service.dates.lock().expect("no holder panics").len(), 1);
    }
}
