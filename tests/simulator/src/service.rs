//! The six services the forwarder talks to.

use serde::Serialize;
use serde_json::json;

use crate::response::Response;

/// One of the services; each has its own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Service {
    /// Entra ID's token endpoint, over TLS.
    Entra,
    /// The managed-identity endpoint that App Service gives an app.
    Identity,
    /// The Defender for Endpoint API.
    Defender,
    /// The HTTP Data Collector API of a workspace.
    DataCollector,
    /// The Logs Ingestion endpoint of a data collection rule.
    LogsIngestion,
    /// Microsoft Graph's security API.
    Graph,
}

impl Service {
    /// All of them, in the order in which fixed ports are handed out.
    pub const ALL: [Service; 6] = [
        Service::Entra,
        Service::Identity,
        Service::Defender,
        Service::DataCollector,
        Service::LogsIngestion,
        Service::Graph,
    ];

    /// An error of this status in the service's form.
    pub(crate) fn failure(self, status: u16) -> Response {
        let code = match status {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            _ => "InternalServerError",
        };
        let message = format!("A simulated fault of status {status}.");
        let body = match self {
            Service::Entra => json!({ "error": code, "error_description": message }),
            Service::Identity => json!({ "statusCode": status, "message": message }),
            Service::DataCollector => json!({ "Error": code, "Message": message }),
            Service::Defender | Service::LogsIngestion | Service::Graph => {
                json!({ "error": { "code": code, "message": message } })
            }
        };
        Response::json(status, body.to_string())
    }
}
