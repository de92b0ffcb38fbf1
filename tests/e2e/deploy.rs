//! deploy/: the template makes what the program needs, under the names that the program knows, and the table and
//! the rule that it prints. Each check is shown to fail on a copy with a mistake in it.

mod asim;
mod deployment;
mod expression;
mod reader;
mod scripts;
mod template;
pub mod watch;
mod way;

use std::{collections::BTreeSet, fs, path::Path};

use mdatp_forward::schema::{Shape, check::Document};
use serde_json::{Value, json};
use simulator::Sink;

use crate::stage::Stage;
use deployment::{COLUMNS, Deployment, STREAMS, file, settings};
use template::Template;
use way::{ENDPOINT, EXISTING, RULE_ID, SETTINGS, Way, deployed};

#[test]
fn the_template_agrees_with_itself_with_readme_and_with_what_the_binary_prints() {
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

/// Every template that somebody deploys, also one that is added later.
#[test]
fn the_template_reader_knows_every_member() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")];
    let mut templates = 0;
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
                    templates += 1;
                    assert_eq!(reader::read(&document), Ok(()), "{}", path.display());
                }
            }
        }
    }
    assert!(templates >= 5, "{templates} templates");
}

/// (what is replaced in the template, by what, a part of the problem that this makes)
const MISTAKES: [(&str, &str, &str); 31] = [
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
    ("\"AZURE_CLIENT_SECRET\"", "\"AZURE_CLIENT_SECRETS\"", "AZURE_CLIENT_SECRETS"),
    ("\"MDATP_SINK\": \"logs-ingestion\",", "", "MDATP_SINK"),
    ("format('blob:{0}', variables('stateContainer'))", "concat('blob:', 'other')", "there is no container"),
    ("\"stateContainer\": \"mdatp-forward\"", "\"stateContainer\": \"Mdatp\"", "MDATP_STATE"),
    ("3913510d-42f4-4e42-8a64-420c390055eb", "3913510d-42f4-4e42-8a64-420c390055ec", "the roles: ["),
    ("\"runtime\": {\"name\": \"custom\"", "\"runtime\": {\"name\": \"node\"", "the plan is"),
    ("\"dependsOn\": [\"[variables('ruleId')]\"]", "\"dependsOn\": []", "does not depend on"),
    ("\"MDATP_HEALTH\"", "\"MDATP_HEALTHY\"", "MDATP_HEALTHY"),
    ("[parameters('health')]", "off", "[\"health\"] is not used"),
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
];

#[test]
fn a_mistake_in_the_template_is_found() {
    let right = Deployment::read();
    for (from, to, part) in MISTAKES {
        assert!(right.template.contains(from), "{from} is not in the template");
        let wrong = Deployment { template: right.template.replace(from, to), ..right.clone() };
        let problem = wrong.check().expect_err(from);
        assert!(problem.contains(part), "{from}: {problem}");
    }
}

#[test]
fn a_setting_renamed_in_the_code_is_found() {
    let right = Deployment::read();
    for name in SETTINGS.iter().filter(|name| name.starts_with("MDATP_")).chain(&["AZURE_CLIENT_SECRET"]) {
        let readme = right.readme.replace(&format!("`{name}`"), &format!("`{name}_NEW`"));
        let problem = Deployment { readme, ..right.clone() }.check().expect_err(name);
        assert_eq!(problem, format!("README does not know the setting {name}"));
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
        Document::from_json(serde_json::from_str(&rule).expect("JSON")).expect("a rule to compare");
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
    assert!(stage.cloud.refused().is_empty(), "{:?}", stage.cloud.refused());
    assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
}
