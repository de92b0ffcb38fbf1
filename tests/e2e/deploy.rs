//! deploy/: the template makes what the program needs, under the names that the program knows, and the table and
//! the rule that it prints. Each check is shown to fail on a copy with a mistake in it.

mod asim;
mod azd;
mod deployment;
mod expression;
mod logic_app;
mod onboard;
mod reader;
mod scripts;
mod template;
pub mod watch;
mod way;

use std::{collections::BTreeSet, fs, path::Path};

use mdatp_forward::testing::{Config, Identity, SchemaDocument, Shape, SourceIdentity};
use serde_json::{Value, json};
use simulator::Sink;

use crate::stage::Stage;
use deployment::{COLUMNS, Deployment, STREAMS, file, settings};
use template::Template;
use way::{
    ENDPOINT, EXISTING, IDENTITY_CLIENT, IDENTITY_PRINCIPAL, IDENTITY_TENANT, RULE_ID, SETTINGS, Way,
    deployed,
};

#[test]
fn the_template_agrees_with_itself_with_the_documents_and_with_what_the_binary_prints() {
    assert_eq!(Deployment::read().check(), Ok(()));
}

#[test]
fn the_parameters_file_fits_the_template() {
    let template: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
    let given: Value = serde_json::from_str(&file("deploy/azuredeploy.parameters.json")).expect("JSON");
    let given = given["parameters"].as_object().expect("parameters");
    let given: Vec<_> = given.iter().map(|(name, value)| (name.as_str(), value["value"].clone())).collect();
    let template =
        Template::new(&template, &given, &EXISTING, deployed(RULE_ID, ENDPOINT)).expect("a template");
    assert_eq!(template.resources().map(|resources| resources.is_empty()), Ok(false));
}

/// Every template that somebody deploys, also one that is added later, with its path.
fn templates() -> Vec<(String, Value)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")];
    let mut templates = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read(&path).expect("a file");
                let document: Value = serde_json::from_slice(&text).expect("JSON");
                if document["$schema"]
                    .as_str()
                    .is_some_and(|schema| schema.contains("/deploymentTemplate.json"))
                {
                    templates.push((path.display().to_string(), document));
                }
            }
        }
    }
    assert!(templates.len() >= 6, "{} templates", templates.len());
    templates
}

#[test]
fn the_template_reader_knows_every_member() {
    for (path, document) in templates() {
        assert_eq!(reader::read(&document), Ok(()), "{path}");
    }
}

#[test]
fn every_parameter_of_every_template_is_described() {
    for (path, document) in templates() {
        for (name, parameter) in document["parameters"].as_object().into_iter().flatten() {
            let description = parameter["metadata"]["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{path}: {name}: {description:?}");
        }
    }
}

