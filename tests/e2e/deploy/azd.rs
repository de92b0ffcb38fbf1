//! `azd up`: azure.yaml names what is there, main.bicep gives the template what it takes, and the hooks do what they say.
//!
//! Names and rules are those of azd's schema (Azure/azure-dev, `schemas/v1.0/azure.yaml.json`) and of its code for services
//! of the language custom (`cli/azd/pkg/project/framework_service_custom.go`) and for hooks (`cli/azd/pkg/ext/models.go`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{
    deployment::file,
    scripts::{Tenant, root, text},
};

/// The members that azd knows of what is used here; it reads a misspelt one over in silence.
const MEMBERS: [(&str, &str); 5] = [
    (
        "project",
        "name resourceGroup metadata infra services resources pipeline hooks requiredVersions state platform workflows cloud",
    ),
    ("infra", "provider path module layers"),
    (
        "service",
        "apiVersion resourceGroup resourceName project image host language module dist remoteBuild docker k8s config uses env hooks",
    ),
    ("hook", "shell kind dir run continueOnError interactive secrets config"),
    ("platforms", "posix windows"),
];

/// What runs before and after, of the project's commands and of a service's.
const HOOKS: [&str; 9] =
    ["provision", "infracreate", "infradelete", "down", "up", "package", "publish", "deploy", "restore"];
const SERVICE_HOOKS: [&str; 5] = ["deploy", "restore", "build", "package", "publish"];

/// What azd itself has in the environment after it has provisioned to a resource group.
const ENVIRONMENT: [&str; 3] = ["AZURE_ENV_NAME", "AZURE_RESOURCE_GROUP", "AZURE_SUBSCRIPTION_ID"];

/// Maps of maps and of texts, which is as much of YAML as azure.yaml has.
fn yaml(text: &str) -> Result<Value, String> {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|line| (line.len() - line.trim_start().len(), line.trim()))
        .collect();
    map(&mut &lines[..], 0)
}

fn map(lines: &mut &[(usize, &str)], indent: usize) -> Result<Value, String> {
    let mut members = Map::new();
    while let Some((&(at, line), rest)) = lines.split_first() {
        if at < indent {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(format!("{line} names nothing"))?;
        if at > indent || name.contains(['"', '\'', ' ']) {
            return Err(format!("{line} is not where it belongs"));
        }
        *lines = rest;
        let value = match value.trim() {
            "" => map(lines, lines.first().map_or(0, |(at, _)| *at).max(indent + 1))?,
            quoted if quoted.starts_with('"') => {
                serde_json::from_str(quoted).map_err(|error| format!("{line}: {error}"))?
            }
            // In a plain text these begin something else.
            plain if [": ", " #"].iter().any(|part| plain.contains(part)) => {
                return Err(format!("{line} needs quotes"));
            }
            plain => json!(plain),
        };
        if members.insert(name.to_owned(), value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(Value::Object(members))
}

/// The template for azd: its parameters, what it gives azuredeploy.json, and its outputs.
#[derive(Default)]
struct Bicep {
    module: String,
    parameters: BTreeSet<String>,
    given: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
}

impl Bicep {
    fn read(text: &str) -> Self {
        let mut bicep = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["param", name, ..] => {
                    bicep.parameters.insert(name.to_owned());
                }
                ["module", _, path, "=", "{"] => path.trim_matches('\'').clone_into(&mut bicep.module),
                ["output", name, _, "=", value] => {
                    bicep.outputs.insert(name.to_owned(), value.to_owned());
                }
                _ => {
                    let given = line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '}']));
                    if let Some((name, value)) = given.and_then(|line| line.split_once(": ")) {
                        bicep.given.insert(name.to_owned(), value.to_owned());
                    }
                }
            }
        }
        bicep
    }
}

/// azure.yaml and what it leads to.
#[derive(Clone)]
struct Project {
    yaml: String,
    bicep: String,
    parameters: String,
    hooks: BTreeMap<String, String>,
}

fn ensure(is_right: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(problem()) }
}

fn knows(object: &Value, of: &str) -> Result<(), String> {
    let (_, known) = MEMBERS.iter().find(|(name, _)| *name == of).ok_or(format!("what is a {of}?"))?;
    let members = object.as_object().ok_or(format!("{object} has no members"))?;
    match members.keys().find(|name| !known.split(' ').any(|known| known == *name)) {
        Some(name) => Err(format!("azd knows no {name} in {of}")),
        None => Ok(()),
    }
}

