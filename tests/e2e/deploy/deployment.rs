//! The template beside what it has to agree with: README's settings, what the binary prints, and what exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    path::Path,
};

use mdatp_forward::config::{
    Config, Identity, SinkConfig, StateConfig, reference::Vault, settings::Settings,
};
use serde_json::{Value, json};

use super::{
    template::{Resource, Template},
    way::{ENDPOINT, EXISTING, PRINCIPAL, RULE_ID, Way, deployed},
};
use crate::queries::workspace::schema;

/// Types and versions that exist: in the generated types of Bicep's repository.
const VERSIONS: [(&str, &str); 13] = [
    ("Microsoft.Authorization/roleAssignments", "2022-04-01"),
    ("Microsoft.Insights/components", "2020-02-02"),
    ("Microsoft.Insights/dataCollectionRules", "2023-03-11"),
    ("Microsoft.Insights/diagnosticSettings", "2021-05-01-preview"),
    ("Microsoft.Insights/scheduledQueryRules", "2023-12-01"),
    ("Microsoft.Insights/workbooks", "2023-06-01"),
    ("Microsoft.OperationalInsights/workspaces/providers/alertRules", "2024-09-01"),
    ("Microsoft.OperationalInsights/workspaces/savedSearches", "2023-09-01"),
    ("Microsoft.OperationalInsights/workspaces/tables", "2023-09-01"),
    ("Microsoft.Storage/storageAccounts", "2023-05-01"),
    ("Microsoft.Storage/storageAccounts/blobServices/containers", "2023-05-01"),
    ("Microsoft.Web/serverfarms", "2024-04-01"),
    ("Microsoft.Web/sites", "2024-04-01"),
];

const TABLE: &str = "Microsoft.OperationalInsights/workspaces/tables";
const RULE: &str = "Microsoft.Insights/dataCollectionRules";

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
    pub readme: String,
    pub table: Value,
    pub health: Value,
    pub rule: Value,
    pub functions: String,
}

pub fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn ensure(is_right: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
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
            readme: file("README.md"),
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
        for way in Way::ALL {
            let parameters = way.parameters();
            let template = Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT))?;
            let resources = template.resources()?;
            let outputs = template.outputs()?;
            ensure(outputs["principalId"]["value"] == PRINCIPAL, || format!("the outputs are {outputs}"))?;
            ensure(template.unused().is_empty(), || format!("{:?} is not used", template.unused()))?;
            check_versions(&resources)?;
            check_flows(&resources)?;
            check_roles(way, &resources)?;
            check_plan(way, &resources)?;
            self.check_settings(way, &resources)?;
        }
        Ok(())
    }

    /// The tables, the rule and the functions are those that the binary prints, before they are evaluated.
    fn check_what_is_printed(&self, document: &Value) -> Result<(), String> {
        let of = |kind: &str| -> Vec<&Value> {
            let resources = document["resources"].as_array().into_iter().flatten();
            resources.filter(|resource| resource["type"] == kind).collect()
        };
        let [table, health] = of(TABLE)[..] else { return Err("not two tables".to_owned()) };
        same("table", &[COLUMNS], table, &self.table, &["properties"])?;
        same("health table", &[COLUMNS], health, &self.health, &["properties"])?;
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
        equal(&format!("{way:?}: the settings"), &names, &way.settings())?;
        let known = settings_table(&self.readme);
        for name in names.iter().filter(|name| name.starts_with("MDATP_") || name.starts_with("AZURE_")) {
            ensure(known.contains(name), || format!("README does not know the setting {name}"))?;
        }

        let platform = [("IDENTITY_ENDPOINT".to_owned(), "http://127.0.0.1:8081/msi/token".to_owned())];
        // App Service puts the secret in the place of the reference to it.
        let resolved = |(name, value): (String, String)| match Vault::referred_to_by(&value) {
            Some(_) => (name, "secret".to_owned()),
            None => (name, value),
        };
        let given: Settings = settings.clone().into_iter().map(resolved).chain(platform).collect();
        let config = Config::parse(&given).map_err(|error| format!("{way:?}: {error}"))?;
        let identity = match (&config.identity, way) {
            (Identity::ClientSecret { client, .. }, Way::Secret) => *client == settings["AZURE_CLIENT_ID"],
            (Identity::ManagedIdentity { client: None }, Way::Flex | Way::Consumption) => true,
            _ => false,
        };
        ensure(identity, || format!("{way:?}: signs in as {:?}", config.identity))?;
        let SinkConfig::LogsIngestion { endpoint, rule, stream, .. } = &config.sink else {
            return Err("the sink is not Logs Ingestion".to_owned());
        };
        let sink = (endpoint.as_str(), rule.as_str());
        ensure(sink == (ENDPOINT, RULE_ID), || format!("the sink is {:?}", config.sink))?;
        let one = |kind| resources.iter().find(|resource| resource.kind == kind).ok_or(format!("no {kind}"));
        let streams = &one(RULE)?.properties()["streamDeclarations"];
        ensure(streams.get(stream).is_some(), || format!("the rule does not declare {stream}"))?;
        let health = config.health;
        ensure(health == way.tells_health(), || format!("{way:?}: MDATP_HEALTH is on: {health}"))?;

        let StateConfig::Blob { account, container, .. } = &config.state else {
            return Err("the state is not in the storage account".to_owned());
        };
        let storage = one("Microsoft.Storage/storageAccounts")?.name();
        let place = format!("{storage}/default/{container}");
        ensure(account.name == storage && resources.iter().any(|resource| resource.name() == place), || {
            format!("there is no container {place}")
        })
    }
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

