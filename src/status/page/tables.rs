//! The tables of the page. Each scrolls in its own box if it is wider than the screen.

use super::{Status, element, escaped::Escaped, grouped};
use crate::{
    count::Count,
    report::RunResult,
    state::history::HistoryEntry,
    status::{CallCounts, SetAsideSummary, span},
};
use azure_core::time::to_rfc3339;

/// Returns a table with a caption and named columns. A name that begins with `#` is that of a column of numbers.
pub fn table(caption: &str, columns: &[&str], rows: &[String]) -> String {
    let name = caption.to_lowercase().replace(' ', "-");
    let head = columns.iter().map(|column| match column.strip_prefix('#') {
        Some(number) => format!("<th scope=\"col\" class=\"number\">{number}</th>"),
        None => format!("<th scope=\"col\">{column}</th>"),
    });
    let (head, rows) = (head.collect::<Vec<_>>().concat(), rows.concat());
    format!(
        r#"<section aria-labelledby="{name}">
<h2 id="{name}">{caption}</h2>
<div class="box" role="region" aria-labelledby="{name}" tabindex="0">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>
</section>
"#
    )
}

/// Returns the runs, newest first.
pub fn runs(runs: &[HistoryEntry]) -> String {
    let columns = ["Began", "Result", "#Listed", "#Sent", "#Set aside", "#Machines", "#Took", "#Lag"];
    match runs {
        [] => "<section><h2>Runs</h2>\n<p>No run is recorded yet.</p></section>\n".to_owned(),
        runs => table("Runs", &columns, &runs.iter().rev().map(run).collect::<Vec<_>>()),
    }
}

fn run(entry: &HistoryEntry) -> String {
    let began = match entry.last {
        None => element(entry.start),
        Some(last) => format!(
            "{} <small>{} without new alerts since {}</small>",
            element(last),
            Count(entry.runs, "run"),
            element(entry.start)
        ),
    };
    let (class, result) = result(entry.result);
    let took = match entry.ms {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    };
    format!(
        "<tr><th scope=\"row\">{began}</th><td class=\"{class}\">{result}</td>{}{}{}{}<td class=\"number\">{took}\
         </td><td class=\"number\">{}</td></tr>\n{}",
        number(entry.read),
        number(entry.sent),
        number(entry.set_aside),
        number(entry.machines),
        entry.lag_seconds.map_or_else(String::new, span),
        entry.error.as_deref().map_or_else(String::new, |error| words(error, 8))
    )
}

/// Returns the class of a result's cell, and its text.
pub fn result(result: RunResult) -> (&'static str, &'static str) {
    match result {
        RunResult::Failed => ("bad", "failed"),
        RunResult::Ok => ("good", "ok"),
        RunResult::Incomplete => ("other", "incomplete"),
        RunResult::Skipped => ("other", "skipped"),
    }
}

/// Returns a row of text below another row, across all columns.
pub fn words(text: &str, columns: usize) -> String {
    format!("<tr class=\"words\"><td colspan=\"{columns}\"><p>{}</p></td></tr>\n", Escaped(text))
}

/// Returns a cell with a count. Zero has a look of its own.
pub fn number(count: u64) -> String {
    let class = if count == 0 { "number none" } else { "number" };
    format!("<td class=\"{class}\">{}</td>", grouped(count))
}

/// Returns the documents that are set aside.
pub fn set_aside(SetAsideSummary { count, newest }: &SetAsideSummary) -> String {
    if newest.is_empty() {
        return "<section><h2>Set aside</h2>\n<p>Nothing is set aside.</p></section>\n".to_owned();
    }
    let rows: Vec<_> = newest
        .iter()
        .map(|document| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td></tr>\n{}",
                Escaped(document.id.as_deref().unwrap_or("no id")),
                Escaped(&document.when),
                grouped(document.bytes),
                words(&document.reason, 3)
            )
        })
        .collect();
    let more = match count.saturating_sub(newest.len()) {
        0 => String::new(),
        more => {
            let more = Count(more as u64, "older document");
            format!("<p>And {more}: see <code>mdatp-forward set-aside list</code>.</p>\n")
        }
    };
    table("Set aside", &["Alert", "When", "#Bytes"], &rows) + &more
}

/// Returns the location of the state, and what else it contains.
pub fn state(status: &Status) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: &str| {
        rows.push(format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td></tr>\n",
            Escaped(name),
            Escaped(value)
        ));
    };
    row("Checkpoint", &status.place);
    if let Some(damage) = &status.damage {
        row("Damage", damage);
        row("Fix", "mdatp-forward state reset --to TIME, or repair the document");
    }
    for (name, time, note) in [
        ("Watermark", status.watermark, "everything before is delivered or set aside"),
        ("Known from", status.known_from, "nothing earlier is listed again"),
    ] {
        if let Some(time) = time {
            row(name, &format!("{}: {note}", to_rfc3339(&time)));
        }
    }
    if let Some(remembered) = status.remembered {
        row("Remembered", &Count(remembered as u64, "alert").to_string());
    }
    for (api, CallCounts { last_minute, last_hour }) in &status.quota {
        row(
            &api.to_string(),
            &format!("{} in the last minute, {last_hour} in the last hour", Count(*last_minute, "call")),
        );
    }
    table("State", &["What", "Is"], &rows)
}
