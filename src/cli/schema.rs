//! `mdatp-forward schema`: prints the table, the rule and the functions for the records of this build, or checks whether an
//! existing table or rule accepts them.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use tracing::{error, info, warn};

use super::{EXIT_USAGE, document, print_line};
use crate::{
    config::{SettingProblem, log_name, settings::Settings},
    count::Count,
    schema::{
        Column, Shape, asim,
        check::{Difference, SchemaDocument},
        columns, functions, health,
        rule::{self, Conversions, TEMPLATE_LOCATION, TEMPLATE_WORKSPACE, Workspace},
        table::{self, Table},
    },
};

/// The options of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The columns: clean names, or those that the Data Collector API creates.
    #[arg(long, value_enum, default_value_t = Shape::Native)]
    pub shape: Shape,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Columns)]
    pub format: Format,
    /// Compare a table or a data collection rule, as `az … show` prints it (in UTF-8 or UTF-16), with the records of this
    /// build. The exit code is 1 if values would be lost. `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub check: Option<PathBuf>,
    /// The table that the rule sends to, as `az … table show` prints it: `--format dcr` makes the rule for its columns, and
    /// `--check` compares the rule with them. `-` reads stdin. The log's name is that of the table.
    #[arg(long, value_name = "FILE", conflicts_with = "log_name")]
    pub table: Option<PathBuf>,
    /// The custom log's name without `_CL`; `MDATP_LOG_NAME` or `MDATPAlerts` if not given.
    #[arg(long, value_name = "NAME")]
    pub log_name: Option<String>,
    /// The resource id of the workspace, for the rule.
    #[arg(long, value_name = "ID", default_value = TEMPLATE_WORKSPACE, hide_default_value = true)]
    pub workspace: String,
    /// The workspace's region, for the rule.
    #[arg(long, value_name = "REGION", default_value = TEMPLATE_LOCATION, hide_default_value = true)]
    pub location: String,
    /// Print the table of the rows about runs (`MDATP_HEALTH`) instead of the alerts', or the rule for both tables.
    #[arg(long, conflicts_with = "check")]
    pub health: bool,
    /// Another table that the functions read.
    #[arg(long, value_name = "TABLE")]
    pub also: Vec<String>,
}

/// What `schema` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A list of the columns: type, source and meaning.
    Columns,
    /// The request body with which the Tables API creates the table.
    Table,
    /// The data collection rule, of the kind Direct.
    Dcr,
    /// The saved functions, which read both shapes.
    Kql,
    /// Parsers for the schema `AlertEvent` of ASIM, which read the first of the saved functions.
    Asim,
}

/// Prints what `--format` says, or checks a file.
pub fn schema(args: &SchemaArgs, settings: &Settings) -> ExitCode {
    match log(args, settings) {
        Ok(Log { name, stream, table }) => match &args.check {
            Some(file) => check(file, args.shape, &stream, table.as_ref()),
            None => print(args, &name, &stream, table.as_ref()),
        },
        Err(problem) => {
            error!("{problem}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// The custom log that options and settings name.
struct Log {
    /// The log's name.
    name: String,
    /// The name of its stream.
    stream: String,
    /// The table of `--table`.
    table: Option<Table>,
}

fn log(args: &SchemaArgs, settings: &Settings) -> Result<Log, String> {
    if args.table.is_some() && args.check.is_none() && args.format != Format::Dcr {
        return Err("--table needs --format dcr or --check".to_owned());
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
    Ok(Log { name, stream, table })
}

fn print(args: &SchemaArgs, name: &str, stream: &str, table: Option<&Table>) -> ExitCode {
    let json = |document| serde_json::to_string_pretty(&document).expect("texts can be written as JSON");
    let text = match (args.format, args.health) {
        (Format::Columns, false) => list(columns(args.shape)),
        (Format::Columns, true) => list(health::columns()),
        (Format::Table, false) => json(table::document(name, columns(args.shape))),
        (Format::Table, true) => json(health::table(name)),
        (Format::Dcr, with_health) => {
            let conversions = match table {
                None => no_conversions(args.shape),
                Some(table) => match conversions(args.shape, table) {
                    Some(conversions) => conversions,
                    None => return ExitCode::FAILURE,
                },
            };
            let workspace = Workspace { id: &args.workspace, location: &args.location };
            let mut document = rule::document(name, stream, &conversions, workspace);
            if with_health {
                rule::add_health(&mut document, name);
            }
            json(document)
        }
        (Format::Kql, false) => functions::document(name, &args.also),
        (Format::Asim, false) => asim::document(name),
        (Format::Kql | Format::Asim, true) => {
            error!("there are no saved functions for the rows about runs (--health)");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    print_line(text.trim_end().as_bytes());
    ExitCode::SUCCESS
}

/// Returns no conversions, for a table with exactly these columns.
fn no_conversions(shape: Shape) -> Conversions {
    if shape == Shape::Classic {
        info!(
            "this rule is for a table of schema --shape classic --format table. If the Data Collector API created the table, \
             give it with --table, because its columns with _g are guid"
        );
    }
    Conversions::none(columns(shape))
}

/// Returns the conversions for the columns of a table; `None` if it cannot take all values. Prints on stderr what must be
/// done first.
fn conversions(shape: Shape, table: &Table) -> Option<Conversions> {
    let (mut missing, mut takes_all) = (Vec::new(), true);
    for difference in SchemaDocument::Table(table.clone()).compare(shape, "", None) {
        match difference {
            Difference::Missing(name, _) => missing.push(name),
            failure if failure.is_failure() => {
                error!("{} cannot take all values: {failure}", table.schema.name);
                takes_all = false;
            }
            _ => {}
        }
    }
    if !missing.is_empty() {
        warn!(
            "{} lacks columns of this rule, and their values would be lost. Fix: add them first, as mdatp-forward migrate \
             --plan prints: {}",
            table.schema.name,
            missing.join(", ")
        );
    }
    takes_all.then(|| Conversions::into_table(shape, table))
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
    let document = document::read(file).and_then(SchemaDocument::from_json);
    let document = match document {
        Ok(document) => document,
        Err(problem) => {
            error!("{}: {problem}", file.display());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if table.is_some() && matches!(document, SchemaDocument::Table(_)) {
        error!("{}: this is a table, but with --table the option --check needs a rule", file.display());
        return ExitCode::from(EXIT_USAGE);
    }
    let differences = document.compare(shape, stream, table);
    for difference in &differences {
        print_line(difference.to_string().as_bytes());
    }
    let failures = differences.iter().filter(|difference| difference.is_failure()).count();
    match failures {
        0 => {
            info!("{} takes all values", file.display());
            ExitCode::SUCCESS
        }
        failures => {
            error!("{} does not take all values, for {}", file.display(), Count(failures as u64, "reason"));
            ExitCode::FAILURE
        }
    }
}