fn check_roles(way: Way, resources: &[Resource]) -> Result<(), String> {
    let mut roles = BTreeSet::new();
    let kind = "Microsoft.Authorization/roleAssignments";
    for resource in resources.iter().filter(|resource| resource.kind == kind && resource.deployed) {
        let properties = resource.properties();
        ensure(properties["principalType"] == "ServicePrincipal", || format!("{properties}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let role = text(&properties["roleDefinitionId"]);
        let role =
            role.split_once("/providers/Microsoft.Authorization/roleDefinitions/").unwrap_or_default().1;
        let scope = text(&resource.body["scope"]);
        let on =
            scope.rsplit_once('/').and_then(|(on, _)| on.rsplit_once("/providers/")).unwrap_or_default().1;
        roles.insert((text(&properties["principalId"]), role.to_owned(), on.to_owned()));
    }
    let wanted =
        way.roles().into_iter().map(|(who, role, on)| (who.to_owned(), role.to_owned(), on.to_owned()));
    let wanted: BTreeSet<_> = wanted.collect();
    equal(&format!("{way:?}: the roles"), &roles, &wanted)
}

fn check_plan(way: Way, resources: &[Resource]) -> Result<(), String> {
    let one = |kind| resources.iter().find(|resource| resource.kind == kind).ok_or(format!("no {kind}"));
    let (plan, app) = (one("Microsoft.Web/serverfarms")?, one("Microsoft.Web/sites")?);
    let config = &app.properties()["functionAppConfig"];
    let (sku, right) = match way {
        Way::Consumption => (json!({"name": "Y1", "tier": "Dynamic"}), config.is_null()),
        Way::Flex | Way::Secret => {
            let runtime = config["runtime"] == json!({"name": "custom", "version": "1.0"});
            let storage = one("Microsoft.Storage/storageAccounts")?.name();
            let place = format!("https://{storage}.blob.core.windows.net/package");
            (
                json!({"name": "FC1", "tier": "FlexConsumption"}),
                runtime && config["deployment"]["storage"]["value"] == place,
            )
        }
    };
    ensure(plan.body["sku"] == sku && right && app.properties()["serverFarmId"] == plan.id, || {
        format!("{way:?}: the plan is {} and the app {}", plan.body, app.body)
    })
}

/// The app's settings.
pub fn settings(resources: &[Resource]) -> Result<BTreeMap<String, String>, String> {
    let app = resources
        .iter()
        .find(|resource| resource.kind == "Microsoft.Web/sites/config")
        .ok_or("no settings")?;
    serde_json::from_value(app.properties().clone()).map_err(|error| error.to_string())
}

/// The names between backticks in README's table of settings.
fn settings_table(readme: &str) -> BTreeSet<&str> {
    let section = readme.split("\n## ").find(|section| section.starts_with("Settings\n")).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect()
}