/// (what is replaced in the template, by what, a part of the problem that this makes)
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "\"properties\": {\n        \"etag\": \"*\",",
        "\"etag\": \"*\",\n      \"properties\": {",
        "Could not find member 'etag'",
    ),
    ("\"etag\": \"*\",", "", "needs \"etag\": \"*\""),
    ("parameters('schedule')", "parameters('shedule')", "no parameter shedule"),
    ("variables('blobUri')", "variables('bloburl')", "no variable bloburl"),
    ("[variables('planId')]", "[variables('planId']", "is missing"),
    ("[resourceId('Microsoft.Web/serverfarms'", "[ressourceId('Microsoft.Web/serverfarms'", "ressourceId"),
    (
        "[resourceId('Microsoft.Insights/components', parameters('appName'))]",
        "[resourceId('Microsoft.Insights/components', parameters('appName'), 'x')]",
        "no name of a Microsoft.Insights/components",
    ),
    (
        "[resourceId('Microsoft.Web/serverfarms', parameters('appName'))]",
        "[resourceId('Microsoft.Web/serverfarms', 'another')]",
        "not declared",
    ),
    (".endpoints.logsIngestion", ".endpoints.logIngestion", "no logIngestion"),
    (".immutableId", ".id", "there is no id"),
    ("\"apiVersion\": \"2023-03-11\"", "\"apiVersion\": \"2023-03-12\"", "no version 2023-03-12"),
    ("\"Microsoft.Web/serverfarms\"", "\"Microsoft.Web/serverFarm\"", "which is not declared"),
    ("\"MDATP_SINK\"", "\"MDATP_SINKS\"", "MDATP_SINK"),
    ("'MDATP_DCR_ID'", "'MDATP_RULE_ID'", "MDATP_RULE_ID"),
    ("\"MDATP_CLIENT_SECRET\"", "\"MDATP_CLIENT_SECRETS\"", "MDATP_CLIENT_SECRETS"),
    ("\"MDATP_CLIENT_SECRET\"", "\"AZURE_CLIENT_SECRET\"", "\"AZURE_CLIENT_SECRET\") is for no deployed app"),
    (
        "'MDATP_MANAGED_IDENTITY_CLIENT_ID'",
        "'AZURE_CLIENT_ID'",
        "\"AZURE_CLIENT_ID\") is for no deployed app",
    ),
    ("\"MDATP_SINK\": \"logs-ingestion\",", "", "MDATP_SINK"),
    ("format('blob:{0}', variables('stateContainer'))", "concat('blob:', 'other')", "there is no container"),
    ("\"stateContainer\": \"mdatp-forward\"", "\"stateContainer\": \"Mdatp\"", "MDATP_STATE"),
    ("3913510d-42f4-4e42-8a64-420c390055eb", "3913510d-42f4-4e42-8a64-420c390055ec", "the roles: ["),
    ("\"runtime\": {\"name\": \"custom\"", "\"runtime\": {\"name\": \"node\"", "the plan is"),
    ("\"perInstanceConcurrency\": 100", "\"perInstanceConcurrency\": 4", "the plan is"),
    ("\"dependsOn\": [\"[variables('ruleId')]\"]", "\"dependsOn\": []", "does not depend on"),
    ("\"MDATP_HEALTH\"", "\"MDATP_HEALTHY\"", "MDATP_HEALTHY"),
    ("[parameters('health')]", "off", "MDATP_HEALTH is on: false"),
    ("\"defaultValue\": \"off\"", "\"defaultValue\": \"on\"", "MDATP_HEALTH is on: true"),
    ("Custom-MDATPAlerts_CL", "Custom-Alerts_CL", "the rule in the template"),
    ("Custom-MDATPAlertsHealth_CL", "Custom-Health_CL", "the rule in the template"),
    (
        "\"comments\": \"health table\",",
        "\"condition\": \"[equals(parameters('health'), 'on')]\",",
        "there is no table MDATPAlertsHealth_CL",
    ),
    ("MDATPAlertsHealth_CL'", "Health_CL'", "there is no table MDATPAlertsHealth_CL"),
    (
        ",\n        \"[resourceId('Microsoft.OperationalInsights/workspaces/tables', parameters('workspaceName'), 'MDATPAlertsHealth_CL')]\"",
        "",
        "does not wait for MDATPAlertsHealth_CL",
    ),
    (
        "\"functionAlias\": \"MDATPAlertsLatest\"",
        "\"functionAlias\": \"Latest\"",
        "the functions in the template",
    ),
    ("\"defaultValue\": 512", "\"defaultValue\": 1024", "instanceMemoryMB cannot be 1024"),
    ("\"maxLength\": 32", "\"maxLength\": 16", "appName cannot be"),
    ("\"maxValue\": 730", "\"maxValue\": 720", "retentionInDays cannot be 730"),
    // A name that another identity's assignment has already, and one that cannot be known in time.
    (
        "guid(variables('storageId'), parameters('principalId'), 'Storage Queue Data Contributor')",
        "guid(variables('storageId'), parameters('appName'), 'Storage Queue Data Contributor')",
        "does not name app-principal",
    ),
    (
        "guid(variables('storageId'), parameters('principalId'), 'Storage Blob Data Owner')",
        "guid(variables('storageId'), parameters('appName'), 'Storage Blob Data Owner')",
        "a resource is declared twice",
    ),
    (
        "\"name\": \"[guid(variables('insightsId'), parameters('principalId'),",
        "\"name\": \"[guid(variables('insightsId'), reference(variables('insightsId'), '2020-02-02').InstrumentationKey,",
        "reference(): only in properties and outputs",
    ),
    (
        "\"location\": \"[parameters('appLocation')]\"",
        "\"location\": \"[reference(variables('ruleId'), '2023-03-11').location]\"",
        "reference(): only in properties and outputs",
    ),
    ("\"scope\": \"inner\"", "\"scope\": \"outer\"", "a resource is declared twice"),
    (
        "\"principalType\": {\"type\": \"string\"}",
        "\"principalKind\": {\"type\": \"string\"}",
        "no parameter principalType",
    ),
    ("\"keyVaultName\": {\"value\": \"[parameters('keyVaultName')]\"},", "", "keyVaultName has no value"),
    (
        "[format('{0}-roles', parameters('appName'))]",
        "[format('{0}-roles-of-the-identity-of-the-app-itself', parameters('appName'))]",
        "is too long",
    ),
    (
        "\"[variables('storageId')]\"\n      ]\n    }",
        "\"[variables('ruleId')]\"\n      ]\n    }",
        "does not depend on",
    ),
    // What is used before its role is there.
    (",\n        \"[variables('rolesId')]\"", "", "the app's settings do not wait for"),
    // The app registration's identity.
    ("'SystemAssigned, UserAssigned'", "'UserAssigned'", "the app's identity is"),
    ("\"condition\": \"[variables('isFederated')]\",", "", "the app's identity is"),
    (
        "if(variables('isFederated'), createObject('MDATP_MANAGED_IDENTITY_CLIENT_ID'",
        "if(variables('isFlex'), createObject('MDATP_MANAGED_IDENTITY_CLIENT_ID'",
        "which is not deployed",
    ),
    (
        "[if(variables('isFederated'), createObject('name'",
        "[if(variables('isFlex'), createObject('name'",
        "which is not deployed",
    ),
    (
        "reference(variables('identityId'), '2023-01-31').clientId",
        "reference(variables('identityId'), '2023-01-31').principalId",
        "reads Defender as",
    ),
    (
        "\"MDATP_TENANT_ID\": \"[parameters('tenantId')]\"",
        "\"MDATP_TENANT_ID\": \"[parameters('clientId')]\"",
        "reads Defender as",
    ),
    (".principalId, 'audiences'", ".clientId, 'audiences'", "the outputs are"),
    (
        "\"audience\": \"api://AzureADTokenExchange\"",
        "\"audience\": \"api://AzureADTokenExchange/.default\"",
        "the outputs are",
    ),
    ("\"tags\": \"[parameters('tags')]\",", "", "the app's tags are"),
    // Many tenants: the app has no tenant of its own, and who counts the messages that failed.
    (
        "if(parameters('tenants'), variables('tenantsSettings'), variables('sourceSettings'))",
        "variables('sourceSettings')",
        "Tenants: the settings",
    ),
    ("\"condition\": \"[parameters('tenants')]\",", "", "[\"tenants\"] is not used"),
    (
        "\"tenants\": {\"value\": \"[parameters('tenants')]\"}",
        "\"tenants\": {\"value\": true}",
        "Secret: the roles",
    ),
    ("19e7f393-937e-4f77-808e-94535e297925", "19e7f393-937e-4f77-808e-94535e297926", "Tenants: the roles"),
    // Regions: of the app's parts, of the workspace's, and of a metric alert.
    ("\"kind\": \"functionapp\",", "\"location\": \"[parameters('location')]\",", "is not in northeurope"),
    (
        "\"location\": \"[parameters('location')]\"",
        "\"location\": \"[parameters('appLocation')]\"",
        "the rule in the template",
    ),
    ("\"location\": \"global\"", "\"location\": \"[parameters('location')]\"", "is not in global"),
    // How long rows are kept, and in which plan.
    (
        "[if(equals(parameters('retentionInDays'), -1), null(), parameters('retentionInDays'))]",
        "[parameters('retentionInDays')]",
        "keeps its rows",
    ),
    (
        "\"totalRetentionInDays\": \"[if(equals(parameters('totalRetentionInDays'), -1), null(), parameters('totalRetentionInDays'))]\"",
        "\"totalRetentionInDays\": null",
        "keeps its rows",
    ),
    ("\"plan\": \"Analytics\"", "\"plan\": \"Auxiliary\"", "the table in the template"),
    // What is told, about what, and to whom.
    ("\"RowsDropped_Count\"", "\"LogsRowsDropped\"", "has no metric"),
    ("\"InputStreamId\"", "\"Input Stream\"", "has no such dimension"),
    (
        "\"muteActionsDuration\": \"PT6H\"",
        "\"muteActionsDuration\": \"PT6H\", \"autoMitigate\": true",
        "resolves itself",
    ),
    ("createArray(createObject('actionGroupId', parameters('actionGroupId')))", "createArray()", "tells []"),
    (
        "\"scopes\": [\"[variables('workspaceId')]\"]",
        "\"scopes\": [\"[variables('insightsId')]\"]",
        "does not depend on",
    ),
];

