//! Microsoft Graph as the source: the same alerts, delivered by the same promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use azure_core::time::Duration;
use mdatp_forward::testing::{
    Alert,
    graph::{DevicePlace, translated},
};
use serde_json::{Map, Value, json};
use simulator::{Cloud, Fault, Quirk, Role, Service, Sink, Volume, functions_host::Payload, in_graph_form};

use crate::stage::{BOTH_SINKS, Stage, alert, fail, minutes_ago, now, succeed};

type Row = Map<String, Value>;

/// A stage whose forwarder reads from Graph.
async fn stage(sink: Sink) -> Stage {
    let mut stage = Stage::new(sink).await;
    read_from_graph(&mut stage);
    stage
}

fn read_from_graph(stage: &mut Stage) {
    stage.cloud.grant_role(Role::SecurityAlertRead);
    stage.set("MDATP_SOURCE", "graph");
}

/// The columns of a row that Graph does not fill. Each is either null with Graph, or what the test says.
const LACKING: [&str; 17] = [
    "InvestigationId",
    "Domains",
    "MachineComputerDnsName",
    "MachineRbacGroupName",
    "MergedIntoMachineId",
    "IsPotentialDuplication",
    "IsExcluded",
    "ExclusionReason",
    "LastSeen",
    "OsVersion",
    "OsProcessor",
    "AgentVersion",
    "DeviceValue",
    "ExposureLevel",
    "IsAadJoined",
    "OsArchitecture",
    "ManagedBy",
];

/// Those of them that a hunting query fills.
const HUNTED: [&str; 10] = [
    "MachineComputerDnsName",
    "MachineRbacGroupName",
    "MergedIntoMachineId",
    "IsExcluded",
    "ExclusionReason",
    "LastSeen",
    "AgentVersion",
    "DeviceValue",
    "ExposureLevel",
    "IsAadJoined",
];

/// The members of entries of the evidence that only Graph has.
const OF_GRAPH: [&str; 6] = ["verdict", "remediationStatus", "roles", "detailedRoles", "tags", "mdeDeviceId"];

/// What Graph makes of a row that came from Defender's own API, by the table of docs/sources.md.
fn by_graph(row: &Row, hunts: bool) -> Row {
    let mut row = row.clone();
    let is_on_machine = row.contains_key("MachineId");
    let is_hunted = |name: &str| hunts && (HUNTED.contains(&name) || name == "OsArchitecture");
    for name in LACKING.into_iter().chain(["ManagedByStatus"]).filter(|name| !is_hunted(name)) {
        row.remove(name);
    }
    if !is_on_machine {
        row.remove("LoggedOnUsers");
    }
    // The first user that the evidence names, in the place of the one that Defender names.
    let entries = row["Evidence"].as_array().expect("a list").clone();
    let user = entries.iter().find(|entry| entry["entityType"] == "User");
    let user = user.map(|user| json!({"userName": user["accountName"], "domainName": user["domainName"]}));
    match user {
        Some(user) => row.insert("RelatedUser".to_owned(), user),
        None => row.remove("RelatedUser"),
    };
    if let Some(tags) = row.get_mut("MachineTags").and_then(Value::as_array_mut).filter(|_| hunts) {
        // Three columns of the table have tags, and one may be in several.
        let mut seen = BTreeSet::new();
        tags.retain(|tag| seen.insert(tag.to_string()));
    }
    if let Some(addresses) = row.get_mut("IpAddresses").and_then(Value::as_array_mut) {
        for address in addresses {
            *address = json!({"ipAddress": address["ipAddress"]});
        }
    }
    row
}

/// A row without what cannot be compared member by member: the entries without nulls and without what only Graph has.
fn comparable(row: &Row) -> Row {
    let mut row = row.clone();
    row.remove("AdditionalFields");
    let entries = row.get_mut("Evidence").and_then(Value::as_array_mut).expect("a list");
    for entry in entries {
        let entry = entry.as_object_mut().expect("an entry");
        entry.retain(|name, value| !value.is_null() && !OF_GRAPH.contains(&name.as_str()));
    }
    row
}

