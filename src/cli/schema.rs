//! `mdatp-forward schema`: the table, the rule and the functions for what this build sends, and whether a
//! given table or rule takes all of it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use tracing::{error, info, warn};

use super::{EXIT_USAGE, document, print_line};
use crate::{
    config::{SettingProblem, log_name, settings::Settings},
    schema::{
        Column, Shape, asim,
        check::{Difference, Document},
        columns, functions, health,
        rule::{self, Place, TEMPLATE_LOCATION, TEMPLATE_WORKSPACE, Ways},
        table::{self, Table},
    },
};

/// The options of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The columns: clean names, or those that the Data Collector API made.
    #[arg(long, value_enum, default_value_t = Shape::Native)]
    pub shape: Shape,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Columns)]
    pub format: Format,
    /// Compare a table or a data collection rule, as `az … show` prints it (in UTF-8 or UTF-16), with what this build
    /// sends. The exit code is 1 when records would lose something. `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub check: Option<PathBuf>,
    /// The table that the rule sends to, as `az … table show` prints it: the rule of `--format dcr` is made for its
    /// columns, and a rule of `--check` is compared with them. `-` reads stdin. It also says the log's name.
    #[arg(long, value_name = "FILE", conflicts_with = "log_name")]
    pub table: Option<PathBuf>,
    /// The custom log's name without `_CL`; `MDATP_LOG_NAME` or `MDATPAlerts` when it is not given.
    #[arg(long, value_name = "NAME")]
    pub log_name: Option<String>,
    /// The resource id of the workspace, for the rule.
    #[arg(long, value_name = "ID", default_value = TEMPLATE_WORKSPACE, hide_default_value = true)]
    pub workspace: String,
    /// The workspace's region, for the rule.
    #[arg(long, value_name = "REGION", default_value = TEMPLATE_LOCATION, hide_default_value = true)]
    pub location: String,
    /// The table of the rows about runs (`MDATP_HEALTH`) in place of the alerts', and the rule with the ways of both.
    #[arg(long, conflicts_with = "check")]
    pub health: bool,
    /// Another table that the functions read too.
    #[arg(long, value_name = "TABLE")]
    pub also: Vec<String>,
}

/// What `schema` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The columns to read: type, source and meaning.
    Columns,
    /// The body with which the Tables API makes the table.
    Table,
    /// The data collection rule, kind Direct.
    Dcr,
    /// The saved functions, which read either shape.
    Kql,
    /// Parsers for the schema `AlertEvent` of ASIM, which read the first of the saved functions.
    Asim,
}