/// Each is there for both kinds of system, and its script is executable. Returns the scripts.
fn check_hooks(hooks: &Value, of: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut scripts = BTreeSet::new();
    for (name, hook) in hooks.as_object().into_iter().flatten() {
        let command = name.strip_prefix("pre").or_else(|| name.strip_prefix("post"));
        ensure(command.is_some_and(|command| of.contains(&command)), || format!("azd has no hook {name}"))?;
        // With both, azd takes nothing beside them.
        knows(hook, "platforms")?;
        for (platform, shell) in [("posix", "sh"), ("windows", "pwsh")] {
            let hook = &hook[platform];
            knows(hook, "hook")?;
            ensure(hook["shell"] == shell, || format!("{name} on {platform}: no shell {shell}"))?;
            let run = hook["run"].as_str().unwrap_or_default();
            ensure(!run.is_empty(), || format!("{name} on {platform} runs nothing"))?;
            if platform == "posix" {
                let mode = fs::metadata(root().join(run)).map(|file| file.permissions().mode());
                ensure(mode.is_ok_and(|mode| mode & 0o111 == 0o111), || format!("{run} is no program"))?;
                scripts.insert(run.to_owned());
            }
        }
    }
    Ok(scripts)
}

impl Project {
    fn read() -> Self {
        let folder = fs::read_dir(root().join("deploy/azd")).expect("a folder");
        let paths = folder.map(|entry| entry.expect("an entry").path());
        let scripts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "sh"));
        let name = |path: &Path| path.strip_prefix(root()).expect("below").display().to_string();
        Self {
            yaml: file("azure.yaml"),
            bicep: file("deploy/azd/main.bicep"),
            parameters: file("deploy/azd/main.parameters.json"),
            hooks: scripts.map(|path| (name(&path), file(&name(&path)))).collect(),
        }
    }

    fn check(&self) -> Result<(), String> {
        let project = yaml(&self.yaml)?;
        knows(&project, "project")?;
        knows(&project["infra"], "infra")?;
        ensure(project["name"].is_string(), || "the project has no name".to_owned())?;
        let is_there = |path: &str| root().join(path).exists();
        let path =
            [&project["infra"]["path"], &project["infra"]["module"]].map(|part| part.as_str().unwrap_or("?"));
        ensure(is_there(&format!("{}.bicep", path.join("/"))), || format!("{path:?} is no module"))?;

        let services = project["services"].as_object().ok_or("no services")?;
        let [(name, service)] = services.iter().collect::<Vec<_>>()[..] else {
            return Err("not one service".to_owned());
        };
        knows(service, "service")?;
        ensure(service["host"] == "function" && service["language"] == "custom", || format!("{service}"))?;
        ensure(service["project"].as_str().is_some_and(is_there), || format!("{service} has no project"))?;
        // A file that ends in .zip is deployed as it is, and this one is what the hook before makes.
        let dist = service["dist"].as_str().unwrap_or_default();
        let hook = &service["hooks"]["prepackage"]["posix"]["run"];
        let package = file("deploy/package.sh");
        let prepackage = hook.as_str().and_then(|hook| self.hooks.get(hook));
        ensure(
            prepackage.is_some_and(|text| text.contains("\nexec deploy/package.sh\n"))
                && Path::new(dist).extension().is_some_and(|extension| extension == "zip")
                && package.contains(&format!("/{dist}\n")),
            || format!("{hook} does not make {dist}"),
        )?;
        let mut scripts = check_hooks(&project["hooks"], &HOOKS)?;
        scripts.extend(check_hooks(&service["hooks"], &SERVICE_HOOKS)?);
        let unused = self.hooks.keys().find(|script| !scripts.contains(*script));
        ensure(unused.is_none(), || format!("no hook runs {unused:?}"))?;
        self.check_bicep(name)
    }

    fn check_bicep(&self, service: &str) -> Result<(), String> {
        let bicep = Bicep::read(&self.bicep);
        let module = bicep.module.strip_prefix("../").unwrap_or("?");
        ensure(module == "azuredeploy.json", || format!("the module is {module}"))?;
        let template: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
        let declared = template["parameters"].as_object().ok_or("no parameters")?;
        for (name, parameter) in declared {
            let is_given = bicep.given.contains_key(name) || parameter.get("defaultValue").is_some();
            ensure(is_given, || format!("{name} is needed and not given"))?;
        }
        for (name, value) in &bicep.given {
            ensure(declared.contains_key(name), || format!("the template has no parameter {name}"))?;
            // A default that is said twice is the same twice.
            if let Some(default) =
                declared[name]["defaultValue"].as_str().filter(|text| !text.starts_with('['))
            {
                let own =
                    self.bicep.lines().find_map(|line| line.strip_prefix(&format!("param {name} string = ")));
                ensure(own.is_none_or(|own| own.trim_matches('\'') == default), || {
                    format!("{name} is {own:?} here, {default} in the template")
                })?;
            }
            ensure(!value.is_empty(), || format!("nothing is given for {name}"))?;
        }
        for name in &bicep.parameters {
            let is_used = bicep.given.values().any(|value| value.contains(name.as_str()));
            ensure(is_used || name == "workspaceName", || format!("{name} is given to nobody"))?;
        }
        let tag = format!("'azd-service-name': '{service}'");
        ensure(bicep.given.get("tags").is_some_and(|tags| tags == "{") && self.bicep.contains(&tag), || {
            format!("the app is not tagged {service}")
        })?;
        for (name, value) in &bicep.outputs {
            let output = value.strip_prefix("forwarder.outputs.").unwrap_or("?");
            ensure(template["outputs"].get(output).is_some(), || {
                format!("{name}: there is no output {output}")
            })?;
        }

        let values: Value = serde_json::from_str(&self.parameters).map_err(|error| error.to_string())?;
        let values = values["parameters"].as_object().ok_or("no values")?;
        let mut known: BTreeSet<_> = ENVIRONMENT.map(str::to_owned).into();
        for (name, value) in values {
            ensure(bicep.parameters.contains(name), || format!("main.bicep has no parameter {name}"))?;
            let value = value["value"].as_str().unwrap_or_default();
            let variable = value.strip_prefix("${").and_then(|value| value.strip_suffix('}'));
            known.insert(variable.ok_or(format!("{value} is no variable"))?.to_owned());
        }
        for name in &bicep.parameters {
            ensure(values.contains_key(name), || format!("azd has no way to be told {name}"))?;
        }
        known.extend(bicep.outputs.keys().cloned());
        for (script, text) in &self.hooks {
            let names = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
            let names = names.map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
                &rest[..end]
            });
            if let Some(name) = names.filter(|name| name.len() > 1).find(|name| !known.contains(*name)) {
                return Err(format!("{script} wants {name}, which azd does not have"));
            }
        }
        Ok(())
    }
}