/// The rows of the two sources, by the alert's id.
async fn rows_of_both(machines: &str) -> Vec<(Row, Row)> {
    let mut stage = Stage::new(Sink::LogsIngestion).await;
    let until = now() - Duration::minutes(1);
    stage.cloud.generate(&Volume { alerts: 400, machines: 40, since: until - Duration::minutes(50), until });
    stage.tick().await;
    let by_defender = stage.cloud.rows();
    read_from_graph(&mut stage);
    stage.set("MDATP_MACHINES", machines);
    stage.cloud.grant_role(Role::ThreatHuntingRead);
    stage.set("MDATP_STATE", &format!("file:{}", stage.folder.path().join("other").display()));
    stage.tick().await;
    let rows = stage.cloud.rows();
    assert_eq!((by_defender.len(), rows.len()), (400, 800));
    assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
    let id = |row: &Row| row["AlertId"].as_str().expect("an id").to_owned();
    let by_graph: BTreeMap<String, Row> = rows[400..].iter().map(|row| (id(row), row.clone())).collect();
    assert_eq!(by_graph.len(), 400);
    by_defender.into_iter().map(|row| (row.clone(), by_graph[&id(&row)].clone())).collect()
}

#[tokio::test]
async fn both_sources_make_the_same_rows_apart_from_what_the_table_lists() {
    for (machines, hunts) in [("evidence", false), ("hunting", true)] {
        let (mut lacking, mut gained, mut others) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (defender, graph) in rows_of_both(machines).await {
            let (found, expected) = (comparable(&graph), comparable(&by_graph(&defender, hunts)));
            let differs = |name: &&String| found.get(*name) != expected.get(*name);
            let differing: Vec<_> = found.keys().chain(expected.keys()).filter(differs).collect();
            assert!(
                differing.is_empty(),
                "{machines}: {differing:?} of {found:#?} are not as in {expected:#?}"
            );
            lacking.extend(defender.keys().filter(|name| !graph.contains_key(*name)).cloned());
            gained.extend(graph.keys().filter(|name| !defender.contains_key(*name)).cloned());
            let differs =
                |(name, value): &(&String, &Value)| graph.get(*name).is_some_and(|found| found != *value);
            others.extend(defender.iter().filter(differs).map(|(name, _)| name.clone()));
            let rest = graph["AdditionalFields"].as_object().expect("the rest");
            let names: BTreeSet<&str> = rest.keys().map(String::as_str).collect();
            let mut expected = BTreeSet::from([
                "providerAlertId",
                "serviceSource",
                "productName",
                "recommendedActions",
                "alertWebUrl",
                "categories",
                "systemTags",
                "customDetails",
            ]);
            if graph.contains_key("MachineId") {
                expected.insert("deviceEvidence");
            }
            assert_eq!(names, expected);
        }
        // The table lists nothing that is not so. The generated machines have no version beside the release, are in
        // no exclusion, and are merged into no other.
        let never = ["ExclusionReason", "MergedIntoMachineId", "OsVersion"];
        let listed = LACKING.into_iter().chain(["ManagedByStatus", "LoggedOnUsers", "RelatedUser"]);
        let hunted = |name: &&str| hunts && (HUNTED.contains(name) || *name == "OsArchitecture");
        let listed = listed.filter(|name| !never.contains(name) && !hunted(name));
        assert_eq!(lacking, listed.map(str::to_owned).collect(), "{machines}");
        let mut differing = BTreeSet::from(["Evidence", "IpAddresses"].map(str::to_owned));
        differing.extend(hunts.then(|| "MachineTags".to_owned()));
        assert_eq!(others, differing, "{machines}");
        assert_eq!(gained, ["AdditionalFields", "RelatedUser"].map(str::to_owned).into(), "{machines}");
    }
}

