//! deploy/logicapp-now.json: the Logic App that starts a run when Defender raises an alert. It calls the function that
//! deploy/package.sh --now adds, and the function's key is nowhere that somebody reads.

use serde_json::{Value, json};

use super::{
    deployment::{check_versions, ensure, file, one},
    template::{Resource, Template},
    way::REGION,
};

const TEMPLATE: &str = "deploy/logicapp-now.json";

/// The app and its function are there before.
const EXISTING: [&str; 2] = ["Microsoft.Web/sites", "Microsoft.Web/sites/functions"];

const APP: &str = "forwarder";
const HOST: &str = "forwarder-a1b2.westeurope-01.azurewebsites.net";
const KEY: &str = "the key that the app tells";

/// The workflow's own name for its key.
const KEY_PARAMETER: &str = "functionKey";

/// The template as it is deployed for the app, with these parameters besides.
fn template<'a>(document: &'a Value, given: &[(&'a str, Value)]) -> Result<Template<'a>, String> {
    let app = json!({
        "Microsoft.Web/sites": {"properties": {"defaultHostName": HOST}, "keys": {"default": KEY}}
    });
    let given: Vec<_> = given.iter().cloned().chain([("appName", json!(APP))]).collect();
    Template::new(document, &given, &EXISTING, app)
}

/// What is wrong, first thing first.
fn check(text: &str) -> Result<(), String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let template = template(&document, &[])?;
    let resources = template.resources()?;
    template.outputs(&resources)?;
    ensure(template.unused().is_empty(), || format!("{:?} is not used", template.unused()))?;
    check_versions(&resources)?;
    let connection = one(&resources, "Microsoft.Web/connections")?;
    let workflow = one(&resources, "Microsoft.Logic/workflows")?;
    for resource in [connection, workflow] {
        ensure(resource.body["location"] == REGION, || format!("{} is not in {REGION}", resource.id))?;
    }
    let definition = &workflow.properties()["definition"];
    check_trigger(connection, workflow)?;
    check_action(definition)?;
    check_key(&document, workflow)?;
    // Before somebody has signed in at the connection, there is nothing to subscribe with.
    ensure(workflow.properties()["state"] == "Disabled", || "it is not disabled at first".to_owned())
}

/// The one member of a map: its name and its value.
fn only<'a>(map: &'a Value, what: &str) -> Result<(&'a str, &'a Value), String> {
    let members = map.as_object().ok_or(format!("no {what}"))?;
    match (members.len(), members.iter().next()) {
        (1, Some((name, value))) => Ok((name, value)),
        (count, _) => Err(format!("{count} {what}")),
    }
}

/// Defender's connector notifies the workflow of new alerts. Its subscription is as templates of others have it, such as
/// `isolate_on_high.json` in github.com/EricSoldierer/MDATP.
fn check_trigger(connection: &Resource, workflow: &Resource) -> Result<(), String> {
    let properties = workflow.properties();
    let (name, used) = only(&properties["parameters"]["$connections"]["value"], "connections")?;
    let connector = &connection.properties()["api"]["id"];
    let is_of_the_region = connector.as_str().is_some_and(|id| {
        id.ends_with(&format!("/providers/Microsoft.Web/locations/{REGION}/managedApis/wdatp"))
    });
    ensure(is_of_the_region, || format!("{connector} is not the connector"))?;
    let wanted = json!({"connectionId": connection.id, "connectionName": connection.name(), "id": connector});
    ensure(*used == wanted, || format!("the connection is {used}"))?;
    ensure(workflow.depends_on.contains(&connection.id), || "does not wait for its connection".to_owned())?;

    let (_, trigger) = only(&properties["definition"]["triggers"], "triggers")?;
    let wanted = json!({
        "type": "ApiConnectionWebhook",
        "inputs": {
            "host": {"connection": {"name": format!("@parameters('$connections')['{name}']['connectionId']")}},
            "path": "/subscriptions",
            "body": {
                "changeType": "created",
                "clientState": "flow",
                "expirationDateTime": "2038-09-20T12:00:00Z",
                "notificationUrl": "@listCallbackUrl()",
                "resource": "alerts",
            },
        },
    });
    ensure(*trigger == wanted, || format!("the trigger is {trigger}"))
}

/// The workflow's one action hands the trigger's body to the function, and is content with 202.
fn check_action(definition: &Value) -> Result<(), String> {
    let function: Value = serde_json::from_str(&file("deploy/MdatpNow/function.json")).expect("JSON");
    let trigger = &function["bindings"][0];
    let (_, action) = only(&definition["actions"], "actions")?;
    let inputs = &action["inputs"];
    // "/api" is the host's prefix where host.json has no other.
    let address = format!("https://{HOST}/api/{}", trigger["route"].as_str().expect("a route"));
    ensure(inputs["uri"] == address, || format!("calls {}", inputs["uri"]))?;
    let method = inputs["method"].as_str().unwrap_or_default().to_lowercase();
    let is_taken = trigger["methods"].as_array().is_some_and(|methods| methods.contains(&json!(method)));
    ensure(action["type"] == "Http" && is_taken, || format!("calls by {method}"))?;
    ensure(inputs["body"] == "@triggerBody()", || format!("posts {}", inputs["body"]))?;
    ensure(inputs["retryPolicy"]["type"] == "exponential", || "has no retry policy".to_owned())?;
    // Otherwise it would ask a Location for the end of what a 202 began.
    ensure(action["operationOptions"] == "DisableAsyncPattern", || "waits after a 202".to_owned())
}

