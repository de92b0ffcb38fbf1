//! The Logs Ingestion API (documentation page "Logs Ingestion API in Azure Monitor"): posts to a stream of a data
//! collection rule.

use std::{io::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{Sent, check_accepted, request_id::RequestId};
use crate::{
    config::endpoint::Endpoint,
    http::{
        Request,
        call::{CallError, Caller, RetryPolicy, Target},
        credential::Credential,
        service::Service,
    },
};

/// The most bytes that a post may have: 1 MB, before compression too ("Azure Monitor service limits", custom logs). One SDK reads that as 1,000,000 and one as 1,048,576; the smaller is safe.
pub const LIMIT: usize = 1_000_000;

/// The most bytes of one field: 64 KB (same page), read as the smaller of its two meanings.
pub const FIELD_LIMIT: usize = 64_000;

/// The longest time that the records of a post may span. Whether the service still has this limit is not known ("a known
/// limitation that's getting removed", tutorial of the API, section "Troubleshooting"), so posts respect it once one has
/// been rejected for that.
pub const LONGEST_SPAN: Duration = Duration::from_secs(30 * 60);

const API_VERSION: &str = "2023-01-01";

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// A stream of a data collection rule.
#[derive(Debug)]
pub struct LogsIngestion {
    url: String,
    operation: String,
    scope: String,
    credential: Arc<Credential>,
}

impl LogsIngestion {
    /// Makes the sink for the stream `stream` of the rule with the immutable id `rule`.
    pub fn new(
        endpoint: &Endpoint,
        rule: &str,
        stream: &str,
        scope: String,
        credential: Arc<Credential>,
    ) -> Self {
        let path = format!("/dataCollectionRules/{rule}/streams/{stream}");
        let url = endpoint.join(&format!("{path}?api-version={API_VERSION}"));
        Self { url, operation: format!("POST {path}"), scope, credential }
    }

    /// Posts `body`, which is compressed at once, under an id that every message about the post contains.
    pub fn send<'a>(
        &'a self,
        body: Bytes,
        caller: &'a Caller,
    ) -> impl Future<Output = Result<Sent, CallError>> + Send + 'a {
        let encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        let compressing =
            caller.http.offload(body.len(), move || (RequestId::of(&body), gzip(&body, encoder)));
        async move {
            let (request_id, zipped) = compressing.await;
            let id = request_id.to_string();
            let target = Target {
                service: Service::LogsIngestion,
                operation: &format!("{} ({CLIENT_REQUEST_ID} {id})", self.operation),
                token: Some((&self.credential, &self.scope)),
                api: None,
                retries: RetryPolicy::Full,
            };
            let headers = HeaderMap::from_iter([
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
                (CLIENT_REQUEST_ID, HeaderValue::from_str(&id).expect("a GUID is plain text")),
            ]);
            let request = |_| Request::post(self.url.clone(), headers.clone(), zipped.clone());
            caller.call(target, request, check_accepted).await?;
            Ok(Sent { bytes: zipped.len(), request_id: Some(request_id) })
        }
    }
}

fn gzip(body: &[u8], mut encoder: GzEncoder<Vec<u8>>) -> Bytes {
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    Bytes::from(written.expect("writing into memory does not fail"))
}
