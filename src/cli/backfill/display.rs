//! How far a backfill has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

use crate::{
    cli::backfill::progress::{Pace, Progress},
    telemetry,
};

/// How many parts the bar tells apart.
const PARTS: u64 = 1_000;

/// Shows progress.
pub struct Display {
    /// None when nobody would see it.
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    latest: Option<Progress>,
    pace: Pace,
}

impl Display {
    /// A bar, if stderr is a terminal.
    pub fn new() -> Self {
        Self { bar: std::io::stderr().is_terminal().then(bar), state: Mutex::default() }
    }

    /// Takes in that something has moved.
    pub fn show(&self, progress: Progress) {
        self.tell(|state| {
            state.latest = Some(progress);
            state.latest
        });
    }

    /// Shows the latest again when it is time to.
    pub fn look(&self, elapsed: Duration) {
        self.tell(|state| state.latest.map(|latest| Progress { elapsed, ..latest }));
    }

    fn tell(&self, take: impl Fn(&mut State) -> Option<Progress>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = take(&mut state) else { return };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within 0 to 1,000"
        )]
        #[expect(clippy::cast_precision_loss, reason = "a thousand is exact")]
        let part = (progress.part() * PARTS as f64) as u64;
        match &self.bar {
            Some(bar) => {
                bar.set_position(part);
                bar.set_message(progress.to_string());
            }
            None if state.pace.is_due(progress.elapsed, progress.sent) => {
                info!("{} %: {progress}", part * 100 / PARTS);
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(PARTS);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent} % {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_message("reading alerts");
    bar.enable_steady_tick(Duration::from_millis(200));
    telemetry::keep_above(&bar);
    bar
}