#[test]
fn a_mistake_in_the_template_is_found() {
    let right = Deployment::read();
    let is_missed = |(from, to, part): &&(&str, &str, &str)| {
        let wrong = Deployment { template: right.template.replace(from, to), ..right.clone() };
        !right.template.contains(from) || !wrong.check().is_err_and(|problem| problem.contains(part))
    };
    let missed: Vec<_> = MISTAKES.iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_setting_renamed_in_the_code_is_found() {
    let right = Deployment::read();
    let source =
        ["MDATP_CLIENT_ID", "MDATP_CLIENT_SECRET", "MDATP_MANAGED_IDENTITY_CLIENT_ID", "MDATP_TENANT_ID"];
    for name in SETTINGS.iter().filter(|name| name.starts_with("MDATP_")).chain(&source) {
        let documented = right.documented.replace(&format!("`{name}`"), &format!("`{name}_NEW`"));
        let problem = Deployment { documented, ..right.clone() }.check().expect_err(name);
        assert_eq!(problem, format!("docs/settings.md does not know the setting {name}"));
    }
}

/// Nested deployments as Resource Manager reads them: which template's parameters an expression means, and what the
/// deployment has to wait for.
#[test]
fn a_nested_deployment_is_evaluated_in_the_scope_that_it_names() {
    let nested = |scope: Option<&str>, name: &str| {
        let mut deployment = json!({
            "type": "Microsoft.Resources/deployments", "apiVersion": "2022-09-01", "name": "inner",
            "condition": "[equals(parameters('who'), 'outer')]",
            "properties": {
                "mode": "Incremental",
                "template": {
                    "parameters": {"who": {"type": "string", "defaultValue": "inner"}},
                    "resources": [{
                        "type": "Microsoft.Web/sites", "apiVersion": "2024-04-01", "name": name,
                        "properties": {"plan": "[resourceId('Microsoft.Web/serverfarms', 'plan')]"},
                    }],
                },
            },
            "dependsOn": ["[resourceId('Microsoft.Web/serverfarms', 'plan')]"],
        });
        if let Some(scope) = scope {
            deployment["properties"]["expressionEvaluationOptions"] = json!({"scope": scope});
        }
        json!({
            "parameters": {"who": {"type": "string"}},
            "resources": [
                {"type": "Microsoft.Web/serverfarms", "apiVersion": "2024-04-01", "name": "plan"}, deployment
            ],
        })
    };
    let resources = |document: &Value, who: &str| {
        let given = [("who", json!(who))];
        Template::new(document, &given, &[], deployed(RULE_ID, ENDPOINT))
            .and_then(|template| template.resources())
    };
    for (scope, site) in [(None, "outer"), (Some("outer"), "outer"), (Some("inner"), "inner")] {
        let listed = resources(&nested(scope, "[parameters('who')]"), "outer").expect("resources");
        let last = listed.last().expect("the site");
        assert_eq!((last.name(), last.deployed), (site, true), "{scope:?}");
        assert!(last.within.as_ref().is_some_and(|id| id.ends_with("/deployments/inner")), "{last:?}");
        let listed = resources(&nested(scope, "[parameters('who')]"), "nobody").expect("resources");
        assert!(!listed.last().expect("the site").deployed, "its deployment has a condition");
    }
    // In the scope around it an expression is evaluated when the deployment is made, in its own scope before.
    let asked =
        "[reference(resourceId('Microsoft.Web/sites', 'app'), '2024-04-01', 'full').identity.principalId]";
    let document = nested(None, asked);
    assert!(resources(&document, "outer").expect_err("no app").contains("sites/app, which is not declared"));
    let problem = resources(&nested(Some("inner"), asked), "outer").expect_err("too early");
    assert!(problem.contains("reference(): only in properties and outputs"), "{problem}");
    let mut hasty = nested(Some("inner"), "[parameters('who')]");
    hasty["resources"][1]["dependsOn"] = json!([]);
    assert!(resources(&hasty, "outer").expect_err("does not wait").contains("does not depend on"));
}

/// Of many tenants each may name its own app registration, all of which trust the one identity.
#[test]
fn many_tenants_share_the_identity_also_without_a_shared_app_registration() {
    let document: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
    let parameters = [("workspaceName", json!("sentinel")), ("tenants", json!(true))];
    let template =
        Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT)).expect("a template");
    let resources = template.resources().expect("resources");
    let settings = settings(&resources).expect("settings");
    assert_eq!(settings["MDATP_MANAGED_IDENTITY_CLIENT_ID"], IDENTITY_CLIENT);
    assert!(!settings.keys().any(|name| ["MDATP_CLIENT_ID", "MDATP_TENANT_ID"].contains(&name.as_str())));
    let outputs = template.outputs(&resources).expect("outputs");
    assert_eq!(outputs["federatedCredential"]["value"]["subject"], IDENTITY_PRINCIPAL);
}

