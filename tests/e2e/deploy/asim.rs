//! The ASIM parsers in a workspace: the template saves them as the binary prints them, and deploy/asim-hook.sh has
//! the unifying parsers call them without changing what is somebody else's.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    deployment::{Deployment, file},
    template::Template,
    way::{ENDPOINT, EXISTING, RULE_ID, Way, deployed},
};
use crate::queries::{
    parser::FunctionText,
    workspace::{functions, schema},
};

const FILTERING: &str = "vimAlertEventMdatpForward";
const PARAMETERLESS: &str = "ASimAlertEventMdatpForward";
const HOOKS: [&str; 2] = ["Im_AlertEventCustom", "ASim_AlertEventCustom"];

/// The lines that the documentation page "Manage ASIM parsers" has one add.
const LINES: [&str; 2] = [
    "vimAlertEventMdatpForward(starttime=starttime,endtime=endtime,ipaddr_has_any_prefix=ipaddr_has_any_prefix,\
     hostname_has_any=hostname_has_any,username_has_any=username_has_any,attacktactics_has_any=attacktactics_has_any,\
     attacktechniques_has_any=attacktechniques_has_any,threatcategory_has_any=threatcategory_has_any,\
     alertverdict_has_any=alertverdict_has_any,eventseverity_has_any=eventseverity_has_any,disabled=false,pack=pack)",
    "ASimAlertEventMdatpForward(disabled=false,pack=pack)",
];

/// What Microsoft's own, empty functions of these names declare (Azure-Sentinel, ASIM/deploy/EmptyCustomUnifyingParsers).
const DECLARED: [&str; 2] = [
    "starttime:datetime=datetime(null),endtime:datetime=datetime(null),ipaddr_has_any_prefix:dynamic=dynamic([]),\
     hostname_has_any:dynamic=dynamic([]),username_has_any:dynamic=dynamic([]),attacktactics_has_any:dynamic=dynamic([]),\
     attacktechniques_has_any:dynamic=dynamic([]),threatcategory_has_any:dynamic=dynamic([]),\
     alertverdict_has_any:dynamic=dynamic([]),eventseverity_has_any:dynamic=dynamic([]),pack:bool=false",
    "disabled:bool=false,pack:bool=false",
];

#[test]
fn the_template_saves_the_parsers_unless_it_is_told_not_to() {
    let document: Value = serde_json::from_str(&file("deploy/azuredeploy.json")).expect("JSON");
    for (asim, wanted) in [(None, true), (Some("on"), true), (Some("off"), false)] {
        let mut parameters = Way::Flex.parameters();
        parameters.extend(asim.map(|asim| ("asim", json!(asim))));
        let template = Template::new(&document, &parameters, &EXISTING, deployed(RULE_ID, ENDPOINT))
            .expect("a template");
        let resources = template.resources().expect("resources");
        for name in [FILTERING, PARAMETERLESS] {
            let parser = resources.iter().find(|resource| resource.name() == format!("sentinel/{name}"));
            assert_eq!(parser.map(|parser| parser.deployed), Some(wanted), "{asim:?}: {name}");
        }
        // It is shared by all parsers of the workspace, and a template saves over what is there.
        assert!(!resources.iter().any(|resource| HOOKS.iter().any(|hook| resource.name().ends_with(hook))));
    }
}

#[test]
fn a_parser_that_is_not_as_the_binary_prints_it_is_found() {
    let right = Deployment::read();
    for (from, to) in [
        ("disabled:bool=false,pack:bool=false\"", "pack:bool=false\""),
        ("EventSeverity = ", "Severity = "),
        ("\"functionAlias\": \"ASimAlertEventMdatpForward\"", "\"functionAlias\": \"ASimAlertEventMdatp\""),
    ] {
        assert!(right.template.contains(from), "{from} is not in the template");
        let wrong = Deployment { template: right.template.replace(from, to), ..right.clone() };
        assert!(wrong.check().expect_err(from).contains("the functions in the template"), "{from}");
    }
}

/// A workspace before deploy/asim-hook.sh.
struct Saved {
    folder: TempDir,
}

impl Saved {
    /// With the parsers, as the template saves them.
    fn new() -> Self {
        let saved = Self::empty();
        for FunctionText { name, parameters, body } in functions(&schema(&["--format", "asim"])) {
            saved.save(&name, &parameters, &body);
        }
        saved
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/deploy/saved.sh");
        symlink(stand_in, folder.path().join("az")).expect("linked");
        fs::create_dir(folder.path().join("saved")).expect("made");
        Self { folder }
    }

    fn save(&self, name: &str, parameters: &str, query: &str) {
        let function = self.folder.path().join("saved").join(name);
        fs::create_dir(&function).expect("made");
        fs::write(function.join("functionParameters"), parameters).expect("written");
        fs::write(function.join("query"), query).expect("written");
    }

    /// A function's parameters and query.
    fn function(&self, name: &str) -> (String, String) {
        let read = |property| fs::read_to_string(self.folder.path().join("saved").join(name).join(property));
        (read("functionParameters").expect("parameters"), read("query").expect("a query"))
    }

