//! An invocation of the forwarder, with its progress as the sink sees it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use simulator::functions_host::{FunctionsHost, Invocation, Payload};
use simulator::{Cloud, clock};

/// An invocation, and the time from its start until its last post was accepted.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) invocation: Invocation,
    pub(super) to_last_post: Option<Duration>,
}

impl Tick {
    /// Fires the timer, and shows how many of the expected records have been accepted so far.
    pub(super) async fn fire(host: &FunctionsHost, cloud: &Cloud, payload: Payload, expected: usize) -> Self {
        let before = cloud.counts();
        let bar = ProgressBar::new(expected as u64);
        let style = "{bar:40} {pos}/{len} records accepted, {msg} ({elapsed})";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant"));
        let posts = cloud.received().len();
        let started = clock::now();
        let firing = host.fire(payload);
        tokio::pin!(firing);
        let mut redraw = tokio::time::interval(Duration::from_millis(50));
        let invocation = loop {
            tokio::select! {
                invocation = &mut firing => break invocation,
                _ = redraw.tick() => {
                    let counts = cloud.counts();
                    bar.set_message(format!("{} machines read", counts.machine_gets - before.machine_gets));
                    bar.set_position(counts.records - before.records);
                }
            }
        };
        bar.finish_and_clear();
        for line in &invocation.logs {
            println!("  {line}");
        }
        let last_post = cloud.received().get(posts..).and_then(|new| Some(new.last()?.at));
        let to_last_post = last_post.and_then(|at| (at - started).try_into().ok());
        Self { invocation, to_last_post }
    }

    /// A number of the report; 0 if it has none.
    pub(super) fn reported(&self, member: &str) -> u64 {
        self.invocation.report[member].as_u64().unwrap_or_default()
    }
}
