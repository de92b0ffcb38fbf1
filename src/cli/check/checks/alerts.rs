//! The checks of the sources: Defender's own API, Microsoft Graph, and how their alerts differ.

use std::time::Duration;

use azure_core::time::Duration as Span;

use super::{INVALID_SETTINGS, NO_TOKEN, SERVICE_TIMEOUT, ServiceChecks};
use crate::{
    cli::check::{
        defender::{self, ALERTS, MACHINES},
        finding::Finding,
        sources::{self, Comparison},
        token::TokenCheck,
    },
    config::{AlertSource, MachineSource},
    error_chain::chain,
    http::{
        call::{Caller, RetryPolicy},
        claims::Claims,
        deadline::Deadline,
        service::Service,
    },
    record::window::Window,
    shutdown::Shutdown,
    source::{Source, defender::Defender, graph::Graph, pagination::Query},
};

/// The age of the alerts among which one is requested, in days.
const DAYS: i64 = 30;

/// The time for which the sources are compared in a check of everything.
const COMPARED: Duration = Duration::from_secs(24 * 3_600);

/// The time for which alerts are left out of a comparison: a source may list them a little later than the other.
const LATE: Span = Span::minutes(10);

/// The most pages of each source in a check of everything.
const MOST_PAGES: usize = 10;

/// The time for a comparison that was asked for.
const COMPARISON_TIMEOUT: Duration = Duration::from_secs(1_800);

/// The name of the check of Graph's alerts.
const GRAPH_ALERTS: &str = "graph-alerts";

/// The name of the check of Graph's hunting queries.
const GRAPH_HUNTING: &str = "graph-hunting";

