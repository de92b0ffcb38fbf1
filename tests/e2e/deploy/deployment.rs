//! The template beside what it has to agree with: the documented settings, what the binary prints, and what exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    path::Path,
};

use mdatp_forward::testing::{
    Config, Identity, ReferenceTarget, Settings, SinkConfig, SourceIdentity, StateConfig,
};
use serde_json::{Value, json};

use super::{
    template::{Resource, Template},
    way::{
        ACTION_GROUP, CLIENT, DEFENDER_TENANT, ENDPOINT, EXISTING, GROUP, IDENTITY_CLIENT,
        IDENTITY_PRINCIPAL, IDENTITY_TENANT, PRINCIPAL, REGION, RULE_ID, Way, deployed,
    },
};
use crate::queries::workspace::schema;

/// Types and versions that exist: in the generated types of Bicep's repository.
const VERSIONS: [(&str, &str); 18] = [
    ("Microsoft.Authorization/roleAssignments", "2022-04-01"),
    ("Microsoft.Insights/components", "2020-02-02"),
    ("Microsoft.Insights/dataCollectionRules", "2023-03-11"),
    ("Microsoft.Insights/diagnosticSettings", "2021-05-01-preview"),
    ("Microsoft.Insights/metricAlerts", "2018-03-01"),
    ("Microsoft.Insights/scheduledQueryRules", "2023-12-01"),
    ("Microsoft.Insights/workbooks", "2023-06-01"),
    ("Microsoft.Logic/workflows", "2019-05-01"),
    ("Microsoft.ManagedIdentity/userAssignedIdentities", "2023-01-31"),
    ("Microsoft.OperationalInsights/workspaces/providers/alertRules", "2024-09-01"),
    ("Microsoft.OperationalInsights/workspaces/savedSearches", "2023-09-01"),
    ("Microsoft.OperationalInsights/workspaces/tables", "2023-09-01"),
    ("Microsoft.Resources/deployments", "2022-09-01"),
    ("Microsoft.Storage/storageAccounts", "2023-05-01"),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "2023-05-01"),
    ("Microsoft.Web/connections", "2016-06-01"),
    ("Microsoft.Web/serverfarms", "2024-04-01"),
    ("Microsoft.Web/sites", "2024-04-01"),
];

const TABLE: &str = "Microsoft.OperationalInsights/workspaces/tables";
const RULE: &str = "Microsoft.Insights/dataCollectionRules";
const APP: &str = "Microsoft.Web/sites";
const APP_SETTINGS: &str = "Microsoft.Web/sites/config";
const ROLE: &str = "Microsoft.Authorization/roleAssignments";
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const METRIC_ALERT: &str = "Microsoft.Insights/metricAlerts";
const QUERY_ALERT: &str = "Microsoft.Insights/scheduledQueryRules";

/// How long a table may keep its rows beyond the 730 days that may be any number, in days (Azure Monitor's
/// documentation, "Manage data retention in a Log Analytics workspace", configure table-level retention).
const YEARS: [i64; 10] = [1095, 1460, 1826, 2191, 2556, 2922, 3288, 3653, 4018, 4383];

/// The metrics of a data collection rule that count what was lost, with the dimensions of each (Azure Monitor's
/// documentation, "Supported metrics for Microsoft.Insights/datacollectionrules").
const METRICS: [(&str, &[&str]); 2] = [
    ("RowsDropped_Count", &["InputStreamId"]),
    ("TransformationErrors_Count", &["InputStreamId", "ErrorType"]),
];

/// Where the columns are in a table, and in the rule.
pub const COLUMNS: &str = "/properties/schema/columns";
pub const STREAMS: [&str; 2] = [
    "/properties/streamDeclarations/Custom-MDATPAlerts_CL/columns",
    "/properties/streamDeclarations/Custom-MDATPAlertsHealth_CL/columns",
];

/// The template, and what it has to agree with.
#[derive(Clone)]
pub struct Deployment {
    pub template: String,
    /// The document of the settings.
    pub documented: String,
    pub table: Value,
    pub health: Value,
    pub rule: Value,
    pub functions: String,
}

pub fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn ensure(is_right: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(problem()) }
}

/// Whether the sets are equal, and what is in one of them only.
fn equal<T: Ord + Debug>(what: &str, ours: &BTreeSet<T>, wanted: &BTreeSet<T>) -> Result<(), String> {
    let only = |one: &BTreeSet<T>, other| format!("{:?}", one.difference(other).collect::<Vec<_>>());
    ensure(ours == wanted, || {
        format!("{what}: {} too many, {} missing", only(ours, wanted), only(wanted, ours))
    })
}

