//! The shell scripts: `ShellCheck` has nothing against them, and the roles are granted once.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs ShellCheck: left to tests/run")]
fn shellcheck_has_nothing_against_the_scripts() {
    let mut scripts: Vec<_> = fs::read_dir(root().join("deploy"))
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    assert!(scripts.len() >= 2, "{scripts:?}");
    scripts.extend(
        ["tests/e2e/deploy/az.sh", "tests/e2e/deploy/saved.sh", ".ci/run", "tests/run"]
            .map(|name| root().join(name)),
    );
    scripts.extend(["az", "cargo", "func", "git"].map(|name| root().join("tests/e2e/readme/bin").join(name)));
    let output = Command::new("shellcheck")
        .args(["-x", "-P", "SCRIPTDIR"])
        .args(&scripts)
        .output()
        .expect("shellcheck is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A tenant before deploy/grant-roles.sh.
struct Tenant {
    folder: TempDir,
}

impl Tenant {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        symlink(root().join("tests/e2e/deploy/az.sh"), folder.path().join("az")).expect("linked");
        fs::write(folder.path().join("assigned"), "").expect("written");
        Self { folder }
    }

    fn grant(&self, arguments: &[&str], trouble: &str) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), std::env!("PATH"));
        let mut command = Command::new(root().join("deploy/grant-roles.sh"));
        command.args(arguments).env_clear().env("PATH", path).env("TROUBLE", trouble);
        command.env("ASSIGNED", self.folder.path().join("assigned")).output().expect("bash is installed")
    }

    fn assigned(&self) -> String {
        fs::read_to_string(self.folder.path().join("assigned")).expect("a file")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn both_roles_are_granted_and_a_second_time_changes_nothing() {
    let tenant = Tenant::new();
    let assigned = "{\"principalId\":\"principal-1\",\"resourceId\":\"defender-1\",\"appRoleId\":\"alert-role\"}\n\
                    {\"principalId\":\"principal-1\",\"resourceId\":\"defender-1\",\"appRoleId\":\"machine-role\"}\n";
    for told in [
        "Alert.Read.All: granted to forwarder\nMachine.Read.All: granted to forwarder\n",
        "Alert.Read.All: granted before\nMachine.Read.All: granted before\n",
    ] {
        let output = tenant.grant(&["security", "forwarder"], "");
        assert_eq!((text(&output.stdout), text(&output.stderr)), (told.to_owned(), String::new()));
        assert!(output.status.success());
        assert_eq!(tenant.assigned(), assigned);
    }
}

#[test]
fn what_is_in_the_way_is_told_with_its_mend() {
    for (arguments, trouble, code, told) in [
        (&["security"][..], "", 64, "usage: "),
        (&["security", "nobody"], "", 1, "nobody was not read: sign in with az login"),
        (&["security", "forwarder"], "no-identity", 1, "az functionapp identity assign"),
        (&["security", "forwarder"], "no-defender", 1, "set Defender for Endpoint up"),
        (&["security", "forwarder"], "no-role", 1, "no application role Machine.Read.All"),
        (&["security", "forwarder"], "denied", 1, "Alert.Read.All: you may not grant it"),
        (&["security", "forwarder"], "new", 1, "run this again in a minute"),
        (&["security", "forwarder"], "other", 1, "Alert.Read.All: ERROR: Service Unavailable"),
    ] {
        let tenant = Tenant::new();
        let output = tenant.grant(arguments, trouble);
        assert_eq!(output.status.code(), Some(code), "{trouble}: {output:?}");
        assert!(text(&output.stderr).contains(told), "{trouble}: {output:?}");
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