/// The registration trusts the identity's tenant in the cloud that the program signs in to.
#[test]
fn the_federated_credential_is_for_the_cloud_that_is_chosen() {
    let document: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
    for (cloud, audience) in [
        ("public", "api://AzureADTokenExchange"),
        ("gcc", "api://AzureADTokenExchange"),
        ("gcc-high", "api://AzureADTokenExchangeUSGov"),
        ("dod", "api://AzureADTokenExchangeUSGov"),
    ] {
        let mut parameters = Way::Federated.parameters();
        parameters.push(("cloud", json!(cloud)));
        let template = Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT))
            .expect("a template");
        let resources = template.resources().expect("resources");
        let credential = &template.outputs(&resources).expect("outputs")["federatedCredential"]["value"];
        let settings = settings(&resources).expect("settings");
        assert_eq!(settings["MDATP_CLOUD"], cloud);
        let platform = ("IDENTITY_ENDPOINT".to_owned(), "http://127.0.0.1:8081/msi/token".to_owned());
        let config = Config::parse(&settings.into_iter().chain([platform]).collect()).expect("settings");
        let issuer = format!("{}/{IDENTITY_TENANT}/v2.0", config.authority.as_str());
        let SourceIdentity::Separate(Identity::TrustsManagedIdentity { audience: asked_for, .. }) =
            config.source
        else {
            panic!("{cloud}: reads Defender as {:?}", config.source)
        };
        assert_eq!(asked_for, audience, "{cloud}");
        assert_eq!(
            (&credential["issuer"], &credential["audiences"]),
            (&json!(issuer), &json!([audience])),
            "{cloud}"
        );
    }
}