#[test]
fn what_azd_is_told_is_there() {
    assert_eq!(Project::read().check(), Ok(()));
}

#[test]
fn a_mistake_in_what_azd_is_told_is_found() {
    let right = Project::read();
    for (from, to, part) in [
        ("\ninfra:", "\ninfrastructure:", "azd knows no infrastructure"),
        ("  module: main", "  module: azd", "is no module"),
        ("    host: function", "    host: appservice", "appservice"),
        ("    dist: dist/mdatp-forward.zip", "    dist: dist", "does not make dist"),
        ("      prepackage:", "      preprovision:", "null does not make"),
        ("  predown:", "  predelete:", "azd has no hook predelete"),
        ("          shell: sh", "          shell: bash", "no shell sh"),
        (
            "          run: deploy/azd/prepackage.sh",
            "          runs: deploy/azd/prepackage.sh",
            "does not make",
        ),
        ("          run: deploy/azd/prepackage.sh", "          run: deploy/publish.sh", "does not make"),
        ("run: deploy/azd/predown.sh", "run: deploy/azd/down.sh", "deploy/azd/down.sh is no program"),
        (
            "run: deploy/azd/predown.sh",
            "run: deploy/package.sh",
            "no hook runs Some(\"deploy/azd/predown.sh\")",
        ),
        (
            "  predown:\n    posix:",
            "  predown:\n    shell: sh\n    posix:",
            "azd knows no shell in platforms",
        ),
        ("\n  mdatp-forward:", "\n  forwarder:", "the app is not tagged forwarder"),
        ("name: mdatp-forward", "name mdatp-forward", "names nothing"),
        ("azd: \">= 1.20.0\"", "azd: the newest: 1.20.0", "needs quotes"),
    ] {
        assert!(right.yaml.contains(from), "{from} is not in azure.yaml");
        let wrong = Project { yaml: right.yaml.replace(from, to), ..right.clone() };
        let problem = wrong.check().expect_err(from);
        assert!(problem.contains(part), "{from}: {problem}");
    }
    for (from, to, part) in [
        ("    workspaceName: workspaceName\n", "", "workspaceName is needed and not given"),
        ("    schedule: schedule", "    timer: schedule", "the template has no parameter timer"),
        ("    clientId: clientId\n", "", "clientId is given to nobody"),
        ("'0 */5 * * * *'", "'0 */15 * * * *'", "schedule is Some"),
        ("'azd-service-name'", "'azd-service'", "the app is not tagged"),
        ("forwarder.outputs.appName", "forwarder.outputs.app", "there is no output app"),
        ("output AZURE_FUNCTION_APP_NAME", "output AZURE_FUNCTION_NAME", "wants AZURE_FUNCTION_APP_NAME"),
        ("../azuredeploy.json", "azuredeploy.json", "the module is"),
    ] {
        assert!(right.bicep.contains(from), "{from} is not in main.bicep");
        let wrong = Project { bicep: right.bicep.replace(from, to), ..right.clone() };
        let problem = wrong.check().expect_err(from);
        assert!(problem.contains(part), "{from}: {problem}");
    }
    for (from, to, part) in [
        ("\"tenantId\"", "\"tenant\"", "main.bicep has no parameter tenant"),
        ("${MDATP_CLIENT_ID}", "${MDATP_CLIENT}", "wants MDATP_CLIENT_ID"),
        ("${MDATP_TENANTS}", "${MDATP_TENANT}", "wants MDATP_TENANTS"),
        (
            "\"workspaceName\": {\"value\": \"${MDATP_WORKSPACE_NAME}\"},",
            "",
            "no way to be told workspaceName",
        ),
    ] {
        assert!(right.parameters.contains(from), "{from} is not in main.parameters.json");
        let wrong = Project { parameters: right.parameters.replace(from, to), ..right.clone() };
        let problem = wrong.check().expect_err(from);
        assert!(problem.contains(part), "{from}: {problem}");
    }
}

