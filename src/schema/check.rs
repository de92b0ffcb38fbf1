//! The differences between what this program sends and what a table or a data collection rule accepts. Both silently
//! drop what they do not declare, and the service rejects a rule that outputs other types than its table has.

use std::fmt;

use serde_json::Value;

use super::{
    Column, ColumnType, Shape, columns,
    conversion::{Conversion, Function, normalized, stream_takes},
    rule::{Flow, Rule, Stream},
    table::{DeclaredColumn, STREAM_PREFIX, Table},
};

/// A difference between what is sent and what a table or a rule accepts.
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
    /// A column is declared that this program does not fill.
    Extra(String),
    /// The table's column has another type than is sent, and holds all values once the rule converts them.
    ToConvert {
        /// The column.
        name: &'static str,
        /// The type it has.
        declared: String,
        /// The type that is sent.
        sent: ColumnType,
    },
    /// The rule converts a column, and keeps all its values.
    Converted(String, &'static str),
    /// The rule converts a column by a function that returns null for some of its values.
    ConvertedWithLoss(String, &'static str),
    /// The rule outputs a column in another type than the table has: the service rejects such a rule.
    Rejected {
        /// The column.
        name: String,
        /// The type that the rule outputs.
        produced: String,
        /// The type that the table has.
        declared: String,
    },
    /// The rule outputs a column that the table does not have.
    NotInTable(String),
    /// The same for a table to which missing columns can be added once it is migrated.
    ToAdd(String),
    /// The rule sends to another table, or does not name one.
    OtherTable {
        /// The output stream of the rule.
        output: String,
        /// The table that the rule is compared with.
        table: String,
    },
    /// The stream is not declared.
    NoStream(String),
    /// No data flow of the rule reads the stream.
    NoFlow(String),
    /// The rule transforms records in a way that this program does not print.
    Transform(String),
    /// The table has the plan Basic.
    Basic,
    /// The table has the plan Auxiliary.
    Auxiliary,
}

impl Difference {
    /// True if values would be lost, or if the table or rule could not be used.
    pub fn is_failure(&self) -> bool {
        !matches!(
            self,
            Self::Extra(_)
                | Self::ToConvert { .. }
                | Self::Converted(..)
                | Self::ToAdd(_)
                | Self::Transform(_)
                | Self::Basic
        )
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
            Self::ToConvert { name, declared, sent } => write!(
                f,
                "to be converted: {name} is {declared}, and {} is sent; the rule that mdatp-forward schema --format dcr \
                 --table prints for this table does so",
                sent.name()
            ),
            Self::Converted(name, function) => {
                write!(f, "converted: {name} by {function}(), as in the rules that mdatp-forward prints; nothing is lost")
            }
            Self::ConvertedWithLoss(name, function) => write!(
                f,
                "lost: the rule's {function}({name}) returns null for each string that is not a GUID, and {name} can have \
                 such strings"
            ),
            Self::Rejected { name, produced, declared } => write!(
                f,
                "rejected: {name} is {declared} in the table, and the rule outputs {produced}; the service answers \
                 InvalidTransformOutput. Fix: make the rule from the table: mdatp-forward schema --format dcr --table"
            ),
            Self::NotInTable(name) => write!(f, "missing in the table: {name}, which the rule outputs"),
            Self::ToAdd(name) => write!(f, "to be added to the table once it is migrated: {name}"),
            Self::OtherTable { output, table } => {
                write!(f, "another table: the rule sends to {output}, and the table is {table}")
            }
            Self::NoStream(stream) => {
                write!(f, "missing: the rule declares no stream {stream} (MDATP_STREAM)")
            }
            Self::NoFlow(stream) => write!(f, "missing: no data flow of the rule reads the stream {stream}"),
            Self::Transform(text) => {
                write!(
                    f,
                    "transformed: the rule's transformKql is not one that mdatp-forward prints. Fix: check that it keeps \
                     every column: {text}"
                )
            }
            Self::Basic => f.write_str(
                "plan: Basic; saved functions such as MDATPAlerts and analytics rules cannot read such a table, and alert rules \
                 only as simple log alerts. Fix: az monitor log-analytics workspace table update --resource-group GROUP \
                 --workspace-name WORKSPACE --name TABLE --plan Analytics",
            ),
            Self::Auxiliary => f.write_str(
                "plan: Auxiliary; no alert rule, analytics rule or saved function can read such a table, and its plan cannot be \
                 changed. Fix: use a table with the plan Analytics (another MDATP_LOG_NAME)",
            ),
        }
    }
}

/// A document to compare with.
#[derive(Debug)]
pub enum SchemaDocument {
    /// A table.
    Table(Table),
    /// A data collection rule.
    Rule(Rule),
}

impl SchemaDocument {
    /// Reads a table or a rule.
    ///
    /// # Errors
    ///
    /// Why it is neither.
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