/// The key is a secure parameter of the workflow, read in the one header. Neither the definition nor the history of a run
/// has its value: the action's inputs are secured.
fn check_key(document: &Value, workflow: &Resource) -> Result<(), String> {
    let properties = workflow.properties();
    let definition = &properties["definition"];
    ensure(definition["parameters"][KEY_PARAMETER] == json!({"type": "SecureString"}), || {
        format!("the key is {}", definition["parameters"][KEY_PARAMETER])
    })?;
    let (_, action) = only(&definition["actions"], "actions")?;
    let headers = &action["inputs"]["headers"];
    let wanted = json!({"x-functions-key": format!("@parameters('{KEY_PARAMETER}')")});
    ensure(*headers == wanted, || format!("the headers are {headers}"))?;
    let secured = &action["runtimeConfiguration"]["secureData"]["properties"];
    ensure(*secured == json!(["inputs"]), || "its runs show the key".to_owned())?;

    let mut shown = properties.clone();
    ensure(shown["parameters"][KEY_PARAMETER].take() == json!({"value": KEY}), || {
        "the key is not the app's".to_owned()
    })?;
    ensure(!shown.to_string().contains(KEY), || "shows the key".to_owned())?;
    ensure(document["parameters"][KEY_PARAMETER]["type"] == "securestring", || {
        "the deployment shows the key".to_owned()
    })?;
    ensure(!document["outputs"].to_string().contains("listKeys"), || "the outputs show a key".to_owned())?;
    let from_a_vault = template(document, &[(KEY_PARAMETER, json!("given"))])?.resources()?;
    let given = &one(&from_a_vault, "Microsoft.Logic/workflows")?.properties()["parameters"][KEY_PARAMETER];
    ensure(given["value"] == "given", || format!("takes {given} in the place of the key that is given"))
}

#[test]
fn the_logic_app_posts_a_new_alert_to_the_function_and_shows_nobody_its_key() {
    assert_eq!(check(&file(TEMPLATE)), Ok(()));
}

#[test]
fn a_mistake_in_the_logic_app_is_found() {
    let right = file(TEMPLATE);
    let mistakes = [
        ("\"2016-06-01\"", "\"2016-06-02\"", "no version 2016-06-02"),
        ("'Microsoft.Web/sites/functions'", "'Microsoft.Web/sites/slots'", "not declared"),
        ("'wdatp'", "'azuread'", "is not the connector"),
        (
            "\"id\": \"[variables('connectorId')]\"\n              }",
            "\"id\": \"wdatp\"}",
            "the connection is",
        ),
        ("[variables('connectionId')]\"]", "[variables('connectionId')]\"], \"etag\": \"*\"", "'etag'"),
        ("\"dependsOn\": [\"[variables('connectionId')]\"]", "\"dependsOn\": []", "does not depend on"),
        ("['wdatp']['connectionId']", "['wdatp']['id']", "the trigger is"),
        ("\"resource\": \"alerts\"", "\"resource\": \"machines\"", "the trigger is"),
        ("/api/alerts/now", "/api/MdatpNow", "calls \"https://forwarder-"),
        ("\"POST\"", "\"PUT\"", "calls by put"),
        ("\"@triggerBody()\"", "\"@triggerBody()['id']\"", "posts"),
        ("\"exponential\"", "\"none\"", "retry policy"),
        ("\"operationOptions\": \"DisableAsyncPattern\",", "", "waits after a 202"),
        ("\"SecureString\"", "\"String\"", "the key is"),
        ("\"x-functions-key\"", "\"x-function-key\"", "the headers are"),
        ("[\"inputs\"]", "[\"outputs\"]", "its runs show the key"),
        ("'2024-04-01').default,", "'2024-04-01').master,", "no master"),
        (
            "\"outputs\": {}",
            "\"outputs\": \"[listKeys(variables('functionId'), '2024-04-01')]\"",
            "shows the key",
        ),
        (
            "\"outputs\": {\n    \"connectionName\"",
            "\"outputs\": {\n    \"key\": {\"value\": \"[listKeys(variables('functionId'), '2024-04-01')]\"}, \"connectionName\"",
            "the outputs show a key",
        ),
        ("\"type\": \"securestring\"", "\"type\": \"string\"", "the deployment shows the key"),
        ("parameters('functionKey'))]\"", "'')]\"", "in the place of the key that is given"),
        ("\"defaultValue\": \"Disabled\"", "\"defaultValue\": \"Enabled\"", "not disabled at first"),
        ("[parameters('location')]", "northeurope", "is not"),
    ];
    let is_missed = |(from, to, part): &&(&str, &str, &str)| {
        !right.contains(from) || !check(&right.replace(from, to)).is_err_and(|problem| problem.contains(part))
    };
    let missed: Vec<_> = mistakes.iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