/// Prints, or compares.
pub fn schema(args: &SchemaArgs, settings: &Settings) -> ExitCode {
    match prepared(args, settings) {
        Ok(Prepared { name, stream, table }) => match &args.check {
            Some(file) => check(file, args.shape, &stream, table.as_ref()),
            None => print(args, &name, &stream, table.as_ref()),
        },
        Err(problem) => {
            error!("{problem}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// What the options and the settings come to.
struct Prepared {
    /// The log's name.
    name: String,
    /// Its stream's.
    stream: String,
    /// The table that is given.
    table: Option<Table>,
}

fn prepared(args: &SchemaArgs, settings: &Settings) -> Result<Prepared, String> {
    if args.table.is_some() && args.check.is_none() && args.format != Format::Dcr {
        return Err("--table goes with --format dcr or with --check".to_owned());
    }
    let table = match &args.table {
        Some(file) if args.check.as_ref() == Some(file) && file.as_os_str() == "-" => {
            return Err("--check and --table cannot both read stdin".to_owned());
        }
        Some(file) => Some(document::read_table(file)?),
        None => None,
    };
    let read = |name| settings.read(name).map_err(|unresolved| SettingProblem::from(unresolved).to_string());
    let name = match (&table, &args.log_name) {
        (Some(table), _) => Some(table.log_name()?.to_owned()),
        (None, Some(name)) => Some(name.clone()),
        (None, None) => read("MDATP_LOG_NAME")?,
    };
    let name = log_name(name.as_deref().unwrap_or("MDATPAlerts"));
    let name = name.map_err(|problem| format!("the log's name {problem}"))?;
    let stream = read("MDATP_STREAM")?.unwrap_or_else(|| table::stream(&name));
    Ok(Prepared { name, stream, table })
}

fn print(args: &SchemaArgs, name: &str, stream: &str, table: Option<&Table>) -> ExitCode {
    let json = |document| serde_json::to_string_pretty(&document).expect("texts can be written as JSON");
    let text = match (args.format, args.health) {
        (Format::Columns, false) => list(columns(args.shape)),
        (Format::Columns, true) => list(health::columns()),
        (Format::Table, false) => json(table::document(name, columns(args.shape))),
        (Format::Table, true) => json(health::table(name)),
        (Format::Dcr, with_health) => {
            let ways = match table {
                None => plain_ways(args.shape),
                Some(table) => match ways(args.shape, table) {
                    Some(ways) => ways,
                    None => return ExitCode::FAILURE,
                },
            };
            let place = Place { workspace: &args.workspace, location: &args.location };
            let mut document = rule::document(name, stream, &ways, place);
            if with_health {
                rule::add_health(&mut document, name);
            }
            json(document)
        }
        (Format::Kql, false) => functions::document(name, &args.also),
        (Format::Asim, false) => asim::document(name),
        (Format::Kql | Format::Asim, true) => {
            error!("there are no saved functions for the rows about runs");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    print_line(text.trim_end().as_bytes());
    ExitCode::SUCCESS
}

fn plain_ways(shape: Shape) -> Ways {
    if shape == Shape::Classic {
        info!(
            "this rule is for a table of schema --shape classic --format table; for one that the Data Collector API made, \
             give the table with --table, since its columns with _g are guid"
        );
    }
    Ways::plain(columns(shape))
}

/// The ways into the columns of a table; none when it cannot take all that is sent. What is to be done before is said
/// on stderr.
fn ways(shape: Shape, table: &Table) -> Option<Ways> {
    let (mut missing, mut is_fit) = (Vec::new(), true);
    for difference in Document::Table(table.clone()).compare(shape, "", None) {
        match difference {
            Difference::Missing(name, _) => missing.push(name),
            failure if failure.is_failure() => {
                error!("{} cannot take all that is sent: {failure}", table.schema.name);
                is_fit = false;
            }
            _ => {}
        }
    }
    if !missing.is_empty() {
        warn!(
            "{} lacks columns that this rule puts out: add them before it is used (mdatp-forward migrate --plan prints \
             how), or their values are lost: {}",
            table.schema.name,
            missing.join(", ")
        );
    }
    is_fit.then(|| Ways::into_table(shape, table))
}

fn list(columns: &[Column]) -> String {
    let width = |length: fn(&Column) -> usize| columns.iter().map(length).max().unwrap_or(0);
    let (name, source) = (width(|column| column.name.len()), width(|column| column.source.len()));
    let mut lines = vec![format!("{:name$}  {:8}  {:source$}  meaning", "column", "type", "source")];
    lines.extend(columns.iter().map(|column| {
        let kind = column.kind.name();
        format!("{:name$}  {kind:8}  {:source$}  {}", column.name, column.source, column.meaning)
    }));
    lines.join("\n")
}

fn check(file: &Path, shape: Shape, stream: &str, table: Option<&Table>) -> ExitCode {
    let document = document::read(file).and_then(Document::from_json);
    let document = match document {
        Ok(document) => document,
        Err(problem) => {
            error!("{}: {problem}", file.display());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if table.is_some() && matches!(document, Document::Table(_)) {
        error!(
            "{}: this is a table; --table says which one a rule sends to, so --check takes a rule",
            file.display()
        );
        return ExitCode::from(EXIT_USAGE);
    }
    let differences = document.compare(shape, stream, table);
    for difference in &differences {
        print_line(difference.to_string().as_bytes());
    }
    let failures = differences.iter().filter(|difference| difference.is_failure()).count();
    match failures {
        0 => {
            info!("{} takes all that is sent", file.display());
            ExitCode::SUCCESS
        }
        failures => {
            error!("{} does not take all that is sent, for {failures} reasons", file.display());
            ExitCode::FAILURE
        }
    }
}
