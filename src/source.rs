//! The source of alerts and machines: the API of Defender or of Microsoft Graph, the pagination of their alert lists, and a
//! cache of machines. Uses [`http`](crate::http) and [`record`](crate::record); [`pipeline`](crate::pipeline) uses it.

pub mod defender;
pub mod graph;
pub mod machines;
pub mod pagination;

use std::sync::Arc;

use crate::{
    config::{AlertSource, Config, MachineSource},
    http::{
        call::{CallError, Caller, RetryPolicy},
        credential::Credential,
        service::Service,
    },
    record::{alert::Alert, page::Page},
};
use defender::Defender;
use graph::Graph;
use pagination::{PageLimits, Query};

/// Where alerts and machines are read.
#[derive(Debug)]
pub struct Source {
    alerts: AlertSource,
    /// `MDATP_MACHINES`
    pub machines: MachineSource,
    /// Defender's own API.
    pub defender: Defender,
    /// Microsoft Graph.
    pub graph: Graph,
}

impl Source {
    /// Creates the clients that `config` names. Both read with the same credential.
    pub fn new(config: &Config, credential: &Arc<Credential>) -> Self {
        Self {
            alerts: config.alert_source,
            machines: config.machine_source,
            defender: Defender::new(config, credential.clone()),
            graph: Graph::new(config, credential.clone()),
        }
    }

    /// The service with the alerts.
    pub fn service(&self) -> Service {
        match self.alerts {
            AlertSource::Defender => Service::Defender,
            AlertSource::Graph => Service::Graph,
        }
    }

    /// The list of alerts, as messages name it.
    pub fn list_operation(&self) -> &'static str {
        match self.alerts {
            AlertSource::Defender => defender::LIST,
            AlertSource::Graph => graph::LIST,
        }
    }

    /// How far the list can be paged.
    pub fn page_limits(&self) -> PageLimits {
        match self.alerts {
            AlertSource::Defender => PageLimits::DEFENDER,
            AlertSource::Graph => PageLimits::GRAPH,
        }
    }

    /// Gets one page of the alert list, ordered by the time of the mode.
    pub async fn list(&self, query: Query, retries: RetryPolicy, caller: &Caller) -> Result<Page, CallError> {
        match self.alerts {
            AlertSource::Defender => self.defender.list(query, retries, caller).await,
            AlertSource::Graph => self.graph.list(query, retries, caller).await,
        }
    }

    /// Gets one alert with its evidence; `None` if the service no longer has it.
    pub async fn alert(&self, id: &str, caller: &Caller) -> Result<Option<Alert>, CallError> {
        match self.alerts {
            AlertSource::Defender => self.defender.alert(id, caller).await,
            AlertSource::Graph => self.graph.alert(id, caller).await,
        }
    }

    /// Requests the list of the last second, to find out whether the API can be read.
    pub async fn probe(&self, caller: &Caller) -> Result<(), CallError> {
        match self.alerts {
            AlertSource::Defender => self.defender.probe(caller).await,
            AlertSource::Graph => self.graph.probe(caller).await,
        }
    }
}