/// The registration for another tenant's Defender is one that this tenant can consent to, by a page that has to lead back
/// somewhere (Defender for Endpoint's documentation, "Partner access through Microsoft Defender for Endpoint APIs"), and
/// it asks for as much as deploy/grant-roles.sh grants.
#[test]
fn the_app_registration_can_be_consented_to_and_asks_for_the_two_roles() {
    let registration: Value = serde_json::from_str(&file("deploy/app-registration.json")).expect("JSON");
    assert_eq!(registration["signInAudience"], "AzureADMultipleOrgs");
    assert_eq!(registration["web"]["redirectUris"], json!(["https://portal.azure.com"]));
    let [access] = &registration["requiredResourceAccess"].as_array().expect("a list")[..] else {
        panic!("{registration}")
    };
    let script = file("deploy/grant-roles.sh");
    assert!(script.contains(&format!(" api={}\n", access["resourceAppId"].as_str().expect("an id"))));
    let [alerts, machines] = ["71fe6b80-7034-4028-9ed8-0f316df9c3ff", "ea8291d3-4b9a-44b5-bc3a-6cea3026dc79"];
    let roles = json!([{"id": alerts, "type": "Role"}, {"id": machines, "type": "Role"}]);
    assert!(script.contains("roles=(Alert.Read.All Machine.Read.All)\n"));
    assert_eq!(access["resourceAccess"], roles);
}

/// What somebody asks for by name is set as it was asked for, and goes before what the template would set.
#[test]
fn settings_of_ones_own_are_set_as_they_are_given() {
    let document: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
    for way in Way::ALL {
        let mut parameters = way.parameters();
        parameters.push(("settings", json!({"AZURE_CLIENT_ID": "mine", "MDATP_START": "48h"})));
        let template = Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT))
            .expect("a template");
        let settings = settings(&template.resources().expect("resources")).expect("settings");
        assert_eq!((&*settings["AZURE_CLIENT_ID"], &*settings["MDATP_START"]), ("mine", "48h"), "{way:?}");
    }
}