/// The alerts of Defender's documentation, and generated ones, as Graph has them and back.
#[test]
fn what_is_translated_to_graph_and_back_is_the_same_apart_from_what_graph_lacks() {
    let cloud = Cloud::new(11);
    let until = now();
    cloud.generate(&Volume { alerts: 300, machines: 20, since: until - Duration::hours(9), until });
    let generated = cloud.alert_ids().into_iter().map(|id| cloud.alert_json(&id).expect("an alert"));
    let documented = [
        "get-alerts.example1.json",
        "get-alerts.example2-expand-evidence.json",
        "rapid7_test_get_alerts.json",
    ];
    let mut alerts: Vec<String> = documented.iter().flat_map(|name| entities(name)).collect();
    assert!(alerts.len() >= 3);
    alerts.extend(generated);
    let mut changed = BTreeSet::new();
    for text in alerts {
        let alert: Row = serde_json::from_str(&text).expect("an alert");
        let machine = alert["machineId"].as_str().and_then(|id| cloud.machine_json(id));
        let graph = in_graph_form(&text, machine.as_deref());
        let back = translated(&Alert::parse(graph.into()).expect("an alert"), DevicePlace::Machine);
        let back: Row = serde_json::from_str(&back.expect("an alert").text).expect("an alert");
        for (name, value) in alert.iter().filter(|(name, _)| !name.starts_with("@odata.")) {
            let (is_nothing, found) = (*value == json!([]) || value.is_null(), back.get(name));
            let is_same = match name.as_str() {
                "evidence" => without_nulls(value) == of_defender(&without_nulls(&back[name])),
                _ => found == Some(value) || is_nothing && found.is_none(),
            };
            if !is_same {
                changed.insert(name.clone());
            }
        }
    }
    // Those who are logged on are at Graph a part of the machine, of which an alert on no machine has none.
    let expected = ["investigationId", "loggedOnUsers", "relatedUser"].map(str::to_owned);
    assert_eq!(changed, expected.into());
}

/// The objects of a documented answer.
fn entities(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/defender").join(name);
    let answer: Value = serde_json::from_str(&fs::read_to_string(path).expect(name)).expect(name);
    match &answer["value"] {
        Value::Array(list) => list.iter().map(Value::to_string).collect(),
        _ => vec![answer.to_string()],
    }
}

fn without_nulls(entries: &Value) -> Vec<Row> {
    let entries = entries.as_array().expect("a list").iter();
    let entry = |entry: &Value| {
        let members = entry.as_object().expect("an entry").clone();
        members.into_iter().filter(|(_, value)| !value.is_null()).collect()
    };
    entries.map(entry).collect()
}

fn of_defender(entries: &[Row]) -> Vec<Row> {
    let is_defenders = |(name, _): &(&String, &Value)| !OF_GRAPH.contains(&name.as_str());
    let own = |(name, value): (&String, &Value)| (name.clone(), value.clone());
    entries.iter().map(|entry| entry.iter().filter(is_defenders).map(own).collect()).collect()
}

#[tokio::test]
async fn machines_can_be_read_from_defenders_own_api_or_not_at_all() {
    for (machines, has_machine) in [("api", true), ("none", false)] {
        let mut stage = stage(Sink::LogsIngestion).await;
        stage.set("MDATP_MACHINES", machines);
        stage.generate(50, 5);
        stage.tick().await;
        stage.assert_all_sent_once();
        assert_eq!(stage.cloud.counts().machine_lists + stage.cloud.counts().machine_gets > 0, has_machine);
        for row in stage.cloud.rows().iter().filter(|row| row.contains_key("MachineId")) {
            assert_eq!(row.contains_key("AgentVersion"), has_machine);
            // What the machine does not say is not lost.
            let devices = row["AdditionalFields"]["deviceEvidence"].as_array().expect("devices");
            assert_eq!(devices[0]["mdeDeviceId"], row["MachineId"]);
            assert!(devices[0]["osPlatform"].is_string());
        }
    }
}

