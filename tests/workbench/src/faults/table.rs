//! The trials as a table in Markdown, aligned so that a terminal shows it as well.

use std::collections::BTreeSet;

use simulator::Sink;

use super::trial::{Told, Trial};

const WIDTHS: [usize; 6] = [46, 14, 16, 7, 30, 7];

/// The table's head.
pub(super) fn head() {
    let names = ["fault", "sink", "delivered", "repeats", "what the runs reported", "seconds"];
    line(&names.map(str::to_owned));
    line(&WIDTHS.map(|width| "-".repeat(width)));
}

/// A trial's row.
pub(super) fn row(trial: &Trial) {
    line(&[
        trial.name.to_owned(),
        name(trial.sink).to_owned(),
        format!("{} of {}", trial.delivered, trial.wanted),
        trial.repeats.to_string(),
        story(&trial.told),
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

/// What one run after the other reported, in words.
fn story(told: &[Told]) -> String {
    let runs = told.chunk_by(|one, next| one.word() == next.word());
    let words = runs.map(|run| match run.len() {
        1 => run[0].word().to_owned(),
        times => format!("{} {times} times", run[0].word()),
    });
    words.collect::<Vec<_>>().join(", then ")
}

impl Told {
    fn word(&self) -> &'static str {
        match self {
            Self::Complete => "success",
            Self::Incomplete => "more to do",
            Self::Failed(_) => "failed",
            Self::Killed => "(killed)",
        }
    }
}

/// What the runs that failed said, each once.
pub(super) fn reasons(trials: &[Trial]) {
    let told = trials.iter().flat_map(|trial| trial.told.iter().map(move |told| (trial, told)));
    let reasons: BTreeSet<_> = told
        .filter_map(|(trial, told)| match told {
            Told::Failed(reason) => Some(format!("{}, {}: {reason}", trial.name, name(trial.sink))),
            _ => None,
        })
        .collect();
    if !reasons.is_empty() {
        println!("\nThe runs that failed said");
    }
    for reason in reasons {
        println!("- {reason}");
    }
}

/// True when every promise was kept.
pub(super) fn verdict(trials: &[Trial]) -> bool {
    println!();
    let broken = |trial: &&Trial| trial.broken().is_some();
    for trial in trials.iter().filter(broken) {
        println!("MISSED {}, {}: {}", trial.name, name(trial.sink), trial.broken().unwrap_or_default());
    }
    let missed = trials.iter().filter(broken).count();
    println!("{} of {} as promised", trials.len() - missed, trials.len());
    missed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_counts_what_happens_again() {
        let failed = |reason: &str| Told::Failed(reason.to_owned());
        for (told, words) in [
            (vec![Told::Complete], "success"),
            (vec![failed("a"), failed("b"), Told::Complete], "failed 2 times, then success"),
            (vec![Told::Killed, Told::Incomplete, Told::Complete], "(killed), then more to do, then success"),
        ] {
            assert_eq!(story(&told), words);
        }
    }
}
