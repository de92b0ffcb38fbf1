//! What is wrong between what this program sends and what a table or a data collection rule takes. Both drop
//! without a word what they do not declare.

use std::fmt;

use serde_json::Value;

use super::{
    Column, ColumnType, Shape, columns,
    rule::Rule,
    table::{Declared, Table},
};

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A column is not declared: its values would be lost.
    Missing(&'static str, ColumnType),
    /// A column is declared with a type that does not hold all its values.
    Narrow {
        /// The column.
        name: &'static str,
        /// The type it has.
        declared: String,
        /// The type it needs.
        needed: ColumnType,
    },
    /// A column that this program does not fill.
    Extra(String),
    /// The stream is not declared.
    NoStream(String),
    /// The rule does not send the stream anywhere.
    NoFlow(String),
    /// Records are changed on the way, by something this program cannot judge.
    Transform(String),
}

impl Difference {
    /// True when records would lose something.
    pub fn loses(&self) -> bool {
        !matches!(self, Self::Extra(_) | Self::Transform(_))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name, kind) => write!(f, "missing: {name}, to be declared as {}", kind.name()),
            Self::Narrow { name, declared, needed } => {
                write!(f, "too narrow: {name} is {declared}, and must be {}", needed.name())
            }
            Self::Extra(name) => write!(f, "extra: {name}, which is not filled"),
            Self::NoStream(stream) => {
                write!(f, "missing: the rule declares no stream {stream} (MDATP_STREAM)")
            }
            Self::NoFlow(stream) => write!(f, "missing: no data flow of the rule takes the stream {stream}"),
            Self::Transform(text) => {
                write!(f, "changed on the way: the rule's transformKql is not ours, so look at it: {text}")
            }
        }
    }
}

/// A document to compare with.
#[derive(Debug)]
pub enum Document {
    /// A table.
    Table(Table),
    /// A data collection rule.
    Rule(Rule),
}

impl Document {
    /// Reads either; why it is neither, in words.
    pub fn from_json(document: Value) -> Result<Self, String> {
        let neither = |_| {
            "it is neither a table (with schema.columns) nor a data collection rule (with streamDeclarations), \
             as az … show prints them"
                .to_owned()
        };
        Rule::from_json(document.clone())
            .map(Self::Rule)
            .or_else(|_| Table::from_json(document).map(Self::Table))
            .map_err(neither)
    }

    /// The differences to what this program sends in `shape` to `stream`, those that lose something first.
    pub fn compare(&self, shape: Shape, stream: &str) -> Vec<Difference> {
        let mut differences = match self {
            Self::Table(table) => {
                let declared: Vec<_> = table.all_columns().collect();
                let mut found = losses(columns(shape), &declared);
                found.extend(extras(columns(shape), table.columns()));
                found
            }
            Self::Rule(rule) => compare_rule(rule, shape, stream),
        };
        differences.sort_by_key(|difference| !difference.loses());
        differences
    }
}

fn compare_rule(rule: &Rule, shape: Shape, stream: &str) -> Vec<Difference> {
    let Some(declared) = rule.stream_declarations.get(stream) else {
        return vec![Difference::NoStream(stream.to_owned())];
    };
    let mut found = losses(columns(shape), &declared.columns.iter().collect::<Vec<_>>());
    found.extend(extras(columns(shape), &declared.columns));
    match rule.flow(stream) {
        None => found.push(Difference::NoFlow(stream.to_owned())),
        Some(flow) if Rule::is_plain(flow) => {}
        Some(flow) => {
            found.push(Difference::Transform(flow.transform_kql.clone().unwrap_or_default()));
        }
    }
    found
}

/// What of the columns would be lost.
fn losses(columns: &'static [Column], declared: &[&Declared]) -> Vec<Difference> {
    let loss = |column: &'static Column| {
        let known = declared.iter().find(|known| known.name == column.name);
        match known {
            None => Some(Difference::Missing(&column.name, column.kind)),
            Some(known) if holds(&known.kind, column) => None,
            Some(known) => Some(Difference::Narrow {
                name: &column.name,
                declared: known.kind.clone(),
                needed: column.kind,
            }),
        }
    };
    columns.iter().filter_map(loss).collect()
}

fn extras(columns: &[Column], declared: &[Declared]) -> Vec<Difference> {
    let is_extra = |known: &&Declared| columns.iter().all(|column| column.name != known.name);
    declared.iter().filter(is_extra).map(|known| Difference::Extra(known.name.clone())).collect()
}

/// Whether a declared type holds every value of a column. A `dynamic` holds anything. What is sent as text
/// arrives in a text only: a `guid` column of an old table is kept as one (documentation page on migrating
/// from the Data Collector API).
fn holds(declared: &str, column: &Column) -> bool {
    let declared = declared.to_ascii_lowercase();
    match (declared.as_str(), column.kind) {
        ("dynamic", _) | ("bool", ColumnType::Boolean) => true,
        ("guid", ColumnType::String) => column.name.ends_with("_g"),
        (declared, needed) => declared == needed.name(),
    }
}
