//! The members that Resource Manager's template reader knows. Any other one fails the whole deployment before its
//! first resource: `InvalidRequestContent … Could not find member 'etag' on object of type 'TemplateResource'`
//! (Azure/bicep-types-az#1872). The published types do not tell, since they have `etag` in the wrong place. The
//! names are those that the reader in the Bicep CLI 0.49.2 took when each was tried.

use serde_json::{Map, Value};

const TEMPLATE: &[&str] = &[
    "$schema",
    "contentVersion",
    "apiProfile",
    "languageVersion",
    "metadata",
    "functions",
    "parameters",
    "variables",
    "resources",
    "outputs",
];

const PARAMETER: &[&str] =
    &["type", "defaultValue", "allowedValues", "minValue", "maxValue", "minLength", "maxLength", "metadata"];

const RESOURCE: &[&str] = &[
    "type",
    "apiVersion",
    "name",
    "location",
    "comments",
    "dependsOn",
    "tags",
    "sku",
    "kind",
    "plan",
    "properties",
    "identity",
    "zones",
    "scope",
    "condition",
    "copy",
    "id",
    "managedBy",
    "managedByExtended",
    "extendedLocation",
    "scale",
    "resourceGroup",
    "subscriptionId",
    "asserts",
    "resources",
    "import",
    "existing",
    "placement",
    "metadata",
];

/// The properties of a nested deployment, of the published type.
const DEPLOYMENT: &[&str] = &[
    "mode",
    "template",
    "templateLink",
    "parameters",
    "parametersLink",
    "expressionEvaluationOptions",
    "onErrorDeployment",
    "debugSetting",
];

/// Reads a template, and the ones that its deployments and its resources hold.
pub fn read(template: &Value) -> Result<(), String> {
    knows(template, TEMPLATE, "Template")?;
    for (_, parameter) in template["parameters"].as_object().into_iter().flatten() {
        knows(parameter, PARAMETER, "TemplateInputParameter")?;
    }
    resources(&template["resources"])
}

fn resources(list: &Value) -> Result<(), String> {
    for resource in list.as_array().into_iter().flatten() {
        knows(resource, RESOURCE, "TemplateResource")?;
        resources(&resource["resources"])?;
        let kind = resource["type"].as_str().unwrap_or_default().to_ascii_lowercase();
        if kind == "microsoft.resources/deployments" {
            knows(&resource["properties"], DEPLOYMENT, "DeploymentProperties")?;
            read(&resource["properties"]["template"])?;
        }
        // What exists is saved over only with this; without it, deploying again answers 409.
        if kind.ends_with("/savedsearches") && resource["properties"]["etag"] != "*" {
            return Err(format!("{} needs \"etag\": \"*\" in its properties", resource["name"]));
        }
    }
    Ok(())
}

fn knows(object: &Value, names: &[&str], of: &str) -> Result<(), String> {
    let members = object.as_object().into_iter().flat_map(Map::keys);
    match members.into_iter().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("Could not find member '{name}' on object of type '{of}'")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_in_the_wrong_place_is_found_however_deep_its_template_lies() {
        let saved =
            json!({"type": "A/b/savedSearches", "name": "s", "etag": "*", "properties": {"etag": "*"}});
        let inner = json!({"resources": [saved]});
        let nested = json!({"resources": [
            {"type": "Microsoft.Resources/deployments", "properties": {"template": inner.clone()}}
        ]});
        let child = json!({"resources": [{"type": "A/b", "resources": [saved]}]});
        for template in [&inner, &nested, &child] {
            let problem = read(template).expect_err("etag stands beside properties");
            assert!(problem.contains("'etag' on object of type 'TemplateResource'"), "{problem}");
        }
        let lower = json!({"parameters": {"p": {"type": "string", "default": 1}}, "resources": []});
        assert!(read(&lower).expect_err("a parameter has a defaultValue").contains("TemplateInputParameter"));
        let scope = json!({"expressionEvaluationOption": {"scope": "inner"}, "template": {"resources": []}});
        let outer = json!({"resources": [{"type": "Microsoft.Resources/deployments", "properties": scope}]});
        assert!(read(&outer).expect_err("a letter is missing").contains("DeploymentProperties"));
        let odd = json!({"resource": [], "resources": []});
        assert!(read(&odd).expect_err("a letter is missing").contains("'resource'"));
    }
}