impl ServiceChecks<'_> {
    /// Requests one alert and one machine from where they are read, and compares the sources.
    pub(super) async fn alerts(&mut self) {
        match self.parts.alerts_and_machines {
            Some((AlertSource::Graph, machines)) => {
                self.graph(machines).await;
                if machines == MachineSource::Api {
                    self.defender().await;
                }
            }
            Some((AlertSource::Defender, _)) | None => self.defender().await,
        }
        self.sources(COMPARED, MOST_PAGES, SERVICE_TIMEOUT, false).await;
    }

    /// Compares the sources, and reports each difference.
    pub(super) async fn compare(&mut self, span: Duration) {
        self.sources(span, usize::MAX, COMPARISON_TIMEOUT, true).await;
    }

    fn defender_client(&self) -> Option<Defender> {
        let url = self.parts.api_url.clone()?;
        Some(Defender::at(url, self.parts.api_scope.clone(), self.source().credential.clone()))
    }

    fn graph_client(&self) -> Option<Graph> {
        let url = self.parts.graph_url.clone()?;
        Some(Graph::at(url, self.parts.graph_scope.clone(), self.source().credential.clone()))
    }

    /// The query for one alert.
    fn query(&self) -> Query {
        let to = self.clock.now();
        Query { window: Window { from: to - Span::days(DAYS), to }, skip: 0, top: 1 }
    }

    async fn defender(&mut self) {
        let Some(api) = self.defender_client() else {
            return self.not_checked(&[TokenCheck::Defender.name(), ALERTS, MACHINES], INVALID_SETTINGS);
        };
        if !self.token(TokenCheck::Defender, &self.parts.api_scope).await {
            return self.not_checked(&[ALERTS, MACHINES], NO_TOKEN);
        }
        let page = api.list(self.query(), RetryPolicy::Full, &self.caller()).await;
        let alert = page.map(|page| page.elements.into_iter().next());
        let principal = &self.source().principal;
        let finding = defender::alert_finding(ALERTS, Service::Defender, &alert, DAYS, principal);
        (self.report)(finding);

        let alert = alert.ok().flatten().and_then(Result::ok);
        let requested = alert.and_then(|alert| alert.machine_id);
        let machine = match &requested {
            Some(id) => api.machine(id, &self.caller()).await.map(|found| found.and(Some(id.clone()))),
            None => api.any_machine(&self.caller()).await,
        };
        let finding = defender::machine_finding(requested.as_deref(), &machine, &self.source().principal);
        (self.report)(finding);
    }

    async fn graph(&mut self, machines: MachineSource) {
        let hunts = machines == MachineSource::Hunting;
        let check = TokenCheck::Graph { hunts };
        let checks = [GRAPH_ALERTS, GRAPH_HUNTING];
        let checks = if hunts { &checks[..] } else { &checks[..1] };
        let Some(api) = self.graph_client() else {
            self.not_checked(&[check.name()], INVALID_SETTINGS);
            return self.not_checked(checks, INVALID_SETTINGS);
        };
        if !self.token(check, &self.parts.graph_scope).await {
            return self.not_checked(checks, NO_TOKEN);
        }
        let page = api.list(self.query(), RetryPolicy::Full, &self.caller()).await;
        let alert = page.map(|page| page.elements.into_iter().next());
        let principal = &self.source().principal;
        let finding = defender::alert_finding(GRAPH_ALERTS, Service::Graph, &alert, DAYS, principal);
        (self.report)(finding);
        if hunts {
            let alert = alert.ok().flatten().and_then(Result::ok);
            let id = alert.and_then(|alert| alert.machine_id).unwrap_or_else(|| "0".to_owned());
            let found = api.machines(&[&id], &self.caller()).await.map(|machines| machines.len());
            let finding = defender::hunting_finding(GRAPH_HUNTING, &found, &self.source().principal);
            (self.report)(finding);
        }
    }

    /// Compares the alerts of both sources, if both can be read.
    async fn sources(&mut self, span: Duration, most_pages: usize, timeout: Duration, details: bool) {
        let Some((in_use, _)) = self.parts.alerts_and_machines else {
            return self.not_checked(&[sources::CHECK], INVALID_SETTINGS);
        };
        for check in [TokenCheck::Defender, TokenCheck::Graph { hunts: false }] {
            if let Some(finding) = self.cannot_read(check).await {
                return (self.report)(finding);
            }
        }
        let to = self.clock.now() - LATE;
        let Ok(length) = Span::try_from(span) else {
            return self.not_checked(&[sources::CHECK], "the time to compare is too long");
        };
        let window = Window { from: to - length, to };
        let mut lists = Vec::new();
        for source in [AlertSource::Defender, AlertSource::Graph] {
            let (Some(defender), Some(graph)) = (self.defender_client(), self.graph_client()) else {
                return self.not_checked(&[sources::CHECK], INVALID_SETTINGS);
            };
            let deadline = Deadline::after(timeout, Shutdown::default());
            let caller = Caller::new(self.http.clone(), self.clock, deadline, 1.0);
            match Source::of(source, defender, graph).list_all(window, most_pages, &caller).await {
                Ok((alerts, true)) => lists.push(alerts),
                Ok((alerts, false)) => {
                    let message = format!("not compared: there are more than {} alerts", alerts.len());
                    let fix = "mdatp-forward check --compare-sources 24h";
                    return (self.report)(Finding::warning(sources::CHECK, message, fix));
                }
                Err(error) => {
                    let message = format!("not compared: {}", chain(&error));
                    return (self.report)(Finding::warning(
                        sources::CHECK,
                        message,
                        error.fix().unwrap_or_default(),
                    ));
                }
            }
        }
        let comparison = Comparison::of(&lists[0], &lists[1]);
        if details {
            comparison.details().into_iter().for_each(&mut *self.report);
        }
        (self.report)(comparison.finding(in_use, span));
    }

    /// Returns why a source cannot be read, if it is certain. That is not a fault: one source is enough.
    async fn cannot_read(&mut self, check: TokenCheck) -> Option<Finding> {
        let (scope, service) = match check {
            TokenCheck::Graph { .. } => (&self.parts.graph_scope, Service::Graph),
            _ => (&self.parts.api_scope, Service::Defender),
        };
        let source = self.source();
        if !source.is_known || self.parts.authority.is_none() {
            return Some(Finding::not_checked(sources::CHECK, INVALID_SETTINGS));
        }
        let ok = |why: String| Some(Finding::ok(sources::CHECK, why));
        let name = service.name();
        match source.credential.token(scope).await {
            Err(_) => ok(format!("not compared: there is no token for {name}")),
            Ok(token) => {
                let claims = Claims::of(token.secret.secret())?;
                let missing = claims.missing_roles(check.roles());
                if missing.is_empty() || claims.is_of_user() {
                    return None;
                }
                ok(format!(
                    "not compared: the identity may not read {name}; to compare both sources, grant it {}: {}",
                    missing.join(" and "),
                    source.principal.grant(service)
                ))
            }
        }
    }
}
