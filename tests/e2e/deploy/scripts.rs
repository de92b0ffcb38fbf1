//! The shell scripts: `ShellCheck` has nothing against them, and the roles are granted once.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs ShellCheck: left to tests/run")]
fn shellcheck_has_nothing_against_the_scripts() {
    let folders = ["deploy", "deploy/azd"].map(|folder| fs::read_dir(root().join(folder)));
    let mut scripts: Vec<_> = folders
        .into_iter()
        .flat_map(|folder| folder.expect("the folder is in the repository"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    assert!(scripts.len() >= 2, "{scripts:?}");
    scripts.extend(
        ["tests/e2e/deploy/az.sh", "tests/e2e/deploy/saved.sh", ".ci/run", "tests/run"]
            .map(|name| root().join(name)),
    );
    scripts.extend(
        ["az", "cargo", "curl", "func", "git", "sleep"]
            .map(|name| root().join("tests/e2e/readme/bin").join(name)),
    );
    let output = Command::new("shellcheck")
        .args(["-x", "-P", "SCRIPTDIR"])
        .args(&scripts)
        .output()
        .expect("shellcheck is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A tenant before deploy/grant-roles.sh and deploy/publish.sh, in which nobody sleeps.
pub struct Tenant {
    folder: TempDir,
}

impl Tenant {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let az = format!("exec {}/tests/e2e/deploy/az.sh \"$@\"", root().display());
        let programs = [
            ("az", az.as_str()),
            ("sleep", "echo \"$1\" >>\"$SLEPT\""),
            ("mdatp-forward", "echo \"$*\" >>\"$ASSIGNED.ran\""),
        ];
        for (name, command) in programs {
            let program = folder.path().join(name);
            fs::write(&program, format!("#!/usr/bin/env bash\n{command}\n")).expect("written");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        }
        for name in ["assigned", "slept", "assigned.published", "assigned.ran"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        Self { folder }
    }

    fn grant(&self, arguments: &[&str], trouble: &str) -> Output {
        self.run("deploy/grant-roles.sh", arguments, &[("TROUBLE", trouble)])
    }

    /// Runs a script of the repository, with this in its environment.
    pub fn run(&self, script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), std::env!("PATH"));
        let mut command = Command::new(root().join(script));
        command.args(arguments).env_clear().env("PATH", path).envs(environment.iter().copied());
        command.env("ASSIGNED", self.folder.path().join("assigned"));
        command.env("SUBSCRIPTIONS", self.folder.path().join("subscriptions"));
        command.env("SLEPT", self.folder.path().join("slept"));
        command.output().expect("bash is installed")
    }

    pub fn assigned(&self) -> String {
        self.read("assigned")
    }

    /// How long the scripts would have slept, in seconds.
    pub fn slept(&self) -> u32 {
        self.read("slept").lines().map(|line| line.parse::<u32>().expect("seconds")).sum()
    }

    /// A package to publish.
    fn package(&self) -> String {
        let package = self.folder.path().join("package.zip");
        fs::write(&package, "a zip").expect("written");
        package.to_str().expect("text").to_owned()
    }

    /// The commands that mdatp-forward was started with.
    pub fn ran(&self) -> String {
        self.read("assigned.ran")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect("a file")
    }

    /// The subscriptions that the commands were for; empty for the one that the client has chosen.
    pub fn subscriptions(&self) -> BTreeSet<String> {
        let lines = fs::read_to_string(self.folder.path().join("subscriptions")).expect("a file");
        lines.lines().map(str::to_owned).collect()
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

const ASSIGNED: &str = "{\"principalId\":\"principal-1\",\"resourceId\":\"defender-1\",\"appRoleId\":\"alert-role\"}\n\
    {\"principalId\":\"principal-1\",\"resourceId\":\"defender-1\",\"appRoleId\":\"machine-role\"}\n";

#[test]
fn both_roles_are_granted_and_a_second_time_changes_nothing() {
    let tenant = Tenant::new();
    for told in [
        "Alert.Read.All: granted to forwarder\nMachine.Read.All: granted to forwarder\n",
        "Alert.Read.All: already granted\nMachine.Read.All: already granted\n",
    ] {
        let output = tenant.grant(&["security", "forwarder"], "");
        assert_eq!((text(&output.stdout), text(&output.stderr)), (told.to_owned(), String::new()));
        assert!(output.status.success());
        assert_eq!(tenant.assigned(), ASSIGNED);
    }
    assert_eq!(tenant.slept(), 0);
}

#[test]
fn the_roles_of_microsoft_graph_are_granted_by_their_names() {
    for (arguments, roles) in [
        (&["--source", "graph", "security", "forwarder"][..], &["security-role"][..]),
        (&["--source", "graph", "--hunting", "security", "forwarder"], &["security-role", "hunting-role"]),
    ] {
        let tenant = Tenant::new();
        let output = tenant.grant(arguments, "");
        assert!(output.status.success(), "{output:?}");
        let line = |role: &&str| {
            format!(
                "{{\"principalId\":\"principal-1\",\"resourceId\":\"graph-1\",\"appRoleId\":\"{role}\"}}\n"
            )
        };
        assert_eq!(tenant.assigned(), roles.iter().map(line).collect::<String>());
    }
    let tenant = Tenant::new();
    for arguments in [
        &["--source", "sentinel", "security", "forwarder"][..],
        &["--hunting", "security", "forwarder"],
        &["--all", "security", "forwarder"],
        &["--source"],
    ] {
        let output = tenant.grant(arguments, "");
        assert!(output.status.code() == Some(64) && text(&output.stderr).contains("usage: "), "{output:?}");
    }
    assert_eq!(tenant.assigned(), "");
}

/// What the directory answers while it does not know everywhere what a deployment has just made, and a busy one.
#[test]
fn right_after_a_deployment_the_roles_are_granted_once_the_directory_knows_the_app() {
    for trouble in [
        "no-identity",
        "no-reference",
        "no-principal",
        "no-defender",
        "no-role",
        "throttled",
        "unavailable",
        "lost",
        "no-identity no-reference no-principal",
    ] {
        let tenant = Tenant::new();
        let environment = [("TROUBLE", trouble), ("TIMES", "3"), ("WARN", "yes")];
        let output = tenant.run("deploy/grant-roles.sh", &["security", "forwarder"], &environment);
        assert!(output.status.success(), "{trouble}: {output:?}");
        assert_eq!(tenant.assigned(), ASSIGNED, "{trouble}");
        let told = text(&output.stderr);
        assert!(told.contains("trying again for up to 2 minutes"), "{trouble}: {told}");
        assert!((20..=180).contains(&tenant.slept()), "{trouble}: {} s", tenant.slept());
    }
}

#[test]
fn a_warning_or_the_line_end_of_windows_does_not_get_into_what_is_granted() {
    let tenant = Tenant::new();
    let environment = [("WARN", "yes"), ("RETURN", "\r")];
    let output = tenant.run("deploy/grant-roles.sh", &["security", "forwarder"], &environment);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(tenant.assigned(), ASSIGNED);
}

/// (arguments, trouble, exit code, what is told, whether it waited about two minutes for it to pass)
const IN_THE_WAY: [(&[&str], &str, i32, &str, bool); 12] = [
    (&["security"], "", 64, "usage: ", false),
    (&["security", "nobody"], "", 1, "cannot read nobody", false),
    (&["security", "forwarder"], "signed-out", 1, "Please run 'az login'", false),
    (&["security", "forwarder"], "expired", 1, "AADSTS700082", false),
    (&["security", "forwarder"], "no-identity", 1, "az functionapp identity assign", true),
    (&["security", "forwarder"], "no-defender", 1, "set up Defender for Endpoint", true),
    (&["security", "forwarder"], "no-role", 1, "no application role Machine.Read.All", true),
    (&["security", "forwarder"], "denied", 77, "Alert.Read.All: you may not grant it", false),
    (&["security", "forwarder"], "no-reference", 1, "run this script again in a few minutes", true),
    (&["security", "forwarder"], "no-principal", 1, "run this script again in a few minutes", true),
    (&["security", "forwarder"], "wrong", 1, "Alert.Read.All: ERROR: Bad Request", false),
    (&["security", "forwarder"], "unavailable", 1, "ServiceUnavailable", true),
];

#[test]
fn what_is_in_the_way_is_told_with_its_mend() {
    for (arguments, trouble, code, told, waits) in IN_THE_WAY {
        let tenant = Tenant::new();
        let output = tenant.grant(arguments, trouble);
        assert_eq!(output.status.code(), Some(code), "{trouble}: {output:?}");
        assert!(text(&output.stderr).contains(told), "{trouble}: {output:?}");
        let seconds = if waits { 110..=130 } else { 0..=0 };
        assert!(seconds.contains(&tenant.slept()), "{trouble}: {} s", tenant.slept());
    }
}

/// What `config-zip` answers until the roles of a new app work; two of the answers come after it has succeeded.
#[test]
fn right_after_a_deployment_the_package_is_published_once_the_roles_work() {
    for (trouble, reason) in [
        ("no-storage-role", "may not write the package yet"),
        ("no-host-key", "may not read its storage yet"),
        ("unhealthy", "may not read its storage yet"),
        ("no-site", "not ready yet"),
        ("ongoing", "another deployment is in progress"),
        ("no-site no-storage-role no-host-key unhealthy", "not ready yet"),
    ] {
        let tenant = Tenant::new();
        let environment = [("TROUBLE", trouble), ("TIMES", "2")];
        let package = tenant.package();
        let output = tenant.run("deploy/publish.sh", &["security", "forwarder", &package], &environment);
        assert!(output.status.success(), "{trouble}: {output:?}");
        assert_eq!(tenant.read("assigned.published"), format!("{package}\n"), "{trouble}");
        let told = text(&output.stderr);
        assert!(told.contains(reason) && told.contains("deploying again in 30 seconds"), "{trouble}: {told}");
        let times = 2 * trouble.split(' ').count();
        assert_eq!((told.lines().count(), tenant.slept()), (times, 30 * u32::try_from(times).expect("few")));
    }
}

#[test]
fn what_keeps_the_package_out_is_told_with_its_mend() {
    for (package, trouble, code, told, waited) in [
        (None, "", 64, "usage: ", 0),
        (Some("/nowhere/package.zip"), "", 1, "make it with deploy/package.sh", 0),
        (Some(""), "signed-out", 1, "Please run 'az login'", 0),
        (Some(""), "firewall", 1, "the network rules of the app's storage account", 0),
        (Some(""), "classic", 1, "on the classic Consumption plan", 0),
        (Some(""), "no-storage-role", 1, "after ten minutes", 600),
        (Some(""), "unhealthy", 1, "appears to be unhealthy", 600),
    ] {
        let tenant = Tenant::new();
        let made = tenant.package();
        let package = package.map(|package| if package.is_empty() { made.as_str() } else { package });
        let arguments: Vec<&str> =
            ["security"].into_iter().chain(package.map(|_| "forwarder")).chain(package).collect();
        let output = tenant.run("deploy/publish.sh", &arguments, &[("TROUBLE", trouble)]);
        assert_eq!(output.status.code(), Some(code), "{trouble}: {output:?}");
        assert!(text(&output.stderr).contains(told), "{trouble}: {output:?}");
        assert_eq!((tenant.slept(), tenant.read("assigned.published")), (waited, String::new()), "{trouble}");
    }
}

/// A machine on which the binary cannot be built is told so at once, and how to go on.
#[test]
fn the_package_script_says_where_it_runs() {
    for (system, runs) in [
        ("Darwin arm64", false),
        ("MINGW64_NT-10.0 x86_64", false),
        ("Linux aarch64", false),
        ("Linux x86_64", true),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let uname = folder.path().join("uname");
        fs::write(&uname, format!("#!/bin/sh\necho {system}\n")).expect("written");
        fs::set_permissions(&uname, fs::Permissions::from_mode(0o755)).expect("a program");
        let tools = Command::new("bash").args(["-c", "command -v dirname bash cat"]).output().expect("bash");
        for tool in text(&tools.stdout).lines().map(Path::new) {
            let here = folder.path().join(tool.file_name().expect("a name"));
            std::os::unix::fs::symlink(tool, here).expect("linked");
        }
        let run = |options: &[&str]| {
            let mut script = Command::new(root().join("deploy/package.sh"));
            script.args(options).env("PATH", folder.path()).output().expect("bash is installed")
        };
        for wrong in [&["--later"][..], &["--now", "--now"], &["--tenants", "--tenants"], &["--now--tenants"]]
        {
            let output = run(wrong);
            let told = text(&output.stderr);
            let is_told = told.contains("[--now] [--tenants]");
            assert!(output.status.code() == Some(64) && is_told, "{wrong:?}: {output:?}");
        }
        let output = run(&["--tenants", "--now"]);
        assert_eq!(output.status.code(), Some(1), "{system}: {output:?}");
        let told = text(&output.stderr);
        if runs {
            // It has got as far as the tools, all of which it names.
            for tool in ["cargo", "python3", "readelf", "zip"] {
                assert!(told.contains(tool) && !told.contains("docker"), "{told}");
            }
        } else {
            for part in [
                system,
                "docker run",
                "--platform linux/amd64",
                "mdatp-forward.zip",
                "package.sh --tenants --now\"",
            ] {
                assert!(told.contains(part), "{system}: {told}");
            }
        }
    }
}

#[test]
fn a_releases_notes_are_its_section_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("CHANGELOG.md");
    let log = "# Changes\n\n## 1.10.0 (2027-01-02)\n\n### Install\n\n- one\n\n  two\n\n## 1.1.0 (2026-12-01)\n- old\n\n\
               ## 1.0.1 (unreleased)\n- never\n\n## 1.0.0 (2026-11-30)\n\n";
    fs::write(&file, log).expect("written");
    let notes = |arguments: &[&str]| {
        let output = Command::new(root().join("deploy/release-notes.sh")).args(arguments).output();
        let output = output.expect("bash is installed");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let file = file.to_str().expect("text");
    let printed = |notes: &str| (Some(0), notes.to_owned(), String::new());
    assert_eq!(notes(&["1.10.0", file]), printed("### Install\n\n- one\n\n  two\n"));
    assert_eq!(notes(&["1.1.0", file]), printed("- old\n"));
    for (arguments, code, told) in [
        (&["1.0.1", file][..], 1, "(unreleased)"),
        (&["1.0.0", file], 1, "nothing below"),
        (&["1.1", file], 1, "no heading ## 1.1 "),
        (&[], 64, "usage"),
    ] {
        let (ended, printed, complaint) = notes(arguments);
        assert_eq!((ended, printed.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(complaint.contains(told), "{complaint}");
    }
}

/// The release that comes next has its notes, which lack nothing but the day.
#[test]
fn the_change_log_has_a_section_for_this_version() {
    let log = fs::read_to_string(root().join("CHANGELOG.md")).expect("a file");
    let newest = log.lines().find(|line| line.starts_with("## ")).expect("a heading");
    assert_eq!(newest.split_whitespace().nth(1), Some(env!("CARGO_PKG_VERSION")));
    let released = log.replace("(unreleased)", "(2026-12-01)");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("CHANGELOG.md");
    fs::write(&file, released).expect("written");
    let mut script = Command::new(root().join("deploy/release-notes.sh"));
    let output = script.arg(env!("CARGO_PKG_VERSION")).arg(&file).output().expect("bash is installed");
    let notes = text(&output.stdout);
    for part in ["### Install", "mdatp-forward.zip", "### Upgrade", "### What it does"] {
        assert!(notes.contains(part), "{part} is not in {notes}");
    }
}
