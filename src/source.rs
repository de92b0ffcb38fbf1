//! The source of alerts and machines: the API of Defender or of Microsoft Graph, the pagination of their alert lists, and a
//! cache of machines. Uses [`http`](crate::http) and [`record`](crate::record); [`pipeline`](crate::pipeline) uses it.

pub mod defender;
pub mod graph;
pub mod machines;
pub mod pagination;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use azure_core::time::Duration;

use crate::{
    config::{AlertSource, Config, MachineSource},
    http::{
        call::{CallError, Caller, RetryPolicy},
        credential::Credential,
        service::Service,
    },
    record::{
        alert::{Alert, Mode},
        page::{Page, PageSizes},
        window::Window,
    },
};
use defender::Defender;
use graph::Graph;
use pagination::{Delivered, Next, PageLimits, Pagination, Query};

/// The number of alerts of a page that is read for a comparison.
const PAGE_SIZE: u32 = 500;

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

    /// Joins the clients of a check, which looks up no machines.
    pub fn of(alerts: AlertSource, defender: Defender, graph: Graph) -> Self {
        Self { alerts, machines: MachineSource::None, defender, graph }
    }

    /// Gets all alerts of `window` that can be read, in at most `most_pages` pages. Returns false with them if there may
    /// be more.
    pub async fn list_all(
        &self,
        window: Window,
        most_pages: usize,
        caller: &Caller,
    ) -> Result<(Vec<Alert>, bool), CallError> {
        let nothing = HashSet::new();
        let delivered = Delivered { fingerprints: &nothing, count: 0, earliest: &[], are_listed: true };
        let limits = self.page_limits();
        let mut pagination = Pagination::new(window, PAGE_SIZE, limits, delivered, PageSizes::default());
        let mut alerts = BTreeMap::new();
        for _ in 0..most_pages {
            let page = self.list(pagination.query(), RetryPolicy::Full, caller).await?;
            let keys: Vec<_> = page
                .elements
                .iter()
                .map(|element| match element {
                    Ok(alert) => (alert.time(Mode::Created), alert.fingerprint(Mode::Created)),
                    Err(invalid) => (None, invalid.fingerprint()),
                })
                .collect();
            let step = pagination.step(&keys, page.has_next_link);
            alerts.extend(page.elements.into_iter().flatten().map(|alert| (alert.id.clone(), alert)));
            if step.next != Next::Page {
                return Ok((alerts.into_values().collect(), step.next == Next::End));
            }
        }
        Ok((alerts.into_values().collect(), false))
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
        let to = caller.now();
        let window = Window { from: to - Duration::seconds(1), to };
        self.list(Query { window, skip: 0, top: 1 }, RetryPolicy::Full, caller).await.map(drop)
    }
}