    /// Returns the differences to what this program sends in `shape` to `stream`, failures first. A rule is also
    /// compared with the `table` it sends to, if that is known.
    pub fn compare(&self, shape: Shape, stream: &str, table: Option<&Table>) -> Vec<Difference> {
        let mut differences = match self {
            Self::Table(table) => compare_table(table, shape),
            Self::Rule(rule) => compare_rule(rule, shape, stream, table),
        };
        differences.sort_by_key(|difference| !difference.is_failure());
        differences
    }
}

fn compare_table(table: &Table, shape: Shape) -> Vec<Difference> {
    let difference = |column: &'static Column| {
        let name = &*column.name;
        let Some(known) = table.all_columns().find(|known| known.name == name) else {
            return Some(Difference::Missing(name, column.kind));
        };
        let declared = known.kind.clone();
        match Conversion::into_table(column, &declared) {
            None => Some(Difference::Narrow { name, declared, needed: column.kind }),
            Some(conversion) if conversion == Conversion::none(column) => None,
            Some(_) => Some(Difference::ToConvert { name, declared, sent: column.kind }),
        }
    };
    let mut found: Vec<_> = columns(shape).iter().filter_map(difference).collect();
    found.extend(extras(columns(shape), table.columns()));
    found.extend(of_plan(table));
    found
}

/// Returns what cannot be done with a table of its plan (documentation pages "Select a table plan based on data usage
/// in a Log Analytics workspace" and "Query data in a Basic and Auxiliary table in Azure Monitor Logs"). Unknown plans
/// are accepted.
fn of_plan(table: &Table) -> Option<Difference> {
    match table.plan.as_deref()?.to_ascii_lowercase().as_str() {
        "basic" => Some(Difference::Basic),
        "auxiliary" => Some(Difference::Auxiliary),
        _ => None,
    }
}

fn compare_rule(rule: &Rule, shape: Shape, stream: &str, table: Option<&Table>) -> Vec<Difference> {
    let Some(declared) = rule.stream_declarations.get(stream) else {
        return vec![Difference::NoStream(stream.to_owned())];
    };
    let difference = |column: &'static Column| {
        let name = &*column.name;
        match declared.columns.iter().find(|known| known.name == name) {
            None => Some(Difference::Missing(name, column.kind)),
            Some(known) if stream_takes(&known.kind, column) => None,
            Some(known) => {
                Some(Difference::Narrow { name, declared: known.kind.clone(), needed: column.kind })
            }
        }
    };
    let mut found: Vec<_> = columns(shape).iter().filter_map(difference).collect();
    found.extend(extras(columns(shape), &declared.columns));
    match rule.flow(stream) {
        None => found.push(Difference::NoFlow(stream.to_owned())),
        Some(flow) => {
            found.extend(transformations(flow, shape));
            found.extend(table.into_iter().flat_map(|table| compare_output(flow, declared, table)));
        }
    }
    found
}

/// Returns what the transformation changes.
fn transformations(flow: &Flow, shape: Shape) -> Vec<Difference> {
    let Some(conversions) = flow.conversions() else {
        return vec![Difference::Transform(flow.transform_kql.clone().unwrap_or_default())];
    };
    let conversion = |(name, function): (&str, Function)| {
        let column = columns(shape).iter().find(|column| column.name == name);
        match column.is_none_or(|column| function.keeps(column)) {
            true => Difference::Converted(name.to_owned(), function.name()),
            false => Difference::ConvertedWithLoss(name.to_owned(), function.name()),
        }
    };
    conversions.into_iter().map(conversion).collect()
}

/// Returns the differences between what a rule outputs and its table: those for which the service rejects the rule, and
/// the columns that it silently drops.
fn compare_output(flow: &Flow, stream: &Stream, table: &Table) -> Vec<Difference> {
    let mut found: Vec<_> = of_plan(table).into_iter().collect();
    let output = flow.output_stream.as_deref().unwrap_or_default();
    if output.strip_prefix(STREAM_PREFIX) != Some(&table.schema.name) {
        let (output, table) = (output.to_owned(), table.schema.name.clone());
        found.push(Difference::OtherTable { output, table });
    }
    for (name, produced) in flow.outputs(&stream.columns).unwrap_or_default() {
        match table.all_columns().find(|known| known.name == name) {
            Some(known) if normalized(&known.kind) == produced => {}
            Some(known) => found.push(Difference::Rejected {
                name: name.to_owned(),
                produced,
                declared: known.kind.clone(),
            }),
            None if table.is_classic() => found.push(Difference::ToAdd(name.to_owned())),
            None => found.push(Difference::NotInTable(name.to_owned())),
        }
    }
    found
}

fn extras(columns: &[Column], declared: &[DeclaredColumn]) -> Vec<Difference> {
    let is_extra = |known: &&DeclaredColumn| columns.iter().all(|column| column.name != known.name);
    declared.iter().filter(is_extra).map(|known| Difference::Extra(known.name.clone())).collect()
}
