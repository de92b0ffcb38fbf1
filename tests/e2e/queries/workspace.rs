//! A Log Analytics workspace as the parser sees it: tables and saved functions, as the real binary prints them.

use std::process::Command;

use serde_json::Value;

use super::parser::{self, Answer, FunctionText, Named, QueryText, Question};

/// Tables, and the functions saved for them.
#[derive(Clone)]
pub struct Workspace {
    pub(super) tables: Vec<(String, Vec<Named>)>,
    pub(super) functions: Vec<FunctionText>,
}

impl Workspace {
    /// The functions read all the tables; the first is the log's own.
    pub fn new(tables: &[(&str, &[Named])]) -> Self {
        let mut arguments = vec!["--format", "kql"];
        for (name, _) in &tables[1..] {
            arguments.extend(["--also", name]);
        }
        let tables = tables.iter().map(|(name, columns)| ((*name).to_owned(), columns.to_vec())).collect();
        let parsers = schema(&["--format", "asim"]);
        Self { tables, functions: [functions(&schema(&arguments)), functions(&parsers)].concat() }
    }

    pub fn with_table(mut self, name: &str, columns: &[(&str, &str)]) -> Self {
        let named =
            |(name, kind): &(&str, &str)| Named { name: (*name).to_owned(), kind: (*kind).to_owned() };
        self.tables.push((name.to_owned(), columns.iter().map(named).collect()));
        self
    }

    /// With the table of the rows about runs.
    pub fn with_health(mut self) -> Self {
        self.tables.push(("MDATPAlertsHealth_CL".to_owned(), table(&["--health"])));
        self
    }

    pub fn with_function(&self, name: &str, body: &str) -> Self {
        self.with_parameters(name, "", body)
    }

    pub fn with_parameters(&self, name: &str, parameters: &str, body: &str) -> Self {
        let mut workspace = self.clone();
        let [name, parameters, body] = [name, parameters, body].map(str::to_owned);
        workspace.functions.push(FunctionText { name, parameters, body });
        workspace
    }

    /// What the parser says of the functions and of these queries.
    pub fn check(&self, queries: &[QueryText]) -> Answer {
        let tables = self.tables.iter().cloned().collect();
        parser::ask(&Question { tables, functions: &self.functions, queries })
    }
}

/// The columns of the table in this shape.
pub fn columns(shape: &str) -> Vec<Named> {
    table(&["--shape", shape])
}

fn table(arguments: &[&str]) -> Vec<Named> {
    let text = schema(&[arguments, &["--format", "table"]].concat());
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    let columns = document["properties"]["schema"]["columns"].take();
    let mut columns: Vec<Named> = serde_json::from_value(columns).expect("columns");
    for column in &mut columns {
        // The one type that tables and Kusto call by different names.
        if column.kind == "boolean" {
            "bool".clone_into(&mut column.kind);
        }
    }
    columns
}

/// The functions in a text that begins each with a line `// Function: NAME`, and one with its parameters if it
/// has any.
pub fn functions(text: &str) -> Vec<FunctionText> {
    let function = |text: &str| {
        let (name, body) = text.split_once('\n').expect("a name and a body");
        let (parameters, body) = match body.strip_prefix("// Parameters: ") {
            Some(rest) => rest.split_once('\n').expect("a body"),
            None => ("", body),
        };
        FunctionText {
            name: name.trim().to_owned(),
            parameters: parameters.to_owned(),
            body: body.to_owned(),
        }
    };
    text.split("// Function: ").skip(1).map(function).collect()
}

/// What the binary prints of its columns.
pub fn schema(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdatp-forward"));
    let output = command.arg("schema").args(arguments).env_clear().output().expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}