/// What azd has in the environment of a hook.
const PROVISIONED: [(&str, &str); 3] = [
    ("AZURE_RESOURCE_GROUP", "security"),
    ("AZURE_SUBSCRIPTION_ID", "5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10"),
    ("AZURE_FUNCTION_APP_NAME", "forwarder"),
];

#[test]
fn after_provisioning_the_roles_are_granted_in_the_subscription_of_azd() {
    let tenant = Tenant::new();
    let output = tenant.run("deploy/azd/postprovision.sh", &[], &PROVISIONED);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(tenant.assigned().lines().count(), 2);
    assert_eq!(tenant.subscriptions(), BTreeSet::from([PROVISIONED[1].1.to_owned()]));
}

#[test]
fn who_may_not_grant_is_told_so_and_the_deployment_goes_on() {
    let with = |trouble| {
        let mut environment = PROVISIONED.to_vec();
        environment.push(("TROUBLE", trouble));
        let tenant = Tenant::new();
        let output = tenant.run("deploy/azd/postprovision.sh", &[], &environment);
        assert_eq!(tenant.assigned(), "");
        (output.status.code(), text(&output.stderr))
    };
    let (code, told) = with("denied");
    assert_eq!(code, Some(0), "{told}");
    let command = "deploy/grant-roles.sh security forwarder 5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10";
    assert!(told.contains("ask a Privileged Role Administrator") && told.contains(command), "{told}");
    // Anything else is worth stopping for: the code would get a token without the roles.
    let (code, told) = with("no-identity");
    assert_eq!(code, Some(1), "{told}");
}

#[test]
fn an_app_registration_of_ones_own_is_granted_nothing_here() {
    let tenant = Tenant::new();
    let mut environment = PROVISIONED.to_vec();
    environment.push(("MDATP_CLIENT_ID", "a1b2c3d4-0000-4e60-9a4b-1c8d7e6f5a41"));
    let output = tenant.run("deploy/azd/postprovision.sh", &[], &environment);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text(&output.stdout).contains("a1b2c3d4-0000-4e60-9a4b-1c8d7e6f5a41 reads Defender"),
        "{output:?}"
    );
    assert_eq!(tenant.assigned(), "");
}

#[test]
fn for_many_tenants_nothing_is_granted_here_and_their_package_is_made() {
    let tenant = Tenant::new();
    let mut environment = PROVISIONED.to_vec();
    environment
        .extend([("MDATP_TENANTS", "true"), ("MDATP_CLIENT_ID", "a1b2c3d4-0000-4e60-9a4b-1c8d7e6f5a41")]);
    let output = tenant.run("deploy/azd/postprovision.sh", &[], &environment);
    assert!(output.status.success() && text(&output.stdout).contains("docs/tenants.md"), "{output:?}");
    assert_eq!(tenant.assigned(), "");

    // Where no program is installed, the package's script names what it was asked for.
    for (tenants, asked) in [("true", " --tenants\""), ("false", "package.sh\""), ("", "package.sh\"")] {
        let folder = tempfile::tempdir().expect("a folder");
        let uname = folder.path().join("uname");
        fs::write(&uname, "#!/bin/sh\necho Darwin arm64\n").expect("written");
        fs::set_permissions(&uname, fs::Permissions::from_mode(0o755)).expect("a program");
        let path = format!("{}:{}", folder.path().display(), std::env!("PATH"));
        let mut script = std::process::Command::new(root().join("deploy/azd/prepackage.sh"));
        let output = script.env("PATH", path).env("MDATP_TENANTS", tenants).output().expect("bash");
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(1) && told.contains(asked), "{tenants:?}: {told}");
    }
}

/// For a deployment to a resource group azd deletes the group
/// (`cli/azd/pkg/azapi/standard_deployments.go`, `DeleteResourceGroupDeployment`).
#[test]
fn azd_down_does_not_get_as_far_as_the_workspace() {
    let output = Tenant::new().run("deploy/azd/predown.sh", &[], &PROVISIONED);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("would delete the resource group security"), "{output:?}");
}