impl Deployment {
    pub fn read() -> Self {
        let printed = |arguments: &[&str]| serde_json::from_str(&schema(arguments)).expect("JSON");
        Self {
            template: file("deploy/azuredeploy.json"),
            documented: file("docs/settings.md"),
            table: printed(&["--format", "table"]),
            health: printed(&["--format", "table", "--health"]),
            rule: printed(&["--format", "dcr", "--health", "--location", "[parameters('location')]"]),
            functions: [schema(&["--format", "kql"]), schema(&["--format", "asim"])].join("\n"),
        }
    }

    /// What is wrong, first thing first.
    pub fn check(&self) -> Result<(), String> {
        let document: Value = serde_json::from_str(&self.template).map_err(|error| error.to_string())?;
        self.check_what_is_printed(&document)?;
        let mut unused: Option<BTreeSet<String>> = None;
        for way in Way::ALL {
            let parameters = way.parameters();
            let template = Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT))?;
            let resources = template.resources()?;
            check_outputs(way, &template.outputs(&resources)?)?;
            let here: BTreeSet<_> = template.unused().into_iter().collect();
            unused = Some(unused.map_or(here.clone(), |before| &before & &here));
            check_versions(&resources)?;
            check_flows(&resources)?;
            check_roles(way, &resources)?;
            check_order(&resources)?;
            check_plan(way, &resources)?;
            check_regions(way, &resources)?;
            check_retention(way, &resources)?;
            check_alerts(way, &resources)?;
            self.check_settings(way, &resources)?;
        }
        let unused = unused.unwrap_or_default();
        ensure(unused.is_empty(), || format!("{unused:?} is not used"))
    }

    /// The tables, the rule and the functions are those that the binary prints, before they are evaluated.
    fn check_what_is_printed(&self, document: &Value) -> Result<(), String> {
        let of = |kind: &str| -> Vec<&Value> {
            let resources = document["resources"].as_array().into_iter().flatten();
            resources.filter(|resource| resource["type"] == kind).collect()
        };
        let [table, health] = of(TABLE)[..] else { return Err("not two tables".to_owned()) };
        same("table", &[COLUMNS], &without_retention(table), &self.table, &["properties"])?;
        same("health table", &[COLUMNS], &without_retention(health), &self.health, &["properties"])?;
        let [rule] = of(RULE)[..] else { return Err("not one rule".to_owned()) };
        same("rule", &STREAMS, rule, &self.rule, &["kind", "location", "properties"])?;
        ensure(document["variables"]["ruleName"] == self.rule["name"], || {
            "the rule has another name".to_owned()
        })?;

        let functions = of("Microsoft.OperationalInsights/workspaces/savedSearches");
        let mut text = String::new();
        for function in functions {
            let part = |name: &str| function["properties"][name].as_str().unwrap_or_default();
            let parameters = match part("functionParameters") {
                "" => String::new(),
                parameters => format!("// Parameters: {parameters}\n"),
            };
            text +=
                &["// Function: ", part("functionAlias"), "\n", &parameters, part("query"), "\n"].concat();
        }
        ensure(text.trim() == self.functions.trim(), || differs("functions"))
    }

    fn check_settings(&self, way: Way, resources: &[Resource]) -> Result<(), String> {
        let settings = settings(resources)?;
        let names: BTreeSet<&str> = settings.keys().map(String::as_str).collect();
        // The Functions host signs in to its own storage with these, where they are set.
        let stray = names.iter().find(|name| name.starts_with("AZURE_"));
        ensure(stray.is_none(), || format!("{way:?}: {stray:?} is for no deployed app"))?;
        equal(&format!("{way:?}: the settings"), &names, &way.settings())?;
        let known = settings_tables(&self.documented);
        for name in names.iter().filter(|name| name.starts_with("MDATP_")) {
            ensure(known.contains(name), || format!("docs/settings.md does not know the setting {name}"))?;
        }

        let platform = [("IDENTITY_ENDPOINT".to_owned(), "http://127.0.0.1:8081/msi/token".to_owned())];
        // App Service puts the secret in the place of the reference to it.
        let resolved = |(name, value): (String, String)| match ReferenceTarget::referred_to_by(&value) {
            Some(_) => (name, "secret".to_owned()),
            None => (name, value),
        };
        // Of many tenants each has its own, in the list of tenants.
        let tenant =
            (way == Way::Tenants).then(|| ("MDATP_TENANT_ID".to_owned(), DEFENDER_TENANT.to_owned()));
        let given: Settings =
            settings.clone().into_iter().map(resolved).chain(platform).chain(tenant).collect();
        let config = Config::parse(&given).map_err(|error| format!("{way:?}: {error}"))?;
        let own = matches!(config.identity, Identity::ManagedIdentity { client: None });
        ensure(own, || format!("{way:?}: signs in as {:?}", config.identity))?;
        let source = match (&config.source, way) {
            (SourceIdentity::Own, Way::Flex | Way::Consumption) => true,
            (SourceIdentity::Separate(Identity::ClientSecret { tenant, client, .. }), Way::Secret) => {
                (&**tenant, &**client) == (DEFENDER_TENANT, CLIENT)
            }
            (
                SourceIdentity::Separate(Identity::TrustsManagedIdentity { tenant, client, managed, .. }),
                Way::Federated | Way::Tenants,
            ) => {
                (&**tenant, &**client, managed.as_deref()) == (DEFENDER_TENANT, CLIENT, Some(IDENTITY_CLIENT))
            }
            _ => false,
        };
        ensure(source, || format!("{way:?}: reads Defender as {:?}", config.source))?;
        let SinkConfig::LogsIngestion { endpoint, rule, stream, .. } = &config.sink else {
            return Err("the sink is not Logs Ingestion".to_owned());
        };
        let sink = (endpoint.as_str(), rule.as_str());
        ensure(sink == (ENDPOINT, RULE_ID), || format!("the sink is {:?}", config.sink))?;
        let streams = &one(resources, RULE)?.properties()["streamDeclarations"];
        ensure(streams.get(stream).is_some(), || format!("the rule does not declare {stream}"))?;
        let health = config.health;
        ensure(health == way.tells_health(), || format!("{way:?}: MDATP_HEALTH is on: {health}"))?;

        let StateConfig::Blob { account, container, .. } = &config.state else {
            return Err("the state is not in the storage account".to_owned());
        };
        let storage = one(resources, "Microsoft.Storage/storageAccounts")?.name();
        let place = format!("{storage}/default/{container}");
        ensure(account.name == storage && resources.iter().any(|resource| resource.name() == place), || {
            format!("there is no container {place}")
        })
    }
}

