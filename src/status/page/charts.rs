//! The two plots of the page: the lag at the end of each run, and the alerts that it listed and sent.

use azure_core::time::OffsetDateTime;

use super::{
    axis::{Axis, span},
    grouped, moment,
    plot::{Look, Plot},
};
use crate::{count::Count, report::RunResult, state::history::HistoryEntry, status::span as words};

const FAILED: Look = Look("failed");

/// Returns both plots.
pub fn charts(runs: &[HistoryEntry], now: OffsetDateTime) -> String {
    let Some(first) = runs.first().map(|entry| entry.start) else { return String::new() };
    let shown: Vec<_> =
        runs.iter().filter(|entry| entry.last_start() >= now - super::plot::LONGEST).collect();
    lag(&shown, first, now) + &counts(&shown, first, now)
}

fn lag(runs: &[&HistoryEntry], first: OffsetDateTime, now: OffsetDateTime) -> String {
    let most = runs.iter().filter_map(|entry| entry.lag_seconds).max().unwrap_or_default();
    let mut plot = Plot::new(first, now, 170.0, &Axis::of_seconds(most), span);
    let points = || runs.iter().filter_map(|entry| entry.lag_seconds.map(|lag| (*entry, lag)));
    for (one, next) in points().zip(points().skip(1)) {
        plot.line(Look("curve"), (one.0.last_start(), one.1), (next.0.start, next.1), "");
    }
    for (entry, lag) in points().filter(|(entry, _)| entry.last.is_some()) {
        plot.line(Look("curve"), (entry.start, lag), (entry.last_start(), lag), "");
    }
    for (entry, lag) in points() {
        match entry.result {
            RunResult::Failed => plot.cross(FAILED, entry.last_start(), lag, &title(entry)),
            _ => plot.dot(Look("dot"), entry.last_start(), lag, &title(entry)),
        }
    }
    figure("lag", "Lag at the end of each run, by time (UTC)", "", plot)
}

fn counts(runs: &[&HistoryEntry], first: OffsetDateTime, now: OffsetDateTime) -> String {
    let most = runs.iter().map(|entry| entry.read.max(entry.sent)).max().unwrap_or_default();
    let mut plot = Plot::new(first, now, 130.0, &Axis::of_counts(most), grouped);
    for entry in runs {
        let (time, title) = (entry.last_start(), title(entry));
        if entry.last.is_some() {
            plot.line(Look("quiet"), (entry.start, 0), (time, 0), &title);
        }
        plot.line(Look("read"), (time, 0), (time, entry.read), &title);
        plot.line(Look("sent"), (time, 0), (time, entry.sent), &title);
        if entry.result == RunResult::Failed {
            plot.cross(FAILED, time, 0, &title);
        }
    }
    let key = r#"<span class="key read">listed</span> <span class="key sent">sent</span> "#;
    figure("counts", "Alerts of each run, by time (UTC)", key, plot)
}

fn figure(name: &str, title: &str, key: &str, plot: Plot) -> String {
    let svg = plot.finish(name);
    format!(
        "<figure>\n<figcaption><span id=\"{name}\">{title}</span> <span class=\"keys\">{key}<span class=\"key \
         failed\">failed run</span></span></figcaption>\n{svg}</figure>\n"
    )
}

/// Returns the tooltip of an entry.
fn title(entry: &HistoryEntry) -> String {
    let HistoryEntry { result, read, sent, set_aside, .. } = entry;
    let when = match entry.last {
        Some(last) => {
            format!(
                "{} to {}: {} without new alerts",
                moment(entry.start),
                moment(last),
                Count(entry.runs, "run")
            )
        }
        None => moment(entry.start),
    };
    let lag = entry.lag_seconds.map(|lag| format!("lag {}", words(lag)));
    let counts = format!("listed {read}, sent {sent}, set aside {set_aside}");
    let parts = [Some(when), Some(result.to_string()), Some(counts), lag, entry.error.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}
