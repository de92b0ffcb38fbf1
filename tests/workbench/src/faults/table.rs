//! The trials as a table in Markdown, aligned to be readable in a terminal too.

use std::collections::BTreeSet;

use simulator::Sink;

use super::trial::{TickResult, Trial};

const WIDTHS: [usize; 6] = [46, 14, 16, 7, 30, 7];

/// Prints the table's head.
pub(super) fn head() {
    let names = ["fault", "sink", "delivered", "repeats", "what the runs reported", "seconds"];
    line(&names.map(str::to_owned));
    line(&WIDTHS.map(|width| "-".repeat(width)));
}

/// Prints a trial's row.
pub(super) fn row(trial: &Trial) {
    line(&[
        trial.name.to_owned(),
        name(trial.sink).to_owned(),
        format!("{} of {}", trial.delivered, trial.wanted),
        trial.repeats.to_string(),
        summary(&trial.results),
        format!("{:.1}", trial.took.as_secs_f64()),
    ]);
}

fn line(cells: &[String; 6]) {
    let cells = cells.iter().zip(WIDTHS).map(|(cell, width)| format!(" {cell:width$} |"));
    println!("|{}", cells.collect::<String>());
}

fn name(sink: Sink) -> &'static str {
    match sink {
        Sink::DataCollector => "Data Collector",
        Sink::LogsIngestion => "Logs Ingestion",
    }
}

/// What the runs reported, one after the other, in words.
fn summary(results: &[TickResult]) -> String {
    let runs = results.chunk_by(|one, next| one.label() == next.label());
    let words = runs.map(|run| match run.len() {
        1 => run[0].label().to_owned(),
        times => format!("{} {times} times", run[0].label()),
    });
    words.collect::<Vec<_>>().join(", then ")
}

impl TickResult {
    fn label(&self) -> &'static str {
        match self {
            Self::Complete => "success",
            Self::Incomplete => "more to do",
            Self::Failed(_) => "failed",
            Self::Killed => "(killed)",
        }
    }
}

/// Prints the distinct reasons of failed runs.
pub(super) fn reasons(trials: &[Trial]) {
    let results = trials.iter().flat_map(|trial| trial.results.iter().map(move |result| (trial, result)));
    let reasons: BTreeSet<_> = results
        .filter_map(|(trial, result)| match result {
            TickResult::Failed(reason) => Some(format!("{}, {}: {reason}", trial.name, name(trial.sink))),
            _ => None,
        })
        .collect();
    if !reasons.is_empty() {
        println!("\nReasons of the failed runs");
    }
    for reason in reasons {
        println!("- {reason}");
    }
}

/// Prints which promises are broken; returns true if none is.
pub(super) fn verdict(trials: &[Trial]) -> bool {
    println!();
    let broken = |trial: &&Trial| trial.broken_promise().is_some();
    for trial in trials.iter().filter(broken) {
        println!(
            "MISSED {}, {}: {}",
            trial.name,
            name(trial.sink),
            trial.broken_promise().unwrap_or_default()
        );
    }
    let missed = trials.iter().filter(broken).count();
    println!("{} of {} as promised", trials.len() - missed, trials.len());
    missed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_happens_again() {
        let failed = |reason: &str| TickResult::Failed(reason.to_owned());
        for (results, words) in [
            (vec![TickResult::Complete], "success"),
            (vec![failed("a"), failed("b"), TickResult::Complete], "failed 2 times, then success"),
            (
                vec![TickResult::Killed, TickResult::Incomplete, TickResult::Complete],
                "(killed), then more to do, then success",
            ),
        ] {
            assert_eq!(summary(&results), words);
        }
    }
}