    fn hook(&self, arguments: &[&str], trouble: &str) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), std::env!("PATH"));
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/asim-hook.sh"));
        command.args(arguments).env_clear().env("PATH", path).env("TROUBLE", trouble);
        command.env("SAVED", self.folder.path().join("saved")).output().expect("bash is installed")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

const PLACE: [&str; 2] = ["security", "sentinel"];

#[test]
fn the_functions_that_the_unifying_parsers_call_are_made_once() {
    let saved = Saved::new();
    for told in ["created, calls", "already calls"] {
        let output = saved.hook(&PLACE, "");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        for (hook, parser) in HOOKS.iter().zip([FILTERING, PARAMETERLESS]) {
            assert!(text(&output.stdout).contains(&format!("{hook}: {told} {parser}\n")), "{output:?}");
        }
        for ((hook, line), declared) in HOOKS.iter().zip(LINES).zip(DECLARED) {
            let wanted = (declared.to_owned(), format!("union isfuzzy=true\n{line}\n"));
            assert_eq!(saved.function(hook), wanted, "{hook}");
        }
    }
}

#[test]
fn a_function_that_is_there_stays_as_it_is_and_the_line_for_it_is_told() {
    // Microsoft's empty one, somebody's own, and one that comes between the look and the making.
    for (query, trouble) in [
        ("union ASimEmptyView\n", ""),
        ("union isfuzzy=true\nvimAlertEventMine(starttime=starttime)\n", ""),
        ("union isfuzzy=true\nvimAlertEventMine(starttime=starttime)\n", "race"),
    ] {
        let saved = Saved::new();
        saved.save(HOOKS[0], "starttime:datetime=datetime(null)", query);
        let output = saved.hook(&PLACE, trouble);
        assert_eq!(output.status.code(), Some(1), "{query}: {output:?}");
        assert!(text(&output.stderr).contains(&format!("\n{}\n", LINES[0])), "{query}: {output:?}");
        assert!(text(&output.stderr).contains("Im_AlertEventCustom exists already"), "{output:?}");
        let unchanged = ("starttime:datetime=datetime(null)".to_owned(), query.to_owned());
        assert_eq!(saved.function(HOOKS[0]), unchanged);
        // The other one is made all the same.
        assert_eq!(saved.function(HOOKS[1]).1, format!("union isfuzzy=true\n{}\n", LINES[1]));
    }
}

#[test]
fn what_keeps_the_parsers_from_being_called_is_reported_with_its_fix() {
    for (arguments, saved, trouble, code, told) in [
        (&["security"][..], Saved::new(), "", 64, "usage: "),
        (&["security", "nowhere"], Saved::new(), "", 1, "cannot read the workspace nowhere"),
        (&PLACE, Saved::empty(), "", 1, "asim=on first"),
        (&PLACE, Saved::new(), "unreadable", 1, "cannot read the functions of sentinel"),
        (&PLACE, Saved::new(), "denied", 1, "cannot create Im_AlertEventCustom: ERROR: Forbidden"),
    ] {
        let output = saved.hook(arguments, trouble);
        assert_eq!(output.status.code(), Some(code), "{trouble}: {output:?}");
        assert!(text(&output.stderr).contains(told), "{trouble}: {output:?}");
    }
}

/// What the script saves is right beside the parsers, and hands every filter on.
#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_functions_that_are_made_find_alerts_with_their_filters() {
    use crate::queries::workspaces;

    let saved = Saved::new();
    assert!(saved.hook(&PLACE, "").status.success());
    let [(_, mut workspace), ..] = workspaces();
    for hook in HOOKS {
        let (parameters, query) = saved.function(hook);
        workspace = workspace.with_parameters(hook, &parameters, &query);
    }
    for function in workspace.check(&[]).functions {
        assert!(function.diagnostics.is_empty(), "{}: {:#?}", function.name, function.diagnostics);
    }
    let row = |id, severity, created| json!({"AlertId": id, "Severity": severity, "TimeGenerated": created, "AlertCreationTime": created});
    let rows = [(
        "MDATPAlerts_CL",
        vec![row("a", "High", "2026-11-20T09:00:00Z"), row("b", "Low", "2026-11-20T10:00:00Z")],
    )];
    let calls = [
        "Im_AlertEventCustom(eventseverity_has_any=dynamic([\"High\"]))",
        "Im_AlertEventCustom(starttime=datetime(2026-11-20T09:30:00Z))",
        "ASim_AlertEventCustom(pack=true)",
    ];
    let found = workspace.run(&rows, &calls);
    let ids = |at: usize| -> Vec<_> { found[at].iter().map(|row| row["EventUid"].clone()).collect() };
    assert_eq!((ids(0), ids(1), ids(2)), (vec![json!("a")], vec![json!("b")], vec![json!("a"), json!("b")]));
    assert!(found[2][0]["AdditionalFields"].is_object());
}
