//! A page of alerts and their machines, as the simulated service returns them.

use std::{collections::HashMap, sync::LazyLock};

use azure_core::time::{Duration, OffsetDateTime};
use bytes::Bytes;
use http::Method;
use mdatp_forward::testing::Machine;
use serde_json::Value;
use simulator::{Cloud, Outcome, Request, Role, Service, Volume, tenant};

const ALERTS: usize = 1_000;
const MACHINES: usize = 500;

/// What Defender returned.
pub struct Input {
    /// A page of alerts with their evidence.
    pub page: Bytes,
    /// The same alerts as Microsoft Graph returns them, with their machines as evidence.
    pub graph: Bytes,
    /// The machines, by id, as the program keeps them.
    pub machines: HashMap<String, Machine>,
    /// The same machines as values of `serde_json`.
    pub values: HashMap<String, Value>,
}

/// The same input for every benchmark.
pub static INPUT: LazyLock<Input> = LazyLock::new(|| {
    let cloud = Cloud::new(1);
    let until = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    cloud.generate(&Volume { alerts: ALERTS, machines: MACHINES, since: until - Duration::hours(2), until });
    let answer = |service, request: &Request| match cloud.react(service, request, until).outcome {
        Outcome::Response(response) if response.status == 200 => response.body,
        _ => panic!("{} is rejected", request.path),
    };
    cloud.grant_role(Role::SecurityAlertRead);
    let list = |service, resource: &str, target: &str| {
        let token = format!("/msi/token?resource={resource}&api-version=2019-08-01");
        let request =
            Request::new(Method::GET, &token).with_header("x-identity-header", tenant::IDENTITY_HEADER);
        let token: Value = serde_json::from_slice(&answer(Service::Identity, &request)).expect("JSON");
        let token = format!("Bearer {}", token["access_token"].as_str().expect("a text"));
        answer(service, &Request::new(Method::GET, target).with_header("authorization", &token))
    };
    let of_defender = |target| list(Service::Defender, "https://api.securitycenter.microsoft.com", target);

    let page = of_defender("/api/alerts?$top=1000&$expand=evidence");
    let fleet = of_defender("/api/machines?$top=1000");
    let graph = list(Service::Graph, "https://graph.microsoft.com", "/v1.0/security/alerts_v2?$top=1000");
    let machines = Machine::parse_list(&fleet).expect("a list").into_iter().collect();
    let fleet: Value = serde_json::from_slice(&fleet).expect("JSON");
    let id = |machine: &Value| machine["id"].as_str().expect("an id").to_owned();
    let values = fleet["value"].as_array().expect("a list").iter().map(|m| (id(m), m.clone())).collect();
    Input { page, graph, machines, values }
});
