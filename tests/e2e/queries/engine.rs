//! Queries run on rows, by tests/kql/evaluate.mjs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    parser::{self, FunctionText, Named},
    workspace::Workspace,
};

#[derive(Serialize)]
struct Data<'a> {
    tables: BTreeMap<&'a str, &'a [Named]>,
    rows: BTreeMap<&'a str, &'a [Value]>,
    functions: &'a [FunctionText],
    queries: &'a [&'a str],
}

impl Workspace {
    /// The rows that each of the queries finds, with these rows in the tables.
    pub fn run(&self, rows: &[(&str, Vec<Value>)], queries: &[&str]) -> Vec<Vec<Map<String, Value>>> {
        let tables = self.tables.iter().map(|(name, columns)| (name.as_str(), columns.as_slice())).collect();
        let rows = rows.iter().map(|(name, rows)| (*name, rows.as_slice())).collect();
        parser::run("evaluate.mjs", &Data { tables, rows, functions: &self.functions, queries })
    }
}