/// A table of the template without what is for whoever deploys it to say.
fn without_retention(table: &Value) -> Value {
    let mut table = table.clone();
    if let Some(properties) = table["properties"].as_object_mut() {
        properties.retain(|name, _| !["retentionInDays", "totalRetentionInDays"].contains(&name.as_str()));
    }
    table
}

fn differs(what: &str) -> String {
    format!("the {what} in the template: not what the binary prints; deploy/refresh-template.py mends it")
}

/// Whether these members are the same, and which columns are not.
fn same(what: &str, places: &[&str], ours: &Value, printed: &Value, members: &[&str]) -> Result<(), String> {
    if members.iter().all(|member| ours[*member] == printed[*member]) {
        return Ok(());
    }
    let set = |document: &Value| -> BTreeSet<String> {
        let lists = places.iter().filter_map(|place| document.pointer(place)?.as_array());
        let columns = lists.flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        columns.map(|column| format!("{} {}", text(&column["name"]), text(&column["type"]))).collect()
    };
    equal(&differs(what), &set(ours), &set(printed))?;
    Err(differs(what))
}

pub fn check_versions(resources: &[Resource]) -> Result<(), String> {
    for Resource { kind, api_version, .. } in resources {
        // The settings of an app have the versions of the app.
        let kind = kind.trim_end_matches("/config");
        ensure(VERSIONS.contains(&(kind, api_version)), || format!("{kind} has no version {api_version}"))?;
    }
    Ok(())
}

/// Each way of the rule ends in a table that is there before it, whatever the parameters: the service refuses a rule
/// whose table it does not know.
fn check_flows(resources: &[Resource]) -> Result<(), String> {
    let rule = resources.iter().find(|resource| resource.kind == RULE).ok_or("no rule")?;
    for flow in rule.properties()["dataFlows"].as_array().into_iter().flatten() {
        let name = flow["outputStream"].as_str().and_then(|stream| stream.strip_prefix("Custom-"));
        let name = name.ok_or_else(|| format!("{flow} leads to no table"))?;
        let is_its_own = |table: &&Resource| {
            let own = table.name().rsplit('/').next();
            let is_named = own == Some(name) && table.properties()["schema"]["name"] == name;
            table.kind == TABLE && table.deployed && is_named
        };
        let table = resources.iter().find(is_its_own).ok_or_else(|| format!("there is no table {name}"))?;
        ensure(rule.depends_on.contains(&table.id), || format!("the rule does not wait for {name}"))?;
    }
    Ok(())
}

