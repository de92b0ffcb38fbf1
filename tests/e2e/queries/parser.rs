//! Microsoft's parser of Kusto queries, from npm, behind the scripts in tests/kql.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use simulator::npm;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct FunctionText {
    pub name: String,
    /// As a saved function has them: `name:type=default`, with commas between; empty for none.
    pub parameters: String,
    pub body: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct QueryText {
    pub file: String,
    pub text: String,
}

#[derive(Serialize)]
pub struct Question<'a> {
    pub tables: BTreeMap<String, Vec<Named>>,
    pub functions: &'a [FunctionText],
    pub queries: &'a [QueryText],
}

#[derive(Debug, Deserialize)]
pub struct Answer {
    pub functions: Vec<Checked>,
    pub queries: Vec<Checked>,
}

/// What the parser says of a query or function.
#[derive(Debug, Deserialize)]
pub struct Checked {
    #[serde(alias = "file")]
    pub name: String,
    pub diagnostics: Vec<Diagnostic>,
    pub columns: Vec<Named>,
    /// Whether there may be other columns too: then any name passes for one.
    pub open: bool,
}

#[derive(Debug, Deserialize)]
pub struct Diagnostic {
    pub severity: String,
    pub code: String,
    pub message: String,
    pub line: usize,
}

pub fn ask(question: &Question<'_>) -> Answer {
    run("check.mjs", question)
}

/// The answer of a script in tests/kql.
pub fn run<Answer: DeserializeOwned>(script: &str, question: &impl Serialize) -> Answer {
    let folder = npm::installed("kql", "@kusto/language-service-next").expect("npm installs it");
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = command.spawn().expect("Node.js is installed");
    let mut stdin = node.stdin.take().expect("it is piped");
    stdin.write_all(&serde_json::to_vec(question).expect("plain data")).expect("the script reads its input");
    drop(stdin);
    let output = node.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "{script}: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("the answer")
}