type Edit = fn(&mut Vec<Value>, &str);

#[test]
fn a_column_added_removed_or_retyped_in_the_code_is_found() {
    let right = Deployment::read();
    let [alerts, runs] = STREAMS;
    let added: Edit = |columns, name| columns.push(json!({"name": name, "type": "string"}));
    let removed: Edit = |columns, name| columns.retain(|column| column["name"] != name);
    let retyped: Edit = |columns, name| {
        columns
            .iter_mut()
            .filter(|column| column["name"] == name)
            .for_each(|column| column["type"] = json!("int"));
    };
    for (name, of, edit) in [
        ("New", alerts, added),
        ("Severity", alerts, removed),
        ("OsBuild", alerts, retyped),
        ("New", runs, added),
        ("Result", runs, removed),
        ("LagSeconds", runs, retyped),
    ] {
        let changed = |document: &Value, columns: &str| {
            let mut document = document.clone();
            edit(document.pointer_mut(columns).and_then(Value::as_array_mut).expect("columns"), name);
            document
        };
        let (what, table) = if of == alerts {
            ("table", Deployment { table: changed(&right.table, COLUMNS), ..right.clone() })
        } else {
            ("health table", Deployment { health: changed(&right.health, COLUMNS), ..right.clone() })
        };
        let rule = Deployment { rule: changed(&right.rule, of), ..right.clone() };
        for (what, wrong) in [(what, table), ("rule", rule)] {
            let problem = wrong.check().expect_err(name);
            assert!(problem.starts_with(&format!("the {what} in the template")), "{problem}");
            assert!(problem.contains(&format!("[\"{name} ")), "{name}: {problem}");
        }
    }
    let functions = right.functions.replace("arg_max", "arg_min");
    assert!(Deployment { functions, ..right }.check().expect_err("other functions").contains("functions"));
}

/// The rule of the template is taken by the service, and with the template's settings the binary sends through it
/// the alerts and the row about the run.
#[tokio::test]
async fn what_the_template_makes_forwards_alerts_without_loss() {
    let document: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
    let mut stage = Stage::with_alerts(Sink::LogsIngestion, 200, 20).await;
    let mut parameters = Way::Flex.parameters();
    parameters.push(("health", json!("on")));
    let deployed = deployed(&stage.settings["MDATP_DCR_ID"], &stage.settings["MDATP_INGESTION_ENDPOINT"]);
    let template = Template::new(&document, &parameters, &EXISTING, deployed).expect("a template");
    let resources = template.resources().expect("resources");
    let rule = resources.iter().find(|resource| resource.kind == "Microsoft.Insights/dataCollectionRules");
    let rule = rule.expect("a rule").body.to_string();
    let document =
        SchemaDocument::from_json(serde_json::from_str(&rule).expect("JSON")).expect("a rule to compare");
    assert_eq!(document.compare(Shape::Native, "Custom-MDATPAlerts_CL", None), []);
    stage.cloud.deploy_rule(&rule).expect("a rule that the service takes");
    for name in ["MDATP_SINK", "MDATP_DCR_ID", "MDATP_INGESTION_ENDPOINT", "MDATP_STREAM", "MDATP_LOG_NAME"] {
        stage.unset(name);
    }
    // The account of the template is nowhere but in Azure.
    let settings = settings(&resources).expect("settings").into_iter();
    stage.settings.extend(settings.filter(|(name, _)| name != "MDATP_STATE" && !name.starts_with("Azure")));
    assert_eq!(stage.tick().await["valuesMisfit"], 0);
    let (runs, alerts): (Vec<_>, Vec<_>) =
        stage.cloud.rows().into_iter().partition(|row| row.contains_key("Result"));
    let sent: BTreeSet<_> = alerts.iter().filter_map(|row| row["AlertId"].as_str()).collect();
    assert_eq!(sent, stage.cloud.alert_ids().iter().map(String::as_str).collect());
    assert_eq!((alerts.len(), runs.len(), &runs[0]["Sent"]), (200, 1, &json!(200)));
    assert!(stage.cloud.rejected().is_empty(), "{:?}", stage.cloud.rejected());
    assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
}