pub fn one<'a>(resources: &'a [Resource], kind: &str) -> Result<&'a Resource, String> {
    resources.iter().find(|resource| resource.kind == kind).ok_or(format!("no {kind}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn check_roles(way: Way, resources: &[Resource]) -> Result<(), String> {
    let mut roles = BTreeSet::new();
    for resource in resources.iter().filter(|resource| resource.kind == ROLE && resource.deployed) {
        let properties = resource.properties();
        let who = text(&properties["principalId"]);
        let kind = if who == GROUP { "Group" } else { "ServicePrincipal" };
        ensure(properties["principalType"] == kind, || format!("{properties}"))?;
        // An assignment is of one principal for good: one of the same name and another principal is refused
        // (RoleAssignmentUpdateNotPermitted), so a new app of an old name needs assignments of new names.
        ensure(resource.name().contains(who), || format!("{} does not name {who}", resource.name()))?;
        let role = text(&properties["roleDefinitionId"]);
        let role =
            role.split_once("/providers/Microsoft.Authorization/roleDefinitions/").unwrap_or_default().1;
        let scope = text(&resource.body["scope"]);
        let on =
            scope.rsplit_once('/').and_then(|(on, _)| on.rsplit_once("/providers/")).unwrap_or_default().1;
        roles.insert((who, role, on));
    }
    equal(&format!("{way:?}: the roles"), &roles, &way.roles())
}

/// The host starts, and App Service resolves references to secrets, when the settings are there: by then the app's
/// identity has all its roles.
fn check_order(resources: &[Resource]) -> Result<(), String> {
    let settings = one(resources, APP_SETTINGS)?;
    let is_late = |role: &&Resource| {
        let granted = role.within.as_ref().unwrap_or(&role.id);
        role.kind == ROLE
            && role.properties()["principalId"] == PRINCIPAL
            && !settings.depends_on.contains(granted)
    };
    match resources.iter().find(is_late) {
        Some(role) => Err(format!("the app's settings do not wait for {}", role.name())),
        None => Ok(()),
    }
}

/// What the workspace needs in its own region is there, all else is with the app.
fn check_regions(way: Way, resources: &[Resource]) -> Result<(), String> {
    for Resource { kind, body, id, .. } in resources {
        let is_about_the_workspace =
            text(&body["properties"]["scopes"][0]).contains("/Microsoft.OperationalInsights/workspaces/");
        let region = match kind.as_str() {
            METRIC_ALERT => "global",
            RULE => REGION,
            QUERY_ALERT if is_about_the_workspace => REGION,
            _ => way.app_region(),
        };
        let given = body.get("location");
        ensure(given.is_none_or(|given| given == region), || format!("{way:?}: {id} is not in {region}"))?;
    }
    Ok(())
}

fn check_retention(way: Way, resources: &[Resource]) -> Result<(), String> {
    for table in resources.iter().filter(|resource| resource.kind == TABLE) {
        let kept = ["retentionInDays", "totalRetentionInDays"].map(|name| table.properties()[name].clone());
        ensure(kept == way.retention(), || format!("{way:?}: {} keeps its rows {kept:?}", table.name()))?;
        let [queried, all] = kept.map(|days| days.as_i64());
        let fits = queried.is_none_or(|days| (4..=730).contains(&days))
            && all.is_none_or(|days| (4..=730).contains(&days) || YEARS.contains(&days));
        ensure(fits && (queried <= all || all.is_none()), || {
            format!("no table keeps rows {queried:?}, {all:?}")
        })?;
        ensure(table.properties()["plan"] == "Analytics", || format!("{} cannot be queried", table.name()))?;
    }
    Ok(())
}

/// Every alert rule tells the action group, and what it looks at is there.
fn check_alerts(way: Way, resources: &[Resource]) -> Result<(), String> {
    let told = if way == Way::Secret { json!([ACTION_GROUP]) } else { json!([]) };
    let mut scopes = BTreeSet::new();
    for alert in resources.iter().filter(|alert| [METRIC_ALERT, QUERY_ALERT].contains(&alert.kind.as_str())) {
        let properties = alert.properties();
        let groups = if alert.kind == METRIC_ALERT {
            let groups = properties["actions"].as_array().into_iter().flatten();
            groups.map(|action| action["actionGroupId"].clone()).collect()
        } else {
            properties["actions"]["actionGroups"].clone()
        };
        ensure(groups == told, || format!("{way:?}: {} tells {groups}", alert.name()))?;
        // The service takes only one of the two.
        let is_silenced = properties.get("muteActionsDuration").is_some();
        ensure(!is_silenced || properties["autoMitigate"] == false, || {
            format!("{} is silenced and resolves itself", alert.name())
        })?;
        let scope = text(&properties["scopes"][0]);
        for condition in properties["criteria"]["allOf"].as_array().into_iter().flatten() {
            let Some(metric) = condition.get("metricName") else { continue };
            let dimensions = condition["dimensions"].as_array().into_iter().flatten();
            let mut dimensions = dimensions.map(|dimension| text(&dimension["name"]));
            let known = METRICS.iter().find(|(name, _)| metric == name && scope.contains(RULE));
            let (_, known) = known.ok_or(format!("{scope} has no metric {metric}"))?;
            ensure(dimensions.all(|name| known.contains(&name)), || {
                format!("{metric} has no such dimension")
            })?;
        }
        scopes.insert((alert.kind.as_str(), scope.rsplit('/').nth(1).unwrap_or_default().to_owned()));
    }
    let wanted =
        [(METRIC_ALERT, "dataCollectionRules"), (QUERY_ALERT, "components"), (QUERY_ALERT, "workspaces")];
    equal("the alerts are about", &scopes, &wanted.map(|(kind, on)| (kind, on.to_owned())).into())
}

fn check_plan(way: Way, resources: &[Resource]) -> Result<(), String> {
    let (plan, app) = (one(resources, "Microsoft.Web/serverfarms")?, one(resources, APP)?);
    let config = &app.properties()["functionAppConfig"];
    let (sku, right) = if way == Way::Consumption {
        (json!({"name": "Y1", "tier": "Dynamic"}), config.is_null())
    } else {
        let runtime = config["runtime"] == json!({"name": "custom", "version": "1.0"});
        let storage = one(resources, "Microsoft.Storage/storageAccounts")?.name();
        let place = format!("https://{storage}.blob.core.windows.net/package");
        // A storm of requests to MdatpNow goes to few processes, which answer each with the same two runs.
        let concurrency = &config["scaleAndConcurrency"]["triggers"]["http"]["perInstanceConcurrency"];
        (
            json!({"name": "FC1", "tier": "FlexConsumption"}),
            runtime && config["deployment"]["storage"]["value"] == place && *concurrency == 100,
        )
    };
    ensure(plan.body["sku"] == sku && right && app.properties()["serverFarmId"] == plan.id, || {
        format!("{way:?}: the plan is {} and the app {}", plan.body, app.body)
    })?;

    // Its own identity sends, and has the app registration's beside it where that one has no secret.
    let identity = one(resources, IDENTITY)?;
    let identities = if way.is_federated() {
        json!({"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity.id.as_str(): {}}})
    } else {
        json!({"type": "SystemAssigned"})
    };
    ensure(app.body["identity"] == identities && identity.deployed == way.is_federated(), || {
        format!("{way:?}: the app's identity is {}", app.body["identity"])
    })?;
    let tagged = way.parameters().into_iter().find(|(name, _)| *name == "tags");
    let tags = tagged.map_or(json!({}), |(_, tags)| tags);
    ensure(app.body["tags"] == tags, || format!("{way:?}: the app's tags are {}", app.body["tags"]))
}

/// What the next commands take from the deployment. A federated credential with something wrong in it is made without
/// complaint, and fails when it is used (Microsoft Entra's documentation, "Configure an application to trust a managed
/// identity").
fn check_outputs(way: Way, outputs: &Value) -> Result<(), String> {
    let credential = if way.is_federated() {
        json!({
            "name": "mdatp-forward-k3v7q2m5x4b6a-defender",
            "issuer": format!("https://login.microsoftonline.com/{IDENTITY_TENANT}/v2.0"),
            "subject": IDENTITY_PRINCIPAL,
            "audiences": ["api://AzureADTokenExchange"],
        })
    } else {
        json!({})
    };
    let right =
        outputs["principalId"]["value"] == PRINCIPAL && outputs["federatedCredential"]["value"] == credential;
    ensure(right, || format!("{way:?}: the outputs are {outputs}"))
}

/// The app's settings.
pub fn settings(resources: &[Resource]) -> Result<BTreeMap<String, String>, String> {
    let app = resources.iter().find(|resource| resource.kind == APP_SETTINGS).ok_or("no settings")?;
    serde_json::from_value(app.properties().clone()).map_err(|error| error.to_string())
}

/// The names between backticks in the first column of the tables of settings.
fn settings_tables(document: &str) -> BTreeSet<&str> {
    let rows = document.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    rows.flat_map(|names| names.split('`').skip(1).step_by(2)).collect()
}