#[tokio::test]
async fn changing_the_source_in_the_middle_of_a_backlog_loses_and_doubles_nothing() {
    for sink in BOTH_SINKS {
        for sources in [["defender", "graph"], ["graph", "defender"]] {
            let mut stage = stage(sink).await;
            stage.set("MDATP_PAGE_SIZE", "50");
            stage.generate(900, 20);
            stage.set("MDATP_SOURCE", sources[0]);
            stage.cloud.fault(Fault::status(503).on(sink.service()).after(1).always());
            stage.set("MDATP_RUN_BUDGET", "5s");
            let host = stage.host().await;
            fail(&host.fire(Payload::regular()).await);
            drop(host);
            let before = stage.sent_ids().len();
            assert!((1..900).contains(&before), "{before} were sent");
            stage.cloud.clear_faults();
            stage.unset("MDATP_RUN_BUDGET");
            stage.set("MDATP_SOURCE", sources[1]);
            assert_eq!(stage.tick().await["complete"], true);
            // And back, with what is new by then.
            stage.cloud.add_alert(&alert("new", None, &minutes_ago(0)));
            stage.set("MDATP_SOURCE", sources[0]);
            assert_eq!(stage.tick().await["alertsSent"], 1);
            let (sent, wanted) = (stage.sent_ids(), stage.cloud.alert_ids());
            assert_eq!(sent.iter().collect::<BTreeSet<_>>(), wanted.iter().collect(), "lost or made up");
            assert_eq!(sent.len(), wanted.len(), "sent twice");
        }
    }
}

#[tokio::test]
async fn what_appears_late_ties_and_updates_are_sent_whatever_order_graph_keeps() {
    for ignores_order in [false, true] {
        let mut stage = stage(Sink::DataCollector).await;
        stage.cloud.set_quirk(Quirk::IgnoreOrderBy, ignores_order);
        stage.set("MDATP_PAGE_SIZE", "20");
        stage.generate(130, 3);
        let moment = minutes_ago(30);
        for n in 0..65 {
            stage.cloud.add_alert(&alert(&format!("tie-{n}"), None, &moment));
        }
        let host = stage.host().await;
        let report = succeed(&host.fire(Payload::regular()).await);
        assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(195), &json!(true)));
        stage.cloud.add_alert(&alert("late", None, &minutes_ago(45)));
        assert_eq!(succeed(&host.fire(Payload::regular()).await)["alertsSent"], 1);
        stage.assert_all_sent_once();
    }
    let mut stage = stage(Sink::DataCollector).await;
    stage.set("MDATP_MODE", "updated");
    stage.cloud.add_alert(&alert("only", None, &minutes_ago(30)));
    stage.tick().await;
    for minutes in [20, 10] {
        stage.cloud.update_alert("only", &minutes_ago(minutes));
        assert_eq!(stage.tick().await["alertsSent"], 1);
    }
}

#[tokio::test]
async fn pages_are_no_longer_than_graph_allows_and_a_quiet_tick_takes_one_call() {
    let stage = stage(Sink::DataCollector).await;
    stage.generate(2_000, 3);
    stage.tick().await;
    stage.assert_all_sent_once();
    let before = stage.cloud.counts();
    assert_eq!(stage.tick().await["complete"], true);
    assert_eq!(stage.cloud.counts().graph_lists - before.graph_lists, 3, "2,000 alerts are three pages");
    let of_defender = |path: &str| ["/api/alerts", "/api/machines"].iter().any(|api| path.starts_with(api));
    assert!(stage.cloud.requests().iter().all(|seen| !of_defender(&seen.path_and_query)));
    let lists = stage.cloud.requests().into_iter().map(|seen| seen.path_and_query);
    assert!(lists.filter(|path| path.contains("alerts_v2")).all(|path| path.contains("$top=999&")));
}

