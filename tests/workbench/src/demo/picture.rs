//! `cargo demo --svg FILE`: a picture of the demo's output. The demo runs as a process of its own, so that the picture
//! shows what a terminal would have shown.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::terminal;
use crate::binary::workspace_root;
use crate::environment;

/// The number of lines of the record that are shown, at its beginning and its end.
const SHOWN: [usize; 2] = [14, 6];

/// Runs the demo with the other options of this program, and prints and draws its output; returns true if all checks
/// pass.
pub(super) fn draw(file: &Path) -> Result<bool, String> {
    let arguments = without_svg(std::env::args_os().skip(1));
    let program = std::env::current_exe().map_err(|problem| problem.to_string())?;
    let started = Command::new(program).args(&arguments).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|problem| format!("the demo does not start: {problem}"))?;
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.map_err(|problem| format!("reading what the demo prints: {problem}"))?;
        println!("{line}");
        lines.push(line);
    }
    let ended = child.wait().map_err(|problem| problem.to_string())?;
    let command: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let command = match command.join(" ").strip_prefix("demo ") {
        Some(options) => format!("cargo demo -- {options}"),
        None => "cargo demo".to_owned(),
    };
    let svg = terminal::svg(&command, &shortened(&lines), &environment::describe());
    std::fs::write(file, svg).map_err(|problem| format!("{}: {problem}", file.display()))?;
    Ok(ended.success())
}

/// The arguments without `--svg FILE`.
fn without_svg(mut arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--svg" {
            arguments.next();
        } else if !argument.to_string_lossy().starts_with("--svg=") {
            kept.push(argument);
        }
    }
    kept
}

/// The lines with the record shortened, and without the path of this repository.
fn shortened(lines: &[String]) -> Vec<String> {
    let root = workspace_root().display().to_string();
    let lines: Vec<String> = lines.iter().map(|line| line.replace(&format!("{root}/"), "")).collect();
    let place = |line| lines.iter().position(|found| found == line);
    let [head, tail] = SHOWN;
    match (place("{"), place("}")) {
        (Some(begin), Some(end)) if begin + head + tail + 1 < end => {
            let (from, to) = (begin + head, end + 1 - tail);
            let left_out = format!("  … {} lines more …", to - from);
            [&lines[..from], &[left_out], &lines[to..]].concat()
        }
        _ => lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_run_with_the_other_options() {
        for (given, kept) in [
            (&["demo", "--svg", "a.svg"][..], &["demo"][..]),
            (&["demo", "--svg=a.svg", "--alerts", "9"], &["demo", "--alerts", "9"]),
            (
                &["demo", "--seed", "3", "--svg", "a.svg", "--alerts", "9"],
                &["demo", "--seed", "3", "--alerts", "9"],
            ),
            (&["demo", "--faults", "none"], &["demo", "--faults", "none"]),
        ] {
            assert_eq!(
                without_svg(given.iter().map(OsString::from)),
                kept.iter().map(OsString::from).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_long_record_is_shown_by_its_ends_and_no_path_is_told() {
        let lines = |record: usize| {
            let member = |number| format!("  \"m{number}\": 1,");
            let path = workspace_root().join("out/demo/records.jsonl");
            let record = (1..=record).map(member);
            ["One record".into(), "{".into()]
                .into_iter()
                .chain(record)
                .chain(["}".into(), format!("The records are in {}", path.display())])
                .collect::<Vec<String>>()
        };
        let shown = shortened(&lines(30));
        assert_eq!(shown.len(), 1 + 14 + 1 + 6 + 1);
        assert_eq!(
            [&shown[1], &shown[14], &shown[15], &shown[16], &shown[21], &shown[22]],
            [
                "{",
                "  \"m13\": 1,",
                "  … 12 lines more …",
                "  \"m26\": 1,",
                "}",
                "The records are in out/demo/records.jsonl"
            ]
        );
        assert_eq!(shortened(&lines(18)).len(), lines(18).len());
    }
}
