//! The queries under queries/ and the saved functions that `schema --format kql` prints, read by the parser of
//! Azure's own editors: every name exists, and every value has the type it is used as.

mod asim;
mod engine;
pub mod parser;
pub mod workspace;

use std::{collections::BTreeSet, fs, path::Path};

use parser::{Named, QueryText};
use workspace::{Workspace, columns};

use crate::deploy::watch::watched;

const NEWER: &str = "MDATPAlerts_CL";
const OLDER: &str = "MDATPAlertsOld_CL";

/// What a workspace can look like: a new table, an old one, an old one that was migrated and got new columns, and
/// an old one left beside a new one.
pub fn workspaces() -> [(&'static str, Workspace); 4] {
    let (native, classic) = (columns("native"), columns("classic"));
    let mut both = native.clone();
    both.extend(classic.iter().filter(|column| column.name != "TimeGenerated").cloned());
    [
        ("native", Workspace::new(&[(NEWER, &native)])),
        ("classic", Workspace::new(&[(NEWER, &classic)])),
        ("both in one table", Workspace::new(&[(NEWER, &both)])),
        ("two tables", Workspace::new(&[(NEWER, &native), (OLDER, &classic)])),
    ]
}

/// The queries in a folder of queries/, not those in folders below it.
fn files(folder: &str) -> Vec<QueryText> {
    let folder = Path::new("queries").join(folder);
    let mut files: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder))
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| QueryText {
            file: path.display().to_string(),
            text: fs::read_to_string(path).expect("text"),
        })
        .collect()
}

fn query(text: &str) -> QueryText {
    QueryText { file: "one of this test's".to_owned(), text: text.to_owned() }
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn every_query_is_right_in_every_workspace_it_is_for() {
    for (name, workspace) in workspaces() {
        let own = if matches!(name, "native" | "classic") { files(name) } else { Vec::new() };
        for query in watched(workspace).check(&[files(""), own].concat()).queries {
            assert!(query.diagnostics.is_empty(), "{name}: {}: {:#?}", query.name, query.diagnostics);
            assert!(!query.columns.is_empty() && !query.open, "{name}: {}: no definite result", query.name);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_functions_have_the_native_columns_whatever_the_table_has() {
    let native = columns("native");
    for (name, workspace) in workspaces() {
        let functions = workspace.check(&[]).functions;
        let names: Vec<_> = functions.iter().map(|function| &function.name).collect();
        assert_eq!(names[..2], ["MDATPAlerts", "MDATPAlertsLatest"]);
        for function in functions.into_iter().take(2) {
            assert!(function.diagnostics.is_empty(), "{name}: {:#?}", function.diagnostics);
            assert!(!function.open, "{name}: {} may have other columns too", function.name);
            if function.name == "MDATPAlerts" {
                assert_eq!(function.columns, native, "{name}");
            } else {
                // The order that arg_max leaves is another.
                let set = |columns: &[Named]| columns.iter().cloned().collect::<BTreeSet<_>>();
                assert_eq!(set(&function.columns), set(&native), "{name}: {}", function.name);
            }
        }
    }
}

/// (the query, the code of what is wrong in its second line, a word of the message)
type Mistake = (&'static str, &'static str, &'static str);

const MISTAKES_ON_NATIVE: [Mistake; 8] = [
    ("MDATPAlerts\n| where Severty == 'High'", "KS142", "'Severty'"),
    ("MDATPAlerts\n| where Severity > 5", "KS106", "'>'"),
    ("MDATPAlerts\n| where startofday(Severity) > ago(1d)", "KS107", "datetime"),
    ("MDATPAlerts\n| where IncidentId", "KS141", "bool"),
    ("MDATPAlerts\n| where is_bad(Severity)", "KS211", "'is_bad'"),
    ("MDATPAlerts\n| whre Severity == 'High'", "KS176", "operator"),
    ("MDATPAlertsLatest\n| join (Others) on AlertId", "KS204", "'Others'"),
    ("MDATPAlerts_CL\n| where severity_s == 'High'", "KS142", "'severity_s'"),
];

const MISTAKES_ON_CLASSIC: [Mistake; 2] = [
    ("MDATPAlerts_CL\n| where Severity == 'High'", "KS142", "'Severity'"),
    ("MDATPAlerts\n| where severity_s == 'High'", "KS142", "'severity_s'"),
];

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn what_is_wrong_with_a_query_is_reported() {
    let [(_, native), (_, classic), ..] = workspaces();
    for (workspace, mistakes) in [(native, &MISTAKES_ON_NATIVE[..]), (classic, &MISTAKES_ON_CLASSIC)] {
        let queries: Vec<_> = mistakes.iter().map(|(text, ..)| query(text)).collect();
        let answers = workspace.check(&queries).queries;
        assert_eq!(answers.len(), mistakes.len());
        for ((text, code, word), answer) in mistakes.iter().zip(answers) {
            let found = answer.diagnostics.iter().any(|diagnostic| {
                (&*diagnostic.severity, &*diagnostic.code, diagnostic.line) == ("Error", *code, 2)
                    && diagnostic.message.contains(word)
            });
            assert!(found, "{text}: {:#?}", answer.diagnostics);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn what_is_wrong_with_a_function_is_reported() {
    let [(_, native), ..] = workspaces();
    let broken = native.with_function("Broken", "MDATPAlerts_CL\n| project Severty // the end");
    let function = broken.check(&[]).functions.pop().expect("the last one");
    let lines: Vec<_> =
        function.diagnostics.iter().map(|diagnostic| (&*diagnostic.code, diagnostic.line)).collect();
    assert_eq!((&*function.name, lines), ("Broken", vec![("KS142", 2)]));

    let vague = native.check(&[query("MDATPAlerts\n| evaluate bag_unpack(RelatedUser)")]);
    assert!(vague.queries[0].open, "the parser cannot know these columns");
}

/// A query reads only the part of the table that it needs, and says what it is for.
#[test]
fn every_query_filters_by_time_first_and_tells_what_it_finds_and_when_to_use_it() {
    let mut titles = BTreeSet::new();
    for QueryText { file, text } in [files(""), files("classic"), files("native")].concat() {
        let comments: Vec<_> = text.lines().map_while(|line| line.strip_prefix("// ")).collect();
        let [title, rest @ ..] = &comments[..] else { panic!("{file} has no title") };
        assert!(titles.insert((*title).to_owned()), "{file}: another query has this title: {title}");
        for word in ["Finds ", "When: "] {
            assert!(
                rest.iter().any(|line| line.starts_with(word)),
                "{file} has no line that begins with {word}"
            );
        }
        let operator = text.lines().find(|line| line.starts_with('|'));
        assert!(
            operator.is_some_and(|line| line.starts_with("| where TimeGenerated > ago("))
                || text.contains("AlertEventMdatpForward(starttime=ago("),
            "{file}: {operator:?}"
        );
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{file}: its end");
    }
    assert!(titles.len() >= 16, "{titles:#?}");
}