#[tokio::test]
async fn more_alerts_than_skip_reaches_are_all_sent_though_graph_keeps_no_order() {
    let stage = stage(Sink::DataCollector).await;
    stage.cloud.set_quirk(Quirk::IgnoreOrderBy, true);
    for number in 0..6_500_u32 {
        let created =
            to_text(now() - Duration::minutes(50) + Duration::milliseconds(i64::from(number) * 400));
        stage.cloud.add_alert(&alert(&format!("a{number}"), None, &created));
    }
    let report = stage.tick().await;
    assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(6_500), &json!(true)));
    stage.assert_all_sent_once();
}

fn to_text(time: azure_core::time::OffsetDateTime) -> String {
    azure_core::time::to_rfc3339(&time)
}

#[tokio::test]
async fn a_fault_of_graph_costs_no_alert_and_the_next_run_delivers() {
    for fault in [
        Fault::status(503),
        Fault::status(429).retry_after("1"),
        Fault::status(500).times(2),
        Fault::html(),
        Fault::bad_json(),
        Fault::cut_body(100),
        Fault::reset(),
        Fault::lost_reply(),
        Fault::byte_order_mark(),
        Fault::status(401),
    ] {
        let mut stage = stage(Sink::DataCollector).await;
        stage.set("MDATP_PAGE_SIZE", "40");
        stage.generate(100, 3);
        stage.cloud.fault(fault.clone().on(Service::Graph).after(1));
        let host = stage.host().await;
        if !host.fire(Payload::regular()).await.succeeded() {
            succeed(&host.fire(Payload::regular()).await);
        }
        stage.assert_all_sent_once();
        assert!(stage.cloud.counts().faults > 0, "{fault:?}");
    }
}

#[tokio::test]
async fn an_alert_with_errors_in_its_json_is_sent_or_set_aside_and_the_others_are_sent() {
    let stage = stage(Sink::DataCollector).await;
    stage.generate(20, 3);
    stage.cloud.add_alert(&alert("odd", None, &minutes_ago(3)));
    stage.cloud.fault(Fault::garbled("Something happened", b"a\x01\xff\\q").on(Service::Graph).always());
    let report = stage.tick().await;
    assert_eq!((&report["alertsSent"], &report["complete"]), (&json!(21), &json!(true)));
}

#[tokio::test]
async fn alerts_wait_for_a_hunting_query_that_fails_and_are_then_sent_with_their_evidence() {
    let mut stage = stage(Sink::LogsIngestion).await;
    stage.set("MDATP_MACHINES", "hunting");
    stage.generate(20, 3);
    let host = stage.host().await;
    let error = fail(&host.fire(Payload::regular()).await);
    assert!(error.contains("ThreatHunting.Read.All"), "{error}");
    stage.set("MDATP_ENRICH_PATIENCE", "0s");
    stage.tick().await;
    stage.assert_all_sent_once();
    let rows = stage.cloud.rows();
    assert!(
        rows.iter().filter(|row| row.contains_key("MachineId")).all(|row| row.contains_key("OsPlatform"))
    );
}

#[tokio::test]
async fn alerts_fetched_by_id_are_the_same() {
    let mut stage = stage(Sink::LogsIngestion).await;
    stage.set("MDATP_ALERT_FETCH", "by-id");
    stage.generate(30, 3);
    stage.tick().await;
    stage.assert_all_sent_once();
    assert_eq!(stage.cloud.counts().graph_gets, 30);
    assert!(stage.cloud.rows().iter().all(|row| row.contains_key("AlertCreationTime")));
}

#[tokio::test]
async fn evidence_is_no_source_of_machines_for_defenders_alerts() {
    let mut stage = Stage::new(Sink::DataCollector).await;
    stage.set("MDATP_MACHINES", "evidence");
    let error = fail(&stage.host().await.fire(Payload::regular()).await);
    assert!(error.contains("MDATP_MACHINES must be api, hunting or none"), "{error}");
}
