//! A shell in which the commands of a document are run, with stand-ins for what is not on this machine.

use std::{
    collections::BTreeSet,
    env, fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{Stage, WORKSPACE};

/// The stand-ins, which say what each is for.
pub const STAND_INS: [&str; 5] = ["az", "cargo", "curl", "func", "git"];

/// What else commands and scripts may use.
const TOOLS: [&str; 19] = [
    "basename", "bash", "cat", "cp", "dirname", "env", "find", "grep", "ln", "mkdir", "mktemp", "mv",
    "readlink", "rm", "sed", "sort", "tail", "tee", "timeout",
];

/// How long the commands of a document may take.
const LIMIT: Duration = Duration::from_secs(180);

/// A line of a document that does not run as it stands: the line, what runs, and why.
pub type Replaced = (&'static str, &'static str, &'static str);

pub struct Session {
    folder: TempDir,
    script: String,
}

/// What became of a document's commands.
#[derive(Debug)]
pub struct Done {
    pub succeeded: bool,
    /// What was shown at the terminal.
    pub told: String,
    /// Commands that nobody accounts for.
    pub refused: String,
    /// Entries of stand-ins that were used.
    pub accounted: BTreeSet<String>,
}

impl Session {
    /// A folder with nothing in it but what stands in for the rest of the world.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["bin", "work"] {
            fs::create_dir(folder.path().join(name)).expect("made");
        }
        let bin = folder.path().join("bin");
        for name in TOOLS {
            symlink(tool(name), bin.join(name)).expect("linked");
        }
        symlink(env!("CARGO_BIN_EXE_mdatp-forward"), bin.join("mdatp-forward")).expect("linked");
        // A line that fails ends it, and says which it was.
        let script = "trap 'echo \"failed: $BASH_COMMAND\"' ERR\n\
                      trap end EXIT\n\
                      end() { [[ ! -f $SESSION/simulator.pid ]] || kill \"$(<\"$SESSION/simulator.pid\")\"; }\n";
        Self { folder, script: script.to_owned() }
    }

    /// The workspace has a table of the Data Collector API.
    pub fn with_old_table(self) -> Self {
        let old = json!({"schema": {"name": "MDATPAlerts_CL", "tableSubType": "Classic", "columns": [
            {"name": "id_s", "type": "string"}, {"name": "alertCreationTime_t", "type": "datetime"}
        ]}});
        fs::write(self.folder.path().join("old-table.json"), old.to_string()).expect("written");
        self
    }

    /// Adds commands.
    pub fn then(
        mut self,
        commands: &[&str],
        replaced: &[Replaced],
        used: &mut BTreeSet<&'static str>,
    ) -> Self {
        for line in commands {
            let command = line.split("  #").next().unwrap_or_default().trim_end();
            let found = replaced.iter().find(|(written, ..)| *written == command.trim_start());
            used.extend(found.map(|(written, ..)| *written));
            // What fails before && would not end the shell.
            self.script += &found.map_or(command, |(_, by, _)| by).replace(" && ", "\n");
            self.script.push('\n');
        }
        self
    }

    /// Runs them, with the stage's settings in the environment.
    pub async fn run(self, stage: &Stage) -> Done {
        let at = |name: &str| self.folder.path().join(name);
        let port = five_ports();
        let path = format!("{}/tests/e2e/readme/bin:{}", env!("CARGO_MANIFEST_DIR"), at("bin").display());
        let mut bash = tokio::process::Command::new(tool("bash"));
        bash.args(["-euo", "pipefail", "-c", &self.script])
            .current_dir(at("work"))
            .env_clear()
            .envs(&stage.settings)
            .env("PATH", path)
            .env("REPO", env!("CARGO_MANIFEST_DIR"))
            .env("SESSION", self.folder.path())
            .env("BINARY", env!("CARGO_BIN_EXE_mdatp-forward"))
            .env("SIMULATOR", simulator())
            .env("PORT", port.to_string())
            .env("ASSIGNED", at("assigned"))
            // What a deployment has made just now is not known everywhere.
            .env("TROUBLE", "no-identity no-reference no-principal no-storage-role unhealthy")
            .env("TIMES", "1")
            .env("WORKSPACE_RESOURCE", WORKSPACE)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        fs::write(at("assigned"), "").expect("written");
        let output = tokio::time::timeout(LIMIT, bash.output()).await;
        let output = output.unwrap_or_else(|_| panic!("still at it: {}", self.script)).expect("bash runs");
        // With the shell the simulated cloud ends, if there was one.
        let is_gone = async {
            while TcpListener::bind(("127.0.0.1", port)).is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), is_gone).await.expect("nothing runs on");
        let read = |name| fs::read_to_string(at(name)).unwrap_or_default();
        Done {
            succeeded: output.status.success(),
            told: [output.stdout, output.stderr]
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .concat(),
            refused: read("refused"),
            accounted: read("accounted").lines().map(str::to_owned).collect(),
        }
    }
}

fn tool(name: &str) -> PathBuf {
    let path = env::var_os("PATH").expect("a PATH");
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|tool| tool.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed"))
}

/// The first of five ports in a row that are free now.
fn five_ports() -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = (0..100).map(|_| fastrand::u16(20_000..32_000));
    first.into_iter().find(|first| (*first..first + 5).all(free)).expect("some ports are free")
}

/// The simulator's own program, which a test of this package has to have built.
fn simulator() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What the cargo that runs this test has set would have ring compiled anew.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
            cargo.env_remove(name);
        }
        let output = cargo
            .env_remove("CARGO_MANIFEST_DIR")
            .args(["build", "--locked", "-p", "simulator", "--bin", "simulator", "--message-format=json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs this test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).expect("text");
        let messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let named = |message: Value| {
            let is_ours = message["target"]["name"] == "simulator";
            message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
        };
        messages.filter_map(named).next_back().expect("it has an executable")
    })
}
