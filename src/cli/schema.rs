//! `mdatp-forward schema`: the table, the rule and the functions for what this build sends, and whether a
//! given table or rule takes all of it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use tracing::{error, info};

use super::{EXIT_USAGE, document, print_line};
use crate::{
    config::{Problem, log_name, settings::Settings},
    schema::{
        Column, Shape, asim,
        check::Document,
        columns, functions, health,
        rule::{self, Place, TEMPLATE_LOCATION, TEMPLATE_WORKSPACE},
        table,
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
    let (name, stream) = match names(args, settings) {
        Ok(names) => names,
        Err(problem) => {
            error!("{problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if let Some(file) = &args.check {
        return check(file, args.shape, &stream);
    }
    let json = |document| serde_json::to_string_pretty(&document).expect("texts can be written as JSON");
    let place = Place { workspace: &args.workspace, location: &args.location };
    let text = match (args.format, args.health) {
        (Format::Columns, false) => list(columns(args.shape)),
        (Format::Columns, true) => list(health::columns()),
        (Format::Table, false) => json(table::document(&name, columns(args.shape))),
        (Format::Table, true) => json(health::table(&name)),
        (Format::Dcr, with_health) => {
            let mut document = rule::document(&name, &stream, args.shape, place);
            if with_health {
                rule::add_health(&mut document, &name);
            }
            json(document)
        }
        (Format::Kql, false) => functions::document(&name, &args.also),
        (Format::Asim, false) => asim::document(&name),
        (Format::Kql | Format::Asim, true) => {
            error!("there are no saved functions for the rows about runs");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    print_line(text.trim_end().as_bytes());
    ExitCode::SUCCESS
}

/// The names of the log and of its stream.
fn names(args: &SchemaArgs, settings: &Settings) -> Result<(String, String), String> {
    let read = |name| settings.read(name).map_err(|unresolved| Problem::from(unresolved).to_string());
    let name = match &args.log_name {
        Some(name) => Some(name.clone()),
        None => read("MDATP_LOG_NAME")?,
    };
    let name = log_name(name.as_deref().unwrap_or("MDATPAlerts"));
    let name = name.map_err(|problem| format!("the log's name {problem}"))?;
    let stream = read("MDATP_STREAM")?.unwrap_or_else(|| rule::stream(&name));
    Ok((name, stream))
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

fn check(file: &Path, shape: Shape, stream: &str) -> ExitCode {
    let document = document::read(file).and_then(Document::from_json);
    let document = match document {
        Ok(document) => document,
        Err(problem) => {
            error!("{}: {problem}", file.display());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let differences = document.compare(shape, stream);
    for difference in &differences {
        print_line(difference.to_string().as_bytes());
    }
    let losses = differences.iter().filter(|difference| difference.loses()).count();
    match losses {
        0 => {
            info!("{} takes all that is sent", file.display());
            ExitCode::SUCCESS
        }
        losses => {
            error!("{} would lose what is in {losses} places of the records", file.display());
            ExitCode::FAILURE
        }
    }
}
