//! The display of progress: a bar on a terminal, a line now and then elsewhere.

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

/// The number of steps of the bar.
const STEPS: u64 = 1_000;

/// Displays progress.
pub struct Display {
    /// `None` if stderr is not a terminal.
    bar: Option<ProgressBar>,
    state: Mutex<DisplayState>,
}

#[derive(Default)]
struct DisplayState {
    latest: Option<Progress>,
    pace: Pace,
}

impl Display {
    /// Creates a bar, if stderr is a terminal.
    pub fn new() -> Self {
        Self { bar: std::io::stderr().is_terminal().then(bar), state: Mutex::default() }
    }

    /// Displays new progress.
    pub fn show(&self, progress: Progress) {
        self.update(|state| {
            state.latest = Some(progress);
            state.latest
        });
    }

    /// Displays the latest progress with the time that has passed since.
    pub fn refresh(&self, elapsed: Duration) {
        self.update(|state| state.latest.map(|latest| Progress { elapsed, ..latest }));
    }

    fn update(&self, take: impl Fn(&mut DisplayState) -> Option<Progress>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = take(&mut state) else { return };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within 0 to 1,000"
        )]
        #[expect(clippy::cast_precision_loss, reason = "a thousand is exact")]
        let step = (progress.part() * STEPS as f64) as u64;
        match &self.bar {
            Some(bar) => {
                bar.set_position(step);
                bar.set_message(progress.to_string());
            }
            None if state.pace.is_due(progress.elapsed, progress.sent) => {
                info!("{} %: {progress}", step * 100 / STEPS);
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(STEPS);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent} % {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_message("reading alerts");
    bar.enable_steady_tick(Duration::from_millis(200));
    telemetry::keep_above(&bar);
    bar
}
